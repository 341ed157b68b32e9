//! Trials on a Ray cluster: what goes there, who follows it here, and what runs it there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use limbeck_search::execute::Attempt;
use limbeck_search::execute::ray::package::Entry;
use limbeck_search::execute::ray::{self, Jobs, Package, RemoteJob, Resources, Rhythm, outcome};
use limbeck_search::stopping::Rule;
use limbeck_search::study::{Description, LossPolicy, Outcome, Study};

use super::objective::Objective;
use super::trial::{LEAST_CURVES, here};
use crate::cli::search::{LimitArgs, PlaceArgs, TrialArgs};
use crate::commands::search::folder_of;
use crate::config::plan::Assignment;
use crate::config::recipe::Recipe;
use crate::console;
use crate::exit::{self, Ending, InputError};
use crate::{interrupt, shipping};

/// Names of files in a package.
pub const PROGRAM: &str = "limbeck";
const STUDY: &str = "study.toml";
pub const RECIPE: &str = "recipe.toml";

/// A cluster that is silent for so long is out of reach.
const SILENCE: Duration = Duration::from_secs(20);

/// Gives the packages to the cluster at an address, which must answer. The trials' followers look
/// after them later; they come several at a time, and each would bring them.
///
/// # Errors
/// When it does not answer, or does not take a package.
pub fn bring(address: &str, packages: &[Package]) -> Result<()> {
    let jobs = cluster(address)?;
    let brought = jobs.version().and_then(|_| jobs.bring(packages));
    brought.map_err(|error| anyhow!("no Ray can be reached: {error}"))
}

/// The cluster at an address, of which nothing is asked yet.
///
/// # Errors
/// When it is no address.
pub fn cluster(address: &str) -> Result<Jobs> {
    let jobs = Jobs::new(address, SILENCE);
    Ok(jobs.map_err(|error| InputError::new(error.to_string(), "--on", ""))?)
}

/// This program and all that a trial of the objective reads, as far as it goes along, packed
/// into `folder`.
///
/// # Errors
/// When something cannot be read or is too large.
pub fn packages(
    objective: &Objective,
    description: &Description,
    ship: &[PathBuf],
    folder: &Path,
) -> Result<Vec<Package>> {
    let study = toml::to_string(description.to_toml())?;
    let mut entries = vec![program()?, Entry::Text(STUDY.to_owned(), study)];
    let mut inputs = Vec::new();
    if let Objective::Recipe { path, assignments } = objective {
        let assignments = assignments.iter().map(|text| Assignment::parse(text));
        let assignments: Vec<Assignment> = assignments.collect::<Result<_, _>>()?;
        let place = path.display().to_string();
        let recipe = Recipe::read(path)?;
        let (recipe, packed) = shipping::recipe(&recipe, &assignments, ship, folder, &place)?;
        entries.push(Entry::Text(RECIPE.to_owned(), recipe));
        inputs = packed;
    }
    entries.extend(shipping::along(ship, matches!(objective, Objective::Recipe { .. }))?);
    let first = Package::pack(entries, folder);
    let first = first.map_err(|error| InputError::new(error, "--ship", ""))?;
    inputs.insert(0, first);
    Ok(inputs)
}

/// This program, as it goes along.
pub fn program() -> Result<Entry> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(Entry::File(own, PROGRAM.to_owned()))
}

