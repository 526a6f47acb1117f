//! An ONNX model and its inputs, run once by tract. Knows the payload's form and the limits; how
//! numbers stand in JSON is in `tensor`.
//!
//! tract is Rust without a single call into foreign code, and still no judge of hostile models: a shape
//! may ask for any amount of memory, an operator for any amount of time. Those ends are the process's.

mod tensor;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::fault::{Fault, PayloadReason};
use tensor::Given;

const PAYLOAD_BYTES_MAX: u64 = 192 << 20;
const MODEL_BYTES_MAX: usize = 64 << 20;
/// Of all inputs together, and of all outputs.
const ELEMENTS_MAX: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    model_base64: Cow<'a, str>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
}

/// By name, or in the model's own order.
enum Inputs<'a> {
    Named(BTreeMap<String, Given<'a>>),
    InOrder(Vec<Given<'a>>),
}

/// A model that was read but not yet prepared, and what it calls its outputs.
struct Model {
    graph: InferenceModel,
    outputs: Vec<String>,
}

pub(super) fn run(
    payload: &Path,
    result: &mut impl Write,
    progress: &impl Fn(f32),
) -> Result<(), Fault> {
    let payload = super::read(payload, PAYLOAD_BYTES_MAX)?;
    let (model, inputs) = parse(&payload)?;
    drop(payload);
    progress(0.1);
    let outputs = model.outputs;
    let ready = prepared(model.graph, &inputs)?;
    progress(0.3);
    let made = ready.run(inputs.into_iter().map(TValue::from).collect()).map_err(|error| {
        Fault::payload(
            PayloadReason::Trap,
            format!("the model failed while it ran: {}", words(&error)),
        )
    })?;
    progress(0.9);
    if made.iter().map(|tensor| tensor.len()).sum::<usize>() > ELEMENTS_MAX {
        let message = format!(
            "the model's outputs have more than {ELEMENTS_MAX} numbers: let it reduce them first"
        );
        return Err(Fault::payload(PayloadReason::OutputLimit, message));
    }
    tensor::write(result, outputs.iter().zip(made.iter().map(|tensor| &**tensor)))
}

fn parse(payload: &[u8]) -> Result<(Model, Vec<Tensor>), Fault> {
    let asked: Payload<'_> = serde_json::from_slice(payload).map_err(|error| {
        Fault::invalid(format!(
            "the payload of an inference cannot be read: {error}. It is JSON like {{\"model_base64\": \
             \"CAg...\", \"inputs\": {{\"x\": {{\"shape\": [1, 2], \"dtype\": \"f32\", \"data\": [1, 2]}}}}}}"
        ))
    })?;
    let model = Model::read(&asked.model_base64)?;
    let inputs = model.tensors(Inputs::read(asked.inputs)?)?;
    Ok((model, inputs))
}

impl<'a> Inputs<'a> {
    fn read(inputs: Option<&'a RawValue>) -> Result<Self, Fault> {
        let Some(inputs) = inputs else { return Ok(Inputs::InOrder(Vec::new())) };
        let read = if inputs.get().starts_with('[') {
            serde_json::from_str(inputs.get()).map(Inputs::InOrder)
        } else {
            serde_json::from_str(inputs.get()).map(Inputs::Named)
        };
        read.map_err(|error| {
            Fault::invalid(format!(
                "the inputs cannot be read: {error}. They are an object by the model's names or a \
                 list in its order, each {{\"shape\": [1], \"dtype\": \"f32\", \"data\": [0.5]}}"
            ))
        })
    }
}

