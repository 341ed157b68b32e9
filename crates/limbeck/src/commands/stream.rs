//! Lines of JSON on standard input, each with a line of JSON on standard output.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result, anyhow};
use limbeck_data::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::console;
use crate::exit::{Ending, InputError, line_of};

/// Lines of standard input that are answered together, if so many are waiting.
const MOST_TOGETHER: usize = 64;

/// Answers every line of standard input with a line of standard output, in order. A line
/// that comes alone is answered at once; those that wait go through together.
///
/// `reply` gives one reply for each line, or an error if it has none for one of them. A line
/// that cannot be read or answered gets `{"error": ..., "line": ...}`.
pub fn answer_lines<L: DeserializeOwned, R: Serialize>(
    mut reply: impl FnMut(&[&L]) -> Result<Vec<R>>,
) -> Result<Ending> {
    let mut ending = Ending::Done;
    let lines = lines_of_standard_input();
    while let Ok(first) = lines.recv() {
        let waiting = lines.try_iter().take(MOST_TOGETHER - 1);
        let together = std::iter::once(first).chain(waiting).collect::<io::Result<Vec<_>>>();
        let together = together.map_err(unreadable)?;
        for ((number, _), reply) in together.iter().zip(replies(&together, &mut reply)) {
            let reply = match reply {
                Ok(answer) => serde_json::to_string(&answer)?,
                Err(error) => {
                    ending = Ending::PartlyRefused;
                    json!({ "error": line_of(&error), "line": number }).to_string()
                }
            };
            console::print(&reply)?;
        }
    }
    Ok(ending)
}

/// A line and its number, from 1.
type Numbered = (usize, Vec<u8>);

/// What some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines that are not empty, read ahead on a thread of their own.
fn lines_of_standard_input() -> Receiver<io::Result<Numbered>> {
    let (sender, receiver) = mpsc::sync_channel(MOST_TOGETHER);
    std::thread::spawn(move || {
        for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
            let line = line.and_then(|line| match line.strip_prefix(BYTE_ORDER_MARK) {
                _ if index > 0 => Ok(line),
                Some(rest) => Ok(rest.to_vec()),
                None => match rows::refusal(&line) {
                    Some(what) => Err(io::Error::new(io::ErrorKind::InvalidData, what)),
                    None => Ok(line),
                },
            });
            let blank = line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty());
            // Sending fails when nobody answers any more.
            if !blank && sender.send(line.map(|line| (index + 1, line))).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The error of standard input that cannot be read, or is no lines of text.
fn unreadable(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            let what = format!("standard input {error}");
            InputError::new(what, "", "lines of JSON are wanted, in UTF-8").into()
        }
        _ => anyhow::Error::new(error).context("cannot read standard input"),
    }
}

/// A reply, or what is wrong, for each line.
fn replies<L: DeserializeOwned, R>(
    lines: &[Numbered],
    reply: &mut impl FnMut(&[&L]) -> Result<Vec<R>>,
) -> Vec<Result<R>> {
    let parsed: Vec<Result<L, _>> =
        lines.iter().map(|(_, line)| serde_json::from_slice(line)).collect();
    let readable: Vec<&L> = parsed.iter().flatten().collect();
    let mut together = reply(&readable).ok().map(Vec::into_iter);
    let one = |line: Result<L, serde_json::Error>| {
        let line = line.map_err(|error| anyhow!(without_line(&error)))?;
        let reply = match &mut together {
            Some(replies) => replies.next(),
            // One of them cannot be answered: each for itself shows which.
            None => reply(&[&line])?.pop(),
        };
        reply.context("there is no reply to the line")
    };
    parsed.into_iter().map(one).collect()
}

/// What is wrong with a line, without the number 1 that it has for the parser.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let more = match what {
        "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
            ": half of a character, a surrogate that stands alone"
        }
        _ => "",
    };
    match text.ends_with(&place) {
        true => format!("{what}{more} at column {}", error.column()),
        false => text,
    }
}
