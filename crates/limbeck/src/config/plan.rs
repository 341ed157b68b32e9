//! From recipes, `--set` and flags to the stages that will run.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use toml::Value;

use super::effects::{self, Written};
use super::recipe::{Recipe, Summary, advice_for, unknown};
use super::settings::{self, Kind};
use super::suggest::nearest;
use super::{Layer, ModelSection, RunConfig, Task, check, defaults};
use crate::exit::InputError;
use crate::revision::pinned;
use crate::shipping::unpacked;

/// One run of a plan: its configuration with every path and reference resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name in a recipe of several stages.
    pub name: Option<String>,
    /// What it does.
    pub config: RunConfig,
}

/// One training of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The number of the run, from 1, where the stage has several.
    pub run: Option<usize>,
    /// What it does; its `runs` is 0.
    pub config: RunConfig,
}

impl Stage {
    /// The trainings of the stage: itself, or each of its runs with the next seed and a folder of
    /// its own.
    pub fn trainings(&self) -> Vec<Training> {
        let RunConfig { runs, .. } = self.config;
        if runs == 0 {
            return vec![Training { run: None, config: self.config.clone() }];
        }
        let training = |run: usize| {
            let mut config = self.config.clone();
            config.runs = 0;
            config.train.seed = config.train.seed.wrapping_add(run as u64 - 1);
            config.output.dir = config.output.dir.map(|dir| dir.join(format!("run-{run}")));
            Training { run: Some(run), config }
        };
        (1..=runs).map(training).collect()
    }
}

/// The stages of one recipe or command, in the order in which they run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// At least one stage.
    pub stages: Vec<Stage>,
    /// What was given and has no effect, a line each.
    pub notices: Vec<String>,
    /// What is missing for it to run, though it can be shown.
    pub lacks: Option<InputError>,
    /// Which of them do not run, because others were asked for.
    pub left_out: Vec<Stage>,
    /// How they are summed up, if they are, and the folder for that.
    pub summary: Option<(Summary, PathBuf)>,
}

/// One `--set KEY=VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Only for the stage of this name.
    stage: Option<String>,
    layer: Layer,
}

impl Assignment {
    /// Reads `optim.learning_rate=3e-5` or `stage.NAME.optim.learning_rate=3e-5`.
    pub fn parse(text: &str) -> Result<Assignment, InputError> {
        let place = format!("--set {text}");
        let Some((left, value)) = text.split_once('=') else {
            return Err(InputError::new("no `=`", place, "write --set KEY=VALUE"));
        };
        let left = left.trim();
        let (stage, key) = match left.strip_prefix("stage.").and_then(|rest| rest.split_once('.')) {
            Some((name, key)) => (Some(name.to_owned()), key),
            None => (None, left),
        };
        let Some(setting) = settings::find(key) else {
            return Err(InputError::new(unknown(key), place, advice_for(key)));
        };
        let value = setting
            .kind
            .parse(value.trim())
            .map_err(|expected| InputError::new(format!("`{key}`: {expected}"), place, ""))?;
        let mut layer = Layer::default();
        layer.set(key, value);
        Ok(Assignment { stage, layer })
    }

    /// Writes it into a recipe.
    pub fn lay_over(&self, recipe: &mut Recipe) {
        let over = |layer: &mut Layer| *layer = std::mem::take(layer).under(&self.layer);
        if self.stage.is_none() {
            over(&mut recipe.shared);
        }
        for stage in &mut recipe.stages {
            if self.stage.is_none() || self.stage.as_ref() == Some(&stage.name) {
                over(&mut stage.layer);
            }
        }
    }
}