/// The flags by which a follower is told where its trial runs.
pub fn flags(place: &PlaceArgs, packages: &[Package], retries: usize) -> Vec<String> {
    let Some(address) = &place.on else { return Vec::new() };
    let mut flags = vec![
        "--on".to_owned(),
        format!("ray={address}"),
        "--retries".to_owned(),
        retries.to_string(),
        "--trial-cpus".to_owned(),
        place.trial_cpus.to_string(),
    ];
    let optional = [
        ("--trial-gpus", place.trial_gpus.map(|n| n.to_string())),
        ("--trial-memory", place.trial_memory.map(|n| n.to_string())),
        ("--max-concurrent", place.max_concurrent.map(|n| n.to_string())),
    ];
    for package in packages {
        let path = package.path().to_string_lossy().into_owned();
        flags.extend(["--package".to_owned(), path]);
    }
    for (flag, value) in optional {
        flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    flags
}

/// Follows a trial of a study that runs as a job.
///
/// # Errors
/// When the study or the package cannot be read.
pub fn follow(
    study: &mut Study,
    number: usize,
    objective: &Objective,
    args: &TrialArgs,
) -> Result<Attempt> {
    let address = args.place.on.as_deref().unwrap_or_default();
    let jobs = cluster(address)?;
    let folder = folder_of(study.path());
    let packages = match args.packages.as_slice() {
        [] => packages(objective, study.description(), &args.place.ship, &folder)?,
        paths => {
            let packages = paths.iter().map(|path| Package::at(path)).collect::<Result<_, _>>();
            packages.map_err(|error| InputError::new(error, "--package", ""))?
        }
    };
    let params = study.trials().get(number).map(|trial| serde_json::to_string(&trial.params));
    let params = params.transpose()?.unwrap_or_default();
    let cpus = args.place.trial_cpus;
    let entrypoint = |id: &str| {
        let mut words = [format!("./{PROGRAM}"), "trial".to_owned()].to_vec();
        words.extend(["--job".to_owned(), id.to_owned()]);
        words.extend(["--number".to_owned(), number.to_string()]);
        words.extend(["--params".to_owned(), params.clone()]);
        words.extend(["--space".to_owned(), STUDY.to_owned(), "--quiet".to_owned()]);
        words.extend(["--threads".to_owned(), cpus.max(1.0).floor().to_string()]);
        words.extend(objective.with_recipe(RECIPE).flags());
        words.extend(limits(&args.limits));
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    };
    let tell = |text: &str| exit::complain(&format!("trial {number}: {address}: {text}"));
    let job = RemoteJob {
        jobs: &jobs,
        packages: &packages,
        entrypoint: &entrypoint,
        resources: Resources {
            cpus,
            gpus: args.place.trial_gpus.unwrap_or(0.0),
            memory: args.place.trial_memory,
        },
        folder: folder.join(number.to_string()),
        most: args.place.max_concurrent.unwrap_or(usize::MAX),
        stopping: args.limits.early_stop.map(|confidence| Rule { confidence, least: LEAST_CURVES }),
        policy: LossPolicy { retries: args.retries },
        rhythm: Rhythm::default(),
        tell: &tell,
    };
    interrupt::install_saying("stopping: the trial gives itself back; once more to leave it")?;
    Ok(ray::supervise(study, number, &job, &interrupt::requested)?)
}

/// The limits that the job itself keeps to.
fn limits(args: &LimitArgs) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(memory) = args.memory_limit {
        flags.extend(["--memory-limit".to_owned(), memory.to_string()]);
    }
    if let Some(time) = args.time_limit {
        flags.extend(["--time-limit".to_owned(), time.as_secs_f64().to_string()]);
    }
    flags
}

/// Runs a trial as a job: in a study of its own, whose only trial it is, so that the cluster's
/// trials keep to the same limits as others. Its outcome is the last line of output.
///
/// # Errors
/// When there is no such trial, or nothing can be written.
pub fn run_job(args: &TrialArgs, objective: &Objective) -> Result<Ending> {
    let (id, number) = (args.job.as_deref().unwrap_or_default(), args.number.unwrap_or_default());
    let path = args.space.as_deref().unwrap_or(Path::new(STUDY));
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let description = Description::from_toml(&text.parse()?)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the trial")?;
    let mut study = Study::open_or_create(&folder.path().join("study"), &description)?;
    let params = serde_json::from_str(args.params.as_deref().unwrap_or_default())?;
    let index = study.suggest(params, "job", None)?.unwrap_or_default();
    let own = folder.path().join("trial");
    let attempt = here(&mut study, (index, number), &own, objective, &args.limits, true)?;
    let Attempt::Recorded(outcome) = attempt else {
        return Err(anyhow!("the trial of job {id} was taken by somebody else"));
    };
    console::print(&outcome::line(id, &outcome))?;
    match outcome {
        Outcome::Released => Ok(Ending::Interrupted),
        _ => Ok(Ending::Done),
    }
}

/// A word as a shell reads it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        let words = ["a", "a b", "it's", "{\"lr\":1e-5}", "", "$HOME;`x`\\"];
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let script = format!("printf '<%s>' {}", line.join(" "));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected: String = words.iter().map(|word| format!("<{word}>")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
