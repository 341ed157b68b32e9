//! The arguments of `search`, `study` and `trial`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use limbeck_search::samplers::SamplerKind;

use super::paths;

/// Search the best trade-offs between several metrics.
///
/// The space and the metrics are in a TOML file; the guide describes it. What is tried and what
/// came of it is kept in one file, the study: the same command goes on with it, also after a
/// kill. Every trial is a process of its own that writes its result into the study.
///
/// With --recipe a trial trains that recipe, each parameter setting the keys that its `set`
/// names, or the key of its own name. Its metrics are those of its evaluation (`exact`, `f1`, ...)
/// and `parameters`, `macs` (multiply-adds of a window or text) and `latency` (milliseconds for a
/// question or text). With --model a trial runs that trained model at the length plan that the
/// parameter `lengths` holds. With --command it runs any program: the parameters stand in the
/// environment variable `LIMBECK_PARAMS` as JSON and in the arguments in the place of `{name}`;
/// its last line of output must be a JSON object of metrics. Earlier lines of the form
/// `{"step": 3, "exact": 61.5}` tell how far it is.
///
/// What trials need is looked for before the first one, and all that is missing is told at once. A search
/// in which no trial was complete ends with exit code 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck search --space space.toml --study s.study --trials 100 --parallel 4 \\
      --command 'python train.py --lr {lr} --layers {layers}'
  limbeck search --space recipes/sigopt-multimetric-small.toml --study sigopt.study
  limbeck search --space space.toml --study s.study --trials 100 --parallel 8 \\
      --on ray=http://head:8265 --trial-cpus 2 --recipe recipe.toml --ship data --ship teacher
  limbeck search --space space.toml --study s.study --sampler motpe --trials 60 \\
      --recipe recipes/distilbert-squared-small.toml --set train.epochs=1
  limbeck search --space lengths.toml --study l.study --trials 50 --model student --data dev.json")]
pub struct SearchArgs {
    /// The space and the metrics; with recipe keys in it, also the recipe
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub space: PathBuf,
    /// The study's file, made when there is none
    #[arg(long, value_name = "FILE", value_parser = paths::local,
        required_unless_present = "print_config")]
    pub study: Option<PathBuf>,
    /// What suggests trials [default: gp]
    #[arg(long, value_enum, value_name = "NAME")]
    pub sampler: Option<SamplerName>,
    /// Trials that the study is to have in the end
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub trials: Option<usize>,
    /// Trials side by side; they share the threads [default: 1]
    #[arg(long, value_name = "P", value_parser = from_one)]
    pub parallel: Option<usize>,
    /// Fixes what is suggested [default: 0]
    #[arg(long, value_name = "K")]
    pub seed: Option<u64>,
    /// What a trial does.
    #[command(flatten)]
    pub objective: ObjectiveArgs,
    /// What a trial may take.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Where it does that.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How often a trial goes to another worker after its own vanished
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: usize,
    /// Print the space, the metrics, what holds for the search, and the recipe of its trials, as one
    /// file that can be given as --space, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Stop when the first N trials that end fail for the same reason, one after the other, and none
    /// has come to its end; given again, the same command runs them again. Failures for want of
    /// memory or time do not count. 0 lets all trials fail [default: 3]
    #[arg(long, value_name = "N")]
    pub stop_after_failures: Option<usize>,
    /// Begin with what these studies found, as far as it lies in this space
    #[arg(long, value_name = "STUDY", value_parser = paths::local)]
    pub warm_start: Vec<PathBuf>,
}

/// What a trial does.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What a trial does")]
pub struct ObjectiveArgs {
    /// Train this recipe
    #[arg(long, value_name = "RECIPE", group = "objective", value_parser = paths::local)]
    pub recipe: Option<PathBuf>,
    /// Run this command
    #[arg(long, value_name = "COMMAND", group = "objective")]
    pub command: Option<String>,
    /// Run this trained model at the length plan in the parameter `lengths`
    #[arg(long, value_name = "MODEL", group = "objective", requires = "data")]
    pub model: Option<String>,
    /// The questions or texts on which --model is measured
    #[arg(long, value_name = "FILE", requires = "model")]
    pub data: Option<PathBuf>,
    /// Set a key of the recipe in every trial; several are possible
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with_all = ["command", "model"])]
    pub assignments: Vec<String>,
}

