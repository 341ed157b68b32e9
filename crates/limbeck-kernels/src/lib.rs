//! The maths of Limbeck: every number that a model, a loss or an optimiser touches
//! is touched here.
//!
//! The crate knows slices of `f32`, or of bytes for weights, and their shapes. It knows nothing of models,
//! files or training. A second device would stand behind these same functions.
//!
//! Batches are *ragged*: sequences lie end to end in one matrix `[rows, hidden]`
//! and `starts` (one entry a sequence, and the total at the end) says where each
//! begins. There is no padding and there are no masks.
//!
//! Each forward has its backward beside it in the same file, checked against finite
//! differences. Results depend on neither the number of threads nor on how the work
//! was shared out among them: sums over rows are taken in blocks of a fixed size and
//! added in a fixed order.
//!
//! # Layout
//! - [`isa`]: which instruction set this machine has, and code compiled for each
//! - [`threads`]: the number of threads, and slices shared among them
//! - [`matmul`]: packed matrix products, of `f32` and of bytes
//! - [`linear`]: products with a bias, an activation, and both gradients
//! - [`attention`]: softmax attention of one sequence and head at a time
//! - [`norm`]: dropout, residual and layer norm in one pass
//! - [`embedding`]: sums of table rows
//! - [`activation`], [`dropout`], [`math`], [`reduce`]: what the others are made of
//! - [`loss`]: cross-entropy and divergence of one softmax over a sequence
//! - [`vocabulary`]: the same over many softmaxes of a whole vocabulary
//! - [`distance`]: of rows of a student from those of a teacher
//! - [`optimizer`]: AdamW over flat memory; [`mask`]: weights that are off
//! - [`profile`]: what each kernel costs
//! - [`random`]: the counter-based generator behind dropout and new weights

pub mod activation;
pub mod attention;
pub mod distance;
pub mod dropout;
pub mod embedding;
pub mod isa;
pub mod linear;
pub mod loss;
pub mod mask;
pub mod math;
pub mod matmul;
pub mod norm;
pub mod optimizer;
pub mod profile;
pub mod random;
pub mod reduce;
#[cfg(test)]
mod testing;
pub mod threads;
pub mod vocabulary;
