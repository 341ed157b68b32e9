//! Building a graph, node after node.

use std::collections::BTreeSet;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};

/// The axes of all inputs and outputs, under the names that Hugging Face's exports use.
pub(super) const AXES: [&str; 2] = ["batch_size", "sequence_length"];

/// A tensor that the graph begins with.
#[derive(Clone, Debug)]
pub(super) struct Initializer<'a> {
    /// Its name in the graph.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<i64>,
    /// Its numbers.
    pub numbers: Numbers<'a>,
}

/// The numbers of an [`Initializer`].
#[derive(Clone, Debug)]
pub(super) enum Numbers<'a> {
    /// As they lie in the model.
    Plain(&'a [f32]),
    /// A matrix of so many columns, to be written column after column.
    Transposed(&'a [f32], usize),
    /// One number of the graph's own.
    Scalar(f32),
    /// Whole numbers, such as a shape.
    Integers(Vec<i64>),
}

impl Initializer<'_> {
    /// The number that ONNX has for the type.
    pub(super) fn data_type(&self) -> i32 {
        match self.numbers {
            Numbers::Integers(_) => data_type::INT64,
            _ => data_type::FLOAT,
        }
    }

    /// How many bytes its numbers take.
    pub(super) fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::Plain(values) | Numbers::Transposed(values, _) => size_of_val(*values),
            Numbers::Scalar(_) => size_of::<f32>(),
            Numbers::Integers(values) => size_of_val(values.as_slice()),
        }
    }

    /// All of it but its numbers.
    pub(super) fn header(&self) -> TensorProto {
        TensorProto {
            dims: self.dims.clone(),
            data_type: self.data_type(),
            name: self.name.clone(),
            ..Default::default()
        }
    }
}

/// A graph in the making. Values are known by their names, which are unique.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    /// The nodes, inputs and outputs.
    pub proto: GraphProto,
    /// The initializers, which the writer adds to `proto` one by one.
    pub initializers: Vec<Initializer<'a>>,
    names: BTreeSet<String>,
}

impl<'a> Graph<'a> {
    /// Adds an input of whole numbers, `[batch_size, sequence_length]`.
    pub(super) fn input(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.proto.input.push(value(name, data_type::INT64, &AXES));
    }

    /// Adds an initializer, unless there is one of this name, and returns its name.
    pub(super) fn initializer(
        &mut self,
        name: String,
        dims: Vec<i64>,
        numbers: Numbers<'a>,
    ) -> String {
        if self.names.insert(name.clone()) {
            self.initializers.push(Initializer { name: name.clone(), dims, numbers });
        }
        name
    }

    /// A number, the same initializer each time that it is asked for.
    pub(super) fn number(&mut self, value: f32) -> String {
        let name = format!("constants/float/{value}");
        self.initializer(name, Vec::new(), Numbers::Scalar(value))
    }

    /// A whole number without dimensions, as an index.
    pub(super) fn index(&mut self, value: i64) -> String {
        let name = format!("constants/index/{value}");
        self.initializer(name, Vec::new(), Numbers::Integers(vec![value]))
    }

    /// A list of whole numbers, as a shape.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let list: Vec<_> = values.iter().map(i64::to_string).collect();
        let name = format!("constants/integers/{}", list.join("_"));
        self.initializer(name, vec![values.len() as i64], Numbers::Integers(values.to_vec()))
    }

    /// Adds a node and returns the name of its value, made of `scope` and the operator.
    pub(super) fn node<const N: usize>(
        &mut self,
        scope: &str,
        operator: &str,
        inputs: [&str; N],
        attributes: &[AttributeProto],
    ) -> String {
        let plain = format!("{scope}/{operator}");
        let mut name = plain.clone();
        let mut copies = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{plain}_{copies}");
            copies += 1;
        }
        self.push(name.clone(), operator, inputs, attributes);
        name
    }

    /// Adds a node whose value is an output of the graph, floats of these axes.
    pub(super) fn output<const N: usize>(
        &mut self,
        name: &str,
        axes: &[&str],
        operator: &str,
        inputs: [&str; N],
        attributes: &[AttributeProto],
    ) {
        self.names.insert(name.to_owned());
        self.proto.output.push(value(name, data_type::FLOAT, axes));
        self.push(name.to_owned(), operator, inputs, attributes);
    }

    fn push<const N: usize>(
        &mut self,
        name: String,
        operator: &str,
        inputs: [&str; N],
        attributes: &[AttributeProto],
    ) {
        self.proto.node.push(NodeProto {
            input: inputs.map(str::to_owned).to_vec(),
            output: vec![name.clone()],
            name,
            op_type: operator.to_owned(),
            attribute: attributes.to_vec(),
        });
    }
}

/// A value with free axes of these names.
fn value(name: &str, elem_type: i32, axes: &[&str]) -> ValueInfoProto {
    let dim = axes.iter().map(|&axis| DimensionProto { dim_param: axis.to_owned() }).collect();
    let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
