//! Products with weights of one byte each.
//!
//! Weights are quantised once, symmetrically, with one scale for each output channel; rows
//! of activations when they come, symmetrically, with one scale for each row:
//! ```text
//! y[r, o] = scale_x[r] · scale_w[o] · Σ q_x[r, k] · q_w[o, k]
//! ```
//! The sum is exact in `i32`, so results are the same on every machine. The instructions
//! that multiply bytes want one side unsigned: activations are moved up by 128, and 128
//! times the sum of the channel's weights is taken off again.

use std::cell::RefCell;

use super::kernel::{Element, Shape, Word};
use super::{Matrix, Packed, Write, each_stretch, multiply_strided};
use crate::isa::for_each_isa;
use crate::math;

/// Most inputs of a quantised weight, so that no sum overflows: 255 · 127 · 2¹⁶ is below 2³¹.
pub const MAX_INPUTS: usize = 1 << 16;

/// The largest magnitude of a quantised value: symmetric, so -128 is not used.
const LARGEST: f32 = 127.0;

/// What is added to activations to make them unsigned.
const OFFSET: u8 = 128;

/// Added to a float of magnitude below 2²², it rounds to a whole number, whose lowest bits
/// are then those of the sum.
const ROUND: f32 = 12_582_912.0;

/// A weight `[outputs, inputs]`, one byte a value and one scale an output channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quantized {
    /// `[outputs, inputs]`, from -127 to 127.
    pub values: Vec<i8>,
    /// By which the values of each output channel are multiplied, `[outputs]`.
    pub scales: Vec<f32>,
}

impl Quantized {
    /// Quantises a weight `[outputs, inputs]`: the largest magnitude of each channel becomes
    /// 127, the others the nearest whole number.
    pub fn new(weight: &[f32], inputs: usize) -> Quantized {
        let mut quantized = Quantized::default();
        for channel in weight.chunks_exact(inputs) {
            let largest = channel.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
            let round = |value: &f32| (value * inverse).round_ties_even() as i8;
            quantized.values.extend(channel.iter().map(round));
            quantized.scales.push(largest / LARGEST);
        }
        quantized
    }

    /// The floats that the values stand for.
    pub fn write_floats(&self, floats: &mut [f32]) {
        let inputs = self.values.len() / self.scales.len().max(1);
        let channels = self.values.chunks_exact(inputs.max(1)).zip(&self.scales);
        for (floats, (values, scale)) in floats.chunks_exact_mut(inputs.max(1)).zip(channels) {
            for (float, &value) in floats.iter_mut().zip(values) {
                *float = f32::from(value) * scale;
            }
        }
    }
}

/// A quantised weight, packed for products.
#[derive(Debug)]
pub struct Int8Weight {
    packed: Packed<Word>,
    scales: Vec<f32>,
    /// 128 times the sum of each channel's values.
    offsets: Vec<i32>,
    inputs: usize,
}

impl Int8Weight {
    /// Packs a weight of `inputs` inputs.
    ///
    /// # Panics
    /// When there are not `inputs` values for each scale, none, or more than [`MAX_INPUTS`].
    pub fn new(weight: &Quantized, inputs: usize) -> Int8Weight {
        Self::for_shape(weight, inputs, Word::shape())
    }

    fn for_shape(weight: &Quantized, inputs: usize, shape: Shape) -> Int8Weight {
        let outputs = weight.scales.len();
        assert_eq!(weight.values.len(), outputs * inputs, "size of a quantised weight");
        assert!((1..=MAX_INPUTS).contains(&inputs), "{inputs} inputs of a quantised weight");
        let depth = inputs.div_ceil(4);
        let mut words = vec![Word::default(); outputs * depth];
        let channels = weight.values.chunks_exact(inputs);
        for (words, channel) in words.chunks_exact_mut(depth).zip(channels.clone()) {
            for (byte, value) in Word::bytes_mut(words).iter_mut().zip(channel) {
                *byte = value.cast_unsigned();
            }
        }
        let sum = |channel: &[i8]| channel.iter().map(|&value| i32::from(value)).sum::<i32>();
        Int8Weight {
            packed: Packed::for_shape(Matrix::new(&words, outputs, depth).transposed(), shape),
            scales: weight.scales.clone(),
            offsets: channels.map(|channel| i32::from(OFFSET) * sum(channel)).collect(),
            inputs,
        }
    }

    /// How many values each output is a sum over.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many outputs there are.
    pub fn outputs(&self) -> usize {
        self.scales.len()
    }
}

for_each_isa! {
    /// Quantises a row of activations and returns its scale, which is not finite if a value
    /// is not: a fault must not vanish here. What fills the last word meets weights of zero.
    fn quantize_row<FMA>(row: &[f32], bytes: &mut [u8]) -> f32 {
        let largest = math::largest_magnitude(row);
        let inverse = if largest > 0.0 { LARGEST / largest } else { 0.0 };
        for (byte, value) in bytes.iter_mut().zip(row) {
            *byte = ((value * inverse + ROUND).to_bits() as u8).wrapping_add(OFFSET);
        }
        largest / LARGEST
    }
}

for_each_isa! {
    /// Turns a row of sums, which lie as `i32` where the row will be, into floats. Without
    /// fused operations, so that all machines agree.
    fn dequantize_row<FMA>(row: &mut [f32], scale: f32, scales: &[f32], offsets: &[i32]) {
        let count = row.len();
        let (scales, offsets) = (&scales[..count], &offsets[..count]);
        for (i, value) in row.iter_mut().enumerate() {
            let sum = value.to_bits().cast_signed() - offsets[i];
            *value = sum as f32 * (scale * scales[i]);
        }
    }
}

