//! Many trials side by side.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use super::group;
use super::supervise::is_open;
use crate::error::{Result, SearchError};
use crate::samplers::{History, Sampler};
use crate::study::{Alike, LossPolicy, State, Study, Worker};

/// Time between two looks at the study.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time between two looks for vanished workers.
const REAP_EVERY: Duration = Duration::from_millis(500);
/// How often a worker may end without having taken its trial.
const MOST_STARTS: usize = 3;

/// How a search goes on.
pub struct Coordination<'a> {
    /// Suggests trials.
    pub sampler: &'a dyn Sampler,
    /// Fixes what is random.
    pub seed: u64,
    /// Trials that the study is to have in the end.
    pub trials: usize,
    /// Trials side by side.
    pub parallel: usize,
    /// What is done when a worker vanishes.
    pub policy: LossPolicy,
    /// The first trials that may fail for the same reason while none has come to its end; with as
    /// many the search stops. 0 lets all of them fail.
    pub alike_failures: usize,
    /// The process that [supervises](super::supervise) a trial; it becomes the leader of a
    /// group.
    pub worker: &'a dyn Fn(usize) -> Command,
    /// Whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

/// What happens in a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A trial came to its end.
    Ended(usize),
    /// A trial's worker vanished.
    Vanished(usize),
    /// Nothing in particular; several times a second.
    Tick,
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// All trials are over.
    Done,
    /// The sampler has nothing left to suggest, and all trials are over.
    Exhausted,
    /// It was asked to stop; trials that were running can be taken up again.
    Stopped,
    /// The first trials failed for the same reason; the next ones would too.
    Alike(Alike),
}

/// Brings a study to its number of trials. Trials that are there already count, and workers
/// that an earlier coordinator started are waited for.
///
/// # Errors
/// When the study cannot be read or written, nothing can be suggested, or no worker can be
/// started.
pub fn coordinate(
    study: &mut Study,
    how: &Coordination,
    observe: &mut dyn FnMut(&Study, Event),
) -> Result<Finish> {
    let mut crew = Crew { how, children: BTreeMap::new(), starts: BTreeMap::new() };
    let mut over: Vec<bool> = study.trials().iter().map(|t| t.state.is_final()).collect();
    let mut exhausted = false;
    let mut reaped: Option<Instant> = None;
    loop {
        crew.collect(study)?;
        if reaped.is_none_or(|last| last.elapsed() >= REAP_EVERY) {
            reaped = Some(Instant::now());
            for trial in study.reap(how.policy)? {
                observe(study, Event::Vanished(trial));
            }
        }
        study.refresh()?;
        over.resize(study.trials().len(), false);
        for (number, was_over) in over.iter_mut().enumerate() {
            if !*was_over && study.trials()[number].state.is_final() {
                *was_over = true;
                observe(study, Event::Ended(number));
            }
        }
        observe(study, Event::Tick);
        let alike = study
            .alike_failures()
            .filter(|alike| how.alike_failures > 0 && alike.trials.len() >= how.alike_failures);
        if let Some(alike) = &alike
            && crew.busy(study) == 0
        {
            return Ok(Finish::Alike(alike.clone()));
        }
        let complete = exhausted || study.trials().len() >= how.trials;
        if complete && over.iter().all(|over| *over) && crew.children.is_empty() {
            return Ok(if exhausted { Finish::Exhausted } else { Finish::Done });
        }
        if (how.stop)() {
            crew.dismiss(study)?;
            return Ok(Finish::Stopped);
        }
        let mut changed = false;
        // Those that run are waited for: one that comes to its end shows that trials can.
        while alike.is_none() && crew.busy(study) < how.parallel {
            let waiting = (0..study.trials().len())
                .find(|&number| is_open(study, number) && !crew.children.contains_key(&number));
            let next = match waiting {
                Some(number) => Some(number),
                None if exhausted || study.trials().len() >= how.trials => None,
                None => match suggest(study, how)? {
                    Suggested::Trial(number) => Some(number),
                    Suggested::Stale => None,
                    Suggested::Nothing => {
                        exhausted = true;
                        None
                    }
                },
            };
            let Some(number) = next else { break };
            crew.start(study, number)?;
            changed = true;
        }
        if !changed {
            thread::sleep(LOOK_EVERY);
        }
    }
}

enum Suggested {
    Trial(usize),
    /// Somebody else was first, and what is next has to be chosen anew.
    Stale,
    Nothing,
}

fn suggest(study: &mut Study, how: &Coordination) -> Result<Suggested> {
    study.refresh()?;
    let history = History::of(study, how.seed, how.trials);
    let Some(point) = how.sampler.suggest(&history)? else { return Ok(Suggested::Nothing) };
    let params = study.description().space.decode(&point);
    let number = Some(history.number);
    let number = study.suggest(params, how.sampler.name(), number)?;
    Ok(number.map_or(Suggested::Stale, Suggested::Trial))
}

/// The workers that this process started.
struct Crew<'a> {
    how: &'a Coordination<'a>,
    /// By the trial that each has.
    children: BTreeMap<usize, Child>,
    /// How often each trial was given to one.
    starts: BTreeMap<usize, usize>,
}

impl Crew<'_> {
    /// Trials that are running or about to.
    fn busy(&self, study: &Study) -> usize {
        let running = |trial: &&crate::study::Trial| trial.state == State::Running;
        let others = study.trials().iter().filter(running);
        let others = others.filter(|trial| !self.children.contains_key(&trial.number));
        self.children.len() + others.count()
    }

    fn start(&mut self, study: &mut Study, number: usize) -> Result<()> {
        let starts = self.starts.entry(number).or_default();
        *starts += 1;
        if *starts > MOST_STARTS + self.how.policy.retries {
            return study.give_up(number, "its workers ended before they took it");
        }
        let mut command = (self.how.worker)(number);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| {
            SearchError::trial(number, format!("its worker cannot be started: {error}"))
        })?;
        self.children.insert(number, child);
        Ok(())
    }

    /// Takes leave of workers that ended.
    fn collect(&mut self, study: &mut Study) -> Result<()> {
        let has_ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        let ended: Vec<usize> = self
            .children
            .iter_mut()
            .filter_map(|(number, child)| has_ended(child).then_some(*number))
            .collect();
        if !ended.is_empty() {
            ended.iter().for_each(|number| drop(self.children.remove(number)));
            study.refresh()?;
        }
        Ok(())
    }

    /// Asks all workers of this system to give their trials back, and waits for it.
    fn dismiss(&mut self, study: &mut Study) -> Result<()> {
        for child in self.children.values() {
            group::ask(child.id());
        }
        study.refresh()?;
        let adopted = study.trials().iter().filter(|trial| trial.state == State::Running);
        let adopted = adopted.filter(|trial| !self.children.contains_key(&trial.number));
        let adopted: Vec<u32> =
            adopted.filter_map(|t| t.worker.as_ref().and_then(Worker::living_process)).collect();
        adopted.into_iter().for_each(group::ask);
        for (_, mut child) in std::mem::take(&mut self.children) {
            // A worker ends by itself, after the grace that its command has.
            let _ = child.wait();
        }
        study.reap(self.how.policy).map(drop)
    }
}
