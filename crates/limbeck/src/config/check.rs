//! What the values of a configuration must keep to before anything is read or written.

use anyhow::Result;
use limbeck_data::glue::TextTask;
use limbeck_data::glue::score::reported;
use limbeck_train::options::RangeLoss;

use super::plan::Stage;
use super::{DataSection, Importance, ModelSection, RunConfig, Task, settings};
use crate::commands::range_test;
use crate::exit::InputError;

/// More runs of one configuration than anybody compares.
const MAX_RUNS: usize = 1000;

/// Refuses a configuration that cannot run; `place` names the recipe or command.
pub fn run(config: &RunConfig, place: &str) -> Result<()> {
    let given = |present: bool, key: &str| if present { Ok(()) } else { Err(missing(key, place)) };
    given(!config.data.train.is_empty(), "data.train")?;
    if config.task == Task::Pretrain {
        pretraining(config, place)?;
    } else if config.model.path.is_none() && !config.teacher.is_empty() {
        let what = "neither a student nor its layers are given";
        let advice = "give --student MODEL (`model.path`) or --student-layers (`model.layers`)";
        return Err(InputError::new(what, place, advice).into());
    }
    given(config.model.path.is_some() || config.task == Task::Pretrain, "model.path")?;
    if !config.model.layers.is_empty() && config.model.num_layers > 0 {
        let what = "both `model.layers` and `model.num_layers` are given";
        return Err(InputError::new(what, place, "give one of them").into());
    }
    best_metric(config, place)?;
    if config.runs > MAX_RUNS {
        let what = format!("`runs` is {}", config.runs);
        return Err(InputError::new(what, place, format!("it must be {MAX_RUNS} or less")).into());
    }
    for (key, value, rule, holds) in rules(config) {
        if !holds {
            let what = format!("`{key}` is {value}");
            return Err(InputError::new(what, place, format!("it must be {rule}")).into());
        }
    }
    if config.output.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        return Err(InputError::new("`output.dir` is empty", place, "give --out a folder").into());
    }
    let refused = |error: String| InputError::new(error, place, "");
    config.optim.validate().map_err(|error| refused(error.to_string()))?;
    config.train.validate().map_err(|error| refused(error.to_string()))?;
    config.lengths.validate().map_err(|error| refused(error.to_string()))?;
    config.sparsity.validate().map_err(|error| refused(error.to_string()))?;
    if !config.teacher.is_empty() {
        let teachers = config.teacher.len();
        config.distill.validate(teachers).map_err(|error| refused(error.to_string()))?;
    }
    if config.task.has_windows() {
        config.features.validate().map_err(|e| InputError::new(e.to_string(), place, ""))?;
    }
    let by_evaluation = config.schedule.range_loss == RangeLoss::Evaluation;
    if by_evaluation && range_test::is_one(config) && config.task != Task::Pretrain {
        let what = "`schedule.range_loss` is evaluation";
        let advice = "only pretraining tells the loss of an evaluation; take training";
        return Err(InputError::new(what, place, advice).into());
    }
    let DataSection { dev, dev_mismatched, .. } = &config.data;
    if dev_mismatched.is_some() && (dev.is_none() || config.task.texts().is_none()) {
        let what = "`data.dev_mismatched` is given";
        let advice = "it is a second set of texts beside `data.dev`, for a task such as mnli";
        return Err(InputError::new(what, place, advice).into());
    }
    Ok(())
}

/// Refuses stages that cannot be summed up by GLUE's tasks; `place` names the recipe.
pub fn summary(stages: &[Stage], place: &str) -> Result<()> {
    let refuse = |what: String, advice: &str| Err(InputError::new(what, place, advice).into());
    let mut seen: Vec<(TextTask, &str)> = Vec::new();
    for stage in stages {
        let Some(name) = &stage.name else { continue };
        let of_glue = |task: &TextTask| TextTask::GLUE.contains(task);
        let Some(task) = stage.config.task.texts().filter(of_glue) else { continue };
        if let Some((_, other)) = seen.iter().find(|(other, _)| *other == task) {
            let what = format!("`{other}` and `{name}` are both of {task}");
            return refuse(what, "a summary has one stage of a task; `runs = N` repeats one");
        }
        if stage.config.data.dev.is_none() {
            return refuse(format!("stage `{name}` is not evaluated"), "set its `data.dev`");
        }
        seen.push((task, name));
    }
    if seen.is_empty() {
        let what = "`summary = \"glue\"`, but there are stages of none of GLUE's tasks".to_owned();
        return refuse(what, "give each task a [[stage]], or leave `summary` out");
    }
    Ok(())
}

