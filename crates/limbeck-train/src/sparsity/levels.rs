//! Which matrices are masked, and how sparse each becomes.

use limbeck_model::Model;
use limbeck_model::layout::{Role, TensorView};

use super::{Matrix, share};
use crate::error::{Result, TrainError};
use crate::options::{LevelOf, ModuleLevel, SparseEmbeddings, SparsityOptions};

/// A matrix is sparse when at least this share of its weights is exactly zero: far more than
/// rounding makes of a dense one (1 % of what was quantised to bytes), and less than anybody
/// prunes to.
const SPARSE: f64 = 0.1;

/// The matrices that a run masks, in the order of the flat buffer.
pub(super) fn matrices(options: &SparsityOptions, model: &Model) -> Result<Vec<Matrix>> {
    let modules = options.module_levels()?;
    let tensors = model.layout.tensors.iter();
    let tensors = tensors.filter(|tensor| tensor.shape.len() == 2 && tensor.role.decays());
    let mut matrices = Vec::new();
    let mut matched = vec![false; modules.len()];
    // Those whose level is that of the run, which may have to be solved for.
    let mut common = Vec::new();
    for tensor in tensors {
        let zeros = zeros(model.values(tensor), tensor.shape[1]);
        let zeros = zeros.filter(|_| options.keep);
        let named = modules.iter().position(|module| matches(&module.pattern, &tensor.name));
        let level = match named {
            Some(module) => {
                matched[module] = true;
                modules[module].level
            }
            None if options.level > 0.0 && is_common(options, model, tensor) => {
                common.push(matrices.len());
                options.level
            }
            None => zeros.unwrap_or(0.0),
        };
        matrices.push(Matrix {
            name: tensor.name.clone(),
            range: tensor.range(),
            rows: tensor.shape[0],
            columns: tensor.shape[1],
            level,
            // Who names a matrix with a level of 0 wants it dense.
            kept: zeros.is_some() && (level > 0.0 || named.is_none()),
        });
    }
    if let Some(ModuleLevel { pattern, .. }) =
        modules.iter().zip(&matched).find(|(_, matched)| !**matched).map(|(module, _)| module)
    {
        return Err(TrainError::Option {
            option: "sparsity.modules",
            reason: format!(
                "no matrix has a name like {pattern:?} that no earlier pattern has; \
                 `limbeck inspect --json` names them all"
            ),
        });
    }
    if options.of == LevelOf::Model && !common.is_empty() {
        let level = solve(options.level, model.layout.parameters(), &matrices, &common)?;
        common.iter().for_each(|&index| matrices[index].level = level);
    }
    for matrix in &mut matrices {
        let zeros = zeros(&model.parameters[matrix.range.clone()], matrix.columns);
        // One weight a row is what rounding may lack.
        let lacks = zeros.unwrap_or(0.0) * matrix.range.len() as f64 + matrix.rows as f64;
        matrix.kept &= lacks >= matrix.level * matrix.range.len() as f64;
        if let (true, Some(zeros)) = (matrix.kept, zeros) {
            matrix.level = zeros;
        }
    }
    matrices.retain(|matrix| matrix.level > 0.0);
    Ok(matrices)
}

/// The level of the `common` matrices with which the model has `target` of its parameters off.
fn solve(target: f64, parameters: usize, matrices: &[Matrix], common: &[usize]) -> Result<f64> {
    let (mut elsewhere, mut size) = (0.0, 0);
    for (index, matrix) in matrices.iter().enumerate() {
        match common.contains(&index) {
            true => size += matrix.range.len(),
            false => elsewhere += matrix.level * matrix.range.len() as f64,
        }
    }
    let level = (target * parameters as f64 - elsewhere) / size as f64;
    if (0.0..1.0).contains(&level) {
        return Ok(level);
    }
    Err(TrainError::Option {
        option: "sparsity.level",
        reason: format!(
            "{target} of all {parameters} parameters cannot be off where {size} of them are in \
             masked matrices; mask more embeddings, or lower it"
        ),
    })
}

/// Whether the level of the run is that of this tensor.
fn is_common(options: &SparsityOptions, model: &Model, tensor: &TensorView) -> bool {
    let slots = &model.layout.slots;
    match tensor.role {
        Role::Embedding => match options.embeddings {
            SparseEmbeddings::None => false,
            SparseEmbeddings::Words => tensor.range() == slots.word_embeddings,
            SparseEmbeddings::All => true,
        },
        _ => slots
            .layers
            .iter()
            .flat_map(|layer| layer.weights())
            .any(|(range, _)| range.contains(&tensor.offset)),
    }
}

/// The share of zeros of a sparse matrix; `None` of a dense one. Rows of nothing but zeros, as
/// those of padding and of heads that were put back, do not make it sparse.
fn zeros(values: &[f32], columns: usize) -> Option<f64> {
    let (mut in_rows, mut rows, mut all) = (0, 0, 0);
    for row in values.chunks_exact(columns) {
        let zeros = row.iter().filter(|&&value| value == 0.0).count();
        all += zeros;
        if zeros < columns {
            in_rows += zeros;
            rows += 1;
        }
    }
    (share(in_rows, rows * columns) >= SPARSE).then(|| share(all, values.len()))
}

/// Whether a name is of the form of a pattern, in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|name| {
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let name = "bert.encoder.layer.11.output.dense.weight";
        for pattern in ["*", name, "bert.*", "*.layer.11.*", "*.output.*weight", "**dense.weight"] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["", "bert", "*.layer.1.*", "encoder*", "*dense"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
    }

    #[test]
    fn zeros_count_where_rows_are_not_all_zero() {
        assert_eq!(zeros(&[1.0, 0.0, 2.0, 3.0], 2), Some(0.25));
        assert_eq!(zeros(&[1.0, 1.0, 0.0, 0.0], 2), None);
        assert_eq!(zeros(&[1.0, 0.0, 0.0, 0.0], 2), Some(0.75));
        assert_eq!(zeros(&[0.0; 4], 2), None);
    }
}
