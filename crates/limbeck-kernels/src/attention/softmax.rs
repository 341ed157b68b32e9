//! The passes over a block of scores, each as few as its values allow.
//!
//! Rows are filled up to whole vectors, so that no value is treated by itself.

use super::task::Task;
use crate::dropout::Mask;
use crate::isa::for_each_isa;
use crate::math::{self, LANES};

/// Values from the start of one row of scores to the next.
pub(super) fn row_stride(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// What the rows of a block have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Whose scores they are.
    pub task: Task<'a>,
    /// The query of the first row.
    pub first: usize,
    /// Which probabilities are dropped.
    pub mask: Option<Mask>,
}

impl Rows<'_> {
    /// Keys of a row; what follows up to the row's stride is filling.
    fn length(self) -> usize {
        self.task.length
    }

    /// By which scores are multiplied.
    fn scale(self) -> f32 {
        self.task.heads.scale()
    }

    /// The places of a row's values in the mask's stream: the same, whichever rows ask.
    fn index(self, row: usize) -> u32 {
        (self.task.row_of(self.first + row) * row_stride(self.length())) as u32
    }
}

for_each_isa! {
    /// Turns each row of scores into `dropout(exp(scale · score - m))`, with `m` its
    /// largest scaled score. `reciprocals` gets one over the sum of each row before
    /// dropout, by which the row still has to be multiplied to hold probabilities;
    /// `log_sums` the logarithm of the sum of `exp(scale · score)`.
    pub(super) fn exponentials<FMA>(
        scores: &mut [f32],
        rows: Rows<'_>,
        reciprocals: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let scale = rows.scale();
        let results = reciprocals.iter_mut().zip(log_sums);
        for (i, (row, (reciprocal, log_sum))) in
            scores.chunks_exact_mut(row_stride(rows.length())).zip(results).enumerate()
        {
            row[rows.length()..].fill(f32::NEG_INFINITY);
            let maximum = math::maximum(row) * scale;
            let mut sums = [0.0; LANES];
            let (chunks, _) = row.as_chunks_mut::<LANES>();
            match rows.mask {
                None => {
                    for chunk in chunks {
                        for (value, sum) in chunk.iter_mut().zip(&mut sums) {
                            *value = math::exp::<FMA>(math::mul_add::<FMA>(*value, scale, -maximum));
                            *sum += *value;
                        }
                    }
                }
                Some(mask) => {
                    let mut index = rows.index(i);
                    for chunk in chunks {
                        for (lane, (value, sum)) in chunk.iter_mut().zip(&mut sums).enumerate() {
                            let power = math::exp::<FMA>(math::mul_add::<FMA>(*value, scale, -maximum));
                            *sum += power;
                            *value = power * mask.factor(index.wrapping_add(lane as u32));
                        }
                        index = index.wrapping_add(LANES as u32);
                    }
                }
            }
            let sum = math::across(sums, |a, b| a + b);
            *reciprocal = 1.0 / sum;
            *log_sum = maximum + sum.ln();
        }
    }
}

for_each_isa! {
    /// Adds to `sums`, one a key, what each query's probabilities give that key: rows of
    /// [`exponentials`], each times its reciprocal.
    pub(super) fn add_column_sums<FMA>(
        scores: &[f32],
        rows: Rows<'_>,
        reciprocals: &[f32],
        sums: &mut [f32],
    ) {
        let rows_of_scores = scores.chunks_exact(row_stride(rows.length()));
        for (row, &reciprocal) in rows_of_scores.zip(reciprocals) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = math::mul_add::<FMA>(value, reciprocal, *sum);
            }
        }
    }
}

for_each_isa! {
    /// Adds each row of `values`, times its factor, to the same row of `sums`.
    pub(super) fn add_scaled<FMA>(
        values: &[f32],
        stride: usize,
        factors: &[f32],
        sums: &mut [f32],
    ) {
        let rows = values.chunks_exact(stride).zip(sums.chunks_exact_mut(stride));
        for ((row, sums), &factor) in rows.zip(factors) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = math::mul_add::<FMA>(value, factor, *sum);
            }
        }
    }
}

for_each_isa! {
    /// For each row: from the gradient of probabilities to that of their scores before
    /// scaling, `scale · p · (gradient - sum of p · gradient)`.
    pub(super) fn probability_gradients<FMA>(
        probabilities: &[f32],
        gradient: &[f32],
        stride: usize,
        scale: f32,
        d_scores: &mut [f32],
    ) {
        let rows = probabilities.chunks_exact(stride).zip(gradient.chunks_exact(stride));
        for ((row, gradient), out) in rows.zip(d_scores.chunks_exact_mut(stride)) {
            let mean = math::sum_by(stride, |i| row[i] * gradient[i]);
            for (i, out) in out.iter_mut().enumerate() {
                *out = scale * row[i] * (gradient[i] - mean);
            }
        }
    }
}

for_each_isa! {
    /// For each row: from `scores` to the probabilities after dropout, in place; and in
    /// `gradient`, from the gradient of those to the gradient of the scores.
    ///
    /// With `p` the probabilities and `m` the factors of dropout, the gradient of a
    /// score is `scale · p · (m · gradient - mean)`, where `mean`, the sum of `p · m ·
    /// gradient` over the row, is the product of the row's output and its gradient.
    pub(super) fn gradients<FMA>(
        scores: &mut [f32],
        gradient: &mut [f32],
        rows: Rows<'_>,
        log_sums: &[f32],
        means: &[f32],
    ) {
        let (stride, scale) = (row_stride(rows.length()), rows.scale());
        let rows_of_both = scores.chunks_exact_mut(stride).zip(gradient.chunks_exact_mut(stride));
        for (i, ((row, gradient), (&log_sum, &mean))) in
            rows_of_both.zip(log_sums.iter().zip(means)).enumerate()
        {
            let probability =
                |score: f32| math::exp::<FMA>(math::mul_add::<FMA>(score, scale, -log_sum));
            match rows.mask {
                None => {
                    for (value, gradient) in row.iter_mut().zip(gradient) {
                        *value = probability(*value);
                        *gradient = scale * *value * (*gradient - mean);
                    }
                }
                Some(mask) => {
                    let index = rows.index(i);
                    for (column, (value, gradient)) in row.iter_mut().zip(gradient).enumerate() {
                        let factor = mask.factor(index.wrapping_add(column as u32));
                        let probability = probability(*value);
                        *value = probability * factor;
                        *gradient = scale * probability * (*gradient * factor - mean);
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// The product of two rows.
    pub(super) fn dot<FMA>(a: &[f32], b: &[f32]) -> f32 {
        let b = &b[..a.len()];
        math::sum_by(a.len(), |i| a[i] * b[i])
    }
}