/// Refuses to keep models by a metric that is not measured.
fn best_metric(config: &RunConfig, place: &str) -> Result<()> {
    let Some(metric) = config.train.best_metric.as_deref() else { return Ok(()) };
    let what = || format!("`train.best_metric` is {metric}");
    let (is_pretraining, dev) = (config.task == Task::Pretrain, config.data.dev.as_ref());
    if dev.is_none() && !is_pretraining {
        return Err(InputError::new(what(), place, "nothing is evaluated: give --dev").into());
    }
    let measured = match (config.task.texts(), config.task) {
        (Some(task), _) => reported(task),
        (None, Task::Pretrain) => vec!["loss", "perplexity", "accuracy"],
        (None, Task::SquadV2) => vec!["exact", "f1", "best_exact", "best_f1"],
        (None, _) => vec!["exact", "f1"],
    };
    if !measured.contains(&metric) {
        let advice = format!("this task's are {}", measured.join(", "));
        return Err(InputError::new(what(), place, advice).into());
    }
    if metric == "accuracy_mm" && config.data.dev_mismatched.is_none() {
        let advice = "it is measured on a second set: give --dev-mismatched";
        return Err(InputError::new(what(), place, advice).into());
    }
    Ok(())
}

/// Refuses a pretraining without a model, or with two.
fn pretraining(config: &RunConfig, place: &str) -> Result<()> {
    let ModelSection { path, config: file, num_layers, heads, hidden_size, .. } = &config.model;
    let is_given = |size: &usize| *size > 0;
    let sizes = [num_layers, heads, hidden_size];
    // Layers and heads of a model that is there are cut, its width is not.
    let has_sizes = if path.is_some() { *hidden_size > 0 } else { sizes.into_iter().any(is_given) };
    let whole = sizes.into_iter().all(is_given);
    let ways = [path.is_some(), file.is_some(), has_sizes].into_iter().filter(|way| *way).count();
    if ways != 1 || has_sizes && !whole {
        let what = match ways {
            0 => "no model is given",
            1 => "the sizes of a new model are not all given",
            _ => "several models are given",
        };
        let advice = "give --config FILE, or --layers, --hidden-size and --heads, or --model MODEL";
        return Err(InputError::new(what, place, advice).into());
    }
    if config.model.importance == Importance::Gradient {
        let what = "`model.importance` is gradient";
        let advice = "pretraining has no labels to weigh by: magnitude or random";
        return Err(InputError::new(what, place, advice).into());
    }
    if config.lengths.adaptive {
        let what = "`lengths.adaptive` is true";
        return Err(InputError::new(what, place, "pretraining has no shortened passes").into());
    }
    Ok(())
}

/// The error of a key that has to be given.
fn missing(key: &str, place: &str) -> InputError {
    let flag = settings::find(key).map_or(key, |setting| setting.flag);
    let advice = format!("give --{flag}, or `{key}` in a recipe or with --set");
    InputError::new(format!("`{key}` is not given"), place, advice)
}