impl Plan {
    /// The plan of a recipe. Its results go to `out`, or to its own `output.dir`, or to
    /// `default_out`; a stage's results go to a folder of its name there.
    ///
    /// `place` names the recipe in errors.
    pub fn of_recipe(
        recipe: &Recipe,
        assignments: &[Assignment],
        out: Option<&Path>,
        default_out: &Path,
        place: &str,
    ) -> Result<Plan> {
        refuse_unknown_stages(recipe, assignments)?;
        let names =
            recipe.stages.iter().map(|stage| (Some(stage.name.as_str()), Some(&stage.layer)));
        let single = recipe.stages.is_empty().then_some((None, None));
        let mut stages: Vec<Stage> = Vec::new();
        let mut written = Vec::new();
        for (name, own) in names.chain(single) {
            let mut layer = recipe.shared.clone();
            let mut alone = Layer::default();
            if let Some(own) = own {
                layer = layer.under(own);
                alone = own.clone();
            }
            for assignment in assignments {
                if assignment.stage.is_none() || assignment.stage.as_deref() == name {
                    layer = layer.under(&assignment.layer);
                }
                if assignment.stage.is_some() && assignment.stage.as_deref() == name {
                    alone = alone.under(&assignment.layer);
                }
            }
            let place = match name {
                Some(name) => format!("{place}: stage `{name}`"),
                None => place.to_owned(),
            };
            let own_dir = own.and_then(|own| own.get("output.dir")).is_some();
            let mut config = typed(layer.clone(), &place)?;
            config.output.dir = Some(match (name, out, config.output.dir.take()) {
                (Some(_), None, Some(dir)) if own_dir => dir,
                (Some(name), Some(out), _) => out.join(name),
                (Some(name), None, dir) => dir.unwrap_or_else(|| default_out.into()).join(name),
                (None, Some(out), _) => out.to_owned(),
                (None, None, dir) => dir.unwrap_or_else(|| default_out.into()),
            });
            resolve_references(&mut config, &stages, &place)?;
            check::run(&config, &place)?;
            stages.push(Stage { name: name.map(str::to_owned), config });
            written.push((place, layer, alone));
        }
        let plan = Plan::of(stages, &written);
        let Some(summary) = recipe.summary else { return Ok(plan) };
        check::summary(&plan.stages, place)?;
        let of_all = assignments.iter().filter(|assignment| assignment.stage.is_none());
        let shared = of_all.fold(recipe.shared.clone(), |layer, own| layer.under(&own.layer));
        let own = shared.get("output.dir").and_then(Value::as_str);
        let own = own.map(|dir| with_environment(dir, "output.dir", place)).transpose()?;
        let dir = out.map(PathBuf::from).or(own.map(PathBuf::from));
        let summary = Some((summary, dir.unwrap_or_else(|| default_out.into())));
        Ok(Plan { summary, ..plan })
    }

    /// The plan with the stages of these names only; the others are left out.
    pub fn only(mut self, names: &[String]) -> Plan {
        if !names.is_empty() {
            let is_asked = |stage: &Stage| stage.name.as_ref().is_some_and(|n| names.contains(n));
            (self.stages, self.left_out) = self.stages.into_iter().partition(is_asked);
        }
        self
    }

    /// The plan of a command with flags; `command` names it in errors.
    pub fn of_flags(flags: Layer, assignments: &[Assignment], command: &str) -> Result<Plan> {
        let recipe = Recipe::default();
        refuse_unknown_stages(&recipe, assignments)?;
        let layer = assignments
            .iter()
            .fold(Layer::default(), |layer, assignment| layer.under(&assignment.layer))
            .under(&flags);
        let mut config = typed(layer.clone(), command)?;
        resolve_references(&mut config, &[], command)?;
        check::run(&config, command)?;
        if config.output.dir.is_none() {
            let what = "nowhere to write to";
            return Err(InputError::new(what, command, "give --out DIR").into());
        }
        let stages = vec![Stage { name: None, config }];
        Ok(Plan::of(stages, &[(command.to_owned(), layer, Layer::default())]))
    }

    /// The plan, if nothing is missing for it to run.
    pub fn runnable(self) -> Result<Plan, InputError> {
        match self.lacks {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// A plan with what is to be said of it. Beside each stage stands what was written: where, all
    /// of it, and what is the stage's own.
    fn of(stages: Vec<Stage>, written: &[(String, Layer, Layer)]) -> Plan {
        let others = stages.iter().any(|stage| !stage.config.teacher.is_empty());
        let all: Vec<Written<'_>> = stages
            .iter()
            .zip(written)
            .map(|(Stage { config, .. }, (place, given, own))| Written {
                place: place.clone(),
                given,
                own,
                config,
            })
            .collect();
        let lacks = all.iter().find_map(|stage| effects::missing_teacher(stage, others));
        let notices = effects::without(&all);
        Plan { stages, notices, lacks, ..Plan::default() }
    }

    /// The resolved plan as a recipe that gives the same plan again.
    pub fn to_toml(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Named<'a> {
            name: &'a str,
            #[serde(flatten)]
            config: &'a RunConfig,
        }
        #[derive(Serialize)]
        struct Output<'a> {
            dir: &'a Path,
        }
        #[derive(Serialize)]
        struct Stages<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            summary: Option<Summary>,
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<Output<'a>>,
            stage: Vec<Named<'a>>,
        }
        match self.stages.as_slice() {
            [Stage { name: None, config }] => Ok(toml::to_string(config)?),
            stages => {
                let named = stages.iter().map(|Stage { name, config }| {
                    let name = name.as_deref().unwrap_or_default();
                    Named { name, config }
                });
                let stage = named.collect();
                let (summary, output) = match &self.summary {
                    Some((summary, dir)) => (Some(*summary), Some(Output { dir })),
                    None => (None, None),
                };
                Ok(toml::to_string(&Stages { summary, output, stage })?)
            }
        }
    }
}

