//! How what a job has made comes to the machine that asked for it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use limbeck_search::execute::ray::Jobs;
use limbeck_search::execute::ray::jobs::JobInfo;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commands::place::address;
use crate::console;

/// What the line begins with in which a job tells what it has made.
const MARK: &str = "@@limbeck-run ";

/// How often a file is asked for.
const TRIES: u32 = 3;

/// What a job has made.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The id of the job that says it.
    job: String,
    /// What each stage says.
    results: Vec<Value>,
    /// The folder on the node.
    folder: PathBuf,
    /// What can be fetched; none where the folder is shared.
    files: Vec<Handed>,
    /// Why nothing can be fetched, where that is so.
    #[serde(default)]
    withheld: Option<String>,
}

/// A file that can be fetched.
#[derive(Debug, Serialize, Deserialize)]
struct Handed {
    /// Its path in the folder of the results.
    name: PathBuf,
    /// Its path in the folder in which the node keeps its logs.
    from: String,
    bytes: u64,
    /// The BLAKE3 of it.
    hash: String,
}

/// Whether a line is the one in which a job tells what it has made.
pub fn is_told(line: &str) -> bool {
    line.starts_with(MARK)
}

/// In a job: tells the results of the run in `out`, and makes its files fit to be fetched unless
/// everybody sees them.
///
/// # Errors
/// When nothing can be written.
pub fn hand_over(job: &str, results: &[Value], out: &Path, shared: bool) -> Result<()> {
    let is_address = address(out).is_some();
    let folder = if is_address { out.to_owned() } else { out.canonicalize()? };
    let mut told = Told {
        job: job.to_owned(),
        results: results.to_vec(),
        folder: folder.clone(),
        files: Vec::new(),
        withheld: None,
    };
    if !shared && !is_address {
        match lay_out(job, &folder) {
            Ok(files) => told.files = files,
            Err(error) => told.withheld = Some(format!("{error:#}")),
        }
    }
    console::print(&format!("{MARK}{}", serde_json::to_string(&told)?))
}

/// Lays the files beside this process's own log, in which a cluster lets others look.
fn lay_out(job: &str, folder: &Path) -> Result<Vec<Handed>> {
    let log = fs::read_link("/proc/self/fd/1").context("cannot find the log")?;
    let logs = log.parent().filter(|_| log.is_file()).context("the output is no log file")?;
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files)?;
    let mut handed = Vec::new();
    for name in files {
        let (from, number) = (folder.join(&name), handed.len());
        // Flat, since not every part of a cluster looks into folders.
        let place = format!("{job}.{number}");
        // A link takes no room; it is not to be had between two disks.
        if fs::hard_link(&from, logs.join(&place)).is_err() {
            fs::copy(&from, logs.join(&place))
                .with_context(|| format!("cannot lay {} beside the log", from.display()))?;
        }
        let (bytes, hash) = fingerprint(&from)?;
        handed.push(Handed { name, from: place, bytes, hash });
    }
    Ok(handed)
}

/// The files of a run, without what only the run itself needs.
fn collect(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "checkpoint" {
            continue;
        }
        let path = below.join(name);
        match entry.file_type()? {
            kind if kind.is_dir() => collect(folder, &path, files)?,
            kind if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Fetches what a job has made into `out`; what its stages say, with their folders here.
///
/// # Errors
/// In one line, where the results are, when they cannot be had.
pub fn fetch(jobs: &Jobs, log: &str, info: &JobInfo, id: &str, out: &Path) -> Result<Vec<Value>> {
    let lines = log.lines().rev().filter_map(|line| line.strip_prefix(MARK));
    let mut told = lines.filter_map(|line| serde_json::from_str::<Told>(line).ok());
    let told = told.find(|told| told.job == id).with_context(|| {
        format!("job {id} ended well, but its log is gone; --overwrite runs it again")
    })?;
    let node = info.driver_node_id.as_deref().unwrap_or_default();
    let megabytes = told.files.iter().map(|file| file.bytes).sum::<u64>() >> 20;
    let stay = |reason: String| {
        anyhow!(
            "the results of job {id} cannot be fetched ({reason}): they are in {} on node {node}; \
             --shared-out has a run write to a folder that every machine sees",
            told.folder.display()
        )
    };
    if let Some(reason) = told.withheld {
        return Err(stay(reason));
    }
    if megabytes > 0 {
        crate::exit::complain(&format!("fetching {megabytes} MB of results"));
    }
    for file in &told.files {
        let is_plain = file.name.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain {
            return Err(stay(format!("{} leads elsewhere", file.name.display())));
        }
        get(jobs, node, file, out).map_err(|error| stay(format!("{error:#}")))?;
    }
    let there = told.folder.to_string_lossy().into_owned();
    let mut results = told.results;
    if address(&told.folder).is_some() {
        return Ok(results);
    }
    for result in &mut results {
        if let Some(folder) = result.get("out").and_then(Value::as_str) {
            let below = folder.strip_prefix(&*there).unwrap_or_default().trim_matches('/');
            // The job names it from its own place.
            let below = if below.is_empty() { stage_of(result) } else { below.to_owned() };
            result["out"] = out.join(below).to_string_lossy().trim_end_matches('/').into();
        }
    }
    Ok(results)
}

fn stage_of(result: &Value) -> String {
    let stage = result.get("stage").and_then(Value::as_str).unwrap_or_default();
    match result.get("run").and_then(Value::as_u64) {
        Some(run) => Path::new(stage).join(format!("run-{run}")).to_string_lossy().into_owned(),
        None => stage.to_owned(),
    }
}

/// Fetches one file, unless it is here.
fn get(jobs: &Jobs, node: &str, file: &Handed, out: &Path) -> Result<()> {
    let path = out.join(&file.name);
    let is_whole = |path: &Path| {
        fingerprint(path).is_ok_and(|(bytes, hash)| bytes == file.bytes && hash == file.hash)
    };
    if is_whole(&path) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let name = file.name.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut outcome = Err(anyhow!("not tried"));
    for _ in 0..TRIES {
        outcome = (|| {
            let mut writer = BufWriter::new(File::create(&aside)?);
            jobs.node_file(node, &file.from, &mut writer).map_err(|error| anyhow!("{error}"))?;
            writer.flush()?;
            writer.get_ref().sync_all()?;
            match is_whole(&aside) {
                true => Ok(fs::rename(&aside, &path)?),
                false => Err(anyhow!("{} came broken", file.name.display())),
            }
        })();
        if outcome.is_ok() {
            break;
        }
    }
    if outcome.is_err() {
        let _ = fs::remove_file(&aside);
    }
    outcome
}

/// The size of a file and the BLAKE3 of its bytes.
fn fingerprint(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, hasher.finalize().to_hex().to_string())),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
