//! Keys that were given and have no effect in a run, because what they belong to is missing.
//!
//! Most are told in one line. A run that is about a teacher and has none is refused: it would train,
//! and give a model that is not the one that was asked for.

use limbeck_train::options::{LearningRateScale, ScheduleKind, SparseMethod};
use toml::Value;

use super::{Layer, RunConfig, Task, settings};
use crate::exit::InputError;

/// Keys that make a run one that learns from a teacher.
const ABOUT_A_TEACHER: [&str; 9] = [
    "distill.alpha_soft",
    "distill.alpha_hidden",
    "distill.alpha_attention",
    "distill.temperature",
    "distill.temperature_end",
    "distill.factor",
    "distill.factor_end",
    "distill.soft_loss",
    "distill.teacher_weights",
];

/// One stage, as it was written and as it came out.
pub struct Written<'a> {
    /// The recipe or command and the stage, for messages.
    pub place: String,
    /// Every key that was given.
    pub given: &'a Layer,
    /// Those among them that were given for this stage alone.
    pub own: &'a Layer,
    /// What they came to.
    pub config: &'a RunConfig,
}

/// What a stage lacks that is about a teacher and has none. `teacher = []` says that none is meant;
/// and what stages share may be meant for others, `others` saying whether any of them has one.
pub fn missing_teacher(stage: &Written<'_>, others: bool) -> Option<InputError> {
    let Written { place, given, own, config } = stage;
    if !config.teacher.is_empty() || given.get("teacher").is_some() {
        return None;
    }
    let written = if others { own } else { given };
    let needs = |key: &&&str| is_given(written, key) && !is_off(written, key);
    let key = ABOUT_A_TEACHER.iter().find(needs)?;
    let what = format!("`{key}` is given and there is no teacher to learn from");
    let advice = "give --teacher MODEL (`teacher`), or --set teacher= to train without one";
    Some(InputError::new(what, place, advice))
}

/// What has no effect, a line for each reason. A key that stages share is told where it has none in
/// any of them.
pub fn without(stages: &[Written<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in stages {
        let reasons = reasons(stage.config);
        for (place, (keys, reason)) in reasons.iter().enumerate() {
            let is_idle = |key: &str| {
                let elsewhere = |other: &Written<'_>| {
                    is_given(other.given, key) && !has_reason(other.config, key)
                };
                let told = |(keys, _): &(Vec<&str>, String)| keys.contains(&key);
                is_given(stage.given, key)
                    && !is_off(stage.given, key)
                    && (is_given(stage.own, key) || !stages.iter().any(elsewhere))
                    && !is_overridden(stage.own, key)
                    // One reason is enough.
                    && !reasons[..place].iter().any(told)
            };
            let idle: Vec<String> =
                keys.iter().filter(|key| is_idle(key)).map(|key| format!("`{key}`")).collect();
            if !idle.is_empty() {
                let verb = if idle.len() == 1 { "has" } else { "have" };
                let line = format!("{} {verb} no effect: {reason}", idle.join(", "));
                // Shared keys are idle in every stage alike.
                if !lines.iter().any(|(_, known)| *known == line) {
                    lines.push((stage.place.clone(), line));
                }
            }
        }
    }
    lines.into_iter().map(|(place, line)| format!("{place}: {line}")).collect()
}

fn has_reason(config: &RunConfig, key: &str) -> bool {
    reasons(config).iter().any(|(keys, _)| keys.contains(&key))
}

/// Whether a stage says by another key what it wants in place of one that stages share, or that the
/// recipe which it extends has.
fn is_overridden(own: &Layer, key: &str) -> bool {
    key == "train.epochs" && is_given(own, "train.max_steps")
}

/// Whether a key was written by hand: a section that has all its keys was printed by
/// `--print-config` or is that of a `run.toml`, where every key stands.
fn is_given(layer: &Layer, key: &str) -> bool {
    layer.get(key).is_some() && !key.split_once('.').is_some_and(|(s, _)| is_printed(layer, s))
}

fn is_printed(layer: &Layer, section: &str) -> bool {
    let Ok(whole) = Layer::of(&RunConfig::default()) else { return false };
    let Some(Value::Table(whole)) = whole.get(section) else { return false };
    whole.keys().all(|key| layer.get(&format!("{section}.{key}")).is_some())
}

/// Whether a key was given to turn something off: that it has no effect is what was wanted.
fn is_off(layer: &Layer, key: &str) -> bool {
    match layer.get(key) {
        Some(Value::Integer(number)) => *number == 0,
        Some(Value::Float(number)) => *number == 0.0,
        Some(Value::Boolean(switch)) => !switch,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::String(text)) => text == "none",
        _ => false,
    }
}

