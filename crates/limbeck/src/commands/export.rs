//! `limbeck export`: a model for other programs.

use anyhow::Result;
use limbeck_data::Tokenizer;
use limbeck_model::folder::Limbeck;
use limbeck_model::onnx::ONNX_FILE;
use limbeck_model::{Model, student};
use serde_json::json;

use super::place::Destination;
use super::subject;
use crate::cli::export::{ExportArgs, ExportFormat};
use crate::commands::models::resolve;
use crate::console::Console;
use crate::exit::Ending;

/// Runs the command.
pub fn run(args: &ExportArgs, console: Console) -> Result<Ending> {
    let dir = resolve(&args.model)?;
    let (model, load) = Model::open_reporting(&dir)?;
    subject::report_missing(&load, console);
    if load.quantized {
        console.message(subject::READ_AS_FLOATS);
    }
    let tokenizer = Tokenizer::from_folder(&dir)?;
    let notes = Limbeck::open(&dir)?;
    let destination = Destination::new_folder(&args.out)?;
    let out = destination.local();
    tokenizer.save(out)?;
    let (written, restored) = match args.format {
        ExportFormat::Transformers => {
            student::restore_pruned_heads(&model).save(out)?;
            (args.out.clone(), model.config.pruned_heads.values().map(Vec::len).sum())
        }
        ExportFormat::Onnx => {
            model.save_onnx(out)?;
            (args.out.join(ONNX_FILE), 0)
        }
        ExportFormat::Sparse => {
            model.save_sparse(out)?;
            (args.out.clone(), 0)
        }
    };
    notes.map_or(Ok(()), |notes| notes.save(out))?;
    destination.deliver()?;
    let result = json!({ "out": args.out, "restored_heads": restored });
    console.result(&result, || match restored {
        0 => format!("written to {}", written.display()),
        _ => format!("written to {}, with {restored} pruned heads as zeros", written.display()),
    })?;
    Ok(Ending::Done)
}
