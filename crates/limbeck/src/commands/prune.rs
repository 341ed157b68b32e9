//! `limbeck prune`: a smaller model of what matters most in a larger one.
//!
//! What matters is measured on a [`lesson`]: questions, or texts with labels.

mod lesson;

use std::path::{Path, PathBuf};

use anyhow::Result;
use limbeck_data::{Examples, Tokenizer};
use limbeck_model::folder::{Limbeck, NamedPlans};
use limbeck_model::{Model, ModelConfig, inspect, student};
use limbeck_runtime::folder::check_vocabulary;
use limbeck_train::importance::select::{self, evenly, largest, largest_of_all};
use limbeck_train::importance::{Importance as Weights, layers};
use serde::Serialize;
use serde_json::{Value, json};

use super::inspect::grouped;
use super::place::Destination;
use super::subject::{READ_AS_FLOATS, report_missing};
use crate::cli::prune::{LayerChoice, PruneArgs};
use crate::commands::models::resolve;
use crate::config::Importance;
use crate::console::{Console, columns};
use crate::exit::{Ending, InputError};
use crate::interrupt;
use crate::progress::Progress;
use lesson::Lesson;

/// What was written.
#[derive(Debug, Serialize)]
struct Pruned {
    out: PathBuf,
    /// The layers that stayed, by their numbers before.
    layers: Vec<usize>,
    /// The heads that stayed in each of them, by their numbers before any pruning.
    heads: Vec<Vec<usize>>,
    /// Tokens that multiply-adds are counted for.
    length: usize,
    before: Size,
    after: Size,
}

/// The size of a model.
#[derive(Debug, Serialize)]
struct Size {
    layers: usize,
    /// Of all layers together.
    heads: usize,
    /// Neurons of a layer's feed-forward part.
    intermediate_size: usize,
    parameters: usize,
    macs: u64,
}

