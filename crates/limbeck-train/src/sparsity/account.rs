//! What a run tells about its masks, to the weight.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Sparsity, share};

/// How sparse a model is, and was to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The share of the masked matrices' weights that is to be off.
    pub target: f64,
    /// The share that is off.
    pub sparsity: f64,
    /// The share of all parameters of the model that is off.
    pub model_sparsity: f64,
    /// Parameters of the model that are on, those included that no mask covers.
    pub on_parameters: usize,
    /// All parameters of the model.
    pub parameters: usize,
    /// Each masked matrix.
    pub matrices: Vec<MatrixAccount>,
}

/// How sparse one matrix is, and was to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatrixAccount {
    /// The name of its tensor.
    pub name: String,
    /// Outputs and inputs.
    pub shape: [usize; 2],
    /// The share of its weights that is to be off; where weights of several matrices are
    /// compared, its own may differ.
    pub target: f64,
    /// The share that is off.
    pub sparsity: f64,
    /// Weights that are on.
    pub on: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sparsity: {:.2} % of {} matrices off (target {:.2} %), {} of {} parameters on",
            100.0 * self.sparsity,
            self.matrices.len(),
            100.0 * self.target,
            self.on_parameters,
            self.parameters
        )
    }
}

impl Sparsity {
    /// What is on now, in a model of so many `parameters`.
    pub fn account(&self, parameters: usize) -> Account {
        let masks = self.masks();
        let mut matrices: Vec<_> = masks.matrices().iter().enumerate().collect();
        matrices.sort_by_key(|(_, matrix)| matrix.range.start);
        let (size, on) = (masks.size(), masks.all_on());
        let target = |matrix: &super::Matrix| matrix.level * matrix.range.len() as f64;
        Account {
            target: masks.matrices().iter().map(target).sum::<f64>() / size as f64,
            sparsity: share(size - on, size),
            model_sparsity: share(size - on, parameters),
            on_parameters: parameters - (size - on),
            parameters,
            matrices: (matrices.into_iter())
                .map(|(index, matrix)| MatrixAccount {
                    name: matrix.name.clone(),
                    shape: [matrix.rows, matrix.columns],
                    target: matrix.level,
                    sparsity: share(matrix.range.len() - masks.on(index), matrix.range.len()),
                    on: masks.on(index),
                })
                .collect(),
        }
    }
}
