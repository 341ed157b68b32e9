//! The summary of a recipe with `summary = "glue"`: `metrics.json` and `report.html` in the folder of
//! its results, written after every stage.

use std::path::Path;

use anyhow::{Context, Result};
use limbeck_data::files;
use limbeck_data::glue::TextTask;
use serde_json::Value;

use super::{Scorecard, Scored, page};
use crate::commands::place::{Destination, address};
use crate::commands::{runs, train};
use crate::config::plan::{Plan, Stage, Training};
use crate::exit::InputError;

const METRICS: &str = "metrics.json";
/// The page.
pub const PAGE: &str = "report.html";

/// Refuses a folder whose files of these names are somebody else's.
pub fn refuse_other_files(folder: &Path) -> Result<()> {
    if address(folder).is_some() {
        return Ok(());
    }
    let is_summary = |bytes: Vec<u8>| {
        let json = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        json.get("average_glue").is_some()
    };
    let of_run = folder.join("run.json").exists();
    let other = std::fs::read(folder.join(METRICS)).is_ok_and(|bytes| !is_summary(bytes));
    if of_run || other {
        let name = if of_run { "run.json" } else { METRICS };
        let place = folder.join(name).display().to_string();
        let what = "the folder of the summary holds the results of something else";
        return Err(InputError::new(what, place, "give another --out").into());
    }
    Ok(())
}

/// Sums up what the stages have reached, whichever start of the recipe trained them, and writes
/// it into the folder. `results` are those of this start.
///
/// # Errors
/// When a file cannot be written.
pub fn sum_up(plan: &Plan, folder: &Path, results: &[Value]) -> Result<Scorecard> {
    let stages: Vec<&Stage> = plan.stages.iter().chain(&plan.left_out).collect();
    let runs: Vec<Scored> = stages.iter().flat_map(|stage| scored(stage, results)).collect();
    let stage_of = |stages: &[Stage], task: TextTask| {
        stages.iter().any(|stage| stage.config.task.texts() == Some(task))
    };
    let absent = |task: TextTask| {
        let reason = match () {
            () if stage_of(&plan.stages, task) => "no run of it has finished yet",
            () if stage_of(&plan.left_out, task) => "its stage was left out and has not finished",
            () => "the recipe has no stage of it",
        };
        reason.to_owned()
    };
    let of_glue = |stage: &&&Stage| {
        stage.config.task.texts().is_some_and(|task| TextTask::GLUE.contains(&task))
    };
    let model = stages.iter().find(of_glue).and_then(|stage| stage.config.model.path.clone());
    let card = Scorecard::new(&model.unwrap_or_default(), &runs, &absent);
    let destination = Destination::of(&folder.join(METRICS))?;
    if let Some(above) = destination.local().parent() {
        let cannot = || format!("cannot create {}", above.display());
        std::fs::create_dir_all(above).with_context(cannot)?;
    }
    files::replace(destination.local(), &serde_json::to_vec_pretty(&card)?)?;
    destination.deliver()?;
    let destination = Destination::of(&folder.join(PAGE))?;
    let title = folder.file_name().unwrap_or_default().to_string_lossy();
    page::of_campaign(destination.local(), &title, &card, &runs)?;
    destination.deliver()?;
    Ok(card)
}