/// What a trial may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a trial")]
pub struct LimitArgs {
    /// Resident memory of all its processes, such as 4G or 500M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_limit: Option<u64>,
    /// Time, such as 90s, 30m or 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub time_limit: Option<Duration>,
    /// End a trial when, with this confidence, it can no longer reach the front
    #[arg(long, value_name = "CONFIDENCE", value_parser = share)]
    pub early_stop: Option<f64>,
    /// Seconds without a sign of life after which a worker on another machine has vanished
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0, value_parser = positive)]
    pub lease: f64,
}

/// Where trials run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where trials run")]
pub struct PlaceArgs {
    /// Run each trial as a job of a Ray cluster instead of here: the address of its dashboard, as
    /// in ray=http://HOST:8265; RAY_AUTH_TOKEN holds the token that it may want
    #[arg(long, value_name = "PLACE", value_parser = ray_address)]
    pub on: Option<String>,
    /// Processors that a job reserves
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = positive)]
    pub trial_cpus: f64,
    /// Jobs of the study on the cluster at once; trials beyond that wait here, as long as it takes
    /// (one that waits there is given up by Ray after a quarter of an hour)
    #[arg(long, value_name = "N", value_parser = from_one, requires = "on")]
    pub max_concurrent: Option<usize>,
    /// Graphics processors that a job reserves, for commands that use them
    #[arg(long, value_name = "N", value_parser = positive)]
    pub trial_gpus: Option<f64>,
    /// Memory that a job reserves, such as 4G or 500M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub trial_memory: Option<u64>,
    /// A file or folder that goes along with the jobs; several are possible. This program, the
    /// recipe and what it names by relative paths always do. Of absolute paths those that are, or
    /// lie in, what is given here; all others must be on every node
    #[arg(long, value_name = "PATH", requires = "on", value_parser = paths::local)]
    pub ship: Vec<PathBuf>,
}

/// What suggests trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerName {
    /// Gaussian processes and the noisy expected improvement of the hypervolume
    Gp,
    /// A tree-structured Parzen estimator
    Motpe,
    /// Evolution by ranks and crowding
    Nsga2,
    /// Sobol's sequence
    Sobol,
    /// Independent draws
    Random,
    /// Every combination
    Grid,
}

impl From<SamplerName> for SamplerKind {
    fn from(name: SamplerName) -> Self {
        match name {
            SamplerName::Gp => Self::Gp,
            SamplerName::Motpe => Self::Motpe,
            SamplerName::Nsga2 => Self::Nsga2,
            SamplerName::Sobol => Self::Sobol,
            SamplerName::Random => Self::Random,
            SamplerName::Grid => Self::Grid,
        }
    }
}

/// Look into a study, ask it for trials, take it elsewhere.
#[derive(Debug, Subcommand)]
pub enum StudyCommand {
    Show(ShowArgs),
    List(ListArgs),
    Ask(AskArgs),
    Tell(TellArgs),
    Export(StudyExportArgs),
    Plot(PlotArgs),
}

/// Show the trials of a study, its front and its hypervolume.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study show --study s.study
  limbeck study show --study s.study --json")]
pub struct ShowArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub study: PathBuf,
}

/// List the studies in a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study list
  limbeck study list runs --json")]
pub struct ListArgs {
    /// Where to look
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
}

/// Ask a study for a trial, to run it elsewhere.
///
/// The trial counts as running until `study tell` says what came of it, or its lease runs out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study ask --study s.study --space space.toml --json
  limbeck study ask --study s.study --sampler motpe --seed 7 --lease 3600")]
pub struct AskArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub study: PathBuf,
    /// The space and the metrics, to make the study when there is none
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub space: Option<PathBuf>,
    /// What suggests the trial
    #[arg(long, value_enum, value_name = "NAME", default_value_t = SamplerName::Gp)]
    pub sampler: SamplerName,
    /// Trials that the search is to have in the end; samplers plan with it
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = from_one)]
    pub trials: usize,
    /// Fixes what is suggested
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub seed: u64,
    /// Seconds after which the trial goes to somebody else; without it never
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub lease: Option<f64>,
}

/// Tell a study what came of a trial.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study tell --study s.study --trial 3 --metrics '{\"exact\": 61.2, \"parameters\": 5.2e7}'
  limbeck study tell --study s.study --trial 4 --failed 'out of memory'")]
