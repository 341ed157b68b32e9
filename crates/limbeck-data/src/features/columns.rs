//! One buffer of 32-bit words with a few columns in it, the same in memory and on disk.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;

use crate::DataError;
use crate::error::to_u32;

/// A feature as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) question: u32,
    pub(crate) paragraph: u32,
    pub(crate) window_start: u32,
    pub(crate) window_len: u32,
    pub(crate) start_position: u32,
    pub(crate) end_position: u32,
}

const RECORD_WORDS: usize = size_of::<Record>() / size_of::<u32>();

/// How much of everything there is: enough to know where each column lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Shape {
    pub(crate) cls: u32,
    pub(crate) sep: u32,
    pub(crate) paragraphs: u32,
    pub(crate) paragraph_tokens: u32,
    pub(crate) questions: u32,
    pub(crate) question_tokens: u32,
    pub(crate) features: u32,
}

/// Where the columns lie in the buffer, in words.
#[derive(Clone, Debug)]
struct Places {
    /// `[paragraphs + 1]`: where each paragraph's tokens begin.
    paragraph_starts: Range<usize>,
    /// `[paragraph_tokens]`.
    paragraph_ids: Range<usize>,
    /// `[paragraph_tokens, 2]`: first byte and byte past the last.
    paragraph_offsets: Range<usize>,
    /// `[questions + 1]`: where each question's tokens begin.
    question_starts: Range<usize>,
    /// `[question_tokens]`.
    question_ids: Range<usize>,
    /// `[questions + 1]`: where each question's features begin.
    question_features: Range<usize>,
    /// `[features]` records.
    records: Range<usize>,
}

impl Shape {
    /// The columns, in the order in which they lie; `None` when they exceed the address space.
    fn places(&self) -> Option<Places> {
        let mut end = 0_usize;
        let mut column = |count: u32, extra: usize, words: usize| {
            let len = (count as usize).checked_add(extra)?.checked_mul(words)?;
            let start = end;
            end = end.checked_add(len)?;
            Some(start..end)
        };
        Some(Places {
            paragraph_starts: column(self.paragraphs, 1, 1)?,
            paragraph_ids: column(self.paragraph_tokens, 0, 1)?,
            paragraph_offsets: column(self.paragraph_tokens, 0, 2)?,
            question_starts: column(self.questions, 1, 1)?,
            question_ids: column(self.question_tokens, 0, 1)?,
            question_features: column(self.questions, 1, 1)?,
            records: column(self.features, 0, RECORD_WORDS)?,
        })
    }

    /// Words of all columns together.
    pub(crate) fn words(&self) -> Option<usize> {
        self.places().map(|places| places.records.end)
    }
}

#[derive(Debug)]
enum Storage {
    Owned(Vec<u32>),
    /// The mapped file and the bytes of it that are the columns.
    Mapped(Mmap, Range<usize>),
}

/// The columns, readable.
#[derive(Debug)]
pub(crate) struct Columns {
    storage: Storage,
    shape: Shape,
    places: Places,
}

impl Columns {
    /// The columns in `bytes` of a mapped file; nothing when they are not what `shape` says or
    /// point anywhere outside themselves. After this, no index in them can lead astray.
    pub(crate) fn mapped(
        map: Mmap,
        bytes: Range<usize>,
        shape: Shape,
        vocab_size: usize,
    ) -> Option<Columns> {
        let words: &[u32] = bytemuck::try_cast_slice(map.get(bytes.clone())?).ok()?;
        if words.len() != shape.words()? {
            return None;
        }
        let places = shape.places()?;
        let columns = Columns { storage: Storage::Mapped(map, bytes), shape, places };
        columns.is_sound(vocab_size).then_some(columns)
    }

    /// The columns as they are written to disk.
    pub(crate) fn words(&self) -> &[u32] {
        match &self.storage {
            Storage::Owned(words) => words,
            // The range lies in the map and is aligned: `mapped` tried this cast before.
            Storage::Mapped(map, bytes) => bytemuck::cast_slice(&map[bytes.clone()]),
        }
    }

