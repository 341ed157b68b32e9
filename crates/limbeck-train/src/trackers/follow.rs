//! Services that are told of a run from the lines of its `train.jsonl`.
//!
//! The run itself writes that file and knows nothing of services. A thread follows the file and
//! tells each line once; how many it has told lies in `tracking.json` beside it. So a service
//! that is slow or down costs the run nothing and loses nothing: what it has missed is still in
//! the file, also for the next start of the run. A run that goes on after a kill writes the lines
//! again that were taken back, and they are not told twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use limbeck_data::files;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Time between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest pause after a service failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How long the end of a run waits for a service that works on what is left.
const LAST_WAIT: Duration = Duration::from_secs(30);
/// The same when the model itself is to be handed over.
const LAST_WAIT_FOR_MODEL: Duration = Duration::from_secs(600);

/// What is known of each service, by its name.
const STATE_FILE: &str = "tracking.json";
const LINES_FILE: &str = "train.jsonl";

/// One line of `train.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The optimiser step.
    pub step: u64,
    /// Seconds since 1970.
    pub time: f64,
    /// Names and values; a value that is no number is NaN.
    pub values: Vec<(String, f64)>,
}

/// How a run ended, or stopped for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model is there.
    Finished,
    /// It will go on.
    Interrupted,
    /// It gave up.
    Failed,
}

/// What a service has been told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What the service calls the run.
    pub run: Option<String>,
    /// Lines of `train.jsonl`.
    pub lines: usize,
    /// How it ended, files included.
    pub ending: Option<Ending>,
}

/// A machine that is told of a run.
pub trait Service: Send {
    /// Makes the run known, or goes on with the one that it calls `run`; what it is called.
    ///
    /// # Errors
    /// When the service does not take it now; it will be asked again.
    fn begin(&mut self, run: Option<&str>) -> Result<String, String>;

    /// Tells these lines.
    ///
    /// # Errors
    /// As [`Service::begin`]; none of the lines counts as told then.
    fn tell(&mut self, run: &str, lines: &[Line]) -> Result<(), String>;

    /// Tells how the run in `folder` ended, with its files if it is finished.
    ///
    /// # Errors
    /// As [`Service::begin`].
    fn end(&mut self, run: &str, ending: Ending, folder: &Path) -> Result<(), String>;

    /// The most lines that [`Service::tell`] takes at once.
    fn most_lines(&self) -> usize;

    /// How many entries the service has taken in and thrown away, so that to tell them again would
    /// be of no use.
    fn refused(&self) -> usize {
        0
    }

    /// Whether the end may take long, because the model goes with it.
    fn takes_model(&self) -> bool {
        false
    }
}

/// What came of following.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Following {
    /// Lines that were not told.
    pub missed: usize,
    /// Whether the end was told.
    pub ended: bool,
    /// Why not all was.
    pub cause: Option<String>,
    /// Entries that the service will not have.
    pub refused: usize,
}

/// A thread that tells a service of the run in a folder.
pub struct Follower {
    name: String,
    end: Sender<Ending>,
    done: Receiver<Following>,
    wait: Duration,
}

impl Follower {
    /// Begins to follow; `name` stands for the service in `tracking.json` and in messages.
    pub fn start(name: &str, folder: &Path, service: Box<dyn Service>) -> Self {
        let (end, ending) = channel();
        let (finished, done) = channel();
        let wait = if service.takes_model() { LAST_WAIT_FOR_MODEL } else { LAST_WAIT };
        let work = Work {
            name: name.to_owned(),
            folder: folder.to_owned(),
            service,
            told: read_state(folder).remove(name).unwrap_or_default(),
            begun: false,
        };
        // A system without room for a thread has none for the service.
        let _ = thread::Builder::new()
            .name("tracking".to_owned())
            .spawn(move || drop(finished.send(work.follow(&ending))));
        Self { name: name.to_owned(), end, done, wait }
    }

