//! As much of ONNX's protobuf as the tests write. Knows field numbers; what a model computes is the
//! test's business.

pub(crate) const FLOAT: u64 = 1;
pub(crate) const INT64: u64 = 7;

#[derive(Default)]
pub(crate) struct Model(Vec<u8>);

pub(crate) struct Node(Vec<u8>);

impl Node {
    pub(crate) fn new(operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| bytes(&mut node, 1, name.as_bytes()));
        outputs.iter().for_each(|name| bytes(&mut node, 2, name.as_bytes()));
        bytes(&mut node, 3, format!("make_{}", outputs[0]).as_bytes());
        bytes(&mut node, 4, operator.as_bytes());
        Self(node)
    }
}

impl Model {
    pub(crate) fn node(mut self, node: Node) -> Self {
        bytes(&mut self.0, 1, &node.0);
        self
    }

    pub(crate) fn floats(self, name: &str, shape: &[i64], data: &[f32]) -> Self {
        let raw: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, FLOAT, shape, &raw)
    }

    pub(crate) fn integers(self, name: &str, shape: &[i64], data: &[i64]) -> Self {
        let raw: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, INT64, shape, &raw)
    }

    fn tensor(mut self, name: &str, kind: u64, shape: &[i64], raw: &[u8]) -> Self {
        let mut tensor = head(name, kind, shape);
        bytes(&mut tensor, 9, raw);
        bytes(&mut self.0, 5, &tensor);
        self
    }

    /// Weights that are said to lie in a file.
    pub(crate) fn outside(mut self, name: &str, shape: &[i64], file: &str) -> Self {
        let mut tensor = head(name, FLOAT, shape);
        let mut entry = Vec::new();
        bytes(&mut entry, 1, b"location");
        bytes(&mut entry, 2, file.as_bytes());
        bytes(&mut tensor, 13, &entry);
        number(&mut tensor, 14, 1);
        bytes(&mut self.0, 5, &tensor);
        self
    }

    pub(crate) fn input(mut self, name: &str, kind: u64, shape: &[&str]) -> Self {
        bytes(&mut self.0, 11, &value(name, kind, shape));
        self
    }

    pub(crate) fn output(mut self, name: &str, kind: u64, shape: &[&str]) -> Self {
        bytes(&mut self.0, 12, &value(name, kind, shape));
        self
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let (mut model, mut operators) = (Vec::new(), Vec::new());
        number(&mut model, 1, 8);
        bytes(&mut operators, 1, b"");
        number(&mut operators, 2, 13);
        bytes(&mut model, 8, &operators);
        bytes(&mut model, 7, &self.0);
        model
    }
}

fn head(name: &str, kind: u64, shape: &[i64]) -> Vec<u8> {
    let mut tensor = Vec::new();
    shape.iter().for_each(|side| number(&mut tensor, 1, *side as u64));
    number(&mut tensor, 2, kind);
    bytes(&mut tensor, 8, name.as_bytes());
    tensor
}

/// A side is a number or the name of a size that is left open.
fn value(name: &str, kind: u64, shape: &[&str]) -> Vec<u8> {
    let mut sides = Vec::new();
    for side in shape {
        let mut dimension = Vec::new();
        match side.parse() {
            Ok(side) => number(&mut dimension, 1, side),
            Err(_) => bytes(&mut dimension, 2, side.as_bytes()),
        }
        bytes(&mut sides, 1, &dimension);
    }
    let (mut tensor, mut of, mut value) = (Vec::new(), Vec::new(), Vec::new());
    number(&mut tensor, 1, kind);
    if !shape.is_empty() {
        bytes(&mut tensor, 2, &sides);
    }
    bytes(&mut of, 1, &tensor);
    bytes(&mut value, 1, name.as_bytes());
    bytes(&mut value, 2, &of);
    value
}

fn number(to: &mut Vec<u8>, field: u64, value: u64) {
    varint(to, field << 3);
    varint(to, value);
}

fn bytes(to: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(to, field << 3 | 2);
    varint(to, value.len() as u64);
    to.extend_from_slice(value);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
