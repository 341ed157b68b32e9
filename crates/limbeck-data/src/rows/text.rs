//! Text files as one string.

use std::path::Path;

use super::{kind, open};
use crate::DataError;

/// The byte order mark that some programs put before UTF-8.
pub(super) const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a text file: UTF-8 with or without a byte order mark, UTF-16 of either order, and each of
/// them compressed by gzip or zstd.
///
/// # Errors
/// When the file cannot be read or is something else; the message says what it is. What is
/// compressed may hold 4 GiB, and no more than 256 times its size where that is above 256 MiB.
pub fn text(path: &Path) -> Result<String, DataError> {
    let bytes = open::bytes(path)?;
    if super::parquet::is_parquet(&bytes) {
        return Err(DataError::file(path, "is a Parquet file; text is wanted here"));
    }
    decoded(path, bytes)
}

/// The text that bytes are, which `path` names in errors.
///
/// # Errors
/// When they are no UTF-8 nor UTF-16; the message says what they are, and where they are not.
pub fn decoded(path: &Path, mut bytes: Vec<u8>) -> Result<String, DataError> {
    open::refuse(path, &bytes)?;
    if is_utf_16(&bytes) {
        return of_utf_16(path, &bytes);
    }
    if bytes.starts_with(UTF_8_MARK) {
        bytes.drain(..UTF_8_MARK.len());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        DataError::file(path, not_utf_8(error.as_bytes(), at))
    })?;
    match kind::of_text(&text) {
        Some(what) => Err(DataError::file(path, what)),
        None => Ok(text),
    }
}

/// Says what is wrong with the byte at `at`.
fn not_utf_8(bytes: &[u8], at: usize) -> String {
    let controls = bytes.iter().take(1 << 12).filter(|&&byte| byte < b'\t').count();
    if controls > 0 {
        return "is no text".to_owned();
    }
    let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
    let byte = bytes.get(at).copied().unwrap_or_default();
    format!(
        "is not UTF-8: byte 0x{byte:02X} on line {line}; if it is Latin-1, convert it by \
         `iconv -f WINDOWS-1252 -t UTF-8`"
    )
}

/// Whether a file that begins so is UTF-16: by its mark, or as every other byte is zero.
pub(super) fn is_utf_16(bytes: &[u8]) -> bool {
    let (mark, zeros) = (bytes.get(..2), zeros(bytes));
    mark == Some(&[0xFF, 0xFE]) || mark == Some(&[0xFE, 0xFF]) || zeros.is_some()
}

/// Which byte of the pairs is zero, where that is plain; 0 means that of big-endian UTF-16.
fn zeros(bytes: &[u8]) -> Option<usize> {
    let looked_at = &bytes[..bytes.len().min(256) & !1];
    let count = |which: usize| looked_at.iter().skip(which).step_by(2).filter(|&&b| b == 0).count();
    let pairs = looked_at.len() / 2;
    (0..2).find(|&which| pairs > 0 && 2 * count(which) > pairs && count(1 - which) == 0)
}

fn of_utf_16(path: &Path, bytes: &[u8]) -> Result<String, DataError> {
    let (marked, is_big) = match bytes {
        [0xFF, 0xFE, ..] => (2, false),
        [0xFE, 0xFF, ..] => (2, true),
        _ => (0, zeros(bytes) == Some(0)),
    };
    let bytes = &bytes[marked..];
    if bytes.len() % 2 == 1 {
        return Err(DataError::file(path, "is UTF-16, but cut short: it has half of a character"));
    }
    let units = bytes.chunks_exact(2).map(|pair| match is_big {
        true => u16::from_be_bytes([pair[0], pair[1]]),
        false => u16::from_le_bytes([pair[0], pair[1]]),
    });
    let mut line = 1;
    let text = char::decode_utf16(units).map(|decoded| {
        line += usize::from(decoded == Ok('\n'));
        decoded
    });
    let text = text.collect::<Result<String, _>>();
    text.map_err(|_| {
        let message =
            format!("is UTF-16 with half of a character on line {line}; save it as UTF-8");
        DataError::file(path, message)
    })
}
