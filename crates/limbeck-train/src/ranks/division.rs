//! Which part of a batch is whose.

use std::ops::Range;

use limbeck_model::encoder::Place;

/// The part of a batch that one process takes in one pass: sequences that follow each other, so that
/// they drop what they would drop in the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its sequences.
    pub sequences: Range<usize>,
    /// What lies before it.
    pub place: Place,
    /// What it is of the whole batch.
    pub shares: Shares,
    /// Rows of the batch's longest sequence.
    pub longest: usize,
}

/// What a part is of its batch. Losses are means, each over something else; the sum of the parts'
/// means by these shares is the mean over the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Of the sequences: losses over logits.
    pub sequences: f64,
    /// Of the rows: losses over hidden states.
    pub rows: f64,
    /// Of the pairs of a query and a key: losses over attention.
    pub pairs: f64,
    /// Of the masked words: losses over them. Which words those are the batch has to tell; until
    /// then the share of the rows.
    pub masked: f64,
}

impl Shares {
    /// A whole batch.
    pub const WHOLE: Shares = Shares { sequences: 1.0, rows: 1.0, pairs: 1.0, masked: 1.0 };

    /// These shares of a part that is itself such a share of a step.
    #[must_use]
    pub fn times(self, share: f64) -> Shares {
        let Shares { sequences, rows, pairs, masked } = self;
        let [sequences, rows, pairs, masked] =
            [sequences, rows, pairs, masked].map(|own| own * share);
        Shares { sequences, rows, pairs, masked }
    }
}

/// The passes in which each of so many processes goes through its part of a batch of `rows`, where
/// a pass takes about `max_rows` at most; 0 sets no limit.
pub fn passes(rows: usize, processes: usize, max_rows: usize) -> usize {
    match max_rows {
        0 => 1,
        _ => rows.div_ceil(processes.max(1).saturating_mul(max_rows)).max(1),
    }
}

/// Part `rank` of `count` of a batch of sequences of these `lengths` (in rows): cut between
/// sequences, where the rows before come closest to an even division.
pub fn part(lengths: &[usize], rank: usize, count: usize) -> Part {
    let total: usize = lengths.iter().sum();
    let cut = |number: usize| {
        let wanted = total as f64 * number as f64 / count.max(1) as f64;
        let mut rows = 0.0;
        let before = |&&length: &&usize| {
            // The sequence that lies across goes to the side where its larger part is.
            let goes = rows + length as f64 / 2.0 <= wanted;
            rows += length as f64;
            goes
        };
        lengths.iter().take_while(before).count()
    };
    let sequences = match rank + 1 == count {
        true => cut(rank)..lengths.len(),
        false => cut(rank)..cut(rank + 1),
    };
    let (before, own) = (&lengths[..sequences.start], &lengths[sequences.clone()]);
    let share = |measure: &dyn Fn(&usize) -> f64| {
        let of = |lengths: &[usize]| lengths.iter().map(measure).sum::<f64>();
        // An empty batch has no parts to weigh.
        of(own) / of(lengths).max(1.0)
    };
    let shares = match own.len() == lengths.len() {
        true => Shares::WHOLE,
        false => Shares {
            sequences: share(&|_| 1.0),
            rows: share(&|&length| length as f64),
            masked: share(&|&length| length as f64),
            pairs: share(&|&length| (length * length) as f64),
        },
    };
    let place = Place {
        first_row: before.iter().sum(),
        first_sequence: sequences.start,
        // Of a classifier, which reads one row of each; masked words the batch has to tell.
        first_read: sequences.start,
    };
    let longest = lengths.iter().copied().max().unwrap_or(0);
    Part { sequences, place, shares, longest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_make_up_the_batch() {
        let batches: [&[usize]; 5] =
            [&[384, 300, 200, 90, 80, 60, 50, 40], &[7], &[], &[5, 5], &[9, 1, 1]];
        for lengths in batches {
            for count in 1..6 {
                let parts: Vec<Part> = (0..count).map(|rank| part(lengths, rank, count)).collect();
                let mut next = 0;
                for part in &parts {
                    assert_eq!(part.sequences.start, next);
                    assert_eq!(part.place.first_sequence, next);
                    assert_eq!(part.place.first_row, lengths[..next].iter().sum::<usize>());
                    next = part.sequences.end;
                }
                assert_eq!(next, lengths.len());
                if !lengths.is_empty() {
                    let sum =
                        |of: fn(&Shares) -> f64| parts.iter().map(|p| of(&p.shares)).sum::<f64>();
                    for sum in [sum(|s| s.sequences), sum(|s| s.rows), sum(|s| s.pairs)] {
                        assert!((sum - 1.0).abs() < 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    fn a_batch_takes_as_many_passes_as_its_rows_fill() {
        assert_eq!(passes(1000, 1, 0), 1);
        assert_eq!(passes(1000, 1, 1000), 1);
        assert_eq!(passes(1001, 1, 1000), 2);
        assert_eq!(passes(1001, 2, 250), 3);
        assert_eq!(passes(0, 1, 7), 1);
        assert_eq!(passes(1000, usize::MAX, usize::MAX), 1);
    }

    #[test]
    fn rows_are_divided_evenly() {
        let lengths = [384, 300, 200, 150, 140, 130, 120, 110];
        let rows = |rank| lengths[part(&lengths, rank, 2).sequences].iter().sum::<usize>();
        assert!(rows(0).abs_diff(rows(1)) <= 200, "{} and {}", rows(0), rows(1));
        assert_eq!(part(&lengths, 0, 1).shares, Shares::WHOLE);
    }
}
