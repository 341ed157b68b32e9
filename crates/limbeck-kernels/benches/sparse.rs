//! From which level on a product without zeros passes the dense ones, in floats and in bytes:
//! `cargo bench -p limbeck-kernels --bench sparse`.
//!
//! The products of one layer of a small model (hidden 384, feed-forward 1536), for the rows of
//! one question, of a batch, and of a few tokens. The three take turns, so that whatever else
//! the machine does slows all of them; medians over all turns are compared.

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

const LEVELS: [f64; 9] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

const TURNS: usize = 40;

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

/// Median seconds of a layer's products: in floats, in bytes, without zeros.
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
        let mut seconds = [const { Vec::new() }; 3];
        for turn in 0..TURNS + 3 {
            for (packed, seconds) in packed.iter().zip(&mut seconds) {
                let begun = Instant::now();
                linear::forward(black_box(&x), inputs, Weight::Packed(packed), &bias, &mut y);
                // The first turns find cold buffers.
                if turn >= 3 {
                    seconds.push(begun.elapsed().as_secs_f64());
                }
            }
        }
        for (total, seconds) in totals.iter_mut().zip(&mut seconds) {
            seconds.sort_by(f64::total_cmp);
            *total += seconds[seconds.len() / 2];
        }
    }
    totals
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let key = Key::new(seed);
    (0..count).map(|i| 0.2 * key.normal(i as u64) as f32).collect()
}
