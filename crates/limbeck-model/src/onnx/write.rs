//! Writing a graph, without a second copy of its weights in memory.
//!
//! Protobuf knows of each message how long it will be before its content comes. The lengths
//! follow from the shapes, so the weights can go to the file piece by piece.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use prost::Message;

use super::graph::{Graph, Initializer, Numbers};
use super::proto::{ModelProto, StringStringEntryProto, data_location, field};
use super::{DATA_FILE, ONNX_FILE};
use crate::error::Result;
use crate::folder::aside::Aside;

/// Tensors in a file of their own begin at multiples of this many bytes, so that readers can
/// map them.
const PAGE: usize = 4096;

/// Tensors of fewer bytes stay in the model's file. Readers want to see shapes there.
const SMALL: usize = 1024;

/// Columns of a matrix that are gathered together: a cache line of each of its rows.
const COLUMNS: usize = 16;

/// The written files, not yet shown.
pub(super) struct Written {
    model: Aside,
    data: Option<Aside>,
}

impl Written {
    /// Shows the files: the weights first, so that a model that is seen is whole.
    pub(super) fn publish(self) -> Result<()> {
        if let Some(data) = self.data {
            data.publish()?;
        }
        self.model.publish()
    }
}

/// Writes `model`, which has no graph yet, with `graph`. Initializers of more than `limit`
/// bytes together go to a file of their own, but for the small ones.
pub(super) fn write(
    dir: &Path,
    model: &ModelProto,
    graph: &Graph<'_>,
    limit: usize,
) -> Result<Written> {
    let total: usize = graph.initializers.iter().map(Initializer::bytes).sum();
    let places = if total > limit { places(graph) } else { vec![None; graph.initializers.len()] };
    let mut data = None;
    if places.iter().any(Option::is_some) {
        let write = |file: &mut File| write_data(&mut BufWriter::new(file), graph, &places);
        data = Some(Aside::write(&dir.join(DATA_FILE), write)?);
    }
    let write = |file: &mut File| write_model(&mut BufWriter::new(file), model, graph, &places);
    Ok(Written { model: Aside::write(&dir.join(ONNX_FILE), write)?, data })
}

/// Where each initializer begins in the file of weights; `None` for those that stay.
fn places(graph: &Graph<'_>) -> Vec<Option<usize>> {
    let mut end: usize = 0;
    let place = |initializer: &Initializer<'_>| {
        let bytes = initializer.bytes();
        (bytes >= SMALL).then(|| {
            let begin = end.next_multiple_of(PAGE);
            end = begin + bytes;
            begin
        })
    };
    graph.initializers.iter().map(place).collect()
}

fn write_data(
    file: &mut impl Write,
    graph: &Graph<'_>,
    places: &[Option<usize>],
) -> io::Result<()> {
    let mut end = 0;
    for (initializer, place) in graph.initializers.iter().zip(places) {
        let Some(begin) = *place else { continue };
        file.write_all(&[0; PAGE][..begin - end])?;
        write_numbers(file, &initializer.numbers)?;
        end = begin + initializer.bytes();
    }
    file.flush()
}

fn write_model(
    file: &mut impl Write,
    model: &ModelProto,
    graph: &Graph<'_>,
    places: &[Option<usize>],
) -> io::Result<()> {
    let nodes = graph.proto.encode_to_vec();
    let headers: Vec<_> = (graph.initializers.iter().zip(places))
        .map(|(initializer, &place)| Header::of(initializer, place))
        .collect();
    let length = |bytes| 1 + prost::length_delimiter_len(bytes) + bytes;
    let initializers: usize = headers.iter().map(|header| length(header.len())).sum();

    file.write_all(&model.encode_to_vec())?;
    begin_field(file, field::GRAPH, nodes.len() + initializers)?;
    file.write_all(&nodes)?;
    for (header, initializer) in headers.iter().zip(&graph.initializers) {
        begin_field(file, field::INITIALIZER, header.len())?;
        file.write_all(&header.bytes)?;
        if header.numbers > 0 {
            file.write_all(&header.numbers_field)?;
            write_numbers(file, &initializer.numbers)?;
        }
    }
    file.flush()
}

/// An initializer's message up to its numbers.
struct Header {
    /// All other fields.
    bytes: Vec<u8>,
    /// What goes before the numbers; empty if they lie elsewhere.
    numbers_field: Vec<u8>,
    /// Bytes of the numbers that follow; 0 if they lie elsewhere.
    numbers: usize,
}

impl Header {
    fn of(initializer: &Initializer<'_>, place: Option<usize>) -> Header {
        let mut message = initializer.header();
        let numbers = initializer.bytes();
        let Some(begin) = place else {
            let mut numbers_field = Vec::new();
            // Memory takes whatever is written.
            let _ = begin_field(&mut numbers_field, field::RAW_DATA, numbers);
            return Header { bytes: message.encode_to_vec(), numbers_field, numbers };
        };
        let entries = [
            ("location", DATA_FILE.to_owned()),
            ("offset", begin.to_string()),
            ("length", numbers.to_string()),
        ];
        message.external_data = entries
            .map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value })
            .to_vec();
        message.data_location = Some(data_location::EXTERNAL);
        Header { bytes: message.encode_to_vec(), numbers_field: Vec::new(), numbers: 0 }
    }

    /// Bytes of the whole message.
    fn len(&self) -> usize {
        self.bytes.len() + self.numbers_field.len() + self.numbers
    }
}

/// Writes what goes before a field of so many bytes: its number, below 16, with the kind
/// "of a length" (2), and the length.
fn begin_field(file: &mut impl Write, number: u8, length: usize) -> io::Result<()> {
    let mut bytes = vec![number << 3 | 2];
    prost::encode_length_delimiter(length, &mut bytes)?;
    file.write_all(&bytes)
}

/// Writes numbers piece by piece, little-endian.
fn write_numbers(file: &mut impl Write, numbers: &Numbers<'_>) -> io::Result<()> {
    let mut float = |value: &f32| file.write_all(&value.to_le_bytes());
    match numbers {
        Numbers::Plain(values) => values.iter().try_for_each(float),
        Numbers::Scalar(value) => float(value),
        Numbers::Transposed(values, columns) => {
            let rows = values.len() / columns;
            let mut gathered = Vec::with_capacity(COLUMNS * rows);
            for first in (0..*columns).step_by(COLUMNS) {
                let width = COLUMNS.min(columns - first);
                gathered.clear();
                gathered.resize(width * rows, 0.0);
                for (row, values) in values.chunks(*columns).enumerate() {
                    for (column, value) in values[first..first + width].iter().enumerate() {
                        gathered[column * rows + row] = *value;
                    }
                }
                gathered.iter().try_for_each(&mut float)?;
            }
            Ok(())
        }
        Numbers::Integers(values) => {
            values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
        }
    }
}
