//! Amazon CloudWatch Logs: one stream of a log group for every run, one event for every line of
//! `train.jsonl`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use limbeck_remote::aws::{AwsError, JsonService};
use limbeck_remote::http::Patience;
use serde_json::{Map, Value, json};

use super::follow::{Ending, Line, Service};
use super::now;

/// What the service takes at once: events, bytes, bytes that each event counts beside its text,
/// and the time between the first and the last.
const MOST_EVENTS: usize = 10_000;
const MOST_BYTES: usize = 1_048_576;
const BYTES_OF_EVENT: usize = 26;
const LONGEST_SPAN: u64 = 23 * 3600 * 1000;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    silence: Duration::from_secs(10),
    exchange: Some(Duration::from_secs(60)),
};

/// A run in a log group.
pub struct CloudWatch {
    service: JsonService,
    group: String,
    name: String,
    configuration: Value,
    /// Events that the service will not have.
    refused: usize,
}

/// Milliseconds since 1970, and the text.
type Event = (u64, String);

impl CloudWatch {
    /// Of this log group, in the region and with the credentials of the environment. The stream's
    /// name begins with `name`; its first event is the configuration.
    ///
    /// # Errors
    /// When there is no region or the address cannot be used.
    pub fn new(group: &str, name: &str, configuration: &Value) -> Result<Self, AwsError> {
        let service = JsonService::from_environment("logs", PATIENCE)?;
        Ok(Self::of(service, group, name, configuration))
    }

    fn of(service: JsonService, group: &str, name: &str, configuration: &Value) -> Self {
        // What no name of a stream may hold.
        let name = name.replace([':', '*'], "-");
        let (group, configuration) = (group.to_owned(), configuration.clone());
        Self { service, group, name, configuration, refused: 0 }
    }

    fn call(&mut self, method: &str, body: &Value) -> Result<Value, String> {
        let target = format!("Logs_20140328.{method}");
        let answer = self.service.call(&target, body.to_string().as_bytes());
        let answer = answer.map_err(|error| error.to_string())?;
        if !answer.is_success() {
            return Err(format!("{method}: {} {}", answer.status, answer.text()));
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn put(&mut self, stream: &str, mut events: Vec<Event>) -> Result<(), String> {
        // It wants them in their order, and a clock may have been set.
        events.sort_by_key(|event| event.0);
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let count = fitting(rest);
            let batch: Vec<Value> = rest[..count]
                .iter()
                .map(|(time, text)| json!({ "timestamp": time, "message": text }))
                .collect();
            let body = json!({
                "logGroupName": self.group, "logStreamName": stream, "logEvents": batch,
            });
            let answer = self.call("PutLogEvents", &body)?;
            self.refused += refused(&answer["rejectedLogEventsInfo"], count);
            rest = &rest[count..];
        }
        Ok(())
    }
}

/// How many of these events go into one call.
fn fitting(events: &[Event]) -> usize {
    let mut bytes = 0;
    let first = events.first().map_or(0, |event| event.0);
    let fit = events.iter().take(MOST_EVENTS).take_while(|(time, text)| {
        bytes += text.len() + BYTES_OF_EVENT;
        bytes <= MOST_BYTES && time - first <= LONGEST_SPAN
    });
    fit.count().max(1)
}

/// How many of `count` events an answer says were too old or too new.
fn refused(info: &Value, count: usize) -> usize {
    let index = |name: &str| info[name].as_u64().map(|index| index as usize);
    let old = index("tooOldLogEventEndIndex").max(index("expiredLogEventEndIndex")).unwrap_or(0);
    let new = index("tooNewLogEventStartIndex").map_or(0, |start| count.saturating_sub(start));
    (old + new).min(count)
}

impl Service for CloudWatch {
    fn begin(&mut self, run: Option<&str>) -> Result<String, String> {
        if let Some(run) = run {
            return Ok(run.to_owned());
        }
        let group = self.group.clone();
        // It may be there, and one who may write to it need not be one who may make it.
        let made = self.call("CreateLogGroup", &json!({ "logGroupName": group }));
        let stream = format!("{}/{}", self.name, milliseconds(now()));
        let body = json!({ "logGroupName": group, "logStreamName": stream });
        self.call("CreateLogStream", &body).map_err(|error| match made {
            Err(of_group) if error.contains("ResourceNotFoundException") => of_group,
            _ => error,
        })?;
        let first = json!({ "configuration": self.configuration }).to_string();
        self.put(&stream, vec![(milliseconds(now()), first)])?;
        Ok(stream)
    }

    fn tell(&mut self, run: &str, lines: &[Line]) -> Result<(), String> {
        let event = |line: &Line| {
            let mut object = Map::from_iter([("step".to_owned(), json!(line.step))]);
            object.extend(line.values.iter().map(|(name, value)| (name.clone(), json!(value))));
            (milliseconds(line.time), Value::Object(object).to_string())
        };
        self.put(run, lines.iter().map(event).collect())
    }

    fn end(&mut self, run: &str, ending: Ending, folder: &Path) -> Result<(), String> {
        let mut object = json!({ "ending": ending });
        let metrics = fs::read(folder.join("metrics.json")).ok();
        if let Some(metrics) = metrics.and_then(|b| serde_json::from_slice::<Value>(&b).ok())
            && ending == Ending::Finished
        {
            object["metrics"] = metrics;
        }
        self.put(run, vec![(milliseconds(now()), object.to_string())])
    }

