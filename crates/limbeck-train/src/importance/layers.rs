//! Layers that a model can spare, by what its loss says without them.

use limbeck_data::{Batch, Examples};
use limbeck_model::heads::Part;
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Head, HeadKind, Model, ModelError, ProblemType, student};
use limbeck_runtime::logits::{Memory, each_batch, each_class_batch};

use crate::error::{Result, TrainError};
use crate::learner::check_labels;
use crate::losses::{HardLoss, Loss};
use crate::observer::{Observer, advance};

/// The mean loss of a model against the labels of all examples. `None` when the observer asked
/// to stop.
///
/// # Errors
/// When the examples do not fit the model, or their labels its head.
pub fn loss(
    model: &Model,
    examples: &dyn Examples,
    observer: &mut dyn Observer,
) -> Result<Option<f64>> {
    let packed = InferenceModel::of(model);
    let (mut memory, mut unused) = (Memory::default(), Vec::new());
    let mut advance = advance(observer);
    let mut sum = 0.0;
    let mut add = |batch: &Batch, sequence: usize, part: Part, logits: &[f32], share: f64| {
        unused.resize(logits.len(), 0.0);
        sum += HardLoss.term(batch, sequence, part, logits, share, &mut unused);
    };
    let head = &model.config.head;
    let every = 0..examples.len();
    let finished = match head {
        Head::Span => each_batch(&packed, examples, every, &mut memory, |range, batch, logits| {
            check_labels(head, batch)?;
            for (sequence, rows) in batch.starts.windows(2).enumerate() {
                let rows = rows[0]..rows[1];
                add(batch, sequence, Part::Start, &logits.start[rows.clone()], 0.5);
                add(batch, sequence, Part::End, &logits.end[rows], 0.5);
            }
            Ok::<_, TrainError>(advance(range.len()))
        })?,
        Head::Classification(classes) => {
            let part = match classes.problem() {
                ProblemType::Regression => Part::Value,
                _ => Part::Class,
            };
            let labels = classes.labels.len().max(1);
            each_class_batch(&packed, examples, every, &mut memory, |range, batch, logits| {
                check_labels(head, batch)?;
                for (sequence, logits) in logits.chunks_exact(labels).enumerate() {
                    add(batch, sequence, part, logits, 1.0);
                }
                Ok::<_, TrainError>(advance(range.len()))
            })?
        }
        Head::MaskedWord => {
            let (needed, found) = (HeadKind::Classification, head.kind());
            return Err(ModelError::Head { needed, found }.into());
        }
    };
    Ok(finished.then_some(sum / examples.len().max(1) as f64))
}

/// The `count` layers that stay when, one after the other, the layer goes without which the
/// loss is least. `None` when the observer asked to stop.
///
/// Takes the loss of `l + (l - 1) + ... + (count + 1)` models for one of `l` layers.
///
/// # Errors
/// When the examples do not fit the model, or their labels its head.
pub fn spared(
    model: &Model,
    count: usize,
    examples: &dyn Examples,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<usize>>> {
    let layers = model.config.num_hidden_layers;
    let models: usize = (count + 1..=layers).sum();
    observer.stage("weighing layers", Some((models * examples.len()) as u64));
    let mut left: Vec<usize> = (0..layers).collect();
    while left.len() > count.max(1) {
        let mut best: Option<(f64, Vec<usize>)> = None;
        for place in 0..left.len() {
            let mut without = left.clone();
            without.remove(place);
            let smaller = student::select_layers(model, &without)?;
            let Some(loss) = loss(&smaller, examples, observer)? else { return Ok(None) };
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, without));
            }
        }
        match best {
            Some((_, without)) => left = without,
            None => break,
        }
    }
    Ok(Some(left))
}
