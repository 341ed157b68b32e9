//! `limbeck serve`: models over HTTP.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use limbeck_model::{HeadKind, ModelConfig};
use limbeck_runtime::OpenClassifier;
use limbeck_serve::{ApiKey, Cors, ServeOptions, Server, Skill, Student, Students};
use serde_json::json;

use super::subject::{Subject, report_missing};
use crate::cli::serve::{LogFormat, ServeArgs};
use crate::commands::models::resolve;
use crate::config::Task;
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// Runs the command.
pub fn run(args: &ServeArgs, console: Console) -> Result<Ending> {
    let options = options(args)?;
    let students = args.model.iter().map(|model| open(model, args, console));
    let students = Students::new(students.collect::<Result<_>>()?)
        .map_err(|reason| InputError::new(reason, "--model", ""))?;
    let names: Vec<String> = students.iter().map(|student| student.name.clone()).collect();
    if !console.quiet {
        log_to_standard_error(args.log_format);
    }
    if options.api_key.is_none() && !options.host.is_loopback() {
        console.message("everybody who reaches this address may ask; --api-key sets a key");
    }
    if options.api_key.is_none() && options.cors == Some(Cors::Any) {
        console.message(
            "every page that a browser shows may ask; name origins, or set a key with --api-key",
        );
    }
    Server::run_to_end(options, students, |address| {
        let told = json!({ "address": address.to_string(), "models": names });
        // Standard output may be closed: the server serves all the same.
        let _ = console.result(&told, || {
            format!("serving {} at http://{address} (Ctrl-C stops)", names.join(", "))
        });
    })?;
    Ok(Ending::Done)
}

/// Opens `NAME=DIR`, or a folder that gives its own name.
fn open(model: &str, args: &ServeArgs, console: Console) -> Result<Student> {
    let (name, place) = match model.split_once('=') {
        Some(("", _)) if !Path::new(model).exists() => {
            let advice = "write NAME=DIR, or DIR alone";
            return Err(
                InputError::new("a model has no name", format!("--model {model}"), advice).into()
            );
        }
        Some((name, place)) if !Path::new(model).exists() => (Some(name), place),
        _ => (None, model),
    };
    let name = match name {
        Some(name) => name.to_owned(),
        None => name_of(place)?,
    };
    let dir = resolve(place)?;
    if ModelConfig::open(&dir)?.head.kind() == HeadKind::Classification {
        let OpenClassifier { model, tokenizer, load, classes, max_length, plans } =
            OpenClassifier::open(&dir)?;
        report_missing(&load, console);
        let asked = args.settings.layer.get("features.max_length");
        let asked = asked.and_then(|length| length.as_integer()).map(|length| length as usize);
        let max_length = asked.map_or(max_length, |length| length.min(max_length));
        let plan = args.length.plan(model.config(), max_length, &plans)?;
        let model = model.with_lengths(plan)?;
        let skill = Skill::Classify { classes, max_length };
        let quantized = load.quantized;
        return Ok(Student { name, model, tokenizer, skill, quantized, plans });
    }
    let subject = Subject::open(place, &args.settings.layer, &args.length, console)?;
    let decode = subject.decode(subject.task.unwrap_or(Task::Squad));
    let Subject { model, tokenizer, features, quantized, plans, .. } = subject;
    let skill = Skill::Answer { features, decode };
    Ok(Student { name, model, tokenizer, skill, quantized, plans })
}

/// The last part of a folder's path or of a model id.
fn name_of(place: &str) -> Result<String> {
    let path =
        if Path::new(place).exists() { resolve(place)?.canonicalize()? } else { place.into() };
    Ok(path.file_name().map_or_else(|| place.to_owned(), |n| n.to_string_lossy().into_owned()))
}

fn options(args: &ServeArgs) -> Result<ServeOptions> {
    let key = match (&args.api_key, &args.api_key_file) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let place = path.display().to_string();
                InputError::new("cannot read the key", place, error.to_string())
            })?;
            Some(text.lines().next().unwrap_or("").trim().to_owned())
        }
        (None, None) => None,
    };
    if key.as_ref().is_some_and(String::is_empty) {
        let advice = "leave it out to let everybody ask";
        return Err(InputError::new("the key is empty", "--api-key", advice).into());
    }
    let origins = args.cors_allow_origin.iter().map(String::as_str);
    let cors =
        Cors::of(origins).map_err(|error| InputError::new(error, "--cors-allow-origin", ""))?;
    let limits = &args.limits;
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    Ok(ServeOptions {
        host: args.host,
        port: args.port,
        api_key: key.as_deref().map(ApiKey::new),
        root_path: args.root_path.clone(),
        cors,
        max_batch_tokens: limits.max_batch_tokens as usize,
        max_queue: limits.max_queue as usize,
        max_questions: limits.max_questions as usize,
        max_input_tokens: limits.max_input_tokens as usize,
        max_body_bytes: limits.max_body_bytes as usize,
        max_connections: limits.max_connections as usize,
        read_timeout: seconds(limits.read_timeout),
        timeout: seconds(limits.timeout),
        shutdown_timeout: seconds(limits.shutdown_timeout),
        log_text: args.log_text,
    })
}

fn log_to_standard_error(format: LogFormat) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // An error says that there is a log already.
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
