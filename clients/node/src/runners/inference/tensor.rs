//! Tensors as JSON: `{"shape": [2], "dtype": "f32", "data": [1.5, "NaN"]}`, the data flat and row by
//! row. JSON has no words for three floats, so they are the texts "NaN", "Infinity" and "-Infinity".
//! Knows nothing of models.

use std::io::Write;

use serde::de::{DeserializeOwned, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use tract_onnx::prelude::*;

use super::ELEMENTS_MAX;
use crate::runners::fault::{Fault, PayloadReason};

const DTYPES: &str = "bool, i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64";

/// An input as it stands in the payload.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given<'a> {
    shape: Vec<usize>,
    dtype: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Given<'_> {
    /// `left` counts down the numbers that all inputs together may still have.
    pub(super) fn tensor(&self, name: &str, left: &mut usize) -> Result<Tensor, Fault> {
        let length = self.shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        let Some(length) = length.filter(|length| length <= left) else {
            let message = format!("the inputs have more than {ELEMENTS_MAX} numbers: send fewer");
            return Err(Fault::payload(PayloadReason::TooLarge, message));
        };
        *left -= length;
        match self.dtype.as_str() {
            "bool" => self.numbers::<bool>(name, length),
            "i8" => self.numbers::<i8>(name, length),
            "i16" => self.numbers::<i16>(name, length),
            "i32" => self.numbers::<i32>(name, length),
            "i64" => self.numbers::<i64>(name, length),
            "u8" => self.numbers::<u8>(name, length),
            "u16" => self.numbers::<u16>(name, length),
            "u32" => self.numbers::<u32>(name, length),
            "u64" => self.numbers::<u64>(name, length),
            "f16" => self.floats(name, length, DatumType::F16),
            "f32" => self.floats(name, length, DatumType::F32),
            "f64" => self.floats(name, length, DatumType::F64),
            other => Err(Fault::invalid(format!(
                "the input {name:?} is of dtype {other:?}: it must be one of {DTYPES}"
            ))),
        }
    }

    fn floats(&self, name: &str, length: usize, kind: DatumType) -> Result<Tensor, Fault> {
        let floats: Vec<Float> = self.list(name, length)?;
        let floats: Vec<f64> = floats.into_iter().map(|Float(value)| value).collect();
        let wide = self.shaped(name, &floats)?;
        wide.cast_to_dt(kind).map(|tensor| tensor.into_owned()).map_err(|error| wrong(name, &error))
    }

    fn numbers<T: Datum + Copy + DeserializeOwned>(
        &self,
        name: &str,
        length: usize,
    ) -> Result<Tensor, Fault> {
        self.shaped::<T>(name, &self.list(name, length)?)
    }

    fn list<T: DeserializeOwned>(&self, name: &str, length: usize) -> Result<Vec<T>, Fault> {
        let list: Vec<T> =
            serde_json::from_str(self.data.get()).map_err(|error| wrong(name, &error))?;
        if list.len() == length {
            return Ok(list);
        }
        Err(Fault::invalid(format!(
            "the input {name:?} has {} numbers where its shape {:?} needs {length}: give as many",
            list.len(),
            self.shape
        )))
    }

    fn shaped<T: Datum + Copy>(&self, name: &str, list: &[T]) -> Result<Tensor, Fault> {
        Tensor::from_shape(&self.shape, list).map_err(|error| wrong(name, &error))
    }
}

fn wrong(name: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::invalid(format!(
        "the data of the input {name:?} cannot be read: {error}. It is a flat list of numbers of its \
         dtype; floats may also be \"NaN\", \"Infinity\" and \"-Infinity\""
    ))
}

/// A number, or one of the three texts.
struct Float(f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Anything)
    }
}

struct Anything;

