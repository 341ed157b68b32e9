//! What runs need, looked for all at once before the first of them: models, teachers, data and a place
//! for the results. What is missing is told in a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use limbeck_data::glue::TextTask;
use limbeck_data::{SquadData, Tokenizer};
use limbeck_model::{Head, HeadKind, Model, ModelConfig};
use limbeck_remote::store;
use limbeck_runtime::folder::check_vocabulary;
use limbeck_train::folder::has_finished;

use super::{last_or_only, objective, texts};
use crate::commands::models::resolve;
use crate::commands::place::{address, here};
use crate::commands::subject::check_length;
use crate::config::plan::Stage;
use crate::config::{RunConfig, Task};
use crate::console::Console;
use crate::exit::{InputError, InputErrors, line_of};
use crate::progress::Progress;

/// Where what is needed is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// It runs on this machine.
    This,
    /// It runs on the nodes of a cluster: relative paths go along from here, absolute ones and models
    /// by their ids are the nodes' own and cannot be seen from here.
    Nodes,
}

/// What was looked for, and what of it is missing.
pub struct Needs {
    machine: Machine,
    missing: Vec<String>,
    /// What was looked at already.
    seen: BTreeSet<String>,
    /// The folders of models by the names that were given; none where there is none. The hub is asked
    /// once for each.
    folders: BTreeMap<String, Option<PathBuf>>,
    /// Models that were opened, under the head of their task; none where one cannot be.
    opened: BTreeMap<String, Option<Opened>>,
    /// The heads that texts give, by the files and the model.
    heads: BTreeMap<String, Option<Head>>,
}

/// What others must fit of a model that was opened.
#[derive(Clone)]
struct Opened {
    config: ModelConfig,
    tokenizer: Option<Tokenizer>,
}

impl Needs {
    /// Nothing yet.
    pub fn on(machine: Machine) -> Self {
        let (missing, seen) = Default::default();
        let (folders, opened, heads) = Default::default();
        Self { machine, missing, seen, folders, opened, heads }
    }

    /// Where it is looked for.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Adds what the stages need that an earlier one does not make; those that have finished, unless
    /// they are to be run again, need nothing.
    pub fn of_stages(&mut self, stages: &[Stage], again: bool) {
        let dir = |stage: &Stage| stage.config.output.dir.clone();
        for (number, stage) in stages.iter().enumerate() {
            let finished = dir(stage).is_some_and(|dir| has_finished(&dir));
            if finished && !again {
                continue;
            }
            let made: Vec<PathBuf> = stages[..number].iter().filter_map(dir).collect();
            self.of_run(&stage.config, &made);
            if let Some(out) = dir(stage).filter(|_| self.machine == Machine::This) {
                self.writable(&out, "output.dir");
            }
        }
    }

    /// Adds one line, once.
    pub fn add(&mut self, line: String) {
        if !self.missing.contains(&line) {
            self.missing.push(line);
        }
    }

    /// Refuses to begin where something is missing; `advice` says what to do.
    ///
    /// # Errors
    /// All that is missing.
    pub fn refuse(self, advice: &str) -> Result<()> {
        let mut missing = self.missing;
        match missing.len() {
            0 => Ok(()),
            1 => Err(InputError::new(missing.remove(0), advice, "").into()),
            count => {
                let sum = format!("{count} things are missing, and nothing was started");
                let sum = InputError::new(sum, advice, "").to_string();
                missing.push(sum);
                Err(InputErrors(missing).into())
            }
        }
    }

    fn note(&mut self, what: &str, error: &anyhow::Error) {
        self.add(format!("{what}: {}", line_of(error)));
    }

    /// Whether something is looked at for the first time.
    fn is_new(&mut self, what: String) -> bool {
        self.seen.insert(what)
    }

