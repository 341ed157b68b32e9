//! `limbeck run --on ray=...`: a recipe as one job of a Ray cluster, followed from here.
//!
//! Which job it is lies in `ray.json` in the folder of the results, before the cluster has it: so
//! whoever gives the same command again finds the job. The job tells what it made in the last
//! line of its log, and lays its files where its node keeps logs, from where the cluster hands
//! them out; or it writes to a folder that this machine sees too.

mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use limbeck_data::files;
use limbeck_remote::store;
use limbeck_search::execute::ray::package::Entry;
use limbeck_search::execute::ray::single::{self, JobEnd, SingleJob};
use limbeck_search::execute::ray::{Package, Resources, Rhythm};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use results::hand_over;

use super::glue::campaign;
use super::place::address;
use super::run::{Told, only, tell};
use super::search::preflight::advice_of;
use super::search::ray::{PROGRAM, RECIPE, cluster, program, quoted};
use super::train::needs::{Machine, Needs};
use crate::cli::training::RunArgs;
use crate::config::plan::{Assignment, Plan};
use crate::config::recipe::Recipe;
use crate::console::Console;
use crate::exit::{self, Ending, InputError};
use crate::{interrupt, shipping};

/// What is known of the job of a folder.
const STATE: &str = "ray.json";

/// What `ray.json` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The newest job.
    job: Option<String>,
    /// What it does: the BLAKE3 of the resolved recipe.
    plan: String,
    /// What came of the run, once it is here.
    results: Option<Vec<Value>>,
}

/// Runs the command.
pub fn run(args: &RunArgs, assignments: &[Assignment], console: Console) -> Result<Ending> {
    let (place, how) = (&args.place, &args.how);
    let [path] = args.recipes.as_slice() else {
        let what = "several recipes on a cluster";
        return Err(InputError::new(what, "--on", "give one at a time").into());
    };
    if how.processes.rendezvous.is_some() {
        let advice = "processes of a job run on one node; give --ranks alone";
        return Err(InputError::new("`--rendezvous` on a cluster", "--on", advice).into());
    }
    let named = path.display().to_string();
    let recipe = Recipe::read(path)?;
    let default = Path::new("runs").join(path.file_stem().unwrap_or_default());
    let own = recipe.shared.get("output.dir").and_then(|dir| dir.as_str()).map(PathBuf::from);
    let out = args.out.clone().or(own).unwrap_or(default);
    let folder = match address(&out) {
        Some(url) => store::folder_for(url, "jobs")?,
        None => out.clone(),
    };
    // A mistake in the recipe is told here.
    let plan_in = |out: &Path| -> Result<Vec<Plan>> {
        let plan = Plan::of_recipe(&recipe, assignments, Some(out), out, &named)?;
        Ok(only(vec![plan.runnable()?], &args.only)?)
    };
    let plans = plan_in(&out)?;
    let plan = plans.iter().map(Plan::to_toml).collect::<Result<Vec<_>>>()?.concat();
    let plan = blake3::hash(plan.as_bytes()).to_hex().to_string();
    let mut state = State::read(&folder);
    let is_another = state.plan != plan && !how.overwrite;
    let another = || {
        let advice = "give another --out, or --overwrite";
        let what = "the folder holds a run of another recipe on a cluster";
        InputError::new(what, out.display().to_string(), advice)
    };
    if state.results.is_some() && is_another {
        return Err(another().into());
    }
    if let Some(results) = state.results.as_ref().filter(|_| !how.overwrite) {
        let done = out.display();
        console.message(&format!("{done}: finished already; --overwrite starts afresh"));
        let out = out.canonicalize().ok().filter(|_| address(&out).is_none()).unwrap_or(out);
        told(&plan_in(&out)?, results.clone(), console)?;
        return Ok(Ending::Done);
    }

    let mut needs = Needs::on(Machine::Nodes);
    plans.iter().for_each(|plan| needs.of_stages(&plan.stages, true));
    needs.refuse(&advice_of(path))?;
    let jobs = cluster(place.on.as_deref().unwrap_or_default())?;
    let packed = tempfile::tempdir().context("cannot make a folder for what goes along")?;
    let (text, mut packages) =
        shipping::recipe(&recipe, assignments, &place.ship, packed.path(), &named)?;
    let mut entries = vec![program()?, Entry::Text(RECIPE.to_owned(), text)];
    entries.extend(shipping::along(&place.ship, true)?);
    let first = Package::pack(entries, packed.path());
    packages.insert(0, first.map_err(|error| InputError::new(error, "--ship", ""))?);
    jobs.version().map_err(|error| anyhow!("no Ray can be reached: {error}"))?;

    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    // What is an address here is the same there.
    let out = if address(&out).is_some() { out.clone() } else { folder.clone() };
    interrupt::install_saying("stopping the job; once more to leave it")?;
    let say = |text: &str| exit::complain(&format!("{}: {text}", jobs.address()));
    let any = SingleJob {
        jobs: &jobs,
        id: "",
        entrypoint: "",
        packages: &packages,
        resources: Resources { cpus: place.job_cpus, gpus: 0.0, memory: place.job_memory },
        rhythm: Rhythm { log: std::time::Duration::from_secs(5), ..Rhythm::default() },
        tell: &say,
    };
    if let Some(left) = state.job.clone() {
        match single::is_of_use(&SingleJob { id: &left, ..any }, &interrupt::requested) {
            None => return Ok(Ending::Interrupted),
            Some(true) if how.overwrite => {
                let _ = jobs.stop(&left);
                state.job = None;
            }
            Some(true) if is_another => return Err(another().into()),
            Some(true) => say(&format!("going on with the job {left}")),
            Some(false) => state.job = None,
        }
    }
    let mut overwrite = how.overwrite;
    let mut losses = 0;
    loop {
        let is_new = state.job.is_none();
        let id = state.job.clone().unwrap_or_else(|| new_id(&out));
        state = State { job: Some(id.clone()), plan: plan.clone(), results: None };
        state.write(&folder)?;
        let entrypoint = entrypoint(args, &id, &out, overwrite);
        overwrite = false;
        if is_new {
            say(&format!("the job is {id}"));
        }
        let mut hear = |line: &str| {
            if !results::is_told(line) && !line.contains("-- Running entrypoint") {
                console.message(line);
            }
        };
        let job = SingleJob { id: &id, entrypoint: &entrypoint, ..any };
        let lost = match single::follow(&job, &mut hear, &interrupt::requested) {
            JobEnd::Well(log, info) => {
                let results = results::fetch(&jobs, &log, &info, &id, &folder)?;
                state.results = Some(results);
                state.write(&folder)?;
                told(&plan_in(&out)?, state.results.unwrap_or_default(), console)?;
                return Ok(Ending::Done);
            }
            JobEnd::Stopped if interrupt::requested() => {
                console.message("the job is stopped; the same command goes on");
                return Ok(Ending::Interrupted);
            }
            JobEnd::Stopped => {
                let again = "the same command runs it again";
                return Err(anyhow!("job {id} was stopped on the cluster; {again}"));
            }
            JobEnd::Failed(reason) => return Err(anyhow!("job {id} failed: {reason}")),
            JobEnd::Refused(reason) => return Err(anyhow!("no job can be made: {reason}")),
            JobEnd::Lost(reason) => reason,
        };
        state.job = None;
        losses += 1;
        if losses > place.retries {
            return Err(anyhow!("job {id} is lost: {lost}; the same command runs it again"));
        }
        say(&format!("job {id} is lost: {lost}; there will be another"));
    }
}

