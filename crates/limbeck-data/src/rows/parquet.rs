//! Parquet, by its record reader: no Arrow.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as Record};
use serde_json::{Map, Number, Value};

use super::{Place, Row};
use crate::DataError;

const MAGIC: &[u8] = b"PAR1";

/// The most text that a file's rows may hold, however small it is.
const ALWAYS: usize = 256 << 20;

/// How many times its size a file's rows may hold, above that: a text may be stored once for many
/// rows, as contexts are.
const TIMES: usize = 256;

pub(super) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads all rows of a file's `bytes`; `path` names it in errors.
pub(super) fn rows(path: &Path, bytes: Vec<u8>) -> Result<Vec<Row>, DataError> {
    if bytes.len() < 12 || !bytes.ends_with(MAGIC) {
        let message = "is a Parquet file that is damaged or cut short: its end is missing";
        return Err(DataError::file(path, message));
    }
    // The reader may panic on a file that was made to be wrong. Nothing of it is used afterwards.
    let read = quietly(|| read(Bytes::from(bytes)));
    match read {
        Some(Ok(rows)) => Ok(rows),
        Some(Err(error)) => {
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default();
            Err(DataError::file(path, format!("cannot be read as Parquet: {reason}")))
        }
        None => Err(DataError::file(path, "is a damaged Parquet file")),
    }
}

/// Runs `work`, and gives nothing where it panics, without a word on standard error.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    // The hook is one for all threads: two of them must not restore each other's.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    done.ok()
}

fn read(bytes: Bytes) -> Result<Vec<Row>, ParquetError> {
    let most = bytes.len().saturating_mul(TIMES).max(ALWAYS);
    let reader = SerializedFileReader::new(bytes)?;
    let mut held = 0;
    let mut rows = Vec::new();
    for (index, record) in reader.get_row_iter(None)?.enumerate() {
        let fields = object(record?, &mut held);
        if held > most {
            let message = format!("its rows hold more than {} MiB", most >> 20);
            return Err(ParquetError::General(message));
        }
        rows.push(Row { place: Place::Row(index + 1), fields });
    }
    Ok(rows)
}

/// A record as an object; `held` grows by about its size in memory.
fn object(record: Record, held: &mut usize) -> Map<String, Value> {
    let columns = record.into_columns().into_iter();
    columns
        .map(|(name, field)| {
            *held += size_of::<Value>() + name.len();
            (name, value(&field, held))
        })
        .collect()
}

fn value(field: &Field, held: &mut usize) -> Value {
    let number = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
    *held += size_of::<Value>();
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        // A missing number of a data frame is no number: null.
        Field::Float16(value) => number(f64::from(f32::from(*value))),
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(text) => {
            *held += text.len();
            Value::String(text.clone())
        }
        // Texts of programs that do not say that they are texts.
        Field::Bytes(bytes) => {
            *held += bytes.len();
            String::from_utf8(bytes.data().to_vec()).map_or(Value::Null, Value::String)
        }
        Field::Group(record) => Value::Object(object(record.clone(), held)),
        Field::ListInternal(list) => {
            list.elements().iter().map(|element| value(element, held)).collect()
        }
        Field::MapInternal(map) => {
            let entries = map.entries().iter();
            let pair = entries.map(|(key, entry)| (key.to_string(), value(entry, held)));
            Value::Object(pair.collect())
        }
        other => Value::String(other.to_string()),
    }
}