pub struct TellArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub study: PathBuf,
    /// The number of the trial
    #[arg(long, value_name = "N")]
    pub trial: usize,
    /// Its metrics, as a JSON object
    #[arg(long, value_name = "JSON", required_unless_present = "failed")]
    pub metrics: Option<String>,
    /// Why there are none
    #[arg(long, value_name = "REASON", conflicts_with = "metrics")]
    pub failed: Option<String>,
}

/// Write a study for other programs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study export --study s.study --format csv --out trials.csv
  limbeck study export --study s.study --format optuna --out optuna.log")]
pub struct StudyExportArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub study: PathBuf,
    /// In which form
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: StudyFormat,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The forms of an exported study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StudyFormat {
    /// A table, one trial a line
    Csv,
    /// A journal that Optuna's JournalStorage and its dashboard open
    Optuna,
}

/// Draw a study as one page that needs nothing else.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck study plot --study s.study --out s.html")]
pub struct PlotArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", value_parser = paths::local)]
    pub study: PathBuf,
    /// The page to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Run one trial.
///
/// With --study, the trial of that number: it is taken, run as a process within its limits, and
/// what came of it is written to the study. Without, a recipe or a model is measured here, and
/// the metrics are the last line of output.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck trial --study s.study --trial 3 --command './train.sh {lr}'
  limbeck trial --recipe recipe.toml --set optim.learning_rate=1e-4 --out runs/trial
  limbeck trial --model student --data dev.json --lengths 0.9,0.7,0.5")]
pub struct TrialArgs {
    /// The study's file
    #[arg(long, value_name = "FILE", requires = "trial", value_parser = paths::local)]
    pub study: Option<PathBuf>,
    /// The number of the trial
    #[arg(long, value_name = "N", requires = "study")]
    pub trial: Option<usize>,
    /// What the trial does.
    #[command(flatten)]
    pub objective: ObjectiveArgs,
    /// What it may take.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Where it does that.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The files of the jobs, packed
    #[arg(long = "package", hide = true, value_name = "FILE", requires = "on")]
    pub packages: Vec<PathBuf>,
    /// How often the trial may be lost
    #[arg(long, hide = true, value_name = "N", default_value_t = 2)]
    pub retries: usize,
    /// Run a trial as this job, and tell the outcome in the last line of output
    #[arg(long, hide = true, value_name = "ID", requires_all = ["number", "params", "space"])]
    pub job: Option<String>,
    /// The number of the job's trial
    #[arg(long, hide = true, value_name = "N")]
    pub number: Option<usize>,
    /// Its values
    #[arg(long, hide = true, value_name = "JSON")]
    pub params: Option<String>,
    /// Its space and metrics
    #[arg(long, hide = true, value_name = "FILE", value_parser = paths::local)]
    pub space: Option<PathBuf>,
    /// The length plan at which --model is measured
    #[arg(long, value_name = "N,...", value_delimiter = ',', conflicts_with = "study")]
    pub lengths: Option<Vec<f64>>,
    /// Folder of what a recipe leaves
    #[arg(long, value_name = "DIR", conflicts_with = "study")]
    pub out: Option<PathBuf>,
}

fn from_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("expected a whole number from 1".to_owned()),
    }
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// `ray=http://HOST:8265`.
pub fn ray_address(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("ray=").filter(|address| address.contains("://"));
    address.map(str::to_owned).ok_or("expected ray=http://HOST:8265".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err("expected a number between 0 and 1".to_owned()),
    }
}

/// `500M`, `4G`, or bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let bytes = scaled(text, &[("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)]);
    bytes.map(|bytes| bytes as u64).ok_or("expected a size such as 500M or 4G".to_owned())
}

/// `90s`, `30m`, `2h`, or seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let seconds = scaled(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0)]);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or("expected a time such as 90s, 30m or 2h".to_owned())
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let by_unit = units.iter().find_map(|(unit, scale)| {
        Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * scale)
    });
    by_unit.or_else(|| text.parse().ok()).filter(|number| *number > 0.0 && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(size("1.5G"), Ok(1_500_000_000));
        assert_eq!(size("700"), Ok(700));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert!(size("4X").is_err() && size("-1M").is_err() && time("").is_err());
        assert!(time("1e300h").is_err());
    }
}