/// Tells what came of a recipe, summed up under the names that its folders have here.
fn told(plans: &[Plan], results: Vec<Value>, console: Console) -> Result<()> {
    let mut summaries = Vec::new();
    for plan in plans {
        if let Some((_, folder)) = &plan.summary {
            summaries.push(campaign::sum_up(plan, folder, &results)?);
        }
    }
    tell(&Told { results, summaries }, console)
}

/// The line that runs the recipe there.
fn entrypoint(args: &RunArgs, id: &str, out: &Path, overwrite: bool) -> String {
    let place = &args.place;
    let there = match place.shared_out || address(out).is_some() {
        true => out.to_string_lossy().into_owned(),
        // In the folder of the package, of the same name for every job of this folder.
        false => format!("runs/{}", key(out)),
    };
    let threads = place.job_cpus.max(1.0).floor().to_string();
    let mut words = vec![format!("./{PROGRAM}"), "run".to_owned(), RECIPE.to_owned()];
    words.extend(["--out".to_owned(), there, "--job".to_owned(), id.to_owned()]);
    words.extend(["--threads".to_owned(), threads]);
    if !args.only.is_empty() {
        words.extend(["--only".to_owned(), args.only.join(",")]);
    }
    if let Some(ranks) = args.how.processes.ranks {
        words.extend(["--ranks".to_owned(), ranks.to_string()]);
    }
    if overwrite {
        words.push("--overwrite".to_owned());
    }
    if place.shared_out {
        words.push("--shared-out".to_owned());
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// What tells a folder from all others.
fn key(out: &Path) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text = format!("{host}\n{}", out.display());
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

fn new_id(out: &Path) -> String {
    let time = limbeck_train::trackers::now();
    let text = format!("{time} {} {}", std::process::id(), out.display());
    format!("limbeck-run-{}", &blake3::hash(text.as_bytes()).to_hex()[..16])
}

impl State {
    fn read(out: &Path) -> Self {
        let bytes = std::fs::read(out.join(STATE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(&self, out: &Path) -> Result<()> {
        Ok(files::replace(&out.join(STATE), &serde_json::to_vec_pretty(self)?)?)
    }
}
