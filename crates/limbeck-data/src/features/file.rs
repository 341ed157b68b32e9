//! The file that features are mapped from.
//!
//! A header of fixed size, the columns, then the build report as JSON. Words are in the byte
//! order of the machine that wrote them; on another one the version does not match and the
//! file is built anew.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use blake3::{Hash, Hasher};
use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;

use super::columns::{Columns, Shape};
use super::{BuildReport, FeatureOptions, Purpose};
use crate::{DataError, SquadData, Tokenizer, files};

const MAGIC: [u8; 8] = *b"limbeckF";

/// To be raised with every change to the file's layout or to what the builder makes.
const VERSION: u32 = 1;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    shape: Shape,
    report_len: u32,
    /// What the features were made of.
    key: [u8; 32],
    /// Of everything else: the header with zeros here, the columns, the report.
    checksum: [u8; 32],
}

const HEADER_LEN: usize = size_of::<Header>();

impl Header {
    fn checksum(&self, columns: &[u8], report: &[u8]) -> [u8; 32] {
        let zeroed = Header { checksum: [0; 32], ..*self };
        let mut hasher = Hasher::new();
        hasher.update(bytemuck::bytes_of(&zeroed)).update(columns).update(report);
        hasher.finalize().into()
    }
}

/// A hash over everything that features depend on. The questions' limit is part of it,
/// because only the questions that are left are hashed.
pub(super) fn key(
    data: &SquadData,
    tokenizer: &Tokenizer,
    options: &FeatureOptions,
    purpose: Purpose,
) -> Hash {
    // No option is left out by accident: adding a field breaks this line.
    let FeatureOptions {
        max_length,
        doc_stride,
        doc_stride_meaning,
        max_query_length,
        refine_labels,
    } = options;
    let mut hasher = Hasher::new();
    hasher.update(data.fingerprint().as_bytes());
    let rest = format!(
        "{VERSION} {} {max_length} {doc_stride} {doc_stride_meaning:?} {max_query_length} \
         {refine_labels} {purpose:?}",
        tokenizer.fingerprint(),
    );
    hasher.update(rest.as_bytes());
    hasher.finalize()
}

pub(super) fn name(key: &Hash) -> String {
    format!("features-{}.bin", &key.to_hex()[..32])
}

/// Maps a cache file; nothing when it is absent or not whole and sound.
pub(super) fn open(
    path: &Path,
    key: &Hash,
    data: &SquadData,
    vocab_size: usize,
) -> Option<(Columns, BuildReport)> {
    let file = File::open(path).ok()?;
    // SAFETY: the map must not change while it is read. Cache files are written under another
    // name and renamed, never written in place, and a replaced file lives on while mapped.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let header: Header = bytemuck::pod_read_unaligned(map.get(..HEADER_LEN)?);
    if header.magic != MAGIC || header.version != VERSION || header.key != *key.as_bytes() {
        return None;
    }
    let columns_end = header.shape.words()?.checked_mul(4)?.checked_add(HEADER_LEN)?;
    if map.len() != columns_end.checked_add(header.report_len as usize)? {
        return None;
    }
    let (columns, report) = (map.get(HEADER_LEN..columns_end)?, map.get(columns_end..)?);
    if header.checksum != header.checksum(columns, report) {
        return None;
    }
    let report: BuildReport = serde_json::from_slice(report).ok()?;
    // A file of a version that named none, or moved answers by another rule.
    if report.moved_answers != report.moved.len()
        || report.unlocatable_answers != report.left_out.len()
    {
        return None;
    }
    let shape = header.shape;
    if shape.questions as usize != data.questions.len()
        || shape.paragraphs as usize != data.paragraphs.len()
    {
        return None;
    }
    let columns = Columns::mapped(map, HEADER_LEN..columns_end, shape, vocab_size)?;
    Some((columns, report))
}

/// Writes a cache file, whole or not at all.
pub(super) fn write(
    path: &Path,
    key: &Hash,
    columns: &Columns,
    report: &BuildReport,
) -> Result<(), DataError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    }
    let report = serde_json::to_vec(report).map_err(DataError::json(path))?;
    let words: &[u8] = bytemuck::cast_slice(columns.words());
    let mut header = Header {
        magic: MAGIC,
        version: VERSION,
        shape: *columns.shape(),
        report_len: report.len() as u32,
        key: *key.as_bytes(),
        checksum: [0; 32],
    };
    header.checksum = header.checksum(words, &report);
    files::replace_with(path, |file| {
        file.write_all(bytemuck::bytes_of(&header))?;
        file.write_all(words)?;
        file.write_all(&report)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;
    use crate::testing::{data, tokenizer};

    /// A cache file whose checksum is right, but whose word at `word` is `value`.
    fn opens_with(word: usize, value: u32) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let data = data("the cat sat", "who sat", Some(("cat", 4)));
        let (tokenizer, options) = (tokenizer(), FeatureOptions::default());
        let key = key(&data, &tokenizer, &options, Purpose::Train);
        let path = folder.path().join(name(&key));
        let (features, report) =
            Features::build(&data, &tokenizer, &options, Purpose::Train).unwrap();
        write(&path, &key, &features.columns, &report).unwrap();

        let mut bytes = std::fs::read(&path).unwrap();
        let place = HEADER_LEN + 4 * word;
        bytes[place..place + 4].copy_from_slice(&value.to_ne_bytes());
        let columns_end = HEADER_LEN + 4 * features.columns.words().len();
        let mut header: Header = bytemuck::pod_read_unaligned(&bytes[..HEADER_LEN]);
        header.checksum = header.checksum(&bytes[HEADER_LEN..columns_end], &bytes[columns_end..]);
        bytes[..HEADER_LEN].copy_from_slice(bytemuck::bytes_of(&header));
        std::fs::write(&path, bytes).unwrap();
        open(&path, &key, &data, tokenizer.vocab_size()).is_some()
    }

    #[test]
    fn indices_that_lead_astray_are_refused_even_under_a_right_checksum() {
        // Words: 2 starts, 3 ids and 6 offsets of the paragraph, 2 starts and 2 ids of the
        // question, 2 starts of features, 6 of the record.
        assert!(opens_with(0, 0));
        for word in [0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22] {
            assert!(!opens_with(word, u32::MAX), "word {word}");
        }
        // A start behind its end, and an end past the feature's 8 rows.
        assert!(!opens_with(21, 7));
        assert!(!opens_with(22, 8));
        // Offsets are checked by those who cut text with them.
        assert!(opens_with(5, u32::MAX));
    }
}