fn refuse_unknown_stages(recipe: &Recipe, assignments: &[Assignment]) -> Result<(), InputError> {
    let known = || recipe.stages.iter().map(|stage| stage.name.as_str());
    for name in assignments.iter().filter_map(|assignment| assignment.stage.as_deref()) {
        if !known().any(|stage| stage == name) {
            return Err(no_such_stage(name, "--set", known()));
        }
    }
    Ok(())
}

fn no_such_stage<'a>(
    name: &str,
    place: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> InputError {
    let advice = match nearest(name, known.clone()) {
        Some(stage) => format!("did you mean `{stage}`?"),
        None => match known.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "there are no stages before it".to_owned(),
            stages => format!("the stages are {stages}"),
        },
    };
    InputError::new(format!("no stage `{name}`"), place, advice)
}

/// The typed configuration of a layer over the defaults of its task, environment variables filled
/// in.
fn typed(layer: Layer, place: &str) -> Result<RunConfig> {
    let layer = defaults::of_task(&layer).under(&layer);
    let filled = with_paths(&layer, &mut |key, text| {
        Ok(unpacked(with_environment(&text, key, place)?, place)?)
    })?;
    Ok(filled
        .into_table()
        .try_into()
        .map_err(|e: toml::de::Error| InputError::new(e.message(), place, ""))?)
}

/// A layer with every file and folder that it names as `change` makes it of the key and the name.
pub fn with_paths(
    layer: &Layer,
    change: &mut dyn FnMut(&str, String) -> Result<String>,
) -> Result<Layer> {
    let mut changed = layer.clone();
    for key in settings::keys() {
        let kind = settings::find(key).map(|setting| setting.kind);
        let (Some(Kind::Path | Kind::Paths), Some(value)) = (kind, layer.get(key)) else {
            continue;
        };
        let mut one = |value: &Value| match value {
            Value::String(text) => change(key, text.clone()).map(Value::String),
            other => Ok(other.clone()),
        };
        let value = match value {
            Value::Array(values) => {
                Value::Array(values.iter().map(&mut one).collect::<Result<_, _>>()?)
            }
            value => one(value)?,
        };
        changed.set(key, value);
    }
    Ok(changed)
}

