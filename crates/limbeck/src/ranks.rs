//! How the processes of one run come together: started by it, on other machines by hand, or all
//! by `mpirun`.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use limbeck_train::observer::Observer;
use limbeck_train::ranks::rendezvous::{self, Meeting};
use limbeck_train::ranks::waiting::StopWaiting;
use limbeck_train::ranks::{Ranks, RanksError};

use crate::cli::ranks::{JoinArgs, RanksArgs};
use crate::exit::InputError;
use crate::interrupt;
use crate::progress::Progress;

/// Where the secret is that the processes of a run share.
const SECRET: &str = "LIMBECK_SECRET";

/// What `mpirun` tells the processes that it starts: their number and how many there are.
const OF_MPI: [(&str, &str); 2] =
    [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")];

/// The part of this process in a run.
#[derive(Debug, Clone)]
pub enum Part {
    /// It trains alone.
    Alone,
    /// It starts others on this machine.
    Starts { count: usize },
    /// It listens for others.
    Listens { count: usize, address: String },
    /// It helps the one that listens.
    Helps(Meeting),
    /// `mpirun` started it, as this one of several.
    OfMpi { rank: usize },
}

impl Part {
    /// That of a command which may lead a run.
    pub fn of(args: &RanksArgs) -> Result<Part, InputError> {
        if let Some((rank, count)) = of_mpi() {
            return match args.ranks {
                _ if count < 2 => Ok(Part::Alone),
                None if cfg!(feature = "mpi") => Ok(Part::OfMpi { rank }),
                None => {
                    let what = format!("mpirun has started {count} processes");
                    let advice =
                        "build limbeck with `--features mpi`, or give --ranks and no mpirun";
                    Err(InputError::new(what, "", advice))
                }
                Some(_) => Err(InputError::new("`--ranks` under mpirun", "", "give one of them")),
            };
        }
        let count = args.ranks.map_or(1, usize::from);
        Ok(match &args.rendezvous {
            _ if count < 2 => Part::Alone,
            None => Part::Starts { count },
            Some(address) => Part::Listens { count, address: address.clone() },
        })
    }

    /// That of `limbeck join`.
    pub fn of_helper(args: &JoinArgs) -> Result<Part, InputError> {
        let (rank, count) = (usize::from(args.rank), usize::from(args.ranks));
        if rank >= count {
            let what = format!("there is no process {rank} of {count}");
            return Err(InputError::new(what, "", "the first is 0 and leads, the others follow"));
        }
        let address = args.rendezvous.clone();
        Ok(Part::Helps(Meeting { rank, count, address, secret: secret()? }))
    }

    /// Whether it writes what the run leaves, and speaks of it.
    pub fn leads(&self) -> bool {
        !matches!(self, Part::Helps(_) | Part::OfMpi { rank: 1.. })
    }

    /// How many threads each process has where nothing else was asked for; 0 for as many as there
    /// are cores.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        match self {
            Part::Starts { count } => (cores() / count).max(1),
            _ => 0,
        }
    }

    /// Brings all together. `config` is the `run.toml` that others are started with.
    pub fn join(&self, config: &Path, progress: &mut Progress) -> Result<Together> {
        let alone = |ranks| Together { ranks, _started: None };
        Ok(match self {
            Part::Alone => alone(Ranks::alone()),
            Part::Starts { count } => start(*count, config)?,
            Part::Listens { count, address } => {
                let (listener, bound) = rendezvous::listen(address)
                    .with_context(|| format!("cannot listen at {address}"))?;
                let (count, secret) = (*count, secret()?);
                progress.message(&format!(
                    "waiting for {} more at {bound}: limbeck join {} --rank N --ranks {count} \
                     --rendezvous HOST:{}",
                    count - 1,
                    config.display(),
                    bound.port()
                ));
                let meeting = Meeting { rank: 0, count, address: bound.to_string(), secret };
                let join = move || rendezvous::join(&meeting, Some(listener), until_interrupted);
                alone(Ranks::start(join)?)
            }
            Part::Helps(meeting) => {
                let meeting = meeting.clone();
                alone(Ranks::start(move || rendezvous::join(&meeting, None, until_interrupted))?)
            }
            Part::OfMpi { .. } => alone(of_mpi_world()?),
        })
    }
}

/// A wait for other processes ends when the user asks for a stop.
fn until_interrupted() -> Result<(), StopWaiting> {
    if interrupt::requested() { Err(StopWaiting::Interrupted) } else { Ok(()) }
}

/// Number and count of the processes that `mpirun` has started.
fn of_mpi() -> Option<(usize, usize)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    OF_MPI.iter().find_map(|(rank, count)| Some((number(rank)?, number(count)?)))
}

#[cfg(feature = "mpi")]
fn of_mpi_world() -> Result<Ranks, RanksError> {
    Ranks::start(limbeck_train::ranks::mpi::World::join)
}

#[cfg(not(feature = "mpi"))]
fn of_mpi_world() -> Result<Ranks, RanksError> {
    // `Part::of` has refused.
    Ok(Ranks::alone())
}

fn secret() -> Result<String, InputError> {
    let advice = "set it to what only the processes of this run know, the same for all";
    let none = || InputError::new(format!("{SECRET} is not set"), "", advice);
    std::env::var(SECRET).ok().filter(|secret| !secret.is_empty()).ok_or_else(none)
}

/// The processes of a run, of which this is one.
pub struct Together {
    /// The others, as training sees them.
    pub ranks: Ranks,
    /// Those that this one started; they end when it does.
    _started: Option<Started>,
}

/// Processes that end with this one.
#[derive(Clone)]
struct Started(Arc<Mutex<Vec<Child>>>);

impl Started {
    /// Whether all are still there.
    fn live(&self) -> bool {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.iter_mut().all(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The thread that asks whether they live holds another.
        if Arc::strong_count(&self.0) > 1 {
            return;
        }
        for child in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            // After the last step they have nothing left to do that is not done here.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(count: usize, config: &Path) -> Result<Together> {
    let (listener, address) =
        rendezvous::listen("127.0.0.1:0").context("cannot listen at 127.0.0.1")?;
    let address = address.to_string();
    let secret = new_secret();
    let program = std::env::current_exe().context("cannot find this program")?;
    let started = Started(Arc::default());
    let threads = limbeck_kernels::threads::count().to_string();
    for rank in 1..count {
        let child = Command::new(&program)
            .arg("join")
            .arg(config)
            .args(["--rank", &rank.to_string(), "--ranks", &count.to_string()])
            .args(["--rendezvous", &address, "--threads", &threads, "--quiet"])
            .env(SECRET, &secret)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start another process")?;
        started.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }
    let meeting = Meeting { rank: 0, count, address, secret };
    let watched = started.clone();
    let keep_waiting = move || match watched.live() {
        true => until_interrupted(),
        false => Err(StopWaiting::ProcessEnded),
    };
    let ranks = Ranks::start(move || rendezvous::join(&meeting, Some(listener), keep_waiting))?;
    Ok(Together { ranks, _started: Some(started) })
}

/// What nobody guesses: the keys of these hashers come from the system's random numbers.
fn new_secret() -> String {
    let number = |index: u8| RandomState::new().hash_one(index);
    format!("{:016x}{:016x}", number(0), number(1))
}
