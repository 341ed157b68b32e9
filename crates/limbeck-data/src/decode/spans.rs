//! The best spans of a question's windows.

use std::cmp::Ordering;
use std::ops::Range;

use super::{DecodeOptions, Window};
use crate::features::is_max_context;

/// A span of context tokens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// Where it lies in the context.
    pub(super) bytes: Range<usize>,
    pub(super) start_logit: f32,
    pub(super) end_logit: f32,
}

impl Span {
    fn score(&self) -> f32 {
        self.start_logit + self.end_logit
    }
}

/// All spans that the options allow, best first.
pub(super) fn best(windows: &[Window<'_>], options: &DecodeOptions) -> Vec<Span> {
    let mut spans = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        let rows = window.first_row..window.first_row + window.offsets.len();
        let start_logits = &window.start_logits[rows.clone()];
        let end_logits = &window.end_logits[rows];
        let mut starts = highest(start_logits, options.n_best_size);
        if options.max_context {
            starts.retain(|&token| {
                let ranges =
                    windows.iter().map(|w| w.window_start..w.window_start + w.offsets.len());
                is_max_context(ranges, index, window.window_start + token)
            });
        }
        let ends = highest(end_logits, options.n_best_size);
        for &start in &starts {
            for &end in &ends {
                if end < start || end - start >= options.max_answer_length {
                    continue;
                }
                let span = Span {
                    bytes: window.offsets[start][0] as usize..window.offsets[end][1] as usize,
                    start_logit: start_logits[start],
                    end_logit: end_logits[end],
                };
                if span.score().is_finite() {
                    spans.push(span);
                }
            }
        }
    }
    spans.sort_by(|a, b| {
        let by_place = || (a.bytes.start, a.bytes.end).cmp(&(b.bytes.start, b.bytes.end));
        b.score().total_cmp(&a.score()).then_with(by_place)
    });
    spans
}

/// The places of the `count` highest logits, in no particular order; the first of equals
/// comes first, and what is not a finite number comes not at all.
fn highest(logits: &[f32], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> =
        (0..logits.len()).filter(|&place| logits[place].is_finite()).collect();
    if count == 0 {
        return Vec::new();
    }
    if places.len() > count {
        let order = |&a: &usize, &b: &usize| -> Ordering {
            logits[b].total_cmp(&logits[a]).then(a.cmp(&b))
        };
        places.select_nth_unstable_by(count - 1, order);
        places.truncate(count);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_logits_are_those_of_a_full_sort() {
        let logits: Vec<f32> = (0..200).map(|i| ((i * 7919) % 101) as f32).collect();
        let mut sorted: Vec<usize> = (0..200).collect();
        sorted.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        for count in [0, 1, 20, 199, 200, 500] {
            let mut chosen = highest(&logits, count);
            chosen.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            assert_eq!(chosen, sorted[..count.min(200)]);
        }
    }

    #[test]
    fn what_is_not_a_finite_number_is_never_chosen() {
        let mut chosen = highest(&[f32::NAN, 1.0, f32::INFINITY, -5.0, f32::NEG_INFINITY], 3);
        chosen.sort_unstable();
        assert_eq!(chosen, [1, 3]);
        assert!(highest(&[], 3).is_empty());
    }
}
