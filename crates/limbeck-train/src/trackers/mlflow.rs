//! MLflow's tracking server, over its REST API.
//!
//! The experiment is `MLFLOW_EXPERIMENT_NAME`, else `limbeck`. With every request goes the name
//! `MLFLOW_TRACKING_USERNAME` with the password `MLFLOW_TRACKING_PASSWORD`, else the token
//! `MLFLOW_TRACKING_TOKEN`. A finished run hands over what describes it, and its model if that is to be
//! registered.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use limbeck_remote::http::{Client, HttpError, Patience, Token, escaped};
use serde_json::{Value, json};

use super::follow::{Ending, Line, Service};
use super::now;

/// Entries that the server takes at once.
const MOST_METRICS: usize = 1000;
const MOST_PARAMETERS: usize = 100;
/// Characters of a parameter that every version of the server takes.
const LONGEST_PARAMETER: usize = 500;

/// What describes a finished run.
const FILES: [&str; 5] = ["run.toml", "train.jsonl", "metrics.json", "limbeck.json", "report.html"];
/// What a model is made of.
const MODEL_FILES: [&str; 8] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "limbeck.json",
];

const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(5), silence: Duration::from_secs(20), exchange: None };

/// A run on a tracking server.
pub struct Mlflow {
    client: Client,
    experiment: String,
    name: String,
    parameters: Vec<(String, String)>,
    register: Option<String>,
    /// Of the run, once it is begun.
    experiment_id: String,
}

impl Mlflow {
    /// Of the server at `address`. The run is shown as `name` with the leaves of `configuration`
    /// as its parameters; `register` is the model that it becomes a version of.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(
        address: &str,
        name: String,
        configuration: &Value,
        register: Option<String>,
    ) -> Result<Self, HttpError> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let pair = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
        let token = match pair {
            Some((name, password)) => Some(Token::basic(&name, &password)),
            None => variable("MLFLOW_TRACKING_TOKEN").as_deref().and_then(Token::new),
        };
        let mut parameters = Vec::new();
        leaves("", configuration, &mut parameters);
        Ok(Self {
            client: Client::new(address, token, PATIENCE)?,
            experiment: variable("MLFLOW_EXPERIMENT_NAME").unwrap_or_else(|| "limbeck".to_owned()),
            name,
            parameters,
            register,
            experiment_id: String::new(),
        })
    }

    fn post(&self, method: &str, body: &Value) -> Result<Value, String> {
        let path = format!("/api/2.0/mlflow/{method}");
        let answer = self.client.post_json(&path, body.to_string().as_bytes()).map_err(text)?;
        if !answer.is_success() {
            return Err(format!("{method}: {} {}", answer.status, answer.text()));
        }
        serde_json::from_slice(&answer.body).map_err(|error| format!("{method}: {error}"))
    }

    fn find_experiment(&self) -> Result<String, String> {
        let made = self.post("experiments/create", &json!({ "name": self.experiment }));
        if let Ok(made) = &made
            && let Some(id) = made["experiment_id"].as_str()
        {
            return Ok(id.to_owned());
        }
        let name = escaped(&self.experiment);
        let path = format!("/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
        let answer = self.client.get(&path).map_err(text)?;
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = found["experiment"]["experiment_id"].as_str().map(str::to_owned);
        id.ok_or_else(|| made.err().unwrap_or_else(|| answer.text()))
    }

    fn put(&self, folder: &Path, name: &str, run: &str, place: &str) -> Result<(), String> {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(());
        }
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let experiment = &self.experiment_id;
        let to = format!(
            "/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{place}{name}"
        );
        let answer = self.client.put(&to, file).map_err(text)?;
        if answer.is_success() {
            return Ok(());
        }
        Err(format!("{name}: {} {}", answer.status, answer.text()))
    }

    fn register(&self, model: &str, run: &str) -> Result<(), String> {
        let made = self.post("registered-models/create", &json!({ "name": model }));
        // That it exists is as good.
        if let Err(error) = made
            && !error.contains("RESOURCE_ALREADY_EXISTS")
        {
            return Err(error);
        }
        let path = format!("/api/2.0/mlflow/runs/get?run_id={run}");
        let answer = self.client.get(&path).map_err(text)?;
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let artifacts = found["run"]["info"]["artifact_uri"].as_str().unwrap_or_default();
        let source = format!("{artifacts}/model");
        let version = json!({ "name": model, "source": source, "run_id": run });
        self.post("model-versions/create", &version).map(drop)
    }
}

impl Service for Mlflow {
    fn begin(&mut self, run: Option<&str>) -> Result<String, String> {
        self.experiment_id = self.find_experiment()?;
        if let Some(run) = run {
            self.post("runs/update", &json!({ "run_id": run, "status": "RUNNING" }))?;
            return Ok(run.to_owned());
        }
        let made = self.post(
            "runs/create",
            &json!({
                "experiment_id": self.experiment_id, "run_name": self.name,
                "start_time": milliseconds(now()),
            }),
        )?;
        let run = made["run"]["info"]["run_id"].as_str().ok_or("runs/create gives no run_id")?;
        for parameters in self.parameters.chunks(MOST_PARAMETERS) {
            let parameters: Vec<Value> = parameters
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
            self.post("runs/log-batch", &json!({ "run_id": run, "params": parameters }))?;
        }
        Ok(run.to_owned())
    }

