//! `limbeck export`: a model for other programs.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use limbeck_data::Tokenizer;
use limbeck_model::folder::Limbeck;
use limbeck_model::onnx::ONNX_FILE;
use limbeck_model::{Model, ModelError, student};
use serde_json::json;

use super::subject;
use crate::cli::export::{ExportArgs, ExportFormat};
use crate::commands::models::resolve;
use crate::console::Console;
use crate::exit::{Ending, InputError};

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
    make_room(&args.out)?;
    tokenizer.save(&args.out)?;
    let (written, restored) = match args.format {
        ExportFormat::Transformers => {
            student::restore_pruned_heads(&model).save(&args.out)?;
            (args.out.clone(), model.config.pruned_heads.values().map(Vec::len).sum())
        }
        ExportFormat::Onnx => {
            model.save_onnx(&args.out)?;
            (args.out.join(ONNX_FILE), 0)
        }
        ExportFormat::Sparse => {
            model.save_sparse(&args.out)?;
            (args.out.clone(), 0)
        }
    };
    notes.map_or(Ok(()), |notes| notes.save(&args.out))?;
    let result = json!({ "out": args.out, "restored_heads": restored });
    console.result(&result, || match restored {
        0 => format!("written to {}", written.display()),
        _ => format!("written to {}, with {restored} pruned heads as zeros", written.display()),
    })?;
    Ok(Ending::Done)
}

/// Creates the folder, or makes sure that it is empty.
pub fn make_room(out: &Path) -> Result<()> {
    let place = || out.display().to_string();
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let advice = "give another --out, or empty it";
                Err(InputError::new("the folder holds files already", place(), advice).into())
            }
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(InputError::new("not a folder", place(), "give another --out").into())
        }
        Err(_) => fs::create_dir_all(out).map_err(|cause| {
            ModelError::Io { action: "create", path: out.to_owned(), cause }.into()
        }),
    }
}
