//! What a file is that cannot be read, by its first bytes.

/// Bytes at a file's beginning, and what such a file is with what to do about it.
const BEGINNINGS: [(&[u8], &str); 25] = [
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive (or an Excel workbook); unpack it, or save it as CSV"),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"ARROW1", ARROW),
    (b"\xFF\xFF\xFF\xFF", ARROW),
    (b"BZh", "is compressed by bzip2; decompress it, or use gzip or zstd"),
    (b"\xFD7zXZ\0", "is compressed by xz; decompress it, or use gzip or zstd"),
    (b"\x04\x22\x4D\x18", "is compressed by LZ4; decompress it, or use gzip or zstd"),
    (b"7z\xBC\xAF\x27\x1C", "is a 7z archive; unpack it"),
    (b"Rar!", "is a rar archive; unpack it"),
    (b"%PDF", "is a PDF document; give its text"),
    (b"\xD0\xCF\x11\xE0", "is an old Office document; save it as CSV or text"),
    (b"{\\rtf", "is an RTF document; save it as plain text"),
    (b"SQLite format 3", "is an SQLite database; export what it holds, as CSV"),
    (b"\x89HDF", "is an HDF5 file; write what it holds as CSV, JSON lines or Parquet"),
    (b"\x93NUMPY", "is a NumPy array; write what it holds as CSV, JSON lines or Parquet"),
    (b"\x89PNG", "is a picture"),
    (b"\xFF\xD8\xFF", "is a picture"),
    (b"\x7FELF", "is a program"),
    (b"Obj\x01", "is an Avro file; write what it holds as CSV, JSON lines or Parquet"),
    (b"ORC", "is an ORC file; write what it holds as CSV, JSON lines or Parquet"),
    (b"\0\0\xFE\xFF", UTF_32),
];

const PICKLE: &str =
    "is a pickle of Python; write what it holds as JSON lines, CSV or Parquet (`to_json`)";
const ARROW: &str = "is an Arrow file; write it as Parquet or JSON lines (`to_parquet`, `to_json`)";
const UTF_32: &str = "is UTF-32 text; save it as UTF-8";

/// What a file with these first bytes is, if it is nothing that can be read.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xFF\xFE\0\0") {
        return Some(UTF_32);
    }
    // Three letters alone may begin a text as well.
    let found = BEGINNINGS
        .iter()
        .find(|(begin, _)| bytes.starts_with(begin) && (begin.len() > 3 || !is_letters(bytes)));
    if found.is_none() && bytes.get(257..262) == Some(b"ustar".as_slice()) {
        return Some("is a tar archive; unpack it");
    }
    found.map(|&(_, what)| what)
}

/// What a text is that is markup, not data.
pub(super) fn of_text(text: &str) -> Option<&'static str> {
    let start: String = text.trim_start().chars().take(14).collect();
    let start = start.to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Some("is an HTML page, not data; was it downloaded from the page around the file?");
    }
    start.starts_with("<?xml").then_some("is XML; write what it holds as JSON lines or CSV")
}

/// Whether there is nothing in the first bytes but what a text would have.
fn is_letters(bytes: &[u8]) -> bool {
    bytes.iter().take(64).all(|&byte| (b' '..0x7F).contains(&byte) || byte.is_ascii_whitespace())
}
