//! Payloads of every kind given to the runners, as an agent does. One binary, which is also the
//! program that the runners start.

#[cfg(test)]
mod generic;
#[cfg(test)]
mod inference;
#[cfg(test)]
mod onnx;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod support;
