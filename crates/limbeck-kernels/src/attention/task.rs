//! The tasks of attention: one head of one sequence each, and where its parts lie.

use std::ops::Range;

use super::softmax::Rows;
use super::{BLOCK_QUERIES, grown};
use crate::dropout::Mask;
use crate::matmul::{Matrix, copy_short};

/// The heads of one layer.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// How many.
    pub count: usize,
    /// Values in each query, key and value.
    pub size: usize,
}

impl Heads {
    pub(super) fn width(self) -> usize {
        self.count * self.size
    }

    pub(super) fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// The sequences of a batch, and which of their rows ask.
#[derive(Debug, Clone, Copy)]
pub struct Sequences<'a> {
    /// Where each begins among the rows, and the total, `[sequences + 1]`.
    pub starts: &'a [usize],
    /// The rows whose context is wanted, rising; without it that of all. To each all rows of its
    /// sequence answer.
    pub asking: Option<&'a [usize]>,
}

impl<'a> Sequences<'a> {
    /// All rows of sequences that begin at `starts`.
    pub fn all(starts: &'a [usize]) -> Self {
        Sequences { starts, asking: None }
    }

    /// How many rows ask.
    pub fn queries(self) -> usize {
        self.asking.map_or(self.starts.last().copied().unwrap_or(0), <[usize]>::len)
    }

    pub(super) fn count(self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Of the rows that ask, by their order, those of one sequence.
    pub(super) fn queries_of(self, sequence: usize) -> Range<usize> {
        let rows = self.starts[sequence]..self.starts[sequence + 1];
        match self.asking {
            None => rows,
            Some(asking) => {
                let before = |row: usize| asking.partition_point(|&asks| asks < row);
                before(rows.start)..before(rows.end)
            }
        }
    }
}

/// One head of one sequence: views into `[rows, 3 * width]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    pub heads: Heads,
    head: usize,
    first_row: usize,
    pub length: usize,
    /// How many queries there are, before it and in it.
    first_query: usize,
    pub queries: usize,
    /// The rows of its queries, where not all of its rows ask.
    pub asking: Option<&'a [usize]>,
}

impl<'a> Task<'a> {
    /// One head of the sequence that all rows of `rows` make, each of which asks.
    pub fn whole(heads: Heads, head: usize, rows: Range<usize>) -> Self {
        let (first_row, length) = (rows.start, rows.len());
        Task {
            heads,
            head,
            first_row,
            length,
            first_query: first_row,
            queries: length,
            asking: None,
        }
    }

    pub fn of(sequences: Sequences<'a>, heads: Heads, index: usize) -> Self {
        let (sequence, head) = (index / heads.count, index % heads.count);
        let rows = sequences.starts[sequence]..sequences.starts[sequence + 1];
        let queries = sequences.queries_of(sequence);
        Task {
            first_query: queries.start,
            queries: queries.len(),
            asking: sequences.asking.map(|asking| &asking[queries]),
            ..Task::whole(heads, head, rows)
        }
    }

    /// The row of its sequence that query number `query` is.
    pub fn row_of(self, query: usize) -> usize {
        self.asking.map_or(query, |asking| asking[query] - self.first_row)
    }

    /// Where this head's part of `row` begins in query (0), key (1) or value (2).
    pub fn offset(self, row: usize, part: usize) -> usize {
        let width = self.heads.width();
        (self.first_row + row) * 3 * width + part * width + self.head * self.heads.size
    }

    pub fn part(self, qkv: &[f32], part: usize, rows: Range<usize>) -> Matrix<'_> {
        let data = &qkv[self.offset(rows.start, part)..];
        Matrix::with_stride(data, rows.len(), self.heads.size, 3 * self.heads.width())
    }

    /// This head's part of some queries: where they lie, or gathered.
    pub fn block<'b>(
        self,
        qkv: &'b [f32],
        queries: Range<usize>,
        gathered: &'b mut Vec<f32>,
    ) -> Matrix<'b> {
        if self.asking.is_none() {
            return self.part(qkv, 0, queries);
        }
        let size = self.heads.size;
        let gathered = grown(gathered, queries.len() * size);
        for (query, target) in queries.clone().zip(gathered.chunks_exact_mut(size)) {
            let start = self.offset(self.row_of(query), 0);
            copy_short(&qkv[start..start + size], target);
        }
        Matrix::new(gathered, queries.len(), size)
    }

    /// This head's part of the context of some queries, in `[queries, width]`.
    pub fn context(self, context: &[f32], queries: Range<usize>) -> Matrix<'_> {
        let data = &context[self.context_of(queries.start).start..];
        Matrix::with_stride(data, queries.len(), self.heads.size, self.heads.width())
    }

    /// Where this head's part of one query's context lies.
    pub fn context_of(self, query: usize) -> Range<usize> {
        let start = (self.first_query + query) * self.heads.width() + self.head * self.heads.size;
        start..start + self.heads.size
    }

    /// This task's part of the sums, one for each of its queries.
    pub fn sums(self) -> Range<usize> {
        let start = self.first_query * self.heads.count + self.head * self.queries;
        start..start + self.queries
    }

    /// This task's part of what tells how much rows were looked at, one for each of its rows.
    pub fn looks(self) -> Range<usize> {
        let start = self.first_row * self.heads.count + self.head * self.length;
        start..start + self.length
    }

    /// The rows of scores from query `first` on.
    pub fn rows(self, first: usize, mask: Option<Mask>) -> Rows<'a> {
        Rows { task: self, first, mask }
    }

    pub fn blocks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.queries)
            .step_by(BLOCK_QUERIES)
            .map(move |start| start..(start + BLOCK_QUERIES).min(self.queries))
    }
}