/// Replaces `${NAME}` by the environment variable and `${NAME:-text}` by the variable
/// or, where it is not set, by the text.
pub fn with_environment(text: &str, key: &str, place: &str) -> Result<String, InputError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        filled.push_str(&rest[..start]);
        let inside = &rest[start + 2..start + length];
        let (name, otherwise) = match inside.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inside, None),
        };
        match (env::var(name), otherwise) {
            (Ok(value), _) if !value.is_empty() => filled.push_str(&value),
            (_, Some(otherwise)) => filled.push_str(otherwise),
            _ => {
                let what = format!("the environment variable `{name}` in `{key}` is not set");
                let advice = format!("set it, or give another value with --set {key}=...");
                return Err(InputError::new(what, place, advice));
            }
        }
        rest = &rest[start + length + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Replaces `stage:NAME` by the folder of that earlier stage, `stage:NAME/last` by that of its
/// last model, and takes the first
/// teacher as the start of a student that names none.
fn resolve_references(config: &mut RunConfig, earlier: &[Stage], place: &str) -> Result<()> {
    // So that what is written of the run says which models it had.
    config
        .teacher
        .iter_mut()
        .chain(&mut config.model.path)
        .for_each(|model| *model = pinned(model));
    let resolve = |reference: &mut String| -> Result<(), InputError> {
        let Some(name) = reference.strip_prefix("stage:") else { return Ok(()) };
        let (name, last) = match name.strip_suffix("/last") {
            Some(name) => (name, "last"),
            None => (name, ""),
        };
        let found = earlier.iter().find(|stage| stage.name.as_deref() == Some(name));
        let dir: Option<&PathBuf> = found.and_then(|stage| stage.config.output.dir.as_ref());
        match dir {
            Some(dir) => {
                let dir = if last.is_empty() { dir.clone() } else { dir.join(last) };
                *reference = dir.to_string_lossy().into_owned();
                Ok(())
            }
            None => {
                let known = earlier.iter().filter_map(|stage| stage.name.as_deref());
                Err(no_such_stage(name, place, known))
            }
        }
    };
    config.teacher.iter_mut().try_for_each(resolve)?;
    config.model.path.iter_mut().try_for_each(resolve)?;
    let ModelSection { layers, num_layers, heads, intermediate_size, .. } = &config.model;
    let cut =
        !layers.is_empty() || [*num_layers, *heads, *intermediate_size].iter().any(|&n| n > 0);
    let cut = cut && config.task != Task::Pretrain;
    if config.model.path.is_none() && cut {
        config.model.path = config.teacher.first().cloned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_STAGES: &str = r#"
        [data]
        train = "t.json"
        [[stage]]
        name = "teacher"
        model.path = "big"
        [[stage]]
        name = "student"
        teacher = "stage:teacher"
        model.layers = [0, 2]
        optim.learning_rate = 1e-3
    "#;

    fn plan(text: &str, sets: &[&str], out: Option<&str>) -> Result<Plan> {
        let recipe = Recipe::parse(text, "r.toml")?;
        let sets: Vec<_> =
            sets.iter().map(|set| Assignment::parse(set)).collect::<Result<_, _>>()?;
        Plan::of_recipe(&recipe, &sets, out.map(Path::new), Path::new("runs/r"), "r.toml")
    }

    fn refusal(text: &str, sets: &[&str]) -> String {
        plan(text, sets, None).unwrap_err().to_string()
    }

    #[test]
    fn stages_share_the_keys_above_them_and_may_name_earlier_ones() {
        let plan = plan(TWO_STAGES, &[], None).unwrap();
        let [teacher, student] = plan.stages.as_slice() else { panic!("two stages") };
        assert_eq!(teacher.config.output.dir, Some("runs/r/teacher".into()));
        assert_eq!(student.config.data.train, vec![PathBuf::from("t.json")]);
        assert_eq!(student.config.teacher, ["runs/r/teacher"]);
        assert_eq!(student.config.model.path.as_deref(), Some("runs/r/teacher"));
        assert_eq!(student.config.optim.learning_rate, 1e-3);
    }

    #[test]
    fn a_stage_may_start_from_the_last_model_of_an_earlier_one() {
        let text = TWO_STAGES.replace("model.layers = [0, 2]", "model.path = 'stage:teacher/last'");
        let plan = plan(&text, &[], None).unwrap();
        let last = Path::new("runs/r/teacher").join("last");
        assert_eq!(plan.stages[1].config.model.path.as_deref(), last.to_str());
    }

    #[test]
    fn set_wins_over_the_file_for_all_stages_or_for_one() {
        let sets = ["optim.learning_rate=3e-5", "stage.student.train.seed=7"];
        let plan = plan(TWO_STAGES, &sets, Some("out")).unwrap();
        assert_eq!(plan.stages[0].config.optim.learning_rate, 3e-5);
        assert_eq!(plan.stages[1].config.optim.learning_rate, 3e-5);
        assert_eq!(plan.stages[0].config.train.seed, 42);
        assert_eq!(plan.stages[1].config.train.seed, 7);
        assert_eq!(plan.stages[1].config.output.dir, Some("out/student".into()));
    }

    #[test]
    fn the_printed_plan_is_a_recipe_for_the_same_plan() {
        let first = plan(TWO_STAGES, &["train.epochs=1"], None).unwrap();
        let again = plan(&first.to_toml().unwrap(), &[], None).unwrap();
        assert_eq!(first, again);
        let single = "model.path = 'm'\ndata.train = 't'";
        let first = plan(single, &[], Some("elsewhere")).unwrap();
        assert_eq!(first, plan(&first.to_toml().unwrap(), &[], None).unwrap());
    }

    #[test]
    fn runs_of_a_stage_differ_in_seed_and_folder_only() {
        let text = TWO_STAGES.replace("model.path = \"big\"", "model.path = \"big\"\nruns = 3");
        let sets = ["train.seed=7", "stage.student.runs=1"];
        let plan = plan(&text, &sets, Some("o")).unwrap();
        let trainings = plan.stages[0].trainings();
        assert_eq!(trainings.len(), 3);
        for (run, training) in (1..).zip(&trainings) {
            let mut own = training.config.clone();
            assert_eq!((training.run, own.train.seed), (Some(run), 6 + run as u64));
            assert_eq!(own.output.dir, Some(format!("o/teacher/run-{run}").into()));
            own.train.seed = 7;
            own.output.dir.clone_from(&plan.stages[0].config.output.dir);
            assert_eq!(own, RunConfig { runs: 0, ..plan.stages[0].config.clone() });
        }
        // One run that is asked for is the first of those that may follow.
        let [student] = &plan.stages[1].trainings()[..] else { panic!("one") };
        assert_eq!(student.config.output.dir, Some("o/student/run-1".into()));
        assert_eq!(plan, super::tests::plan(&plan.to_toml().unwrap(), &[], None).unwrap());
    }

    #[test]
    fn stages_that_were_not_asked_for_are_left_out() {
        let plan = plan(TWO_STAGES, &[], None).unwrap().only(&["student".to_owned()]);
        assert_eq!(plan.stages[0].config.teacher, ["runs/r/teacher"]);
        assert_eq!((plan.stages.len(), plan.left_out.len()), (1, 1));
    }

    #[test]
    fn a_summary_has_each_task_once_and_scores_of_it() {
        let stage = |name: &str, task: &str| {
            format!("[[stage]]\nname='{name}'\ntask='{task}'\ndata.dev='d'\n")
        };
        let shared = "summary = 'glue'\ndata.train = 't'\nmodel.path = 'm'\n";
        let of = |stages: &str| plan(&format!("{shared}{stages}"), &[], Some("o"));
        let both = stage("a", "cola") + &stage("b", "rte");
        let first = of(&both).unwrap();
        assert_eq!(first.summary, Some((Summary::Glue, "o".into())));
        assert_eq!(first, plan(&first.to_toml().unwrap(), &[], None).unwrap());
        let refused = |stages: &str| of(stages).unwrap_err().to_string();
        assert!(
            refused(&(both.clone() + &stage("c", "rte"))).contains("`b` and `c` are both of rte")
        );
        assert!(refused(&both.replace("data.dev='d'", "")).contains("stage `a` is not evaluated"));
        assert!(refused(&stage("a", "sst2").replace("sst2", "squad")).contains("none of GLUE's"));
        assert!(refused("").contains("none of GLUE's tasks"));
    }

    #[test]
    fn references_to_stages_that_come_later_or_not_at_all_are_refused() {
        assert_eq!(
            refusal("data.train='t'\n[[stage]]\nname='a'\nmodel.path='stage:a'", &[]),
            "no stage `a`: r.toml: stage `a`: there are no stages before it"
        );
        assert_eq!(
            refusal(TWO_STAGES, &["stage.studnet.train.seed=7"]),
            "no stage `studnet`: --set: did you mean `student`?"
        );
    }

    #[test]
    fn a_bad_assignment_is_quoted() {
        assert_eq!(
            refusal(TWO_STAGES, &["optim.lr=3e-5"]),
            "unknown key `optim.lr`: --set optim.lr=3e-5: `limbeck run --help` tells where all keys are listed"
        );
        assert!(refusal(TWO_STAGES, &["train.seed"]).contains("KEY=VALUE"));
        assert!(refusal(TWO_STAGES, &["train.seed=x"]).contains("whole number"));
    }

    #[test]
    fn flags_win_over_set() {
        let mut flags = Layer::default();
        flags.set("model.path", Value::String("m".into()));
        flags.set("data.train", Value::String("t".into()));
        flags.set("output.dir", Value::String("o".into()));
        flags.set("train.seed", Value::Integer(3));
        let sets = [
            Assignment::parse("train.seed=5").unwrap(),
            Assignment::parse("task=squad_v2").unwrap(),
        ];
        let plan = Plan::of_flags(flags, &sets, "finetune").unwrap();
        assert_eq!(plan.stages[0].config.train.seed, 3);
        assert_eq!(plan.stages[0].config.task, super::super::Task::SquadV2);
    }

    #[test]
    fn environment_variables_fill_paths_only() {
        let filled = |text| with_environment(text, "data.train", "r").map_err(|e| e.to_string());
        let path = env::var("PATH").unwrap();
        assert_eq!(filled("a/${PATH}/b"), Ok(format!("a/{path}/b")));
        assert_eq!(filled("${LIMBECK_NOT_SET:-data}/x"), Ok("data/x".into()));
        assert_eq!(filled("${open"), Ok("${open".into()));
        assert_eq!(filled("é${LIMBECK_NOT_SET:-}é"), Ok("éé".into()));
        assert!(filled("${LIMBECK_NOT_SET}").unwrap_err().contains("is not set"));
    }
}
