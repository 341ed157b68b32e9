//! The way of a training pass through the layers, and its book-keeping.

use super::Mode;
use super::choice::{Choice, some_will_leave};
use crate::lengths::LengthPlan;

/// Which layers a pass goes through, and how many rows go on after each (LengthDrop and
/// LayerDrop of the Length-Adaptive Transformer; Kim and Cho, 2021, §3.2).
#[derive(Debug, Clone, Copy, Default)]
pub struct Route<'a> {
    /// Rows leave from layer to layer; without it all go on.
    pub lengths: Option<&'a LengthPlan>,
    /// By number, the layers that are passed over; those past its end are not. No row leaves
    /// in them.
    pub skipped: &'a [bool],
    /// Whether the first row of a sequence may leave like the others.
    pub first_may_leave: bool,
    /// The rows that the head reads, rising; without it all are. The others answer in the last
    /// layer's attention, do not ask, and leave, where `lengths` does not say who leaves.
    pub read: Option<&'a [usize]>,
}

impl<'a> Route<'a> {
    pub(super) fn skips(&self, layer: usize) -> bool {
        self.skipped.get(layer).copied().unwrap_or(false)
    }

    /// Of `rows` rows that enter the last layer those that go on, where others need not.
    pub(super) fn only_read(&self, rows: usize) -> Option<&'a [usize]> {
        only_read(self.read.filter(|_| self.lengths.is_none())?, rows)
    }
}

/// The rows `read`, if they are some of `rows` rows and rise; else all have to go on.
pub(super) fn only_read(read: &[usize], rows: usize) -> Option<&[usize]> {
    let rise = read.windows(2).all(|pair| pair[0] < pair[1]);
    let some = read.last().is_some_and(|&last| last < rows) && read.len() < rows;
    (rise && some).then_some(read)
}

/// Who goes on after the attention of a layer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    #[default]
    All,
    /// Those that a length plan chose.
    Chosen,
    /// Those that the head reads.
    Read,
}

impl Stay {
    /// The mode of a layer, whose rows lie elsewhere in the whole where only some went on.
    pub fn mode(self, mode: Mode) -> Mode {
        if self == Stay::Read { mode.of_read() } else { mode }
    }
}

/// The rows that enter a layer.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where each sequence begins among them, `[sequences + 1]`.
    pub starts: Vec<usize>,
    /// The row of the batch that each of them was; only kept where rows may leave.
    pub origins: Vec<usize>,
}

impl Rows {
    /// All rows of a batch.
    pub fn all(&mut self, starts: &[usize], with_origins: bool) {
        self.starts.clear();
        self.starts.extend_from_slice(starts);
        self.origins.clear();
        if with_origins {
            self.origins.extend(0..self.count());
        }
    }

    /// The same rows as `other`.
    pub fn same(&mut self, other: &Rows) {
        self.starts.clone_from(&other.starts);
        self.origins.clone_from(&other.origins);
    }

    /// Of the rows of a batch those that the head reads.
    pub fn only(&mut self, batch_starts: &[usize], read: &[usize]) {
        self.starts.clear();
        self.starts.extend(batch_starts.iter().map(|&start| read.partition_point(|&r| r < start)));
        self.origins.clear();
        self.origins.extend_from_slice(read);
    }

    pub fn count(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }
}

/// Lets rows leave after the attention of one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Departure<'a> {
    pub plan: &'a LengthPlan,
    pub layer: usize,
    pub first_may_leave: bool,
    /// Where each sequence of the batch begins.
    pub batch_starts: &'a [usize],
}

impl Departure<'_> {
    /// Whether any of these rows will leave.
    pub fn takes_place(self, rows: &Rows) -> bool {
        some_will_leave(self.plan, self.layer, &rows.starts, self.batch_starts)
    }

    /// Puts the rows that stay into `stayed`, as numbers among `rows`, and what enters the next
    /// layer into `next`. `attention` is what the attention kernel measured.
    pub fn take_place(
        self,
        rows: &Rows,
        attention: &[f32],
        choice: &mut Choice,
        stayed: &mut Vec<usize>,
        next: &mut Rows,
    ) {
        let heads = attention.len() / rows.count().max(1);
        stayed.clear();
        next.starts.clear();
        next.origins.clear();
        for (now, batch) in rows.starts.windows(2).zip(self.batch_starts.windows(2)) {
            next.starts.push(stayed.len());
            let count = now[1] - now[0];
            let kept = self.plan.kept(self.layer, batch[1] - batch[0], count);
            let measured = &attention[now[0] * heads..now[1] * heads];
            let stays = choice.of(measured, count, kept, self.first_may_leave);
            stayed.extend((now[0]..now[1]).zip(stays).filter_map(|(row, &s)| s.then_some(row)));
        }
        next.starts.push(stayed.len());
        next.origins.extend(stayed.iter().map(|&row| rows.origins[row]));
    }
}

/// The rows of `0..rows` that are not in `stayed`, in order.
pub(super) fn left(rows: usize, stayed: &[usize]) -> impl Iterator<Item = usize> {
    let mut stayed = stayed.iter().peekable();
    (0..rows).filter(move |row| stayed.next_if_eq(&row).is_none())
}

/// Copies the rows `chosen` of `values` (`[_, width]`), one behind the other.
pub(super) fn gather(values: &[f32], width: usize, chosen: &[usize], target: &mut [f32]) {
    for (&row, target) in chosen.iter().zip(target.chunks_exact_mut(width)) {
        target.copy_from_slice(&values[row * width..(row + 1) * width]);
    }
}

/// The way back of [`gather`], in place: the first rows of `values` go to the rows `chosen`,
/// which rise, and the rows between are made by `fill(row, values)`.
pub(super) fn spread(
    values: &mut [f32],
    width: usize,
    chosen: &[usize],
    mut fill: impl FnMut(usize, &mut [f32]),
) {
    // From the last on: a row never moves to one that is still to come.
    for (place, &row) in chosen.iter().enumerate().rev() {
        values.copy_within(place * width..(place + 1) * width, row * width);
    }
    let rows = values.len() / width;
    for row in left(rows, chosen) {
        fill(row, &mut values[row * width..(row + 1) * width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_gathered_spread_to_where_they_came_from() {
        let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let chosen = [1, 2, 5];
        let mut gathered = vec![f32::NAN; 12];
        gather(&values, 2, &chosen, &mut gathered[..6]);
        assert_eq!(gathered[..6], [2.0, 3.0, 4.0, 5.0, 10.0, 11.0]);
        spread(&mut gathered, 2, &chosen, |row, values| values.fill(-(row as f32)));
        assert_eq!(gathered, [0.0, 0.0, 2.0, 3.0, 4.0, 5.0, -3.0, -3.0, -4.0, -4.0, 10.0, 11.0]);
        assert_eq!(left(6, &chosen).collect::<Vec<_>>(), [0, 3, 4]);
    }

    #[test]
    fn only_what_is_read_goes_on_and_what_cannot_be_read_leaves_all() {
        assert_eq!(only_read(&[0, 3], 4), Some(&[0, 3][..]));
        for all in [&[][..], &[0, 4], &[3, 0], &[1, 1], &[0, 1, 2, 3]] {
            assert_eq!(only_read(all, 4), None, "{all:?}");
        }
        let mut rows = Rows::default();
        rows.only(&[0, 3, 3, 7], &[1, 2, 6]);
        assert_eq!((rows.starts, rows.origins), (vec![0, 2, 2, 3], vec![1, 2, 6]));
    }
}
