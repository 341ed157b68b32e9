//! Files as bytes, decompressed, all of one or a stream.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::{kind, text};
use crate::DataError;

/// What is looked at to find out what a file is.
const LOOKED_AT: usize = 1 << 10;

/// What is read of a file at once.
const BUFFER: usize = 1 << 18;

/// The most that a compressed file may hold, so that one made to fill the memory does not.
const MOST: u64 = 4 << 30;

/// A compressed file may always hold this much, and this many times its size.
const ALWAYS: u64 = 256 << 20;
const TIMES: u64 = 256;

type Source = Chain<Cursor<Vec<u8>>, File>;

/// A file's bytes as they come, decompressed.
enum Content {
    Plain(Source),
    Gzip(Box<MultiGzDecoder<BufReader<Source>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Source>>>),
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(reader) => reader.read(buffer),
            Content::Gzip(reader) => reader.read(buffer),
            Content::Zstd(reader) => reader.read(buffer),
        }
    }
}

impl Content {
    fn compression(&self) -> Option<&'static str> {
        match self {
            Content::Plain(_) => None,
            Content::Gzip(_) => Some("gzip"),
            Content::Zstd(_) => Some("zstd"),
        }
    }
}

/// A text file as a stream of UTF-8 without a byte order mark, however large it is. Text compressed
/// by gzip or zstd is decompressed, and UTF-16 decoded, which is held in memory.
///
/// # Errors
/// When the file cannot be read, or is plainly no text; the message says what it is. Bytes that are
/// not UTF-8 are left to the reader of the stream, and so are errors of decompression.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>, DataError> {
    let (mut content, _) = content(path)?;
    let mut start = Vec::with_capacity(LOOKED_AT);
    let read = content.by_ref().take(LOOKED_AT as u64).read_to_end(&mut start);
    read.map_err(damage(path, content.compression()))?;
    refuse(path, &start)?;
    if text::is_utf_16(&start) {
        let mut bytes = start;
        content.read_to_end(&mut bytes).map_err(damage(path, None))?;
        return Ok(Box::new(Cursor::new(text::decoded(path, bytes)?.into_bytes())));
    }
    if start.starts_with(b"PAR1") {
        return Err(DataError::file(path, "is a Parquet file; plain text is wanted here"));
    }
    let skipped = if start.starts_with(text::UTF_8_MARK) { text::UTF_8_MARK.len() } else { 0 };
    let whole = Cursor::new(start.split_off(skipped)).chain(content);
    Ok(Box::new(BufReader::with_capacity(BUFFER, whole)))
}

/// All of a file, decompressed.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let (mut content, size) = content(path)?;
    let mut bytes = Vec::new();
    let Some(compression) = content.compression() else {
        content.read_to_end(&mut bytes).map_err(DataError::io("read", path))?;
        return Ok(bytes);
    };
    let most = size.saturating_mul(TIMES).clamp(ALWAYS, MOST);
    let read = content.take(most + 1).read_to_end(&mut bytes);
    read.map_err(damage(path, Some(compression)))?;
    if bytes.len() as u64 > most {
        let message = format!(
            "is compressed by {compression} and holds more than {} MiB; if that is right, \
             decompress it first",
            most >> 20
        );
        return Err(DataError::file(path, message));
    }
    if starts_compressed(&bytes).is_some() {
        return Err(DataError::file(path, "is compressed twice; decompress it once"));
    }
    Ok(bytes)
}

/// Refuses what is plainly none of the files that are read.
pub(super) fn refuse(path: &Path, start: &[u8]) -> Result<(), DataError> {
    kind::of_bytes(start).map_or(Ok(()), |what| Err(DataError::file(path, what)))
}

/// Opens a file; and its size on disk, where it has one.
fn content(path: &Path) -> Result<(Content, u64), DataError> {
    let refused = DataError::io("read", path);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Err(refused(error)),
    };
    let data = match file.metadata() {
        Ok(data) => data,
        Err(error) => return Err(refused(error)),
    };
    if data.is_dir() {
        return Err(DataError::file(path, folder_message(path)));
    }
    let mut start = Vec::with_capacity(LOOKED_AT);
    let read = file.by_ref().take(LOOKED_AT as u64).read_to_end(&mut start);
    read.map_err(DataError::io("read", path))?;
    let compression = starts_compressed(&start);
    let whole = Cursor::new(start).chain(file);
    let content = match compression {
        Some("gzip") => Content::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(whole)))),
        Some(_) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(whole));
            Content::Zstd(Box::new(decoder.map_err(damage(path, Some("zstd")))?))
        }
        None => Content::Plain(whole),
    };
    Ok((content, data.len()))
}

fn folder_message(path: &Path) -> &'static str {
    if path.join("dataset_info.json").exists() || path.join("dataset_dict.json").exists() {
        "is a folder of `datasets`; write it as a file (`to_json` or `to_parquet`) and give that"
    } else {
        "is a folder; give a file"
    }
}

pub(super) fn starts_compressed(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0x1F, 0x8B]) {
        return Some("gzip");
    }
    bytes.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]).then_some("zstd")
}

/// What an error means while `compression` is undone.
fn damage(
    path: &Path,
    compression: Option<&'static str>,
) -> impl FnOnce(io::Error) -> DataError + use<> {
    let path = path.to_owned();
    move |error| match compression {
        // The system has refused; the rest is what the bytes are.
        Some(compression) if error.raw_os_error().is_none() => {
            let message =
                format!("is compressed by {compression}, and damaged or cut short: {error}");
            DataError::file(&path, message)
        }
        _ => DataError::io("read", &path)(error),
    }
}
