//! Layers that a model can spare, by what its loss says without them.

use limbeck_data::Features;
use limbeck_model::heads::Part;
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Model, student};
use limbeck_runtime::logits::{Memory, each_batch};

use crate::error::{Result, TrainError};
use crate::losses::{HardLoss, Loss};
use crate::observer::{Observer, advance};

/// The mean loss of a model against the labels of all windows. `None` when the observer asked
/// to stop.
///
/// # Errors
/// When the features do not fit the model, or it has no span head.
pub fn loss(
    model: &Model,
    features: &Features,
    observer: &mut dyn Observer,
) -> Result<Option<f64>> {
    let packed = InferenceModel::of(model);
    let (mut memory, mut unused) = (Memory::default(), Vec::new());
    let mut advance = advance(observer);
    let mut sum = 0.0;
    let every = 0..features.len();
    let finished = each_batch(&packed, features, every, &mut memory, |range, batch, logits| {
        unused.resize(batch.rows(), 0.0);
        for (sequence, rows) in batch.starts.windows(2).enumerate() {
            let rows = rows[0]..rows[1];
            for (part, logits) in [(Part::Start, &logits.start), (Part::End, &logits.end)] {
                let (logits, gradient) = (&logits[rows.clone()], &mut unused[rows.clone()]);
                sum += HardLoss.term(batch, sequence, part, logits, 0.5, gradient);
            }
        }
        Ok::<_, TrainError>(advance(range.len()))
    })?;
    Ok(finished.then_some(sum / features.len().max(1) as f64))
}

/// The `count` layers that stay when, one after the other, the layer goes without which the
/// loss is least. `None` when the observer asked to stop.
///
/// Takes the loss of `l + (l - 1) + ... + (count + 1)` models for one of `l` layers.
///
/// # Errors
/// When the features do not fit the model, or it has no span head.
pub fn spared(
    model: &Model,
    count: usize,
    features: &Features,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<usize>>> {
    let layers = model.config.num_hidden_layers;
    let models: usize = (count + 1..=layers).sum();
    observer.stage("weighing layers", Some((models * features.len()) as u64));
    let mut left: Vec<usize> = (0..layers).collect();
    while left.len() > count.max(1) {
        let mut best: Option<(f64, Vec<usize>)> = None;
        for place in 0..left.len() {
            let mut without = left.clone();
            without.remove(place);
            let smaller = student::select_layers(model, &without)?;
            let Some(loss) = loss(&smaller, features, observer)? else { return Ok(None) };
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
