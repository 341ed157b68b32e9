//! Writing.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, json};

use super::PIECE;
use crate::error::{ModelError, Result};
use crate::folder::aside::Aside;

/// A tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct NamedValues<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Its dimensions, row-major.
    pub shape: &'a [usize],
    /// Its numbers.
    pub values: Values<'a>,
}

/// The numbers of a tensor.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Four bytes each.
    Float32(&'a [f32]),
    /// One byte each.
    Int8(&'a [i8]),
    /// Eight bytes each: words of bits.
    UInt64(&'a [u64]),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Values::Float32(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::UInt64(values) => values.len(),
        }
    }

    /// Bytes in the file, and the name of the type there.
    fn form(&self) -> (usize, &'static str) {
        match self {
            Values::Float32(values) => (size_of_val(*values), "F32"),
            Values::Int8(values) => (size_of_val(*values), "I8"),
            Values::UInt64(values) => (size_of_val(*values), "U64"),
        }
    }

    fn write(&self, file: &mut impl Write) -> std::io::Result<()> {
        match self {
            Values::Float32(values) => write_pieces(file, values, |value| value.to_le_bytes()),
            Values::Int8(values) => write_pieces(file, values, |value| value.to_le_bytes()),
            Values::UInt64(values) => write_pieces(file, values, |value| value.to_le_bytes()),
        }
    }
}

/// Writes numbers piece by piece, so that memory holds no second copy of them.
fn write_pieces<T: Copy, const N: usize>(
    file: &mut impl Write,
    values: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(PIECE * N);
    values.chunks(PIECE).try_for_each(|piece| {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|&value| bytes_of(value)));
        file.write_all(&bytes)
    })
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Values::Float32(values)
    }
}

impl<'a> From<&'a [i8]> for Values<'a> {
    fn from(values: &'a [i8]) -> Self {
        Values::Int8(values)
    }
}

impl<'a> From<&'a [u64]> for Values<'a> {
    fn from(values: &'a [u64]) -> Self {
        Values::UInt64(values)
    }
}

/// Writes tensors and free text entries as a safetensors file, which replaces an old
/// one whole. Equal input gives equal bytes.
///
/// # Errors
/// Names the tensor whose shape does not fit its values or whose name came before, or
/// the file that cannot be written.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedValues],
    metadata: &[(&str, &str)],
) -> Result<()> {
    write_safetensors_aside(path, tensors, metadata)?.publish()
}

/// Like [`write_safetensors`], but leaves it to the caller to publish the file.
pub(in crate::folder) fn write_safetensors_aside(
    path: &Path,
    tensors: &[NamedValues],
    metadata: &[(&str, &str)],
) -> Result<Aside> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), metadata.iter().copied().collect());
    }
    let mut end = 0;
    for tensor in tensors {
        if tensor.shape.iter().product::<usize>() != tensor.values.len() {
            let reason = format!("has shape {:?} but {} values", tensor.shape, tensor.values.len());
            return Err(ModelError::tensor(path, tensor.name, reason));
        }
        let begin = end;
        let (bytes, dtype) = tensor.values.form();
        end += bytes;
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [begin, end] });
        if header.insert(tensor.name.to_owned(), entry).is_some() {
            return Err(ModelError::tensor(path, tensor.name, "is given twice"));
        }
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // The tensors begin at a multiple of 8 bytes, as readers that map the file expect.
    header.resize(header.len().next_multiple_of(8), b' ');

    Aside::write(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| tensor.values.write(file))
    })
}