/// A stretch of rows, quantised.
#[derive(Default)]
struct Rows {
    words: Vec<Word>,
    scales: Vec<f32>,
}

impl Rows {
    /// Quantises `x`, `[rows, inputs]`.
    fn fill(&mut self, x: &[f32], inputs: usize) -> Matrix<'_, Word> {
        let (rows, depth) = (x.len() / inputs, inputs.div_ceil(4));
        if self.words.len() < rows * depth {
            self.words.resize(rows * depth, Word::default());
        }
        self.scales.clear();
        let words = &mut self.words[..rows * depth];
        for (words, row) in words.chunks_exact_mut(depth).zip(x.chunks_exact(inputs)) {
            self.scales.push(quantize_row(row, Word::bytes_mut(words)));
        }
        Matrix::new(words, rows, depth)
    }
}

/// `y = x · Wᵀ` on all threads; `x` is `[rows, inputs]`, `y` is `[rows, outputs]`. Then
/// calls `epilogue(first_row, rows)` once for every stretch of finished rows of `y`.
pub fn multiply_then(
    x: &[f32],
    weight: &Int8Weight,
    y: &mut [f32],
    epilogue: impl Fn(usize, &mut [f32]) + Sync,
) {
    thread_local! {
        static ROWS: RefCell<Rows> = RefCell::default();
    }
    let (inputs, outputs) = (weight.inputs, weight.outputs());
    let panels = weight.packed.panels();
    each_stretch(x.len() / inputs, panels, y, |range, y| {
        ROWS.with_borrow_mut(|rows| {
            let x = rows.fill(&x[range.start * inputs..range.end * inputs], inputs);
            let sums = Word::sums_in(y);
            multiply_strided(x, 0..range.len(), panels, sums, outputs, Write::Replace);
            for (row, &scale) in y.chunks_exact_mut(outputs).zip(&rows.scales) {
                dequantize_row(row, scale, &weight.scales, &weight.offsets);
            }
        });
        epilogue(range.start, y);
    });
}

#[cfg(test)]
mod tests {
    use super::super::kernel::Kernel;
    use super::*;
    use crate::testing::numbers;

    /// The definition, in whole numbers.
    fn naive(x: &[f32], weight: &Quantized, inputs: usize) -> Vec<f32> {
        let mut y = Vec::new();
        for row in x.chunks_exact(inputs) {
            let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            for (channel, scale) in weight.values.chunks_exact(inputs).zip(&weight.scales) {
                let sum: i64 = channel
                    .iter()
                    .zip(row)
                    .map(|(&w, x)| i64::from(w) * (x * inverse).round_ties_even() as i64)
                    .sum();
                y.push(sum as f32 * (largest / 127.0 * scale));
            }
        }
        y
    }

    #[test]
    fn every_kernel_gives_the_exact_sums() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 6, 5), (9, 64, 49), (70, 1537, 97)] {
            let mut x = numbers(rows * inputs, 1);
            // The largest values that there are, and a row of nothing.
            x[0] = 1e6;
            if rows > 1 {
                x[(rows - 1) * inputs..].fill(0.0);
            }
            let mut weight = Quantized::new(&numbers(outputs * inputs, 2), inputs);
            weight.values[..inputs].fill(-127);
            let want = naive(&x, &weight, inputs);
            for kernel in Kernel::for_words() {
                let shape = kernel.shape_for_words().unwrap();
                let packed = Int8Weight::for_shape(&weight, inputs, shape);
                let mut got = vec![f32::NAN; rows * outputs];
                multiply_then(&x, &packed, &mut got, |_, _| {});
                assert_eq!(got, want, "{kernel:?} {rows}x{inputs}x{outputs}");
            }
        }
    }

    #[test]
    fn quantising_is_off_by_half_a_step_at_most() {
        let inputs = 40;
        let weight = numbers(3 * inputs, 5);
        let quantized = Quantized::new(&weight, inputs);
        for (i, (&value, want)) in quantized.values.iter().zip(&weight).enumerate() {
            let scale = quantized.scales[i / inputs];
            assert!((f32::from(value) * scale - want).abs() <= 0.5001 * scale);
            assert!(value != i8::MIN);
        }
        assert!(quantized.values.chunks(inputs).all(|row| row.iter().any(|v| v.abs() == 127)));
        assert_eq!(
            Quantized::new(&[0.0; 8], 8),
            Quantized { values: vec![0; 8], scales: vec![0.0] }
        );
    }

    #[test]
    fn a_value_that_is_not_finite_does_not_vanish() {
        let weight = Int8Weight::new(&Quantized::new(&numbers(5 * 20, 2), 20), 20);
        for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = numbers(3 * 20, 1);
            x[27] = fault;
            let mut y = vec![0.0; 3 * 5];
            multiply_then(&x, &weight, &mut y, |_, _| {});
            let finite: Vec<bool> =
                y.chunks(5).map(|row| row.iter().all(|v| v.is_finite())).collect();
            assert_eq!(finite, [true, false, true], "{fault}");
        }
    }

    #[test]
    fn each_row_stands_for_itself() {
        let (inputs, outputs) = (24, 50);
        let x = numbers(300 * inputs, 1);
        let weight =
            Int8Weight::new(&Quantized::new(&numbers(outputs * inputs, 2), inputs), inputs);
        let mut whole = vec![0.0; 300 * outputs];
        multiply_then(&x, &weight, &mut whole, |_, _| {});
        let mut alone = vec![0.0; outputs];
        multiply_then(&x[123 * inputs..124 * inputs], &weight, &mut alone, |first, rows| {
            assert_eq!((first, rows.len()), (0, outputs));
        });
        assert_eq!(alone, whole[123 * outputs..124 * outputs]);
    }
}