/// The finished runs of a stage of GLUE: as this start tells them, or as an earlier one with the
/// same settings left them.
fn scored(stage: &Stage, results: &[Value]) -> Vec<Scored> {
    let task = stage.config.task.texts().filter(|task| TextTask::GLUE.contains(task));
    let Some(task) = task else { return Vec::new() };
    let of_training = |training: Training| {
        let dir = training.config.output.dir.as_ref()?;
        let out = dir.to_string_lossy().into_owned();
        let told = results.iter().find(|result| result["out"].as_str() == Some(&*out));
        let metrics = match told {
            Some(told) => serde_json::from_value(told["metrics"].clone()).ok()?,
            None => train::finished(&runs::resolved(&training.config))?,
        };
        Some(Scored { task, out, metrics })
    };
    stage.trainings().into_iter().filter_map(of_training).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::plan::Plan;
    use crate::config::recipe::Recipe;

    /// A recipe of all nine tasks, two runs each.
    fn campaign(out: &Path) -> Plan {
        let stage = |task: TextTask| {
            format!(
                "[[stage]]\nname='{task}'\ntask='{task}'\nruns=2\n[stage.data]\ntrain='t'\ndev='d'\n\
                 dev_mismatched='{}'\n",
                "m"
            )
        };
        let stage = |task: TextTask| match task {
            TextTask::Mnli => stage(task),
            _ => stage(task).replace("dev_mismatched='m'\n", ""),
        };
        let stages = TextTask::GLUE.map(stage).concat();
        let text = format!("summary='glue'\nmodel.path='m'\n{stages}");
        let recipe = Recipe::parse(&text, "r").unwrap();
        Plan::of_recipe(&recipe, &[], Some(out), out, "r").unwrap()
    }

    /// Leaves what a finished run does.
    fn finish(training: &Training, metrics: &Value) {
        let dir = training.config.output.dir.as_ref().unwrap();
        std::fs::create_dir_all(dir).unwrap();
        let configuration = train::identity(&training.config).unwrap();
        let record = json!({"version": "0", "finished": true, "configuration": configuration});
        std::fs::write(dir.join("run.json"), record.to_string()).unwrap();
        std::fs::write(dir.join("metrics.json"), metrics.to_string()).unwrap();
    }

    fn metrics(task: TextTask, value: f64) -> Value {
        let names = limbeck_data::glue::score::reported(task);
        names
            .into_iter()
            .map(|name| (name.to_owned(), value.into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    #[test]
    fn nine_tasks_are_summed_up_as_they_finish_whoever_trained_them() {
        let folder = tempfile::tempdir().unwrap();
        let plan = campaign(folder.path());
        let card = sum_up(&plan, folder.path(), &[]).unwrap();
        assert_eq!((card.tasks.len(), card.missing.len()), (0, 9));
        for (task, stage) in TextTask::GLUE.into_iter().zip(&plan.stages) {
            for (training, value) in stage.trainings().iter().zip([0.5, 0.75]) {
                finish(training, &metrics(task, value));
            }
        }
        // One more of this start, and one that was trained otherwise.
        let rte = &plan.stages[7].trainings()[1];
        let out = rte.config.output.dir.as_ref().unwrap().display().to_string();
        let told = [json!({"out": out, "metrics": {"accuracy": 1.0}})];
        let card = sum_up(&plan, folder.path(), &told).unwrap();
        assert_eq!(card.average_bert, Some((7.0 * 0.75 + 1.0) / 8.0));
        assert_eq!(card.average_glue, Some((8.0 * 0.75 + 1.0) / 9.0));
        let written = std::fs::read(folder.path().join(METRICS)).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["average_glue"].as_f64(), card.average_glue);
        assert_eq!(written["tasks"]["cola"]["runs"], 2);
        let page = std::fs::read_to_string(folder.path().join(PAGE)).unwrap();
        assert!(page.contains("average_glue") && page.contains("wnli/run-2"), "{page}");
        refuse_other_files(folder.path()).unwrap();

        let mut other = plan.stages[0].trainings();
        other[0].config.optim.learning_rate = 1e-3;
        finish(&other[0], &metrics(TextTask::Cola, 1.0));
        let two = ["cola".to_owned(), "rte".to_owned()];
        let card = sum_up(&plan.clone().only(&two), folder.path(), &told).unwrap();
        assert_eq!((card.tasks["cola"].runs, card.tasks["mnli"].runs), (1, 2));
    }

    #[test]
    fn a_folder_of_something_else_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        refuse_other_files(folder.path()).unwrap();
        std::fs::write(folder.path().join(METRICS), "{\"f1\": 1}").unwrap();
        assert!(refuse_other_files(folder.path()).unwrap_err().to_string().contains(METRICS));
        std::fs::write(folder.path().join("run.json"), "{}").unwrap();
        assert!(refuse_other_files(folder.path()).unwrap_err().to_string().contains("run.json"));
    }
}