    /// Adds what one run needs but for what lies in the folders `made`.
    fn of_run(&mut self, config: &RunConfig, made: &[PathBuf]) {
        let data = &config.data;
        let train = data.train.iter().map(|path| ("data.train", path));
        let others = [
            ("data.dev", &data.dev),
            ("data.dev_mismatched", &data.dev_mismatched),
            ("text.tokenizer", &config.text.tokenizer),
            ("model.config", &config.model.config),
        ];
        let others = others.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?)));
        let mut all_there = true;
        for (key, path) in train.chain(others) {
            all_there &= self.readable(key, path, config.task);
        }
        let kind = head_of(config.task);
        let model = config.model.path.as_ref().filter(|name| !is_made(name, made));
        let student = model.and_then(|name| self.model("model.path", name, kind, config));
        let head = match (config.task.texts(), &student) {
            (Some(task), Some((dir, _))) if all_there => self.texts(config, task, dir),
            (Some(_), _) => None,
            (None, _) => student.as_ref().map(|(_, student)| student.config.head.clone()),
        };
        for name in config.teacher.iter().filter(|name| !is_made(name, made)) {
            let Some((dir, _)) = self.model("teacher", name, kind, config) else { continue };
            let (Some((own, student)), Some(head)) = (&student, &head) else { continue };
            self.teacher(config, (name, &dir), (own, student), head);
        }
    }

    /// The configuration of a trained model that is run on some data, where it can be opened from here;
    /// what cannot be opened or read is added.
    pub fn trained(&mut self, model: &str, data: &Path) -> Option<ModelConfig> {
        if self.machine == Machine::Nodes && !Path::new(model).is_dir() {
            self.of_nodes("--model", model);
            return None;
        }
        let config = resolve(model).and_then(|dir| Ok(ModelConfig::open(&dir)?));
        let is_classifier =
            config.as_ref().is_ok_and(|config| config.head.kind() == HeadKind::Classification);
        let task = if is_classifier { Task::Texts(TextTask::Classify) } else { Task::Squad };
        self.readable("--data", data, task);
        match config {
            Ok(config) => Some(config),
            Err(error) => {
                self.note(&format!("--model is {model}"), &error);
                None
            }
        }
    }

    /// Adds a teacher that does not fit its student.
    fn teacher(
        &mut self,
        config: &RunConfig,
        (name, dir): (&str, &Path),
        (own, student): (&Path, &Opened),
        head: &Head,
    ) {
        let Some(tokenizer) = &student.tokenizer else { return };
        let soft = config.distill.alpha_soft > 0.0;
        let pair = format!("{} {} {:?} {soft}", dir.display(), own.display(), config.task);
        if !self.is_new(pair) {
            return;
        }
        let mut config_of_student = student.config.clone();
        config_of_student.head = head.clone();
        let mut quiet = Progress::new(Console { json: false, quiet: true, reports: false });
        let fits = objective::open_teacher(config, name, &config_of_student, tokenizer, &mut quiet);
        if let Err(error) = fits {
            self.note("`teacher`", &error);
        }
    }

    /// The folder of a model that can be opened, with what others must fit of it.
    fn model(
        &mut self,
        key: &str,
        name: &str,
        kind: HeadKind,
        config: &RunConfig,
    ) -> Option<(PathBuf, Opened)> {
        let name = &last_or_only(name);
        if self.machine == Machine::Nodes && !Path::new(name).is_dir() {
            self.of_nodes(key, name);
            return None;
        }
        if !self.folders.contains_key(name) {
            let found = resolve(name);
            if let Err(error) = &found {
                self.note(&format!("`{key}` is {name}"), &anyhow!(unfound(error, name)));
            }
            self.folders.insert(name.clone(), found.ok());
        }
        let dir = self.folders.get(name).cloned().flatten()?;
        let place = format!("{kind:?} {}", dir.display());
        if !self.opened.contains_key(&place) {
            let opened = open(&dir, kind, config);
            if let Err(error) = &opened {
                self.note(&format!("`{key}` is {name}"), error);
            }
            self.opened.insert(place.clone(), opened.ok());
        }
        let opened = self.opened.get(&place).cloned().flatten()?;
        if let Err(error) = check_length(&config.features, &opened.config, &dir) {
            self.note(&format!("`{key}`"), &error);
        }
        Some((dir, opened))
    }

    /// Adds a path that goes along from here and is not there.
    fn of_nodes(&mut self, key: &str, name: &str) {
        let path = Path::new(name);
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let is_ours = path.is_relative() && !store::is_url(name);
        // The id of a model looks like a path; it is none where its first part is no folder.
        if is_ours && (!key_of_model(key) || above.is_some_and(Path::is_dir)) {
            self.add(format!("`{key}` is {name}: there is none here to go along with the jobs"));
        }
    }

    /// Whether a file, or where that may be the folder of one, can be read; what cannot is added.
    pub fn readable(&mut self, key: &str, path: &Path, task: Task) -> bool {
        if self.machine == Machine::Nodes && !path.exists() {
            self.of_nodes(key, &path.to_string_lossy());
            return false;
        }
        let what = format!("`{key}` is {}", path.display());
        if !self.is_new(format!("{what} {task:?}")) {
            return !self.missing.iter().any(|line| line.starts_with(&format!("{what}: ")));
        }
        let read = read(key, path, task);
        if let Err(error) = &read {
            let line = line_of(error);
            // The file's own errors name it too.
            let line = line.replacen(&format!("{}: ", path.display()), "", 1);
            self.add(format!("{what}: {line}"));
        }
        read.is_ok()
    }

    /// The head that the texts of a run give, which are read once; a fault of theirs is added.
    fn texts(&mut self, config: &RunConfig, task: TextTask, dir: &Path) -> Option<Head> {
        let key = format!("{task:?} {:?} {}", config.data, dir.display());
        if let Some(head) = self.heads.get(&key) {
            return head.clone();
        }
        let local = super::with_local_data(config);
        let read = local.and_then(|local| texts::Texts::read(&local, task, dir));
        if let Err(error) = &read {
            self.note("`data`", error);
        }
        let head = read.ok().map(|texts| texts.head());
        self.heads.insert(key, head.clone());
        head
    }

    /// Adds a folder that cannot be written to, whether it is there already or not.
    pub fn writable(&mut self, out: &Path, key: &str) {
        if address(out).is_some() || !self.is_new(format!("{key} {}", out.display())) {
            return;
        }
        let Ok(folder) = here(out) else { return };
        let there = folder.ancestors().find(|above| above.exists());
        let there = there.unwrap_or(Path::new(".")).to_owned();
        let there = if there.as_os_str().is_empty() { PathBuf::from(".") } else { there };
        let wrong = match there.is_dir() {
            false => Some("it is a file".to_owned()),
            true => {
                tempfile::tempfile_in(&there).err().map(|error| format!("cannot write: {error}"))
            }
        };
        if let Some(wrong) = wrong {
            self.add(format!("`{key}` is {}: {}: {wrong}", out.display(), there.display()));
        }
    }
}

