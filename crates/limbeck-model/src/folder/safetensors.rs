//! Files of named tensors in the safetensors format.
//!
//! A file is the length of its header as 8 bytes (little-endian), the header as JSON
//! (name to number type, shape and range of bytes), and the tensors end to end.
//! Tensors are read and written piece by piece: memory holds no second copy of them.

mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use limbeck_kernels::matmul::int8::Quantized;
use serde::Deserialize;

use super::hints::other_kind;
use crate::error::{ModelError, Result};

pub(super) use write::write_safetensors_aside;
pub use write::{NamedValues, Values, write_safetensors};

/// The header of the largest model supported here is a tenth of this.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// How many floats are converted at a time.
const PIECE: usize = 16 << 10;

/// What the header says of a tensor.
#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

#[derive(Deserialize)]
struct Header {
    #[serde(default, rename = "__metadata__")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

/// A safetensors file whose header was read and found sound. Tensors are read when
/// asked for.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: File,
    /// Where the tensors begin.
    data: u64,
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

impl SafetensorsFile {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// If the file cannot be read, is cut short, or has a header in which sizes,
    /// shapes and offsets do not fit each other and the file's length.
    pub fn open(path: &Path) -> Result<SafetensorsFile> {
        let mut file = File::open(path).map_err(ModelError::io("read", path))?;
        let length = file.metadata().map_err(ModelError::io("read", path))?.len();
        let error = |reason: String| ModelError::file(path, reason);

        let mut start = Vec::new();
        (&file).take(64).read_to_end(&mut start).map_err(ModelError::io("read", path))?;
        if let Some(error) = other_kind(path, &start) {
            return Err(error);
        }
        file.rewind().map_err(ModelError::io("read", path))?;
        let mut prefix = [0; 8];
        if length < prefix.len() as u64 {
            return Err(error(format!("{length} bytes are too few for a safetensors file")));
        }
        file.read_exact(&mut prefix).map_err(ModelError::io("read", path))?;
        let header_length = u64::from_le_bytes(prefix);
        let after_prefix = length - prefix.len() as u64;
        if header_length > after_prefix.min(MAX_HEADER_BYTES) {
            return Err(error(format!(
                "its header would be {header_length} bytes long: cut short, or not a \
                 safetensors file"
            )));
        }
        // In bounds of memory: at most `MAX_HEADER_BYTES`.
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header).map_err(ModelError::io("read", path))?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|cause| error(format!("its header is damaged: {cause}")))?;

