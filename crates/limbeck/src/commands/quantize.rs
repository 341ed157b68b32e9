//! `limbeck quantize`: a model with weights of one byte.

use std::path::Path;

use anyhow::Result;
use limbeck_data::Tokenizer;
use limbeck_model::Model;
use limbeck_model::folder::{Limbeck, WEIGHTS_FILE};
use serde_json::{Value, json};

use super::place::Destination;
use crate::cli::quantize::QuantizeArgs;
use crate::commands::models::resolve;
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// Runs the command.
pub fn run(args: &QuantizeArgs, console: Console) -> Result<Ending> {
    let dir = resolve(&args.model)?;
    let destination = Destination::new_folder(&args.out)?;
    write(&dir, destination.local())?;
    let bytes = weights_size(destination.local());
    destination.deliver()?;
    let result = json!({ "out": args.out, "bytes": bytes, "bytes_before": weights_size(&dir) });
    console.result(&result, || {
        let megabytes = bytes.unwrap_or(0) as f64 / 1e6;
        format!("written to {}, weights of {megabytes:.1} MB", args.out.display())
    })?;
    Ok(Ending::Done)
}

/// Bytes of the file that holds a model's weights, where there is one.
pub fn weights_size(dir: &Path) -> Option<u64> {
    std::fs::metadata(dir.join(WEIGHTS_FILE)).map(|file| file.len()).ok()
}

/// Writes the model of `dir` with weights of one byte into the folder `out`.
pub fn write(dir: &Path, out: &Path) -> Result<()> {
    let (model, load) = Model::open_reporting(dir)?;
    if load.quantized {
        let (what, advice) =
            ("its weights take one byte each already", "give the model it came from");
        return Err(InputError::new(what, dir.display().to_string(), advice).into());
    }
    if let Some(missing) = load.missing.first() {
        let (what, advice) = (format!("it has no `{missing}`"), "fine-tune it first");
        return Err(InputError::new(what, dir.display().to_string(), advice).into());
    }
    let tokenizer = Tokenizer::from_folder(dir)?;
    let mut notes = Limbeck::open(dir)?.unwrap_or_default();
    let source = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    // Scores are those of the float model; here they would claim too much.
    notes.metrics = Value::Null;
    notes.length_plans.forget_measurements();
    notes.version = env!("CARGO_PKG_VERSION").to_owned();
    notes.extra.insert("source".to_owned(), json!(source));
    tokenizer.save(out)?;
    notes.save(out)?;
    // The weights last: a folder without them is not taken for a model.
    model.save_quantized(out)?;
    Ok(())
}
