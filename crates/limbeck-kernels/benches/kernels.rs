//! The kernels of a training step at the sizes of a small model:
//! `cargo bench -p limbeck-kernels`, with `-- attention` for some of them.
//!
//! Rates are floating-point operations a second of the matrix products inside (printed as
//! items a second), on all threads.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use limbeck_kernels::activation::Activation;
use limbeck_kernels::attention::{self, Forward, Heads, Sequences};
use limbeck_kernels::dropout::Dropout;
use limbeck_kernels::linear::{self, Weight};
use limbeck_kernels::matmul::{
    self,
    int8::{self, Int8Weight, Quantized},
};
use limbeck_kernels::random::Key;

fn main() {
    divan::main();
}

/// Rows of a batch of 16 windows of a usual length.
const ROWS: usize = 2_592;

/// Numbers whose products have magnitudes as in a model: neither large nor subnormal.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let key = Key::new(seed);
    (0..count).map(|i| 0.2 * key.normal(i as u64) as f32).collect()
}

fn operations(multiply_adds: usize) -> ItemsCount {
    ItemsCount::new(2 * multiply_adds)
}

/// What no product can pass on this machine at this moment.
#[divan::bench]
fn micro_kernel(bencher: Bencher) {
    let rate = matmul::tile_rate();
    println!("{:.1} GFLOP/s", rate / 1e9);
    bencher.bench(matmul::tile_rate);
}

mod attention_of {
    use super::*;

    /// Sequences of one length, together about as many rows as a batch has.
    struct Input {
        heads: Heads,
        starts: Vec<usize>,
        qkv: Vec<f32>,
        multiply_adds: usize,
        dropout: Dropout,
    }

    impl Input {
        fn new(length: usize, size: usize, rate: f32) -> Input {
            let heads = Heads { count: 384 / size, size };
            let sequences = ROWS.div_ceil(length);
            let starts: Vec<usize> = (0..=sequences).map(|i| i * length).collect();
            let rows = sequences * length;
            Input {
                heads,
                starts,
                qkv: numbers(rows * 3 * 384, 1),
                multiply_adds: sequences * length * length * 384,
                dropout: Dropout::new(rate, Key::new(3)),
            }
        }

        /// Room for the context and the sums.
        fn outputs(&self) -> (Vec<f32>, Vec<f32>) {
            (vec![0.0; self.rows() * 384], vec![0.0; self.rows() * self.heads.count])
        }

        fn rows(&self) -> usize {
            self.starts[self.starts.len() - 1]
        }
    }

    #[divan::bench(args = [(64, 32), (160, 32), (208, 32), (208, 64), (384, 32), (384, 64), (512, 64)])]
    fn forward(bencher: Bencher, (length, size): (usize, usize)) {
        let input = Input::new(length, size, 0.1);
        let (mut context, mut log_sums) = input.outputs();
        bencher.counter(operations(2 * input.multiply_adds)).bench_local(|| {
            let Input { heads, starts, qkv, dropout, .. } = &input;
            attention::forward(
                black_box(qkv),
                Sequences::all(starts),
                *heads,
                *dropout,
                &mut context,
                &mut log_sums,
            );
        });
    }

    #[divan::bench(args = [(64, 32), (160, 32), (208, 32), (208, 64), (384, 32), (384, 64), (512, 64)])]
    fn backward(bencher: Bencher, (length, size): (usize, usize)) {
        let input = Input::new(length, size, 0.1);
        let d_context = numbers(input.rows() * 384, 2);
        let mut d_qkv = vec![0.0; input.qkv.len()];
        let (mut context, mut log_sums) = input.outputs();
        let Input { heads, starts, qkv, dropout, .. } = &input;
        attention::forward(
            qkv,
            Sequences::all(starts),
            *heads,
            *dropout,
            &mut context,
            &mut log_sums,
        );
        let done = Forward { qkv, context: &context, log_sums: &log_sums };
        bencher.counter(operations(5 * input.multiply_adds)).bench_local(|| {
            attention::backward(
                black_box(done),
                Sequences::all(starts),
                *heads,
                *dropout,
                &d_context,
                &mut d_qkv,
            );
        });
    }
}