        let opened = SafetensorsFile {
            path: path.to_owned(),
            file,
            data: prefix.len() as u64 + header_length,
            entries: header.tensors,
            metadata: header.metadata.unwrap_or_default(),
        };
        opened.check(after_prefix - header_length)?;
        Ok(opened)
    }

    /// Checks that the tensors lie end to end and fill the `available` bytes exactly.
    fn check(&self, available: u64) -> Result<()> {
        let mut order: Vec<_> = self.entries.iter().collect();
        order.sort_by_key(|(_, entry)| entry.data_offsets);
        let mut reached = 0;
        for (name, entry) in order {
            let error = |reason: String| Err(ModelError::tensor(&self.path, name, reason));
            let [begin, end] = entry.data_offsets;
            if begin != reached || end < begin {
                return error(format!(
                    "is said to take bytes {begin} to {end}, but should begin at {reached}"
                ));
            }
            if end > available {
                return error(format!("ends at byte {end} of {available}: the file is cut short"));
            }
            if let Some(size) = entry.number_size()
                && entry.count().and_then(|count| count.checked_mul(size)) != Some(end - begin)
            {
                return error(format!(
                    "of shape {:?} and type {} cannot take {} bytes",
                    entry.shape,
                    entry.dtype,
                    end - begin
                ));
            }
            reached = end;
        }
        if reached != available {
            let reason = format!("{} bytes follow its last tensor", available - reached);
            return Err(ModelError::file(&self.path, reason));
        }
        Ok(())
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The free text entries of the header.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Checks that a tensor is in the file with this shape and can be read as floats.
    ///
    /// # Errors
    /// Names the tensor and what is wrong with it.
    pub fn expect(&self, name: &str, shape: &[usize]) -> Result<()> {
        let entry = self.expect_shape(name, shape)?;
        self.number(name, entry).map(|_| ())
    }

    /// Checks that a tensor is in the file with this shape, of whatever numbers.
    ///
    /// # Errors
    /// Names the tensor and what is wrong with it.
    fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<&Entry> {
        let entry = self.entry(name)?;
        if !entry.shape.iter().copied().eq(shape.iter().map(|&size| size as u64)) {
            let reason = format!("has shape {:?}, expected {shape:?}", entry.shape);
            return Err(ModelError::tensor(&self.path, name, reason));
        }
        Ok(entry)
    }

    /// Whether a tensor is in the file with one byte a value, to be multiplied by the
    /// [scales](scales_of) beside it.
    pub(super) fn is_int8(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.dtype == "I8")
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The number of values of a tensor, unless that overflows.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>> {
        self.entry(name).map(Entry::count)
    }

    /// Checks that a tensor of bytes has this shape, and that there is a scale for each of
    /// its rows.
    ///
    /// # Errors
    /// Names the tensor and what is wrong with it.
    pub(super) fn expect_int8(&self, name: &str, shape: &[usize]) -> Result<()> {
        let [outputs, _] = shape else {
            let reason = format!("has one byte a value, but is no matrix: {shape:?}");
            return Err(ModelError::tensor(&self.path, name, reason));
        };
        self.expect_shape(name, shape)?;
        self.expect(&scales_of(name), &[*outputs])
    }

    /// Reads a tensor of bytes, `[outputs, inputs]`, and its scales.
    ///
    /// # Errors
    /// When reading fails, or a scale makes values that are not finite.
    pub(super) fn read_int8(&self, name: &str, outputs: usize, inputs: usize) -> Result<Quantized> {
        let entry = self.expect_shape(name, &[outputs, inputs])?;
        let mut bytes = vec![0; outputs * inputs];
        let read_error = || ModelError::io("read", &self.path);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data + entry.data_offsets[0])).map_err(read_error())?;
        file.read_exact(&mut bytes).map_err(read_error())?;
        let mut scales = vec![0.0; outputs];
        self.read_into(&scales_of(name), &mut scales)?;
        if !scales.iter().all(|scale| (scale * 128.0).is_finite()) {
            let reason = "holds scales whose products are not finite numbers";
            return Err(ModelError::tensor(&self.path, &scales_of(name), reason));
        }
        Ok(Quantized { values: bytes.into_iter().map(u8::cast_signed).collect(), scales })
    }

    /// Reads a tensor of float32, float16, bfloat16 or float64 numbers; the last are rounded.
    ///
    /// # Errors
    /// If the file has no such tensor, it holds other numbers or another count of them
    /// than `values`, or reading fails.
    pub fn read_into(&self, name: &str, values: &mut [f32]) -> Result<()> {
        let entry = self.entry(name)?;
        let number = self.number(name, entry)?;
        if entry.count() != Some(values.len() as u64) {
            let reason = format!("has shape {:?}, expected {} values", entry.shape, values.len());
            return Err(ModelError::tensor(&self.path, name, reason));
        }
        let read_error = || ModelError::io("read", &self.path);
        let mut file = &self.file;
        let begin = self.data + entry.data_offsets[0];
        file.seek(SeekFrom::Start(begin)).map_err(read_error())?;
        let mut bytes = vec![0; number.size() * PIECE.min(values.len())];
        for piece in values.chunks_mut(PIECE) {
            let bytes = &mut bytes[..number.size() * piece.len()];
            file.read_exact(bytes).map_err(read_error())?;
            number.convert(bytes, piece);
        }
        Ok(())
    }

    /// Checks that a tensor is in the file with so many words of 64 bits.
    ///
    /// # Errors
    /// Names the tensor and what is wrong with it.
    pub(super) fn expect_words(&self, name: &str, count: usize) -> Result<()> {
        match self.expect_shape(name, &[count])?.dtype.as_str() {
            "U64" => Ok(()),
            other => {
                let reason = format!("holds numbers of type {other}, not U64");
                Err(ModelError::tensor(&self.path, name, reason))
            }
        }
    }

    /// Reads a tensor of words of 64 bits.
    ///
    /// # Errors
    /// If the file has no such tensor of as many words, or reading fails.
    pub fn read_words_into(&self, name: &str, words: &mut [u64]) -> Result<()> {
        self.expect_words(name, words.len())?;
        let entry = self.entry(name)?;
        let read_error = || ModelError::io("read", &self.path);
        let mut file = &self.file;
        let begin = self.data + entry.data_offsets[0];
        file.seek(SeekFrom::Start(begin)).map_err(read_error())?;
        let mut bytes = vec![0; 8 * PIECE.min(words.len())];
        for piece in words.chunks_mut(PIECE) {
            let bytes = &mut bytes[..8 * piece.len()];
            file.read_exact(bytes).map_err(read_error())?;
            for (word, bytes) in piece.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries
            .get(name)
            .ok_or_else(|| ModelError::tensor(&self.path, name, "is not in the file"))
    }

    fn number(&self, name: &str, entry: &Entry) -> Result<Number> {
        match entry.dtype.as_str() {
            "F32" => Ok(Number::Float32),
            "F16" => Ok(Number::Float16),
            "BF16" => Ok(Number::Bfloat16),
            "F64" => Ok(Number::Float64),
            other => {
                let reason = format!("holds numbers of type {other}, not F32, F16, BF16 or F64");
                Err(ModelError::tensor(&self.path, name, reason))
            }
        }
    }
}