    fn tell(&mut self, run: &str, lines: &[Line]) -> Result<(), String> {
        let metrics: Vec<Value> = lines
            .iter()
            .flat_map(|line| {
                line.values.iter().map(|(name, value)| {
                    // JSON has no other spelling of it.
                    let value = if value.is_finite() { json!(value) } else { json!("NaN") };
                    let timestamp = milliseconds(line.time);
                    json!({ "key": name, "value": value, "timestamp": timestamp,
                            "step": line.step })
                })
            })
            .collect();
        for metrics in metrics.chunks(MOST_METRICS) {
            self.post("runs/log-batch", &json!({ "run_id": run, "metrics": metrics }))?;
        }
        Ok(())
    }

    fn end(&mut self, run: &str, ending: Ending, folder: &Path) -> Result<(), String> {
        if ending == Ending::Finished {
            for name in FILES {
                self.put(folder, name, run, "")?;
            }
            if let Some(model) = &self.register {
                for name in MODEL_FILES {
                    self.put(folder, name, run, "model/")?;
                }
                self.register(model, run)?;
            }
        }
        let status = match ending {
            Ending::Finished => "FINISHED",
            Ending::Interrupted => "KILLED",
            Ending::Failed => "FAILED",
        };
        let end = json!({ "run_id": run, "status": status, "end_time": milliseconds(now()) });
        self.post("runs/update", &end).map(drop)
    }

    fn most_lines(&self) -> usize {
        // A line has a few dozen values at most; [`Service::tell`] counts them.
        50
    }

    fn takes_model(&self) -> bool {
        self.register.is_some()
    }
}

fn text(error: HttpError) -> String {
    error.to_string()
}

fn milliseconds(time: f64) -> u64 {
    (1e3 * time) as u64
}

/// The leaves of a configuration under their dotted names.
fn leaves(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let dot = if prefix.is_empty() { "" } else { "." };
                leaves(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        Value::Null => {}
        Value::String(text) => into.push((prefix.to_owned(), shortened(text))),
        other => into.push((prefix.to_owned(), shortened(&other.to_string()))),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_PARAMETER).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use limbeck_remote::stub::{Reply, Request, Stub};

    use super::*;
    use crate::trackers::follow::Follower;

    /// A server that has the experiment already and remembers nothing.
    fn server(request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        match path.trim_start_matches("/api/2.0/mlflow/") {
            "experiments/create" => {
                Reply::text(400, "{\"error_code\":\"RESOURCE_ALREADY_EXISTS\"}")
            }
            "experiments/get-by-name" => {
                Reply::text(200, "{\"experiment\":{\"experiment_id\":\"7\"}}")
            }
            "runs/create" => Reply::text(200, "{\"run\":{\"info\":{\"run_id\":\"r9\"}}}"),
            "runs/get" => Reply::text(
                200,
                "{\"run\":{\"info\":{\"artifact_uri\":\"mlflow-artifacts:/7/r9/artifacts\"}}}",
            ),
            _ => Reply::text(200, "{}"),
        }
    }

    fn bodies(stub: &Stub, method: &str) -> Vec<Value> {
        let requests = stub.requests();
        let of = requests.iter().filter(|request| request.path.ends_with(method));
        of.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    #[test]
    fn a_run_goes_to_the_server_with_parameters_metrics_files_and_model() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (1..=2500)
            .map(|step| format!("{{\"step\":{step},\"time\":1.5,\"loss\":0.5,\"rate\":null}}\n"))
            .collect();
        fs::write(folder.path().join("train.jsonl"), lines).unwrap();
        fs::write(folder.path().join("model.safetensors"), b"weights").unwrap();
        let stub = Stub::start(server);
        let configuration = json!({ "optim": { "learning_rate": 0.001 }, "none": null });
        let register = Some("qa".to_owned());
        let service = Mlflow::new(&stub.address(), "run".to_owned(), &configuration, register);
        let follower = Follower::start("mlflow", folder.path(), Box::new(service.unwrap()));
        assert_eq!(follower.finish(Ending::Finished), None);

        let batches = bodies(&stub, "runs/log-batch");
        let parameter = json!([{ "key": "optim.learning_rate", "value": "0.001" }]);
        assert_eq!(batches[0]["params"], parameter);
        let metrics: Vec<&Value> =
            batches[1..].iter().flat_map(|batch| batch["metrics"].as_array().unwrap()).collect();
        assert!(batches.iter().all(|b| b["metrics"].as_array().is_none_or(|m| m.len() <= 1000)));
        assert_eq!(metrics.len(), 5000);
        assert_eq!(metrics[1]["value"], "NaN");
        assert_eq!(metrics[4998]["step"], 2500);
        let put = stub.requests().into_iter().filter(|request| request.method == "PUT");
        let put: Vec<String> = put.map(|request| request.path).collect();
        let place = "/api/2.0/mlflow-artifacts/artifacts/7/r9/artifacts";
        let expected = ["train.jsonl", "model/model.safetensors"];
        assert_eq!(put, expected.map(|name| format!("{place}/{name}")));
        let source = "mlflow-artifacts:/7/r9/artifacts/model";
        let version = json!({ "name": "qa", "source": source, "run_id": "r9" });
        assert_eq!(bodies(&stub, "model-versions/create"), [version]);
        assert_eq!(bodies(&stub, "runs/update").last().unwrap()["status"], "FINISHED");
    }

    #[test]
    fn a_server_that_hangs_or_is_gone_leaves_one_line_behind() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.jsonl"), "{\"step\":1,\"time\":1.5,\"a\":1}\n")
            .unwrap();
        let service = Mlflow::new("http://127.0.0.1:1", "run".to_owned(), &json!({}), None);
        let follower = Follower::start("mlflow", folder.path(), Box::new(service.unwrap()));
        let line = follower.finish(Ending::Finished).unwrap();
        assert!(line.contains("one line of train.jsonl was not told"), "{line}");
        assert!(line.contains("http://127.0.0.1:1"), "{line}");
    }
}