/// The keys that have no effect in a run of this configuration, and why.
fn reasons(config: &RunConfig) -> Vec<(Vec<&'static str>, String)> {
    let mut reasons = Vec::new();
    let mut unless = |holds: bool, keys: Vec<&'static str>, reason: &str| {
        if !holds {
            reasons.push((keys, reason.to_owned()));
        }
    };
    let section = |prefix: &str, but: &[&str]| -> Vec<&'static str> {
        let keys = settings::keys();
        keys.filter(|key| key.starts_with(prefix) && !but.contains(key)).collect()
    };
    let pretrains = config.task == Task::Pretrain;
    let RunConfig { distill, sparsity, lengths, schedule, train, .. } = config;
    unless(!config.teacher.is_empty(), section("distill.", &[]), "there is no teacher");
    unless(
        pretrains,
        vec!["distill.factor", "distill.factor_end", "distill.temperature_end"],
        "only pretraining moves them, elsewhere `distill.alpha_soft` and `distill.temperature` hold",
    );
    unless(
        !pretrains,
        vec!["distill.alpha_hard"],
        "pretraining weighs words and teacher by `distill.factor`",
    );
    unless(
        distill.alpha_soft > 0.0,
        vec!["distill.temperature", "distill.soft_loss", "distill.teacher_weights"],
        "`distill.alpha_soft` is 0",
    );
    unless(
        distill.alpha_hidden > 0.0,
        vec!["distill.hidden_loss", "distill.hidden_states", "distill.projection"],
        "`distill.alpha_hidden` is 0",
    );
    unless(
        distill.alpha_attention > 0.0,
        vec!["distill.attention_loss", "distill.attention_maps"],
        "`distill.alpha_attention` is 0",
    );
    unless(
        distill.looks_inside(),
        vec!["distill.layer_map"],
        "`distill.alpha_hidden` and `distill.alpha_attention` are 0",
    );
    unless(
        sparsity.masks(),
        section("sparsity.", &["sparsity.level", "sparsity.modules", "sparsity.keep"]),
        "`sparsity.level` is 0",
    );
    let method = sparsity.method;
    unless(
        method != SparseMethod::Static,
        vec!["sparsity.period", "sparsity.warmup", "sparsity.scope"],
        "`sparsity.method` is static",
    );
    unless(
        method == SparseMethod::Rigl,
        vec!["sparsity.fraction", "sparsity.reset_moments"],
        "they belong to `sparsity.method` rigl",
    );
    unless(
        method == SparseMethod::Gmp,
        vec!["sparsity.cooldown"],
        "it belongs to `sparsity.method` gmp",
    );
    unless(
        lengths.adaptive,
        section("lengths.", &["lengths.adaptive"]),
        "`lengths.adaptive` is false",
    );
    unless(
        lengths.layer_dropout_prob == 0.0,
        vec!["lengths.layer_dropout_bound"],
        "`lengths.layer_dropout_prob` is given",
    );
    unless(
        lengths.layer_dropout_prob > 0.0,
        vec!["lengths.layer_dropout_whole"],
        "`lengths.layer_dropout_prob` is 0",
    );
    let kind = schedule.kind;
    unless(
        kind == ScheduleKind::ThreeStage,
        vec!["schedule.cooldown"],
        "it belongs to `schedule.kind` three-stage",
    );
    let cycle = [
        "schedule.pct_start",
        "schedule.div_factor",
        "schedule.final_div_factor",
        "schedule.anneal",
        "schedule.cycle_momentum",
        "schedule.base_momentum",
        "schedule.max_momentum",
    ];
    unless(
        kind == ScheduleKind::OneCycle,
        cycle.to_vec(),
        "they belong to `schedule.kind` one-cycle",
    );
    unless(
        schedule.cycle_momentum,
        vec!["schedule.base_momentum", "schedule.max_momentum"],
        "`schedule.cycle_momentum` is false",
    );
    let is_range = matches!(kind, ScheduleKind::RangeExponential | ScheduleKind::RangeLinear);
    let of_range = vec!["schedule.range_start", "schedule.range_loss"];
    unless(is_range, of_range, "it belongs to a range test");
    unless(!is_range, vec!["schedule.warmup"], "a range test has no warm-up");
    unless(
        config.optim.scale_learning_rate != LearningRateScale::None,
        vec!["optim.base_batch_size"],
        "`optim.scale_learning_rate` is none",
    );
    unless(train.max_steps == 0, vec!["train.epochs"], "`train.max_steps` is given");
    unless(
        config.data.dev.is_some() || pretrains,
        vec!["train.eval_steps", "train.early_stop_patience", "data.max_dev_questions"],
        "`data.dev` is not given",
    );
    unless(
        config.task == Task::SquadV2,
        vec!["eval.null_score_diff_threshold"],
        "only `task` squad_v2 has questions without an answer",
    );
    unless(
        config.task.has_windows(),
        vec!["features.doc_stride", "features.doc_stride_meaning", "features.max_query_length"],
        "only questions are cut into windows",
    );
    unless(pretrains, section("text.", &[]), "`task` is not pretrain");
    let has_tokenizer = config.text.tokenizer.is_some()
        || config.model.path.is_some()
        || !config.teacher.is_empty();
    unless(
        !has_tokenizer,
        vec!["text.vocab_size", "text.lower_case"],
        "the tokenizer is given, none is trained",
    );
    unless(config.data.dev.is_none(), vec!["text.validation_share"], "`data.dev` is given");
    reasons
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::config::plan::{Assignment, Plan};
    use crate::config::recipe::Recipe;

    fn plan_of(recipe: &Recipe, sets: &[&str]) -> anyhow::Result<Plan> {
        let sets: Vec<Assignment> = sets.iter().map(|s| Assignment::parse(s).unwrap()).collect();
        let plan = Plan::of_recipe(recipe, &sets, None, Path::new("runs/r"), "r.toml")?;
        Ok(plan.runnable()?)
    }

    fn plan(text: &str, sets: &[&str]) -> anyhow::Result<Plan> {
        plan_of(&Recipe::parse(text, "r.toml").unwrap(), sets)
    }

    fn told(text: &str, sets: &[&str]) -> Vec<String> {
        plan(text, sets).unwrap().notices
    }

    const ONE: &str = "model.path = 'm'\ndata.train = 't'\n";

    #[test]
    fn a_recipe_about_a_teacher_wants_one_or_wants_to_be_told_that_there_is_none() {
        for set in
            ["distill.alpha_soft=0.5", "distill.temperature=2", "distill.teacher_weights=1,1"]
        {
            let error = plan(ONE, &[set]).unwrap_err().to_string();
            let key = set.split('=').next().unwrap();
            assert!(error.starts_with(&format!("`{key}` is given")), "{error}");
            assert!(error.contains("--teacher") && error.contains("--set teacher="), "{error}");
            plan(ONE, &[set, "teacher="]).unwrap();
            plan(ONE, &[set, "teacher=big"]).ok();
        }
        plan(ONE, &["distill.alpha_soft=0"]).unwrap();
        // What is printed stands for itself.
        let printed = plan(ONE, &[]).unwrap().to_toml().unwrap();
        let again = plan(&printed, &[]).unwrap();
        assert!(again.notices.is_empty(), "{:?}", again.notices);
        let without: String = printed
            .lines()
            .filter(|l| !l.starts_with("teacher ="))
            .map(|l| format!("{l}\n"))
            .collect();
        plan(&without, &[]).unwrap();
    }

    #[test]
    fn what_stages_share_may_be_meant_for_one_of_them_and_what_is_its_own_may_not() {
        let stages = |own: &str| {
            format!(
                "{ONE}distill.temperature = 1.0\nsparsity.period = 9\n[[stage]]\nname = 'a'\n{own}\n\
                 [[stage]]\nname = 'b'\nteacher = 'stage:a'\nsparsity.level = 0.5\n\
                 sparsity.method = 'rigl'\n"
            )
        };
        assert!(told(&stages(""), &[]).is_empty());
        let error = plan(&stages("distill.alpha_soft = 0.5"), &[]).unwrap_err().to_string();
        assert!(error.contains("stage `a`"), "{error}");
        assert_eq!(
            told(&stages("sparsity.fraction = 0.2"), &[]),
            ["r.toml: stage `a`: `sparsity.fraction` has no effect: `sparsity.level` is 0"]
        );
    }

    #[test]
    fn a_key_whose_partner_is_missing_is_told_once() {
        let of = |set: &str| told(ONE, &[set]).join("\n");
        for set in [
            "sparsity.method=rigl",
            "lengths.num_sandwich=3",
            "schedule.pct_start=0.2",
            "schedule.cooldown=0.2",
            "train.early_stop_patience=3",
            "eval.null_score_diff_threshold=-1",
            "text.vocab_size=100",
            "optim.base_batch_size=8",
            "distill.alpha_hard=0.3",
        ] {
            let (key, told) = (set.split('=').next().unwrap(), of(set));
            assert!(told.contains(&format!("`{key}` has no effect")), "{set}: {told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
        for set in ["sparsity.level=0", "lengths.adaptive=false", "train.early_stop_patience=0"] {
            assert_eq!(of(set), "");
        }
        let both = ["train.max_steps=5", "train.epochs=2"];
        assert!(told(ONE, &both)[0].contains("`train.epochs` has no effect"));
    }

    #[test]
    fn of_the_recipes_that_are_shipped_none_has_a_key_without_effect() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let recipes: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
        assert!(recipes.len() > 10);
        for path in recipes {
            let recipe = Recipe::read(&path).unwrap();
            if recipe.is_empty() {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            match plan_of(&recipe, &[]) {
                Ok(plan) => assert!(plan.notices.is_empty(), "{name}: {:?}", plan.notices),
                Err(error) => {
                    // Its header says to give one.
                    assert_eq!(name, "sparse-trifecta", "{error}");
                    assert!(error.to_string().contains("no teacher to learn from"), "{error}");
                    let plan = plan_of(&recipe, &["teacher=dense"]).unwrap();
                    assert!(plan.notices.is_empty(), "{:?}", plan.notices);
                }
            }
        }
    }
}
