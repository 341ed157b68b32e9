//! The tokens of text files in one mapped file, so that memory holds what is in use only.
//!
//! A header of fixed size, then the ids, one 32-bit word each: all documents end to end, with
//! `[SEP]` between them. Words are in the byte order of the machine that wrote them; on another
//! one the version does not match and the file is built anew.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::{ControlFlow, Range};
use std::path::Path;

use blake3::{Hash, Hasher};
use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use rayon::prelude::*;

use super::Texts;
use super::documents::{self, Piece};
use crate::{Cache, DataError, Tokenizer, files};

const MAGIC: [u8; 8] = *b"limbeckT";

/// To be raised with every change to the file's layout or to what the builder makes.
const VERSION: u64 = 1;

/// Bytes of text that are tokenised together.
const STRETCH: usize = 8 << 20;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u64,
    report: CorpusReport,
    /// What the tokens were made of.
    key: [u8; 32],
    /// Of everything else: the tokens, and then the header with zeros here.
    checksum: [u8; 32],
}

const HEADER_LEN: usize = size_of::<Header>();

/// How much text there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CorpusReport {
    /// Documents with a token at least.
    pub documents: u64,
    /// Their tokens, and the separators between them.
    pub tokens: u64,
}

/// The tokens of text files, mapped.
#[derive(Debug)]
pub struct Corpus {
    map: Mmap,
    bytes: Range<usize>,
    /// How much there is.
    pub report: CorpusReport,
    /// The id of the token that begins every window.
    pub(super) cls: u32,
    /// The id of the token between documents and at the end of windows.
    pub(super) sep: u32,
}