impl Visitor<'_> for Anything {
    type Value = Float;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Float, E> {
        Ok(Float(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whoever writes a float as an integer means this"
    )]
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Float, E> {
        Ok(Float(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "whoever writes a float as an integer means this"
    )]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Float, E> {
        Ok(Float(value as f64))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Float, E> {
        match text {
            "NaN" => Ok(Float(f64::NAN)),
            "Infinity" => Ok(Float(f64::INFINITY)),
            "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

/// Writes `{"outputs": {name: tensor}}`, number by number.
pub(super) fn write<'a>(
    to: &mut impl Write,
    outputs: impl Iterator<Item = (&'a String, &'a Tensor)>,
) -> Result<(), Fault> {
    let mut made = Vec::new();
    for (name, tensor) in outputs {
        made.push((name, Made::of(name, tensor)?));
    }
    let lost = |error| Fault::machine("the result could not be written", error);
    let mut json = serde_json::Serializer::new(to);
    let mut all = json.serialize_map(Some(1)).map_err(lost)?;
    all.serialize_entry("outputs", &Outputs(&made)).map_err(lost)?;
    SerializeMap::end(all).map_err(lost)
}

struct Outputs<'a>(&'a [(&'a String, Made)]);

impl Serialize for Outputs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, made)| (name, made)))
    }
}

/// An output, its dtype by our word, its numbers in a type that JSON can show.
struct Made {
    dtype: &'static str,
    shown: Tensor,
}

impl Made {
    fn of(name: &str, tensor: &Tensor) -> Result<Self, Fault> {
        // A quantized number is shown as it is stored; a size that was computed is an integer.
        let (dtype, kind) = match tensor.datum_type().unquantized() {
            DatumType::Bool => ("bool", DatumType::Bool),
            DatumType::I8 => ("i8", DatumType::I64),
            DatumType::I16 => ("i16", DatumType::I64),
            DatumType::I32 => ("i32", DatumType::I64),
            DatumType::I64 | DatumType::TDim => ("i64", DatumType::I64),
            DatumType::U8 => ("u8", DatumType::U64),
            DatumType::U16 => ("u16", DatumType::U64),
            DatumType::U32 => ("u32", DatumType::U64),
            DatumType::U64 => ("u64", DatumType::U64),
            DatumType::F16 => ("f16", DatumType::F32),
            DatumType::F32 => ("f32", DatumType::F32),
            DatumType::F64 => ("f64", DatumType::F64),
            other => {
                let message = format!(
                    "the model's output {name:?} is of type {other:?}, which JSON has no form for: \
                     let it be one of {DTYPES}"
                );
                return Err(Fault::payload(PayloadReason::Unsupported, message));
            }
        };
        let shown = tensor.cast_to_dt(kind).map_err(|error| {
            let message = format!("the model's output {name:?} cannot be shown: {error}");
            Fault::payload(PayloadReason::Unsupported, message)
        })?;
        Ok(Self { dtype, shown: shown.into_owned() })
    }
}

impl Serialize for Made {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Tensor", 3)?;
        fields.serialize_field("shape", self.shown.shape())?;
        fields.serialize_field("dtype", self.dtype)?;
        fields.serialize_field("data", &Data(&self.shown))?;
        fields.end()
    }
}

struct Data<'a>(&'a Tensor);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let plain = self.0.try_as_plain_ram().map_err(S::Error::custom)?;
        match self.0.datum_type() {
            DatumType::Bool => to.collect_seq(plain.as_slice::<bool>().map_err(S::Error::custom)?),
            DatumType::I64 => to.collect_seq(plain.as_slice::<i64>().map_err(S::Error::custom)?),
            DatumType::U64 => to.collect_seq(plain.as_slice::<u64>().map_err(S::Error::custom)?),
            DatumType::F32 => {
                to.collect_seq(plain.as_slice::<f32>().map_err(S::Error::custom)?.iter().map(Shown))
            }
            _ => {
                to.collect_seq(plain.as_slice::<f64>().map_err(S::Error::custom)?.iter().map(Shown))
            }
        }
    }
}

/// A float by its shortest digits, or by the text that stands for it.
struct Shown<T>(T);

impl<T: Copy + Serialize + Into<f64>> Serialize for Shown<&T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let wide: f64 = (*self.0).into();
        if wide.is_finite() {
            self.0.serialize(to)
        } else if wide.is_nan() {
            to.serialize_str("NaN")
        } else if wide > 0.0 {
            to.serialize_str("Infinity")
        } else {
            to.serialize_str("-Infinity")
        }
    }
}