    fn column(&self, place: &Range<usize>) -> &[u32] {
        &self.words()[place.clone()]
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// `[CLS]` and `[SEP]`.
    pub(crate) fn special_tokens(&self) -> (u32, u32) {
        (self.shape.cls, self.shape.sep)
    }

    pub(crate) fn records(&self) -> &[Record] {
        bytemuck::cast_slice(self.column(&self.places.records))
    }

    fn part(&self, starts: &Range<usize>, index: usize) -> Range<usize> {
        let starts = self.column(starts);
        starts[index] as usize..starts[index + 1] as usize
    }

    pub(crate) fn paragraph_tokens(&self, paragraph: usize) -> &[u32] {
        let part = self.part(&self.places.paragraph_starts, paragraph);
        &self.column(&self.places.paragraph_ids)[part]
    }

    pub(crate) fn offsets(&self, paragraph: usize) -> &[[u32; 2]] {
        let part = self.part(&self.places.paragraph_starts, paragraph);
        let offsets: &[[u32; 2]] =
            bytemuck::cast_slice(self.column(&self.places.paragraph_offsets));
        &offsets[part]
    }

    pub(crate) fn question_tokens(&self, question: usize) -> &[u32] {
        let part = self.part(&self.places.question_starts, question);
        &self.column(&self.places.question_ids)[part]
    }

    pub(crate) fn features_of(&self, question: usize) -> Range<usize> {
        self.part(&self.places.question_features, question)
    }

    fn is_sound(&self, vocab_size: usize) -> bool {
        let rise = |place: &Range<usize>, last: u32| {
            let starts = self.column(place);
            starts.first() == Some(&0) && starts.last() == Some(&last) && starts.is_sorted()
        };
        let known =
            |place: &Range<usize>| self.column(place).iter().all(|&id| (id as usize) < vocab_size);
        let Shape { cls, sep, paragraphs, paragraph_tokens, questions, question_tokens, features } =
            self.shape;
        rise(&self.places.paragraph_starts, paragraph_tokens)
            && rise(&self.places.question_starts, question_tokens)
            && rise(&self.places.question_features, features)
            && known(&self.places.paragraph_ids)
            && known(&self.places.question_ids)
            && (cls as usize) < vocab_size
            && (sep as usize) < vocab_size
            && self.records().iter().enumerate().all(|(index, record)| {
                if record.question >= questions || record.paragraph >= paragraphs {
                    return false;
                }
                let tokens = self.paragraph_tokens(record.paragraph as usize).len() as u64;
                let question = self.question_tokens(record.question as usize).len() as u64;
                let window_len = u64::from(record.window_len);
                let rows = question + window_len + super::SPECIAL_TOKENS as u64;
                self.features_of(record.question as usize).contains(&index)
                    && u64::from(record.window_start) + window_len <= tokens
                    && record.start_position <= record.end_position
                    && u64::from(record.end_position) < rows
            })
    }
}

/// What the builder has made, before it is laid into one buffer.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) cls: u32,
    pub(crate) sep: u32,
    pub(crate) paragraphs: &'a [crate::Encoded],
    pub(crate) questions: &'a [Vec<u32>],
    /// The features of each question.
    pub(crate) records: &'a [Vec<Record>],
}

impl Parts<'_> {
    /// Lays everything into one buffer.
    pub(crate) fn into_columns(self) -> Result<Columns, DataError> {
        let count = |what, counts: &mut dyn Iterator<Item = usize>| to_u32(what, counts.sum());
        let shape = Shape {
            cls: self.cls,
            sep: self.sep,
            paragraphs: to_u32("the number of paragraphs", self.paragraphs.len())?,
            paragraph_tokens: count(
                "the number of tokens in contexts",
                &mut self.paragraphs.iter().map(|paragraph| paragraph.ids.len()),
            )?,
            questions: to_u32("the number of questions", self.questions.len())?,
            question_tokens: count(
                "the number of tokens in questions",
                &mut self.questions.iter().map(Vec::len),
            )?,
            features: count("the number of features", &mut self.records.iter().map(Vec::len))?,
        };
        let (Some(places), Some(len)) = (shape.places(), shape.words()) else {
            return Err(DataError::TooLarge { what: "the data", count: usize::MAX });
        };
        let mut words = Vec::with_capacity(len);
        extend_starts(&mut words, self.paragraphs.iter().map(|paragraph| paragraph.ids.len()));
        for paragraph in self.paragraphs {
            words.extend_from_slice(&paragraph.ids);
        }
        for paragraph in self.paragraphs {
            words.extend(paragraph.offsets.iter().flat_map(|&(start, end)| [start, end]));
        }
        extend_starts(&mut words, self.questions.iter().map(Vec::len));
        for question in self.questions {
            words.extend_from_slice(question);
        }
        extend_starts(&mut words, self.records.iter().map(Vec::len));
        for records in self.records {
            words.extend_from_slice(bytemuck::cast_slice(records));
        }
        Ok(Columns { storage: Storage::Owned(words), shape, places })
    }
}

/// Appends where each part begins, and the end of the last. The sum fits: it was counted.
fn extend_starts(words: &mut Vec<u32>, lens: impl Iterator<Item = usize>) {
    let mut end = 0;
    words.push(0);
    words.extend(lens.map(|len| {
        end += len as u32;
        end
    }));
}