impl Model {
    fn read(base64: &str) -> Result<Self, Fault> {
        let base64 = base64.trim_ascii();
        if base64.len() / 4 * 3 > MODEL_BYTES_MAX {
            let message = format!(
                "the model has more than {} MiB: send a smaller one",
                MODEL_BYTES_MAX >> 20
            );
            return Err(Fault::payload(PayloadReason::TooLarge, message));
        }
        let bytes = BASE64_STANDARD.decode(base64).map_err(|error| {
            Fault::invalid(format!(
                "model_base64 is not base64: {error}. Use the standard alphabet, padded"
            ))
        })?;
        // What a model claims of shapes inside may name unknown sizes; the inputs at hand decide.
        let onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        let proto = onnx
            .proto_model_for_read(&mut bytes.as_slice())
            .map_err(|error| Fault::invalid(format!("the model is no ONNX: {}", words(&error))))?;
        drop(bytes);
        let graph = onnx.model_for_proto_model(&proto).map_err(unsupported)?;
        let outputs = proto.graph.map_or_else(Vec::new, |graph| graph.output);
        let outputs = outputs.into_iter().map(|output| output.name).collect();
        Ok(Self { graph, outputs })
    }

    /// The inputs in the model's order, each as the model declares it.
    fn tensors(&self, inputs: Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
        let names = self.input_names()?;
        let given = match inputs {
            Inputs::InOrder(given) => given,
            Inputs::Named(mut named) => {
                let mut given = Vec::new();
                for name in &names {
                    given.extend(named.remove(name));
                }
                if let Some(unknown) = named.keys().next() {
                    return Err(Fault::invalid(format!(
                        "the model has no input {unknown:?}: its inputs are {names:?}"
                    )));
                }
                given
            }
        };
        if given.len() != names.len() {
            return Err(Fault::invalid(format!(
                "the payload has {} inputs where the model has {}: give {names:?}",
                given.len(),
                names.len()
            )));
        }
        let mut left = ELEMENTS_MAX;
        let mut tensors = Vec::new();
        for (at, (name, given)) in names.iter().zip(&given).enumerate() {
            let tensor = given.tensor(name, &mut left)?;
            self.check(at, name, &tensor)?;
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    fn input_names(&self) -> Result<Vec<String>, Fault> {
        let outlets = self.graph.input_outlets().map_err(unsupported)?;
        Ok(outlets.iter().map(|outlet| self.graph.node(outlet.node).name.clone()).collect())
    }

    /// Refuses what contradicts the model's declaration; sizes that it leaves open are free.
    fn check(&self, at: usize, name: &str, tensor: &Tensor) -> Result<(), Fault> {
        let declared = self.graph.input_fact(at).map_err(unsupported)?;
        if let Some(kind) = declared.datum_type.concretize()
            && kind != tensor.datum_type()
        {
            return Err(Fault::invalid(format!(
                "the model takes {kind:?} as its input {name:?}, and the payload gives {:?}: convert it",
                tensor.datum_type()
            )));
        }
        let Some(shape) = declared.shape.concretize() else { return Ok(()) };
        let fits = |(declared, given): (&TDim, &usize)| {
            declared.to_i64().map_or(true, |declared| u64::try_from(declared) == Ok(*given as u64))
        };
        if shape.len() == tensor.rank() && shape.iter().zip(tensor.shape()).all(fits) {
            return Ok(());
        }
        Err(Fault::invalid(format!(
            "the model takes the shape {shape:?} as its input {name:?}, and the payload gives {:?}: \
             reshape it",
            tensor.shape()
        )))
    }
}

fn prepared(
    mut graph: InferenceModel,
    inputs: &[Tensor],
) -> Result<Arc<TypedRunnableModel>, Fault> {
    for (at, tensor) in inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(tensor.datum_type(), tensor.shape());
        graph.set_input_fact(at, fact).map_err(unsupported)?;
    }
    graph.into_optimized().and_then(IntoRunnable::into_runnable).map_err(unsupported)
}

fn unsupported(error: TractError) -> Fault {
    let message = format!(
        "the model cannot be prepared: {}. Operators of ONNX sets 9 to 18 are known, and weights must \
         be in the model itself",
        words(&error)
    );
    Fault::payload(PayloadReason::Unsupported, message)
}

/// The engine's own words with their causes, of bounded length: they quote the model.
fn words(error: &TractError) -> String {
    format!("{error:#}").chars().take(500).collect()
}
