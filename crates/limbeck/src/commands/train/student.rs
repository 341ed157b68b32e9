//! The model that a run starts from: opened, then cut as the configuration says.

use std::path::Path;

use anyhow::Result;
use limbeck_data::{Batch, Examples};
use limbeck_model::{Activation, Architecture, Head, HeadKind, Model, ModelConfig, student};
use limbeck_train::importance::Importance as Weights;
use limbeck_train::importance::select::{self, evenly, largest};
use limbeck_train::observer::Observer;

use crate::commands::prune::refuse_excess;
use crate::commands::subject::READ_AS_FLOATS;
use crate::config::{Importance, LayerChoice, ModelSection};
use crate::exit::InputError;
use crate::progress::Progress;

/// Examples of the training data on which heads and neurons are weighed: so few tell the important
/// ones well enough, and take seconds.
const WEIGHED_ON: usize = 64;

/// Changes of the model's own configuration.
pub(super) fn adapt(config: &mut ModelConfig, section: &ModelSection) -> Result<()> {
    match section.hidden_act.as_deref() {
        Some("gelu") => config.hidden_act = Activation::Gelu,
        Some("gelu_new") => config.hidden_act = Activation::GeluTanh,
        Some("relu") => config.hidden_act = Activation::Relu,
        Some(other) => {
            let what = format!("`model.hidden_act` is {other}");
            return Err(InputError::new(what, "", "it must be gelu, gelu_new or relu").into());
        }
        None => {}
    }
    if let Some(size) = section.type_vocab_size {
        config.type_vocab_size = size;
    }
    let replace = |value: &mut f32, other: Option<f64>| {
        if let Some(other) = other {
            *value = other as f32;
        }
    };
    replace(&mut config.hidden_dropout, section.hidden_dropout);
    replace(&mut config.attention_dropout, section.attention_dropout);
    replace(&mut config.head_dropout, section.head_dropout);
    replace(&mut config.initializer_range, section.initializer_range);
    Ok(())
}

/// The model in `dir`, under the head of the task, with the layers that stay.
pub(super) fn open(
    section: &ModelSection,
    head: Head,
    dir: &Path,
    seed: u64,
    progress: &mut Progress,
) -> Result<Model> {
    let mut config = ModelConfig::open_with_head(dir, head.kind())?;
    adapt(&mut config, section)?;
    let (mut model, load) = Model::open_as(dir, config, seed)?;
    if load.quantized {
        progress.message(&format!("{}: {READ_AS_FLOATS}", dir.display()));
    }
    let segments = model.config.type_vocab_size;
    if model.config.architecture == Architecture::DistilBert && segments > 0 {
        let of = format!("{}: a DistilBERT with {segments} segments", dir.display());
        progress.message(&match head.kind() {
            HeadKind::Classification => format!(
                "{of} that classifies: Transformers loads what is written without the segments, \
                 with other logits; a BERT keeps them"
            ),
            _ => format!("{of} is written as a BERT, which Transformers loads with its segments"),
        });
    }
    let mut drawn = load.missing;
    if model.config.head != head {
        let (with_head, of_head) = student::with_head(&model, head, seed)?;
        model = with_head;
        drawn.extend(of_head);
        drawn.sort_unstable();
        drawn.dedup();
    }
    if !drawn.is_empty() {
        progress.message(&format!("drawn at random: {}", drawn.join(", ")));
    }
    if !section.layers.is_empty() {
        model = student::select_layers(&model, &section.layers)?;
    }
    let available = model.config.num_hidden_layers;
    let layers = if section.num_layers > 0 { section.num_layers } else { available };
    if layers < available {
        let kept = match section.layer_choice {
            LayerChoice::First => (0..layers).collect(),
            LayerChoice::Even => evenly(available, layers),
        };
        model = student::select_layers(&model, &kept)?;
    }
    let at_random = section.importance == Importance::Random;
    let heads = if at_random { section.heads } else { 0 };
    if heads > 0 || layers > available {
        let pruning_seed = section.pruning_seed;
        model = student::with_layers_and_pruned_heads(&model, layers, heads, pruning_seed, seed)?;
    }
    if section.intermediate_size > 0 && at_random {
        let (neurons, pruning_seed) = (section.intermediate_size, section.pruning_seed);
        model = student::with_random_neurons(&model, neurons, pruning_seed)?;
    }
    Ok(model)
}

/// The same without the heads and neurons that matter least, where that is what decides. `None` when
/// a stop was asked for.
pub(super) fn cut(
    model: Model,
    section: &ModelSection,
    examples: &dyn Examples,
    progress: &mut Progress,
) -> Result<Option<Model>> {
    let given = |count: usize| (count > 0).then_some(count);
    let (heads, neurons) = (given(section.heads), given(section.intermediate_size));
    if section.importance == Importance::Random || (heads, neurons) == (None, None) {
        return Ok(Some(model));
    }
    let config = &model.config;
    refuse_excess(config, heads, neurons, ["model.heads", "model.intermediate_size"])?;
    let mut layers = 0..config.num_hidden_layers;
    let keeps_heads = heads.is_none_or(|heads| layers.all(|l| config.heads_of(l) == heads));
    if keeps_heads && neurons.is_none_or(|neurons| neurons == config.intermediate_size) {
        return Ok(Some(model));
    }
    let (importance, model) = if section.importance == Importance::Gradient {
        match Weights::by_gradient(model, &Spread::over(examples), progress)? {
            Some(weighed) => weighed,
            None => return Ok(None),
        }
    } else {
        (Weights::by_magnitude(&model), model)
    };
    let of_layer = |heads: usize| importance.heads.iter().map(move |own| largest(own, heads));
    let kept: Option<Vec<_>> = heads.map(|heads| of_layer(heads).collect());
    Ok(Some(select::keep(model, &importance, kept.as_deref(), neurons)?))
}

/// Some of many examples, evenly spread over them.
struct Spread<'a> {
    examples: &'a dyn Examples,
    chosen: Vec<usize>,
}

impl<'a> Spread<'a> {
    fn over(examples: &'a dyn Examples) -> Self {
        let (all, count) = (examples.len(), examples.len().min(WEIGHED_ON));
        Spread { examples, chosen: (0..count).map(|place| place * all / count).collect() }
    }
}

impl Examples for Spread<'_> {
    fn len(&self) -> usize {
        self.chosen.len()
    }

    fn rows_of(&self, index: usize) -> usize {
        self.examples.rows_of(self.chosen[index])
    }

    fn append(&self, index: usize, batch: &mut Batch) {
        self.examples.append(self.chosen[index], batch);
    }
}
