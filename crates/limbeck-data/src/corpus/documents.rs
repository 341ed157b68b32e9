//! Text files as a stream of pieces, however large the files are.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

use super::{Documents, Texts};
use crate::{DataError, rows};

/// The longest piece, in bytes. A longer line is cut at white space, so that a file without
/// line breaks needs no more memory than others.
const LONGEST_PIECE: usize = 1 << 20;

/// What is read of a file at once.
const BUFFER: usize = 1 << 18;

/// A stretch of a document that can be tokenised by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    /// Whether the document goes on in the next piece.
    pub goes_on: bool,
}

impl Texts {
    /// How many bytes the files have together.
    ///
    /// # Errors
    /// Names the first that is missing or a folder.
    pub fn bytes(&self) -> Result<u64, DataError> {
        let mut bytes = 0;
        for path in &self.paths {
            let data = std::fs::metadata(path).map_err(DataError::io("read", path))?;
            if data.is_dir() {
                return Err(DataError::file(path, "is a folder; give text files"));
            }
            bytes += data.len();
        }
        Ok(bytes)
    }
}

/// A hash of all that the files hold, and of what separates their documents.
///
/// # Errors
/// When a file cannot be read.
pub fn fingerprint(texts: &Texts) -> Result<[u8; 32], DataError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{:?}", texts.documents).as_bytes());
    for path in &texts.paths {
        let mut file = File::open(path).map_err(DataError::io("read", path))?;
        let mut buffer = vec![0; BUFFER];
        let mut length = 0_u64;
        loop {
            let read = file.read(&mut buffer).map_err(DataError::io("read", path))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        // Two files are not the same as one that holds both.
        hasher.update(&length.to_le_bytes());
    }
    Ok(hasher.finalize().into())
}

/// Calls `take` with stretches of about `bytes` of the files' pieces, in order.
pub(super) fn each_stretch(
    texts: &Texts,
    bytes: usize,
    mut take: impl FnMut(Vec<Piece>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let (mut pieces, mut size): (Vec<Piece>, usize) = (Vec::new(), 0);
    for path in &texts.paths {
        each_piece(path, texts.documents, |piece| {
            size += piece.text.len();
            pieces.push(piece);
            if size >= bytes {
                size = 0;
                take(std::mem::take(&mut pieces))?;
            }
            Ok(())
        })?;
    }
    if pieces.is_empty() { Ok(()) } else { take(pieces) }
}

fn each_piece(
    path: &Path,
    documents: Documents,
    mut take: impl FnMut(Piece) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut reader = rows::open(path)?;
    let mut line = Line::default();
    // A piece goes on only when another one follows: it waits for that to be known.
    let mut last: Option<Piece> = None;
    while line.read(&mut reader, path)? {
        let text = line.text(path)?.trim();
        let separates = text.is_empty() && line.is_whole && !line.is_rest;
        if let Some(piece) = last.as_mut().filter(|_| separates) {
            piece.goes_on &= documents == Documents::Lines;
        }
        if !text.is_empty() {
            let goes_on = !line.is_whole || documents == Documents::BlankLines;
            let piece = Piece { text: text.to_owned(), goes_on };
            if let Some(before) = last.replace(piece) {
                take(before)?;
            }
        } else if !separates
            && documents == Documents::Lines
            && let Some(piece) = &mut last
        {
            // The rest of a cut line held nothing more.
            piece.goes_on = !line.is_whole;
        }
        line.keep_rest();
    }
    match last {
        Some(piece) => take(Piece { goes_on: false, ..piece }),
        None => Ok(()),
    }
}

/// A line of a file, or a part of a very long one.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// How many of the bytes belong to this part.
    end: usize,
    number: usize,
    /// Whether the line ends here.
    is_whole: bool,
    /// Whether it began before.
    is_rest: bool,
}

impl Line {
    /// Reads on; `false` at the end of the file.
    fn read(&mut self, reader: &mut impl BufRead, path: &Path) -> Result<bool, DataError> {
        let room = LONGEST_PIECE.saturating_sub(self.bytes.len()) as u64;
        let read = reader.by_ref().take(room).read_until(b'\n', &mut self.bytes);
        read.map_err(DataError::io("read", path))?;
        if self.bytes.is_empty() {
            return Ok(false);
        }
        self.is_whole = self.bytes.last() == Some(&b'\n') || self.bytes.len() < LONGEST_PIECE;
        self.end = match self.is_whole {
            true => self.bytes.len(),
            false => cut(&self.bytes),
        };
        Ok(true)
    }

