//! Everything here runs real Blender in a real sandbox. One binary, so that scenes are written once.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod render;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod support;
