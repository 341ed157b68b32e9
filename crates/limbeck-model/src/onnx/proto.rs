//! The part of ONNX's protobuf messages that a model of this crate needs, under their names
//! and field numbers of `onnx.proto`.
//!
//! That file is in protobuf's second version: a number of value 0 is written when it is set,
//! and readers ask whether it was. Numbers that may be 0 are therefore optional here.

/// Version of the format of all these messages, the first with the operators of
/// [`OPERATORS`].
pub(super) const IR_VERSION: i64 = 8;

/// Version of ONNX's set of operators, the first with `LayerNormalization`.
pub(super) const OPERATORS: i64 = 17;

/// The numbers of `TensorProto.DataType`.
pub(super) mod data_type {
    pub(in crate::onnx) const FLOAT: i32 = 1;
    pub(in crate::onnx) const INT64: i32 = 7;
}

/// The numbers of `TensorProto.DataLocation`.
pub(super) mod data_location {
    pub(in crate::onnx) const EXTERNAL: i32 = 1;
}

/// The numbers of `AttributeProto.AttributeType`.
mod attribute_type {
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const INTS: i32 = 7;
}

/// Numbers of the fields that [`super::write`] writes itself.
pub(super) mod field {
    /// `ModelProto.graph`
    pub(in crate::onnx) const GRAPH: u8 = 7;
    /// `GraphProto.initializer`
    pub(in crate::onnx) const INITIALIZER: u8 = 5;
    /// `TensorProto.raw_data`
    pub(in crate::onnx) const RAW_DATA: u8 = 9;
}

/// A file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(string, tag = "6")]
    pub doc_string: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
}

/// A set of operators; without a domain, ONNX's own.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OperatorSetIdProto {
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// Nodes in an order in which they can be computed, and what they begin with.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// One operator at work on values named before.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// An option of an operator.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

impl AttributeProto {
    fn new(name: &str, r#type: i32) -> AttributeProto {
        AttributeProto { name: name.to_owned(), r#type, ..Default::default() }
    }

    /// A number.
    pub(super) fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto { f: Some(value), ..AttributeProto::new(name, attribute_type::FLOAT) }
    }

    /// A whole number.
    pub(super) fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto { i: Some(value), ..AttributeProto::new(name, attribute_type::INT) }
    }

    /// Several whole numbers.
    pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
        AttributeProto { ints: values.to_vec(), ..AttributeProto::new(name, attribute_type::INTS) }
    }
}

/// A named tensor: its numbers are in `raw_data`, or where `external_data` says.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// A key with its value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An input or output.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// What a value is; here always a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// `TypeProto.Tensor` of `onnx.proto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The dimensions of a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// `TensorShapeProto.Dimension` of `onnx.proto`: one that each call chooses anew.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DimensionProto {
    #[prost(string, tag = "2")]
    pub dim_param: String,
}
