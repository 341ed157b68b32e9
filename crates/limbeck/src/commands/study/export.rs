//! `limbeck study export`.

use anyhow::Result;
use limbeck_search::export;
use limbeck_search::study::Study;
use serde_json::json;

use crate::cli::search::{StudyExportArgs, StudyFormat};
use crate::console::Console;
use crate::exit::Ending;

/// Runs the command.
pub fn run(args: &StudyExportArgs, console: Console) -> Result<Ending> {
    let study = Study::open(&args.study)?;
    let text = match args.format {
        StudyFormat::Csv => export::csv(&study),
        StudyFormat::Optuna => {
            let name = args.study.file_stem().map(|name| name.to_string_lossy().into_owned());
            export::optuna(&study, &name.unwrap_or_default())
        }
    };
    super::write(&study, &args.out, &text)?;
    let trials = study.trials().len();
    let value = json!({ "out": args.out, "trials": trials });
    console.result(&value, || format!("{trials} trials are in {}", args.out.display()))?;
    Ok(Ending::Done)
}