    fn text(&self, path: &Path) -> Result<&str, DataError> {
        std::str::from_utf8(&self.bytes[..self.end])
            .map_err(|_| DataError::file(path, format!("line {} is not UTF-8", self.number + 1)))
    }

    fn keep_rest(&mut self) {
        self.bytes.drain(..self.end);
        self.is_rest = !self.is_whole;
        self.number += usize::from(self.is_whole);
    }
}

/// Where to cut a part of a line: behind its last white space, or else before a character.
fn cut(bytes: &[u8]) -> usize {
    let space = bytes.iter().rposition(u8::is_ascii_whitespace).map(|at| at + 1);
    space.unwrap_or_else(|| {
        let begins = |&at: &usize| bytes[at] & 0b1100_0000 != 0b1000_0000;
        (1..bytes.len()).rev().find(begins).unwrap_or(bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8], documents: Documents) -> Result<Vec<(String, bool)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        let texts = Texts { paths: vec![path.clone(), path], documents };
        let mut all = Vec::new();
        let taken = each_stretch(&texts, 40, |pieces| {
            all.extend(pieces.into_iter().map(|piece| (piece.text, piece.goes_on)));
            Ok(())
        });
        taken.map(|()| all).map_err(|error| error.to_string())
    }

    fn once(documents: Documents, text: &str) -> Vec<(String, bool)> {
        let mut all = pieces(text.as_bytes(), documents).unwrap();
        // The file is read twice.
        let second = all.split_off(all.len() / 2);
        assert_eq!(all, second);
        all
    }

    #[test]
    fn a_document_is_a_line_or_what_stands_between_empty_lines() {
        let of = |parts: &[(&str, bool)]| -> Vec<(String, bool)> {
            parts.iter().map(|&(text, goes_on)| (text.to_owned(), goes_on)).collect()
        };
        let text = "\n one \r\ntwo\n \n\nthree\nfour";
        let lines = [("one", false), ("two", false), ("three", false), ("four", false)];
        assert_eq!(once(Documents::Lines, text), of(&lines));
        let blank = [("one", true), ("two", false), ("three", true), ("four", false)];
        assert_eq!(once(Documents::BlankLines, text), of(&blank));
        assert_eq!(once(Documents::Lines, "\n \n"), of(&[]));
    }

    #[test]
    fn a_very_long_line_comes_in_pieces_that_lose_nothing() {
        let word = "wörter ";
        let long = word.repeat(2 * LONGEST_PIECE / word.len() + 7);
        let all = once(Documents::Lines, &format!("{long}\nend"));
        assert_eq!(all.len(), 4);
        assert_eq!(all.iter().map(|piece| piece.1).collect::<Vec<_>>(), [true, true, false, false]);
        let joined: Vec<&str> = all[..3].iter().map(|piece| piece.0.as_str()).collect();
        assert_eq!(joined.join(" "), long.trim());
        // Without white space it is cut between characters.
        let solid = "ö".repeat(LONGEST_PIECE);
        let all = once(Documents::Lines, &solid);
        assert_eq!(all.iter().map(|piece| piece.0.as_str()).collect::<String>(), solid);
    }

    #[test]
    fn white_space_at_the_end_of_a_long_line_does_not_join_documents() {
        let long = format!("{}{}\nend", "a".repeat(LONGEST_PIECE - 10), " ".repeat(50));
        let all = once(Documents::Lines, &long);
        assert_eq!(all.iter().map(|piece| piece.1).collect::<Vec<_>>(), [false, false]);
    }

    #[test]
    fn compressed_text_and_utf_16_are_read_as_what_they_hold() {
        let text = "one\n\ntwö\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
        let utf_16: Vec<u8> =
            format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wanted = pieces(text.as_bytes(), Documents::BlankLines).unwrap();
        let marked = format!("\u{feff}{text}").into_bytes();
        for bytes in [gzip.finish().unwrap(), utf_16, marked] {
            assert_eq!(pieces(&bytes, Documents::BlankLines).unwrap(), wanted);
        }
        let error = pieces(b"PK\x03\x04 and more", Documents::Lines).unwrap_err();
        assert!(error.contains("zip archive"), "{error}");
    }

    #[test]
    fn what_is_not_text_is_named_with_its_line() {
        let error = pieces(b"one\n\xFF\n", Documents::Lines).unwrap_err();
        assert!(error.contains("text.txt: line 2 is not UTF-8"), "{error}");
    }
}