impl Entry {
    /// How many numbers the shape makes, unless that overflows.
    fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |count, &size| count.checked_mul(size))
    }

    /// Bytes of a number; `None` for types too new or too narrow to be known here, which
    /// no model supported here has.
    fn number_size(&self) -> Option<u64> {
        match self.dtype.as_str() {
            "BOOL" | "U8" | "I8" => Some(1),
            "U16" | "I16" | "F16" | "BF16" => Some(2),
            "U32" | "I32" | "F32" => Some(4),
            "U64" | "I64" | "F64" => Some(8),
            _ => None,
        }
    }
}

/// The name of the tensor that holds a tensor's scales.
pub(super) fn scales_of(name: &str) -> String {
    format!("{name}_scale")
}

/// The name of the tensor that says where a tensor without zeros has its values.
pub(super) fn mask_of(name: &str) -> String {
    format!("{name}_mask")
}

/// The types of numbers that weights come in.
#[derive(Clone, Copy)]
enum Number {
    Float32,
    Float16,
    Bfloat16,
    Float64,
}

impl Number {
    fn size(self) -> usize {
        match self {
            Number::Float32 => 4,
            Number::Float16 | Number::Bfloat16 => 2,
            Number::Float64 => 8,
        }
    }

    /// Turns little-endian bytes into floats; there are as many of the one as the other.
    fn convert(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Number::Float32 => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Number::Float16 => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = float16(u16::from_le_bytes(*bytes));
                }
            }
            Number::Bfloat16 => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                }
            }
            Number::Float64 => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f64::from_le_bytes(*bytes) as f32;
                }
            }
        }
    }
}

/// The value of an IEEE 754 half-precision number, exactly.
fn float16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1F;
    let fraction = u32::from(bits) & 0x3FF;
    match exponent {
        // Zero and subnormal numbers: a multiple of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        // Infinity and NaN.
        0x1F => f32::from_bits(sign | 0x7F80_0000 | (fraction << 13)),
        // The exponents' biases are 15 and 127.
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

#[cfg(test)]
mod tests;
