//! From which level on a product without zeros passes the dense ones, in floats and in bytes:
//! `cargo bench -p limbeck-kernels --bench sparse`.
//!
//! The products of one layer of a small model (hidden 384, feed-forward 1536), for the rows of
//! one question, of a batch, and of a few tokens. The three take turns, and the shortest times are
//! compared: whatever else the machine does can only lengthen them.

use std::hint::black_box;
use std::time::Instant;

use limbeck_kernels::linear::{self, PackedWeight, Weight};
use limbeck_kernels::matmul::int8::{Int8Weight, Quantized};
use limbeck_kernels::matmul::sparse::SparseWeight;
use limbeck_kernels::matmul::{Matrix, Packed};
use limbeck_kernels::random::Key;
use limbeck_kernels::{isa, threads};

/// Inputs and outputs.
const SHAPES: [(usize, usize); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];

const ROWS: [usize; 3] = [24, 160, 2_592];

const LEVELS: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

/// Rows in all turns together.
const ROWS_IN_TURNS: usize = 20_000;

fn main() {
    println!("{}, {} threads", isa::isa().name(), threads::count());
    println!(
        "| rows | level | float32 ms | int8 ms | sparse ms | float32 / sparse | int8 / sparse |"
    );
    println!("|---|---|---|---|---|---|---|");
    for rows in ROWS {
        for level in LEVELS {
            let [float, int8, sparse] = layer(rows, level).map(|seconds| 1e3 * seconds);
            println!(
                "| {rows} | {:.0} % | {float:.3} | {int8:.3} | {sparse:.3} | {:.2} | {:.2} |",
                100.0 * level,
                float / sparse,
                int8 / sparse
            );
        }
    }
}

/// Seconds of a layer's products: in floats, in bytes, without zeros.
fn layer(rows: usize, level: f64) -> [f64; 3] {
    let mut totals = [0.0; 3];
    for (inputs, outputs) in SHAPES {
        let x = numbers(rows * inputs, 1);
        let mut weight = numbers(inputs * outputs, 2);
        let on = Key::new(3);
        for (i, value) in weight.iter_mut().enumerate() {
            if on.uniform(i as u64) < level {
                *value = 0.0;
            }
        }
        let packed = [
            PackedWeight::Float(Packed::new(Matrix::new(&weight, outputs, inputs).transposed())),
            PackedWeight::Int8(Int8Weight::new(&Quantized::new(&weight, inputs), inputs)),
            PackedWeight::Sparse(SparseWeight::new(&weight, outputs, inputs)),
        ];
        let (bias, mut y) = (vec![0.5; outputs], vec![0.0; rows * outputs]);
        let mut shortest = [f64::INFINITY; 3];
        for _ in 0..(ROWS_IN_TURNS / rows).clamp(8, 100) {
            for (packed, shortest) in packed.iter().zip(&mut shortest) {
                let begun = Instant::now();
                linear::forward(black_box(&x), inputs, Weight::Packed(packed), &bias, &mut y);
                *shortest = shortest.min(begun.elapsed().as_secs_f64());
            }
        }
        totals.iter_mut().zip(shortest).for_each(|(total, seconds)| *total += seconds);
    }
    totals
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let key = Key::new(seed);
    (0..count).map(|i| 0.2 * key.normal(i as u64) as f32).collect()
}
