//! The rows of a batch that are still on their way, under a length plan.

use limbeck_kernels::threads::RowsOf;

use super::choice::Choice;
use crate::lengths::LengthPlan;

/// Which rows are left, where each came from, and the memory to choose them.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// Where each sequence begins among the rows that are left, `[sequences + 1]`.
    pub starts: Vec<usize>,
    /// The row of the batch that each of them was, `[rows left]`.
    origins: Vec<usize>,
    /// The states of rows that have left, in their places, `[rows, hidden]`.
    left: Vec<f32>,
    /// Whether any has left.
    some_left: bool,
    /// Rows of the batch.
    batch_rows: usize,
    choice: Choice,
}

impl Present {
    /// All rows of a batch.
    pub fn all(&mut self, starts: &[usize]) {
        let rows = starts.last().copied().unwrap_or(0);
        self.starts.clear();
        self.starts.extend_from_slice(starts);
        self.origins.clear();
        self.origins.extend(0..rows);
        self.some_left = false;
        self.batch_rows = rows;
    }

    /// How many rows are left.
    pub fn rows(&self) -> usize {
        self.origins.len()
    }

    /// Lets rows leave after layer `layer`. `starts` is that of the batch, `attention` what
    /// [`forward_measuring`](limbeck_kernels::attention::forward_measuring) tells of each
    /// head; `hidden` are the states before this layer, of which those that leave are set
    /// aside; the rows of `context` and `hidden` that stay are moved together. The first row
    /// of a sequence never leaves.
    pub fn leave(
        &mut self,
        (plan, layer): (&LengthPlan, usize),
        starts: &[usize],
        attention: &[f32],
        hidden: RowsOf<'_>,
        context: RowsOf<'_>,
    ) {
        let heads = attention.len() / self.rows().max(1);
        let RowsOf { values: hidden, width: hidden_size } = hidden;
        let RowsOf { values: context, width } = context;
        self.make_room(hidden_size);
        let mut next = 0;
        for sequence in 0..starts.len().saturating_sub(1) {
            let rows = self.starts[sequence]..self.starts[sequence + 1];
            let kept = plan.kept(layer, starts[sequence + 1] - starts[sequence], rows.len());
            let measured = &attention[rows.start * heads..rows.end * heads];
            let stays = self.choice.of(measured, rows.len(), kept, false);
            self.starts[sequence] = next;
            for (row, &stays) in rows.zip(stays) {
                let state = row * hidden_size..(row + 1) * hidden_size;
                let origin = self.origins[row];
                if stays {
                    hidden.copy_within(state, next * hidden_size);
                    context.copy_within(row * width..(row + 1) * width, next * width);
                    self.origins[next] = origin;
                    next += 1;
                } else {
                    let place = origin * hidden_size..(origin + 1) * hidden_size;
                    self.left[place].copy_from_slice(&hidden[state]);
                }
            }
        }
        if let Some(total) = self.starts.last_mut() {
            *total = next;
        }
        self.origins.truncate(next);
    }

    /// Lets all rows of a batch but those of `read`, which rise, leave in the last layer. Nothing
    /// reads those that leave, so their states are not set aside; the rows of `hidden` that stay
    /// are moved together.
    pub fn keep(&mut self, read: &[usize], hidden: RowsOf<'_>) {
        let RowsOf { values: hidden, width } = hidden;
        self.make_room(width);
        for (next, row) in read.iter().enumerate() {
            hidden.copy_within(row * width..(row + 1) * width, next * width);
        }
        self.origins.clear();
        self.origins.extend_from_slice(read);
    }

    /// For the states of those that leave.
    fn make_room(&mut self, hidden_size: usize) {
        self.some_left = true;
        if self.left.len() < self.batch_rows * hidden_size {
            self.left.resize(self.batch_rows * hidden_size, 0.0);
        }
    }

    /// The last state of every row of the batch: of those that stayed to the end, `hidden`.
    pub fn all_states<'a>(&'a mut self, hidden: &'a [f32], hidden_size: usize) -> &'a [f32] {
        if !self.some_left {
            return hidden;
        }
        for (state, &origin) in hidden.chunks_exact(hidden_size).zip(&self.origins) {
            self.left[origin * hidden_size..(origin + 1) * hidden_size].copy_from_slice(state);
        }
        &self.left[..self.batch_rows * hidden_size]
    }
}