/// Rules that no section checks itself: key, value, the rule in words, whether it holds.
fn rules(config: &RunConfig) -> Vec<(&'static str, String, &'static str, bool)> {
    let RunConfig { schedule, train, eval, .. } = config;
    let from_one = |key, n: usize| (key, n.to_string(), "1 or more", n >= 1);
    let from_zero = |key, x: f64| (key, x.to_string(), "0 or more", x >= 0.0 && x.is_finite());
    vec![
        from_zero("schedule.warmup", schedule.warmup),
        from_zero("schedule.cooldown", schedule.cooldown),
        from_one("train.logging_steps", train.logging_steps),
        from_one("eval.n_best_size", eval.n_best_size),
        from_one("eval.max_answer_length", eval.max_answer_length),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runnable() -> RunConfig {
        let mut config = RunConfig::default();
        config.model.path = Some("m".into());
        config.data.train = vec!["t".into()];
        config
    }

    fn refusal(change: impl FnOnce(&mut RunConfig)) -> String {
        let mut config = runnable();
        change(&mut config);
        run(&config, "here").unwrap_err().to_string()
    }

    #[test]
    fn a_model_and_data_are_enough() {
        run(&runnable(), "here").unwrap();
    }

    #[test]
    fn what_is_missing_is_named_with_its_flag() {
        let message = refusal(|c| c.data.train.clear());
        assert!(message.starts_with("`data.train` is not given: here: give --train"), "{message}");
        assert!(refusal(|c| c.model.path = None).contains("--model"));
    }

    #[test]
    fn values_out_of_bounds_are_named_with_the_rule() {
        assert_eq!(
            refusal(|c| c.eval.n_best_size = 0),
            "`eval.n_best_size` is 0: here: it must be 1 or more"
        );
        assert!(refusal(|c| c.runs = 1001).contains("`runs` is 1001"));
        assert!(refusal(|c| c.train.batch_size = 0).contains("train.batch_size"));
        assert!(refusal(|c| c.optim.beta_1 = 1.0).contains("optim.beta_1"));
        assert!(refusal(|c| c.optim.learning_rate = f64::NAN).contains("NaN"));
        assert!(refusal(|c| c.train.epochs = 0.0).contains("train.epochs"));
    }

    #[test]
    fn windows_are_for_questions_and_a_second_set_beside_a_first_one_of_texts() {
        let mut texts = runnable();
        texts.task = Task::Texts(TextTask::Mnli);
        texts.features.max_length = 16;
        texts.data.dev = Some("d".into());
        texts.data.dev_mismatched = Some("m".into());
        run(&texts, "here").unwrap();
        assert!(refusal(|c| c.features.max_length = 16).contains("max_length"));
        assert!(refusal(|c| c.data = texts.data.clone()).contains("dev_mismatched"));
        texts.data.dev = None;
        assert!(run(&texts, "here").unwrap_err().to_string().contains("beside `data.dev`"));
    }

    #[test]
    fn a_metric_that_decides_is_one_that_is_measured() {
        let by = |c: &mut RunConfig, metric: &str, task: Task| {
            c.task = task;
            c.data.dev = Some("d".into());
            c.train.best_metric = Some(metric.to_owned());
        };
        let mut config = runnable();
        by(&mut config, "f1", Task::Texts(TextTask::Mrpc));
        run(&config, "here").unwrap();
        assert!(refusal(|c| by(c, "pearson", Task::Squad)).ends_with("this task's are exact, f1"));
        let mnli = |c: &mut RunConfig| by(c, "accuracy_mm", Task::Texts(TextTask::Mnli));
        assert!(refusal(mnli).contains("--dev-mismatched"));
        let unmeasured = |c: &mut RunConfig| (by(c, "f1", Task::Squad), c.data.dev = None).0;
        assert!(refusal(unmeasured).contains("give --dev"));
    }

    #[test]
    fn pretraining_needs_one_model_and_all_sizes_of_a_new_one() {
        let new = |c: &mut RunConfig| {
            c.task = Task::Pretrain;
            c.model.path = None;
            (c.model.num_layers, c.model.heads, c.model.hidden_size) = (2, 2, 32);
        };
        let mut config = runnable();
        new(&mut config);
        run(&config, "here").unwrap();
        assert!(refusal(|c| (new(c), c.model.heads = 0).0).contains("not all given"));
        assert!(refusal(|c| (new(c), c.model.config = Some("f".into())).0).contains("several"));
        assert!(refusal(|c| (new(c), c.model.path = Some("m".into())).0).contains("several"));
        assert!(refusal(|c| (c.task, c.model.path) = (Task::Pretrain, None)).contains("--config"));
    }

    #[test]
    fn steps_make_epochs_unnecessary() {
        let mut config = runnable();
        config.train.epochs = 0.0;
        config.train.max_steps = 5;
        run(&config, "here").unwrap();
    }

    #[test]
    fn distillation_needs_a_student_and_sound_weights() {
        let teacher = |c: &mut RunConfig| c.teacher = vec!["t".into()];
        assert!(refusal(|c| (teacher(c), c.model.path = None).0).contains("--student-layers"));
        assert!(refusal(|c| (teacher(c), c.distill.temperature = 0.0).0).contains("temperature"));
        assert!(
            refusal(|c| (teacher(c), c.distill.teacher_weights = vec![1.0; 2]).0)
                .contains("distill.teacher_weights")
        );
    }
}
