//! Which rows of a sequence go on after a layer's attention.

use crate::lengths::LengthPlan;

/// The memory of a choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    order: Vec<usize>,
    stays: Vec<bool>,
}

impl Choice {
    /// For each of `rows` rows of a sequence whether it is among the `kept` with the largest
    /// sums over the heads of `attention` (`[heads, rows]`); of equals the first. The sequence's
    /// first row always is, unless it may leave like the others.
    pub fn of(
        &mut self,
        attention: &[f32],
        rows: usize,
        kept: usize,
        first_may_leave: bool,
    ) -> &[bool] {
        self.stays.clear();
        self.stays.resize(rows, kept >= rows);
        if kept >= rows {
            return &self.stays;
        }
        let significance = |row: usize| {
            attention.iter().skip(row).step_by(rows).map(|&a| f64::from(a)).sum::<f64>()
        };
        let certain = usize::from(!first_may_leave).min(kept);
        self.stays[..certain].fill(true);
        self.order.clear();
        self.order.extend(certain..rows);
        let others = kept - certain;
        if others > 0 {
            self.order.select_nth_unstable_by(others - 1, |&a, &b| {
                significance(b).total_cmp(&significance(a)).then(a.cmp(&b))
            });
        }
        for &row in &self.order[..others] {
            self.stays[row] = true;
        }
        &self.stays
    }
}

/// Whether the plan lets a row leave after this layer. `now` is where each sequence begins
/// among the rows that have come so far, `batch` where it began.
pub(super) fn some_will_leave(
    plan: &LengthPlan,
    layer: usize,
    now: &[usize],
    batch: &[usize],
) -> bool {
    now.windows(2).zip(batch.windows(2)).any(|(now, batch)| {
        let present = now[1] - now[0];
        plan.kept(layer, batch[1] - batch[0], present) < present
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_attended_rows_stay_and_the_first_of_equals() {
        // Two heads of five rows; the sums are 0, 3, 1, 3, 2.
        let attention = [0.0, 1.0, 1.0, 2.0, 0.0, 0.0, 2.0, 0.0, 1.0, 2.0];
        let mut choice = Choice::default();
        let mut of = |kept, first| choice.of(&attention, 5, kept, first).to_vec();
        assert_eq!(of(2, false), [true, true, false, false, false]);
        assert_eq!(of(3, false), [true, true, false, true, false]);
        assert_eq!(of(3, true), [false, true, false, true, true]);
        assert_eq!(of(1, false), [true, false, false, false, false]);
        assert_eq!(of(5, true), [true; 5]);
        assert_eq!(of(9, false), [true; 5]);
    }
}