impl Corpus {
    /// Maps the tokens of `texts` from a file in the cache, or makes it. A file that is cut
    /// short, damaged or of another version is made anew. `progress` hears of every stretch of
    /// text, in bytes; `None` when it asked to stop.
    ///
    /// # Errors
    /// When a text cannot be read or is none, or the file cannot be written.
    pub fn open_or_build(
        cache: &Cache,
        texts: &Texts,
        tokenizer: &Tokenizer,
        mut progress: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Corpus>, DataError> {
        let key = key(texts, tokenizer)?;
        let name = format!("tokens-{}.bin", &key.to_hex()[..32]);
        let path = cache.wanted(&name);
        if let Some(corpus) = open(&path, &key, tokenizer) {
            return Ok(Some(corpus));
        }
        let folder = cache.path();
        std::fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        if !write(&path, &key, texts, tokenizer, &mut progress)? {
            return Ok(None);
        }
        let damaged = || DataError::file(&path, "cannot be read back; is the disk sound?");
        let corpus = open(&path, &key, tokenizer).ok_or_else(damaged)?;
        cache.built(&name);
        Ok(Some(corpus))
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> &[u32] {
        // The range lies in the map and is aligned: `open` tried this cast before.
        bytemuck::cast_slice(&self.map[self.bytes.clone()])
    }
}

/// A hash over everything that the tokens depend on.
fn key(texts: &Texts, tokenizer: &Tokenizer) -> Result<Hash, DataError> {
    let mut hasher = Hasher::new();
    hasher.update(&documents::fingerprint(texts)?);
    hasher.update(format!("{VERSION} {}", tokenizer.fingerprint()).as_bytes());
    Ok(hasher.finalize())
}

/// Maps a file of tokens; nothing when it is absent or not whole and sound.
fn open(path: &Path, key: &Hash, tokenizer: &Tokenizer) -> Option<Corpus> {
    let file = File::open(path).ok()?;
    // SAFETY: the map must not change while it is read. Such files are written under another
    // name and renamed, never written in place, and a replaced file lives on while mapped.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let header: Header = bytemuck::pod_read_unaligned(map.get(..HEADER_LEN)?);
    if header.magic != MAGIC || header.version != VERSION || header.key != *key.as_bytes() {
        return None;
    }
    let bytes = HEADER_LEN..map.len();
    let tokens: &[u32] = bytemuck::try_cast_slice(map.get(bytes.clone())?).ok()?;
    let mut hasher = Hasher::new();
    hasher.update(map.get(bytes.clone())?);
    let is_sound = header.checksum == header.checksum(hasher)
        && header.report.tokens == tokens.len() as u64
        && tokens.iter().all(|&id| (id as usize) < tokenizer.vocab_size());
    let (cls, sep) = (tokenizer.cls(), tokenizer.sep());
    is_sound.then_some(Corpus { report: header.report, map, bytes, cls, sep })
}

impl Header {
    /// With the hash of the tokens so far.
    fn checksum(&self, mut hasher: Hasher) -> [u8; 32] {
        let zeroed = Header { checksum: [0; 32], ..*self };
        hasher.update(bytemuck::bytes_of(&zeroed));
        hasher.finalize().into()
    }
}

/// Why a file was not finished.
enum Stop {
    Asked,
    Data(DataError),
    Io(io::Error),
}

/// Makes a file of tokens, whole or not at all; `false` when it was asked to stop.
fn write(
    path: &Path,
    key: &Hash,
    texts: &Texts,
    tokenizer: &Tokenizer,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<bool, DataError> {
    let mut stopped = None;
    let written = files::replace_with(path, |file| {
        write_to(file, key, texts, tokenizer, progress).map_err(|stop| match stop {
            Stop::Io(error) => error,
            other => {
                stopped = Some(other);
                io::ErrorKind::Interrupted.into()
            }
        })
    });
    match stopped {
        Some(Stop::Asked) => Ok(false),
        Some(Stop::Data(error)) => Err(error),
        _ => written.map(|()| true),
    }
}

fn write_to(
    file: &mut BufWriter<File>,
    key: &Hash,
    texts: &Texts,
    tokenizer: &Tokenizer,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<(), Stop> {
    file.write_all(&[0; HEADER_LEN]).map_err(Stop::Io)?;
    let mut writer = Writer::new(file, tokenizer.sep());
    let mut stop = None;
    let done = documents::each_stretch(texts, STRETCH, |pieces: Vec<Piece>| {
        let encoded = pieces.par_iter().map(|piece| tokenizer.ids(&piece.text));
        let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
        if let Err(error) = pieces.iter().zip(&encoded).try_for_each(|(p, ids)| writer.add(p, ids))
        {
            stop = Some(Stop::Io(error));
            return Err(ended());
        }
        let bytes = pieces.iter().map(|piece| piece.text.len()).sum();
        if progress(bytes).is_break() {
            stop = Some(Stop::Asked);
            return Err(ended());
        }
        Ok(())
    });
    match (done, stop) {
        (_, Some(stop)) => Err(stop),
        (Err(error), None) => Err(Stop::Data(error)),
        (Ok(()), None) => writer.finish(key).map_err(Stop::Io),
    }
}

/// Ends the reading of texts; why is told otherwise.
fn ended() -> DataError {
    DataError::Tokenizer("stopped".to_owned())
}

/// Writes tokens behind a header that is known at the end only.
struct Writer<'a> {
    file: &'a mut BufWriter<File>,
    hasher: Hasher,
    report: CorpusReport,
    sep: u32,
    /// Whether the document that the last piece is of has a token yet.
    has_begun: bool,
}

impl<'a> Writer<'a> {
    fn new(file: &'a mut BufWriter<File>, sep: u32) -> Self {
        let (hasher, report) = (Hasher::new(), CorpusReport::default());
        Writer { file, hasher, report, sep, has_begun: false }
    }

    fn add(&mut self, piece: &Piece, ids: &[u32]) -> io::Result<()> {
        if !ids.is_empty() {
            if !self.has_begun {
                self.has_begun = true;
                self.report.documents += 1;
                if self.report.documents > 1 {
                    self.put(&[self.sep])?;
                }
            }
            self.put(ids)?;
        }
        self.has_begun &= piece.goes_on;
        Ok(())
    }

    fn put(&mut self, ids: &[u32]) -> io::Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(ids);
        self.hasher.update(bytes);
        self.report.tokens += ids.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(self, key: &Hash) -> io::Result<()> {
        let (magic, version, report) = (MAGIC, VERSION, self.report);
        let mut header = Header { magic, version, report, key: *key.as_bytes(), checksum: [0; 32] };
        header.checksum = header.checksum(self.hasher);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytemuck::bytes_of(&header))
    }
}
