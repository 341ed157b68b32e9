//! Token, position and segment embeddings: their sum, a layer norm and dropout.

use crate::dropout::Dropout;
use crate::isa::for_each_isa;
use crate::norm::{Norm, each_block, normalise_row, normalise_row_backward};
use crate::profile;
use crate::reduce::Partials;
use crate::threads::{self, Shared};

/// The rows that each token takes from the tables.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// Row of the token table, one for each row of the batch.
    pub input_ids: &'a [u32],
    /// Row of the segment table.
    pub token_type_ids: &'a [u8],
    /// Where each sequence begins, and the total: positions count from there.
    pub starts: &'a [usize],
}

impl Tokens<'_> {
    /// The position of every row in its sequence.
    fn positions(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).flat_map(|pair| 0..pair[1] - pair[0])
    }
}

/// The embedding tables, `[entries, hidden]` each.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'a> {
    /// By token id.
    pub words: &'a [f32],
    /// By position in the sequence.
    pub positions: &'a [f32],
    /// By segment; none in DistilBERT.
    pub token_types: Option<&'a [f32]>,
}

/// The gradients of [`Tables`].
#[derive(Debug)]
pub struct TableGradients<'a> {
    /// By token id.
    pub words: &'a mut [f32],
    /// By position in the sequence.
    pub positions: &'a mut [f32],
    /// By segment.
    pub token_types: Option<&'a mut [f32]>,
}

for_each_isa! {
    fn sum_rows<FMA>(word: &[f32], position: &[f32], token_type: Option<&[f32]>, sum: &mut [f32]) {
        for ((sum, &word), &position) in sum.iter_mut().zip(word).zip(position) {
            *sum = word + position;
        }
        if let Some(token_type) = token_type {
            for (sum, &token_type) in sum.iter_mut().zip(token_type) {
                *sum += token_type;
            }
        }
    }
}

for_each_isa! {
    fn add_row<FMA>(row: &[f32], target: &mut [f32]) {
        for (target, &value) in target.iter_mut().zip(row) {
            *target += value;
        }
    }
}

/// `out = dropout(norm(word + position + segment))`, `[rows, hidden]`.
///
/// `normalised` (`[rows, hidden]`) and `reciprocals` (`[rows]`) are left for
/// [`backward`].
///
/// # Panics
/// When an id, a segment or a sequence's length lies outside its table.
pub fn forward(
    tokens: Tokens<'_>,
    tables: Tables<'_>,
    norm: Norm<'_>,
    dropout: Dropout,
    normalised: &mut [f32],
    reciprocals: &mut [f32],
    out: &mut [f32],
) {
    let _timer = profile::timer("embedding forward", || 0.0);
    let hidden = norm.weight.len();
    let mask = dropout.mask_of_rows(hidden);
    let row_of = |index: usize| index * hidden..(index + 1) * hidden;
    let shared = (Shared::new(normalised), Shared::new(reciprocals), Shared::new(out));
    each_block(tokens.input_ids.len(), |row| {
        let sequence = tokens.starts.partition_point(|&start| start <= row) - 1;
        let position = row - tokens.starts[sequence];
        let range = row * hidden..(row + 1) * hidden;
        // SAFETY: each row belongs to one block.
        let (sum, reciprocal, out) = unsafe {
            (
                shared.0.range(range.clone()),
                shared.1.range(row..row + 1),
                shared.2.range(range.clone()),
            )
        };
        sum_rows(
            &tables.words[row_of(tokens.input_ids[row] as usize)],
            &tables.positions[row_of(position)],
            tables.token_types.map(|t| &t[row_of(usize::from(tokens.token_type_ids[row]))]),
            sum,
        );
        reciprocal[0] = normalise_row(sum, norm.weight, norm.bias, norm.epsilon, out);
        if let Some(mask) = mask {
            mask.apply_here(out, range.start as u32);
        }
    });
}