mod linear_of {
    use super::*;

    const SHAPES: [(usize, usize); 4] = [(384, 1152), (384, 384), (384, 1536), (1536, 384)];

    #[divan::bench(args = SHAPES)]
    fn forward(bencher: Bencher, (inputs, outputs): (usize, usize)) {
        let (x, weight) = (numbers(ROWS * inputs, 1), numbers(inputs * outputs, 2));
        let (bias, mut y) = (vec![0.5; outputs], vec![0.0; ROWS * outputs]);
        bencher.counter(operations(ROWS * inputs * outputs)).bench_local(|| {
            linear::forward(black_box(&x), inputs, Weight::Plain(&weight), &bias, &mut y);
        });
    }

    #[divan::bench(args = SHAPES)]
    fn forward_packed(bencher: Bencher, (inputs, outputs): (usize, usize)) {
        let (x, weight) = (numbers(160 * inputs, 1), numbers(inputs * outputs, 2));
        let packed = linear::pack_weight(&weight, outputs, inputs);
        let (bias, mut y) = (vec![0.5; outputs], vec![0.0; 160 * outputs]);
        bencher.counter(operations(160 * inputs * outputs)).bench_local(|| {
            linear::forward(black_box(&x), inputs, Weight::Packed(&packed), &bias, &mut y);
        });
    }

    #[divan::bench(args = SHAPES)]
    fn forward_int8(bencher: Bencher, (inputs, outputs): (usize, usize)) {
        let (x, weight) = (numbers(160 * inputs, 1), numbers(inputs * outputs, 2));
        let weight = Int8Weight::new(&Quantized::new(&weight, inputs), inputs);
        let mut y = vec![0.0; 160 * outputs];
        bencher.counter(operations(160 * inputs * outputs)).bench_local(|| {
            int8::multiply_then(black_box(&x), &weight, &mut y, |_, _| {});
        });
    }

    #[divan::bench]
    fn forward_gelu(bencher: Bencher) {
        let (x, weight) = (numbers(ROWS * 384, 1), numbers(384 * 1536, 2));
        let (mut before, mut after) = (vec![0.0; ROWS * 1536], vec![0.0; ROWS * 1536]);
        let bias = vec![0.5; 1536];
        bencher.counter(operations(ROWS * 384 * 1536)).bench_local(|| {
            let (weight, gelu) = (Weight::Plain(&weight), Activation::Gelu);
            linear::forward_activation(
                black_box(&x),
                384,
                weight,
                &bias,
                gelu,
                &mut before,
                &mut after,
            );
        });
    }

    #[divan::bench(args = SHAPES)]
    fn backward_weight(bencher: Bencher, (inputs, outputs): (usize, usize)) {
        let (x, dy) = (numbers(ROWS * inputs, 1), numbers(ROWS * outputs, 2));
        let mut gradient = vec![0.0; inputs * outputs];
        bencher.counter(operations(ROWS * inputs * outputs)).bench_local(|| {
            linear::backward_weight(black_box(&dy), outputs, &x, inputs, &mut gradient);
        });
    }

    #[divan::bench(args = SHAPES)]
    fn backward_input(bencher: Bencher, (inputs, outputs): (usize, usize)) {
        let (dy, weight) = (numbers(ROWS * outputs, 1), numbers(inputs * outputs, 2));
        let mut dx = vec![0.0; ROWS * inputs];
        let write = matmul::Write::Replace;
        bencher.counter(operations(ROWS * inputs * outputs)).bench_local(|| {
            linear::backward_input(black_box(&dy), outputs, &weight, inputs, &mut dx, write);
        });
    }
}
