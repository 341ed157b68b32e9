//! `limbeck serve` as a process; what it answers is tested beside the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::Folder;
use crate::world::world;

const QUESTION: &str = "where does ana live?";

struct Server {
    child: Child,
    address: String,
}

fn start(folder: &Folder, more: &[&str]) -> Server {
    let mut child = Command::new(env!("CARGO_BIN_EXE_limbeck"))
        .args(["serve", "--model", "model", "--port", "0", "--json"])
        .args(more)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    Server { child, address: told["address"].as_str().unwrap().to_owned() }
}

impl Server {
    fn ask(&self) -> String {
        let body = format!("{{\"question\": \"{QUESTION}\", \"context\": \"ana lives in rome.\"}}");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /v1/answer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             X-Request-Id: order-7\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// Asks it to stop; its exit code and its log.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

#[test]
fn a_server_answers_logs_no_text_and_stops_when_it_is_asked_to() {
    let folder = world();
    let server = start(&folder, &["--log-format", "json"]);
    let response = server.ask();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("x-request-id: order-7"), "{response}");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let request = lines.into_iter().find(|line| line["request_id"] == "order-7");
    let request = request.unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&request["endpoint"], &request["status"]), (&"answer".into(), &200.into()));
    assert!(!log.contains("ana"), "{log}");
}

#[test]
fn texts_are_logged_when_that_is_asked_for() {
    let folder = world();
    let server = start(&folder, &["--log-text"]);
    server.ask();
    let (_, log) = server.stop();
    assert!(log.lines().any(|line| line.contains("order-7") && line.contains(QUESTION)), "{log}");
}

#[test]
fn a_load_beyond_reason_is_refused() {
    let folder = world();
    for flags in [
        ["--requests", "18446744073709551615"],
        ["--clients", "100000"],
        ["--rate", "1e-300"],
        ["--rate", "nan"],
    ] {
        let bench = ["bench", "serve", "--data", "dev.json"];
        folder.run(&[&bench[..], &flags].concat()).refused(&[flags[0]]);
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_one_line() {
    let folder = world();
    folder.write("empty.key", "\n");
    let serve = |more: &[&str]| folder.run(&[&["serve", "--port", "0"][..], more].concat());
    serve(&["--model", "nowhere"]).refused(&["nowhere"]);
    serve(&["--model", "model", "--model", "model"]).refused(&["two models are called `model`"]);
    serve(&["--model", "model", "--api-key-file", "empty.key"]).refused(&["the key is empty"]);
    serve(&["--model", "model", "--api-key-file", "absent"]).refused(&["cannot read the key"]);
    serve(&["--model", "model", "--max-queue", "0"]).refused(&["--max-queue"]);
    serve(&["--model", "model", "--lengths", "0.5"]).refused(&["1 lengths"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let outcome = folder.run(&["serve", "--model", "model", "--port", &port]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.err.contains("cannot listen on") && outcome.err.contains(&port),
        "{}",
        outcome.err
    );
}