/// Runs the command.
pub fn run(args: &PruneArgs, console: Console) -> Result<Ending> {
    let dir = resolve(&args.model)?;
    let (model, load) = Model::open_reporting(&dir)?;
    report_missing(&load, console);
    if load.quantized {
        console.message(READ_AS_FLOATS);
    }
    let mut tokenizer = Tokenizer::from_folder(&dir)?;
    check_vocabulary(&mut tokenizer, &model.config, &dir)?;
    let lesson = Lesson::of(&args.settings.layer, &model.config, &dir)?;
    let sample = match is_measured(args) {
        true => Some(lesson.sample(&args.how, &tokenizer, console)?),
        false => None,
    };
    let destination = Destination::new_folder(&args.out)?;
    interrupt::install()?;
    let length = lesson.max_length();
    let before = Size::of(&model, length);
    let mut progress = Progress::new(console);
    let Some(kept) = layers_to_keep(args, &model, sample.as_deref(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    let model = student::select_layers(&model, &kept)?;
    refuse_excess(&model.config, args.what.heads, args.what.ffn, ["--heads", "--ffn"])?;
    args.what.heads_total.map_or(Ok(()), |total| refuse_total(&model.config, total))?;
    let Some(model) = cut(args, model, sample.as_deref(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    save(destination.local(), &dir, &model, &tokenizer)?;
    destination.deliver()?;
    let result = Pruned {
        out: args.out.clone(),
        heads: (0..kept.len()).map(|layer| model.config.kept_heads(layer)).collect(),
        layers: kept,
        length,
        before,
        after: Size::of(&model, length),
    };
    console.result(&result, || as_text(&result))?;
    Ok(Ending::Done)
}

/// Whether something is chosen by what the loss says.
fn is_measured(args: &PruneArgs) -> bool {
    let (what, how) = (&args.what, &args.how);
    let parts = what.heads.is_some() || what.heads_total.is_some() || what.ffn.is_some();
    (parts && how.importance == Importance::Gradient)
        || (what.drop_layers.is_some() && how.layer_choice == LayerChoice::Loss)
}

/// The layers that stay. `None` when a stop was asked for.
fn layers_to_keep(
    args: &PruneArgs,
    model: &Model,
    sample: Option<&dyn Examples>,
    progress: &mut Progress,
) -> Result<Option<Vec<usize>>> {
    let available = model.config.num_hidden_layers;
    if let Some(layers) = &args.what.layers {
        return Ok(Some(layers.clone()));
    }
    let dropped = args.what.drop_layers.unwrap_or(0);
    if dropped >= available {
        let what = format!("cannot drop {dropped} layers: the model has {available}");
        return Err(InputError::new(what, "--drop-layers", "leave at least one").into());
    }
    let left = available - dropped;
    match (args.how.layer_choice, sample) {
        (LayerChoice::Loss, Some(examples)) if dropped > 0 => {
            Ok(layers::spared(model, left, examples, progress)?)
        }
        _ => Ok(Some(evenly(available, left))),
    }
}

/// Refuses to keep more heads in every layer, or more neurons, than there are; `names` is how a user
/// calls the two.
pub fn refuse_excess(
    config: &ModelConfig,
    heads: Option<usize>,
    neurons: Option<usize>,
    names: [&str; 2],
) -> Result<()> {
    let refuse = |what: String, name: &str| Err(InputError::new(what, name, "").into());
    let mut layers = 0..config.num_hidden_layers;
    if let Some(wanted) = heads
        && let Some(layer) = layers.find(|&layer| config.heads_of(layer) < wanted)
    {
        let there = config.heads_of(layer);
        return refuse(format!("cannot keep {wanted} heads: layer {layer} has {there}"), names[0]);
    }
    let there = config.intermediate_size;
    match neurons {
        Some(wanted) if wanted > there => {
            refuse(format!("cannot keep {wanted} neurons: a layer has {there}"), names[1])
        }
        _ => Ok(()),
    }
}

/// Refuses to keep more or fewer heads in all than there can be.
fn refuse_total(config: &ModelConfig, wanted: usize) -> Result<()> {
    let layers = config.num_hidden_layers;
    let there: usize = (0..layers).map(|layer| config.heads_of(layer)).sum();
    if (layers..=there).contains(&wanted) {
        return Ok(());
    }
    let what =
        format!("cannot keep {wanted} heads: {layers} layers have {there} and need one each");
    Err(InputError::new(what, "--heads-total", "").into())
}

/// Takes out the heads and neurons that matter least. `None` when a stop was asked for.
fn cut(
    args: &PruneArgs,
    model: Model,
    sample: Option<&dyn Examples>,
    progress: &mut Progress,
) -> Result<Option<Model>> {
    let what = &args.what;
    if what.heads.is_none() && what.heads_total.is_none() && what.ffn.is_none() {
        return Ok(Some(model));
    }
    let (importance, model) = match (args.how.importance, sample) {
        (Importance::Gradient, Some(examples)) => {
            let measured = Weights::by_gradient(model, examples, progress)?;
            let Some(measured) = measured else { return Ok(None) };
            measured
        }
        (Importance::Random, _) => (Weights::at_random(&model, args.how.seed), model),
        _ => (Weights::by_magnitude(&model), model),
    };
    let heads = match (what.heads, what.heads_total) {
        (Some(each), _) => {
            Some(importance.heads.iter().map(|heads| largest(heads, each)).collect::<Vec<_>>())
        }
        (None, Some(total)) => Some(largest_of_all(&importance.heads, total)),
        (None, None) => None,
    };
    Ok(Some(select::keep(model, &importance, heads.as_deref(), what.ffn)?))
}

/// Writes the folder, the weights last: without them it is not taken for a model.
fn save(out: &Path, source: &Path, model: &Model, tokenizer: &Tokenizer) -> Result<()> {
    let mut notes = Limbeck::open(source)?.unwrap_or_default();
    // They were measured on the model as it was.
    (notes.metrics, notes.length_plans) = (Value::Null, NamedPlans::default());
    env!("CARGO_PKG_VERSION").clone_into(&mut notes.version);
    let source = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    notes.extra.insert("source".to_owned(), json!(source));
    tokenizer.save(out)?;
    notes.save(out)?;
    model.save(out)?;
    Ok(())
}

impl Size {
    fn of(model: &Model, length: usize) -> Size {
        let config = &model.config;
        let layers = config.num_hidden_layers;
        Size {
            layers,
            heads: (0..layers).map(|layer| config.heads_of(layer)).sum(),
            intermediate_size: config.intermediate_size,
            parameters: model.layout.parameters(),
            macs: inspect::macs(config, length),
        }
    }
}

fn as_text(pruned: &Pruned) -> String {
    let Pruned { before, after, length, .. } = pruned;
    let row = |before: u64, after: u64| {
        let share = 100.0 * after as f64 / before.max(1) as f64;
        format!("{} of {} ({share:.1} %)", grouped(after), grouped(before))
    };
    let row_of = |before: usize, after: usize| row(before as u64, after as u64);
    let macs = format!("{} for {length} tokens", row(before.macs, after.macs));
    let mut text = columns(&[
        ("layers", row_of(before.layers, after.layers)),
        ("heads", row_of(before.heads, after.heads)),
        ("neurons a layer", row_of(before.intermediate_size, after.intermediate_size)),
        ("parameters", row_of(before.parameters, after.parameters)),
        ("multiply-adds", macs),
    ]);
    let listed =
        |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if after.layers < before.layers {
        text += &format!("layers left: {}\n", listed(&pruned.layers));
    }
    if after.heads * before.layers < before.heads * after.layers {
        for (layer, heads) in pruned.layers.iter().zip(&pruned.heads) {
            text += &format!("heads left in layer {layer}: {}\n", listed(heads));
        }
    }
    text + &format!("written to {}", pruned.out.display())
}