    fn most_lines(&self) -> usize {
        1000
    }

    fn refused(&self) -> usize {
        self.refused
    }
}

fn milliseconds(time: f64) -> u64 {
    (1e3 * time) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use limbeck_remote::aws::credentials::{Chain, Credentials};
    use limbeck_remote::stub::{Reply, Request, Stub};

    use super::*;
    use crate::trackers::follow::Follower;

    fn service(stub: &Stub) -> Box<CloudWatch> {
        let own = Credentials {
            access_key: "a".to_owned(),
            secret_key: "b".to_owned(),
            session_token: None,
        };
        let chain = Chain::of(own);
        let service = JsonService::at(&stub.address(), "us-east-1", "logs", chain, PATIENCE);
        let configuration = json!({ "train": { "seed": 7 } });
        Box::new(CloudWatch::of(service.unwrap(), "/limbeck", "a:b", &configuration))
    }

    fn is(request: &Request, method: &str) -> bool {
        request.header("x-amz-target") == Some(&format!("Logs_20140328.{method}"))
    }

    fn messages(stub: &Stub) -> Vec<String> {
        let requests = stub.requests();
        let puts = requests.iter().filter(|request| is(request, "PutLogEvents"));
        let bodies = puts.map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        let events = bodies.flat_map(|body| body["logEvents"].as_array().unwrap().clone());
        events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_run_is_a_stream_with_an_event_for_every_line() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (1..=2500)
            .map(|step| format!("{{\"step\":{step},\"time\":1.5,\"loss\":0.5,\"rate\":null}}\n"))
            .collect();
        fs::write(folder.path().join("train.jsonl"), lines).unwrap();
        fs::write(folder.path().join("metrics.json"), "{\"f1\":80.5}").unwrap();
        let stub = Stub::start(|request| match is(request, "CreateLogGroup") {
            true => Reply::text(400, "{\"__type\":\"ResourceAlreadyExistsException\"}"),
            false => Reply::text(200, "{}"),
        });
        let follower = Follower::start("cloudwatch", folder.path(), service(&stub));
        assert_eq!(follower.finish(Ending::Finished), None);
        let messages = messages(&stub);
        assert_eq!(messages.len(), 2502);
        assert_eq!(messages[0], "{\"configuration\":{\"train\":{\"seed\":7}}}");
        assert_eq!(messages[2500], "{\"step\":2500,\"loss\":0.5,\"rate\":null}");
        assert_eq!(messages[2501], "{\"ending\":\"finished\",\"metrics\":{\"f1\":80.5}}");
        let requests = stub.requests();
        let stream = requests.iter().find(|request| is(request, "CreateLogStream")).unwrap();
        let stream: Value = serde_json::from_slice(&stream.body).unwrap();
        assert!(stream["logStreamName"].as_str().unwrap().starts_with("a-b/"));
    }

    #[test]
    fn what_was_missed_while_it_was_down_is_told_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.jsonl"), "{\"step\":1,\"time\":1.5,\"a\":1}\n")
            .unwrap();
        let is_up = Arc::new(AtomicBool::new(false));
        let up = is_up.clone();
        let stub = Stub::start(move |_| match up.load(Ordering::Relaxed) {
            true => Reply::text(200, "{}"),
            false => Reply::text(503, "{\"__type\":\"ServiceUnavailableException\"}"),
        });
        let start = || Follower::start("cloudwatch", folder.path(), service(&stub));
        let line = start().finish(Ending::Finished).unwrap();
        assert!(line.contains("one line of train.jsonl was not told"), "{line}");
        assert!(line.contains("503"), "{line}");
        is_up.store(true, Ordering::Relaxed);
        assert_eq!(start().finish(Ending::Finished), None);
        assert!(messages(&stub).contains(&"{\"step\":1,\"a\":1.0}".to_owned()));
    }

    #[test]
    fn events_that_it_will_not_have_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.jsonl"), "{\"step\":1,\"time\":1.5,\"a\":1}\n")
            .unwrap();
        let stub = Stub::start(|request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            match body.contains("\\\"step\\\"") {
                true => {
                    Reply::text(200, "{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":1}}")
                }
                false => Reply::text(200, "{}"),
            }
        });
        let line = Follower::start("cloudwatch", folder.path(), service(&stub));
        let line = line.finish(Ending::Finished).unwrap();
        assert!(line.contains("1 of its entries"), "{line}");
    }

    #[test]
    fn a_call_holds_no_more_than_the_service_takes() {
        let event = |time: u64, bytes: usize| (time, "x".repeat(bytes));
        assert_eq!(fitting(&vec![event(0, 1); 12_000]), 10_000);
        assert_eq!(fitting(&vec![event(0, 500_000); 3]), 2);
        assert_eq!(fitting(&[event(0, 1), event(LONGEST_SPAN + 1, 1)]), 1);
        assert_eq!(fitting(&[event(0, 2 << 20)]), 1);
        let info = json!({ "tooNewLogEventStartIndex": 7, "expiredLogEventEndIndex": 2 });
        assert_eq!(refused(&info, 10), 5);
    }
}