    /// Tells how the run ended, waits a while for the rest to be told, and says in one line what
    /// was not. A service that fails is not waited for.
    pub fn finish(self, ending: Ending) -> Option<String> {
        let _ = self.end.send(ending);
        let following = self.done.recv_timeout(self.wait).unwrap_or_else(|_| Following {
            cause: Some("it takes too long".to_owned()),
            ..Following::default()
        });
        let Some(cause) = following.cause else {
            let name = &self.name;
            let told = |refused| format!("{name}: {refused} of its entries were refused for good");
            return Some(following.refused).filter(|&refused| refused > 0).map(told);
        };
        let what = match following.missed {
            0 => "the end of the run was not told".to_owned(),
            1 => "one line of train.jsonl was not told".to_owned(),
            missed => format!("{missed} lines of train.jsonl were not told"),
        };
        Some(format!("{}: {what}: {cause}; the same command tells it later", self.name))
    }
}

struct Work {
    name: String,
    folder: PathBuf,
    service: Box<dyn Service>,
    told: Told,
    /// Whether this process has made the run known.
    begun: bool,
}

impl Work {
    fn follow(mut self, ending: &Receiver<Ending>) -> Following {
        let mut pause = LOOK_EVERY;
        let mut last_try: Option<Instant> = None;
        loop {
            // The first look is at once, so that the run can be seen from its first minute.
            let wait = if last_try.is_none() { Duration::ZERO } else { pause };
            let ending = match ending.recv_timeout(wait) {
                Ok(ending) => Some(ending),
                Err(RecvTimeoutError::Timeout) => None,
                // The process ends without a word.
                Err(RecvTimeoutError::Disconnected) => return Following::default(),
            };
            last_try = Some(Instant::now());
            let outcome = self.catch_up(ending);
            if ending.is_some() {
                let missed = self.lines().map_or(0, |lines| lines.len());
                let (ended, cause) = (outcome.is_ok(), outcome.err());
                let refused = self.service.refused();
                return Following { missed, ended, cause, refused };
            }
            pause = match outcome {
                Ok(()) => LOOK_EVERY,
                Err(_) => (2 * pause).min(LONGEST_PAUSE),
            };
        }
    }

    fn catch_up(&mut self, ending: Option<Ending>) -> Result<(), String> {
        if self.told.ending == Some(Ending::Finished) {
            return Ok(());
        }
        if !self.begun {
            let run = self.service.begin(self.told.run.as_deref())?;
            self.told.run = Some(run);
            self.told.ending = None;
            self.begun = true;
            self.remember()?;
        }
        let run = self.told.run.clone().unwrap_or_default();
        let lines = self.lines()?;
        for lines in lines.chunks(self.service.most_lines().max(1)) {
            self.service.tell(&run, lines)?;
            self.told.lines += lines.len();
            self.remember()?;
        }
        if let Some(ending) = ending {
            self.service.end(&run, ending, &self.folder)?;
            self.told.ending = Some(ending);
            self.remember()?;
        }
        Ok(())
    }

    /// The lines that were not told yet; a last one without its end is still being written.
    fn lines(&self) -> Result<Vec<Line>, String> {
        let path = self.folder.join(LINES_FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        };
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(whole.skip(self.told.lines).filter_map(Line::parse).collect())
    }

    fn remember(&self) -> Result<(), String> {
        // Other services of the run write to the same file.
        let path = self.folder.join(STATE_FILE);
        let lock = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join(".tracking.lock"))
            .and_then(|file| file.lock().map(|()| file));
        let mut state = read_state(&self.folder);
        state.insert(self.name.clone(), self.told.clone());
        let text = serde_json::to_string_pretty(&state).map_err(|error| error.to_string())?;
        let written = files::replace(&path, text.as_bytes()).map_err(|error| error.to_string());
        drop(lock);
        written
    }
}