/// The backward of [`forward`]. `gradient` (`[rows, hidden]`) holds the gradient of
/// the output and is overwritten with that of the sum.
#[allow(clippy::too_many_arguments)] // what one pass over memory reads and writes
pub fn backward(
    tokens: Tokens<'_>,
    norm: Norm<'_>,
    dropout: Dropout,
    normalised: &[f32],
    reciprocals: &[f32],
    gradient: &mut [f32],
    mut tables: TableGradients<'_>,
    norm_weight: &mut [f32],
    norm_bias: &mut [f32],
    scratch: &mut Partials,
) {
    let _timer = profile::timer("embedding backward", || 0.0);
    let hidden = norm.weight.len();
    let rows = reciprocals.len();
    let mask = dropout.mask_of_rows(hidden);
    {
        let gradient = Shared::new(gradient);
        scratch.fill(rows, 3 * hidden, |block, partial| {
            let (weight, rest) = partial.split_at_mut(hidden);
            let (bias, row_gradient) = rest.split_at_mut(hidden);
            for row in block {
                let range = row * hidden..(row + 1) * hidden;
                // SAFETY: each row belongs to one block.
                let dout = unsafe { gradient.range(range.clone()) };
                if let Some(mask) = mask {
                    mask.apply_here(dout, range.start as u32);
                }
                normalise_row_backward(
                    dout,
                    &normalised[range.clone()],
                    norm.weight,
                    reciprocals[row],
                    row_gradient,
                    weight,
                    bias,
                );
                dout.copy_from_slice(row_gradient);
            }
        });
    }
    scratch.add_to(&mut [norm_weight, norm_bias]);

    // Rows of different tokens may meet in one table row: every task adds all rows,
    // but only a stripe of columns.
    const STRIPE: usize = 64;
    let words = Shared::new(tables.words);
    let positions = Shared::new(tables.positions);
    let token_types = tables.token_types.as_deref_mut().map(Shared::new);
    let gradient = &*gradient;
    threads::run(hidden.div_ceil(STRIPE), |stripe| {
        let first = stripe * STRIPE;
        let width = STRIPE.min(hidden - first);
        for (row, position) in tokens.positions().enumerate() {
            let source = &gradient[row * hidden + first..][..width];
            let add = |table: &Shared<'_>, index: usize| {
                let start = index * hidden + first;
                // SAFETY: no other task writes to these columns.
                add_row(source, unsafe { table.range(start..start + width) });
            };
            add(&words, tokens.input_ids[row] as usize);
            add(&positions, position);
            if let Some(table) = &token_types {
                add(table, usize::from(tokens.token_type_ids[row]));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;
    use crate::testing::{assert_gradient, numbers, weighted};

    const HIDDEN: usize = 20;
    const IDS: [u32; 9] = [3, 0, 3, 1, 2, 3, 3, 0, 4];
    const TYPES: [u8; 9] = [0, 0, 1, 1, 0, 0, 1, 1, 1];
    const STARTS: [usize; 4] = [0, 4, 5, 9];

    #[test]
    fn backward_is_the_derivative_of_forward() {
        let tokens = Tokens { input_ids: &IDS, token_type_ids: &TYPES, starts: &STARTS };
        let dropout = Dropout::new(0.2, Key::new(4));
        let rows = IDS.len();
        // words, positions, segments, gain, shift
        let mut tables: Vec<Vec<f32>> = [5, 4, 2, 1, 1]
            .iter()
            .zip(1..)
            .map(|(&entries, seed)| numbers(entries * HIDDEN, seed))
            .collect();
        let dout = numbers(rows * HIDDEN, 6);
        let run = |t: &[Vec<f32>]| {
            let (mut normalised, mut out) = (vec![0.0; rows * HIDDEN], vec![0.0; rows * HIDDEN]);
            let mut reciprocals = vec![0.0; rows];
            forward(
                tokens,
                Tables { words: &t[0], positions: &t[1], token_types: Some(&t[2]) },
                Norm { weight: &t[3], bias: &t[4], epsilon: 1e-6 },
                dropout,
                &mut normalised,
                &mut reciprocals,
                &mut out,
            );
            (out, normalised, reciprocals)
        };
        let (_, normalised, reciprocals) = run(&tables);
        let mut gradients: Vec<Vec<f32>> = tables.iter().map(|t| vec![0.0; t.len()]).collect();
        let [words, positions, token_types, weight, bias] = &mut gradients[..] else { panic!() };
        backward(
            tokens,
            Norm { weight: &tables[3], bias: &tables[4], epsilon: 1e-6 },
            dropout,
            &normalised,
            &reciprocals,
            &mut dout.clone(),
            TableGradients { words, positions, token_types: Some(token_types) },
            weight,
            bias,
            &mut Partials::default(),
        );
        for table in 0..tables.len() {
            let at = tables[table].clone();
            assert_gradient(&at, &gradients[table], &format!("table {table}"), |moved| {
                tables[table] = moved.to_vec();
                weighted(&run(&tables).0, &dout)
            });
            tables[table] = at;
        }
    }
}