/// Why there is no model of a name, without saying the name again.
fn unfound(error: &anyhow::Error, name: &str) -> String {
    let line = line_of(error).replacen(&format!("no model `{name}`: "), "", 1);
    let line = line.replacen(&format!("`{name}`: "), "", 1);
    match line.starts_with("it is not in") {
        true => format!("there is no such folder, {line}"),
        false => line,
    }
}

/// Whether a key names models, which may be ids.
fn key_of_model(key: &str) -> bool {
    matches!(key, "model.path" | "teacher" | "--model" | "text.tokenizer")
}

fn head_of(task: Task) -> HeadKind {
    match task {
        Task::Pretrain => HeadKind::MaskedWord,
        _ if task.texts().is_some() => HeadKind::Classification,
        _ => HeadKind::Span,
    }
}

/// Whether a model lies in the folder of an earlier stage.
fn is_made(name: &str, made: &[PathBuf]) -> bool {
    made.iter().any(|folder| Path::new(name).starts_with(folder))
}

/// Opens a model with its tokenizer, as a run of this configuration does.
fn open(dir: &Path, kind: HeadKind, config: &RunConfig) -> Result<Opened> {
    let (model, _) = Model::open_with_head(dir, kind)?;
    // A pretraining may bring another one.
    let mut tokenizer = match config.text.tokenizer.is_some() && kind == HeadKind::MaskedWord {
        true => None,
        false => Some(Tokenizer::from_folder(dir)?),
    };
    if let Some(tokenizer) = &mut tokenizer {
        check_vocabulary(tokenizer, &model.config, dir)?;
    }
    Ok(Opened { config: model.config, tokenizer })
}

/// Reads a file as far as it shows that a run can: questions whole, of others the beginning.
fn read(key: &str, path: &Path, task: Task) -> Result<()> {
    let local = here(path)?;
    let may_be_folder = matches!(key, "text.tokenizer" | "model.config");
    if may_be_folder && local.is_dir() {
        return Ok(());
    }
    let mut file = File::open(&local)?;
    let mut byte = [0];
    if file.read(&mut byte)? == 0 {
        return Err(InputError::new("the file is empty", "", "").into());
    }
    if (key.starts_with("data.") || key == "--data")
        && task != Task::Pretrain
        && task.texts().is_none()
    {
        let data = SquadData::read(&local, limbeck_data::Gold::Ignored)?.0;
        if data.questions.is_empty() {
            return Err(InputError::new("there is no question", "", "").into());
        }
    }
    Ok(())
}
