//! The arguments of `compare`.

use std::path::PathBuf;

use clap::Args;

use super::paths;

/// Put training runs side by side: settings, scores, speed, curves.
///
/// Takes the folders of `finetune`, `distill` and the stages of `run`, also of runs that are
/// unfinished or under way. A folder that holds several of them, as a recipe leaves, stands for
/// all, those below the folder of a stage with `runs` too. Shown are the settings in which the runs differ, the scores of the model that each kept
/// and of its last evaluation, and its speed; with --out a page shows their curves too.
///
/// With --glue, finished runs of GLUE's tasks are summed up instead, a table for each model that
/// they start from: the best, the mean, the median and the standard deviation of several runs of a
/// task, and over the best ones, and over the means, average_bert (all tasks but WNLI) and average_glue
/// (all nine). The score of a task is the mean of its metrics, for MNLI of both sets; what lacks one
/// has no score, and no average is taken over fewer tasks than it should have.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck compare runs/student runs/distilled
  limbeck compare runs/distilbert-squared-small --out compared.html
  limbeck compare runs/* --json
  limbeck compare --glue runs/glue/* --out glue.html")]
pub struct CompareArgs {
    /// Folders of training runs, or folders of such folders
    #[arg(value_name = "RUN", required = true, value_parser = paths::local)]
    pub runs: Vec<PathBuf>,
    /// Sum up runs of GLUE's tasks by model
    #[arg(long)]
    pub glue: bool,
    /// Page to write, complete in one file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