fn read_state(folder: &Path) -> BTreeMap<String, Told> {
    let text = fs::read(folder.join(STATE_FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_str(text).ok()?;
        let (step, time) = (object.get("step")?.as_u64()?, object.get("time")?.as_f64()?);
        let values = object.into_iter().filter(|(name, _)| name != "step" && name != "time");
        let value = |(name, value): (String, Value)| (name, value.as_f64().unwrap_or(f64::NAN));
        Some(Self { step, time, values: values.map(value).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Default)]
    struct Seen {
        steps: Vec<u64>,
        ending: Option<Ending>,
        is_down: bool,
    }

    struct Memory(Arc<Mutex<Seen>>);

    impl Memory {
        fn seen(&self) -> Result<std::sync::MutexGuard<'_, Seen>, String> {
            let seen = self.0.lock().unwrap();
            if seen.is_down { Err("it is down".to_owned()) } else { Ok(seen) }
        }
    }

    impl Service for Memory {
        fn begin(&mut self, run: Option<&str>) -> Result<String, String> {
            self.seen().map(|_| run.unwrap_or("r1").to_owned())
        }

        fn tell(&mut self, run: &str, lines: &[Line]) -> Result<(), String> {
            assert_eq!(run, "r1");
            self.seen()?.steps.extend(lines.iter().map(|line| line.step));
            Ok(())
        }

        fn end(&mut self, _: &str, ending: Ending, _: &Path) -> Result<(), String> {
            self.seen()?.ending = Some(ending);
            Ok(())
        }

        fn most_lines(&self) -> usize {
            2
        }
    }

    fn write_lines(folder: &Path, steps: std::ops::RangeInclusive<u64>, torn: &str) {
        let lines: String =
            steps.map(|step| format!("{{\"step\":{step},\"time\":1.5,\"loss\":null}}\n")).collect();
        fs::write(folder.join(LINES_FILE), lines + torn).unwrap();
    }

    #[test]
    fn every_line_is_told_once_over_several_starts() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let start = || Follower::start("m", folder.path(), Box::new(Memory(seen.clone())));
        write_lines(folder.path(), 1..=5, "{\"step\":6,\"ti");
        assert_eq!(start().finish(Ending::Interrupted), None);
        assert_eq!(seen.lock().unwrap().steps, [1, 2, 3, 4, 5]);
        // The run took back what lies behind its checkpoint.
        write_lines(folder.path(), 1..=3, "");
        assert_eq!(start().finish(Ending::Interrupted), None);
        write_lines(folder.path(), 1..=7, "");
        assert_eq!(start().finish(Ending::Finished), None);
        let steps = seen.lock().unwrap().steps.clone();
        assert_eq!(steps, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(seen.lock().unwrap().ending, Some(Ending::Finished));
    }

    #[test]
    fn what_a_service_missed_is_said_in_one_line_and_told_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(Seen { is_down: true, ..Seen::default() }));
        let start = || Follower::start("m", folder.path(), Box::new(Memory(seen.clone())));
        write_lines(folder.path(), 1..=3, "");
        let line = start().finish(Ending::Finished).unwrap();
        assert!(line.starts_with("m: 3 lines") && line.contains("it is down"), "{line}");
        seen.lock().unwrap().is_down = false;
        assert_eq!(start().finish(Ending::Finished), None);
        assert_eq!(seen.lock().unwrap().steps, [1, 2, 3]);
        // Nothing is told twice to a service that knows the end.
        seen.lock().unwrap().is_down = true;
        assert_eq!(start().finish(Ending::Finished), None);
    }

    #[test]
    fn a_number_that_is_none_comes_as_one() {
        let line = Line::parse("{\"step\":3,\"time\":2.0,\"a\":1,\"b\":null}\n").unwrap();
        assert_eq!((line.step, line.time, line.values[0].1), (3, 2.0, 1.0));
        assert!(line.values[1].1.is_nan());
    }
}
