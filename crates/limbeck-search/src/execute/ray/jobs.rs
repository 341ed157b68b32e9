//! Ray's Jobs REST API, as far as it is needed here.

use std::time::Duration;

use limbeck_remote::http::{Answer, Client, HttpError, Patience, Token};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::package::Package;

/// A cluster.
#[derive(Debug, Clone)]
pub struct Jobs {
    client: Client,
}

/// What a job reserves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resources {
    /// Processors.
    pub cpus: f64,
    /// Graphics processors.
    pub gpus: f64,
    /// Memory in bytes.
    pub memory: Option<u64>,
}

/// A job to be submitted.
#[derive(Debug, Clone)]
pub struct Submission<'a> {
    /// Its id; the cluster takes each once.
    pub id: &'a str,
    /// The line for the shell that it runs.
    pub entrypoint: &'a str,
    /// The names of its packages: that in which it runs, and those that are laid beside it,
    /// each in a folder that `PYTHONPATH` names.
    pub packages: &'a [&'a str],
    /// What it reserves.
    pub resources: Resources,
    /// Names and values that the cluster shows.
    pub metadata: &'a [(&'a str, String)],
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It waits for its place.
    Pending,
    /// It runs.
    Running,
    /// Somebody stopped it.
    Stopped,
    /// Its command ended with exit code 0.
    Succeeded,
    /// It did not.
    Failed,
}

/// What the cluster knows of a job.
#[derive(Debug, Clone, Deserialize)]
pub struct JobInfo {
    /// Where it stands.
    pub status: Status,
    /// What happened, in words.
    #[serde(default)]
    pub message: Option<String>,
    /// The kind of failure.
    #[serde(default)]
    pub error_type: Option<String>,
    /// The exit code of its command, where it came to that.
    #[serde(default)]
    pub driver_exit_code: Option<i64>,
    /// The node on which it runs, as the cluster calls it.
    #[serde(default)]
    pub driver_node_id: Option<String>,
}

/// Why the cluster does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobsError {
    /// It does not answer, or not as a cluster in order does; later it may.
    Unreachable(String),
    /// It will not, now or later.
    Refused(String),
}

impl std::fmt::Display for JobsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Unreachable(text) | Self::Refused(text)) = self;
        f.write_str(text)
    }
}

impl Status {
    /// Whether nothing will happen to it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl Jobs {
    /// The cluster whose dashboard is at `address`; the token is that of `RAY_AUTH_TOKEN`, else
    /// of the file `RAY_AUTH_TOKEN_PATH`. Nothing is asked yet. `silence` is how long the cluster
    /// may be silent before it counts as unreachable.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(address: &str, silence: Duration) -> Result<Self, HttpError> {
        let given = std::env::var("RAY_AUTH_TOKEN").ok().filter(|text| !text.is_empty());
        let token = given.or_else(|| {
            let path = std::env::var_os("RAY_AUTH_TOKEN_PATH").filter(|path| !path.is_empty())?;
            std::fs::read_to_string(path).ok()
        });
        let connect = silence.min(Duration::from_secs(10));
        let patience = Patience { connect, silence, exchange: Some(30 * silence) };
        let client = Client::new(address, token.as_deref().and_then(Token::new), patience)?;
        Ok(Self { client })
    }

    /// The address of the cluster.
    pub fn address(&self) -> &str {
        self.client.base()
    }

    /// The version of Ray. A cluster that says it may still be unable to run anything.
    ///
    /// # Errors
    /// When the cluster does not answer, or wants another token.
    pub fn version(&self) -> Result<String, JobsError> {
        let answer = self.checked(self.client.get("/api/version"))?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let version = value["ray_version"].as_str().map(str::to_owned);
        version.ok_or_else(|| {
            JobsError::Refused(format!("{}: it is not the dashboard of a Ray", self.address()))
        })
    }

    fn has_package(&self, name: &str) -> Result<bool, JobsError> {
        let answer = self.client.get(&format!("/api/packages/gcs/{name}"));
        Ok(self.found(answer)?.is_some())
    }

    /// Gives the cluster those of these packages that it does not have. It throws away what no
    /// job has used for a while, so that each job needs this.
    ///
    /// # Errors
    /// When it does not answer, or finds a package too large, or one cannot be read.
    pub fn bring(&self, packages: &[Package]) -> Result<(), JobsError> {
        for package in packages {
            if !self.has_package(&package.name)? {
                let bytes = package.bytes().map_err(JobsError::Refused)?;
                let path = format!("/api/packages/gcs/{}", package.name);
                self.checked(self.client.put(&path, &bytes)).map(drop)?;
            }
        }
        Ok(())
    }

    /// Submits a job. That there is one of this id already is as good.
    ///
    /// # Errors
    /// When the cluster does not answer, in which case the job may be there or not, or refuses.
    pub fn submit(&self, job: &Submission) -> Result<(), JobsError> {
        let metadata: Map<String, Value> =
            job.metadata.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut packages = job.packages.iter().map(|name| format!("gcs://{name}"));
        let mut environment = json!({ "working_dir": packages.next() });
        let beside: Vec<String> = packages.collect();
        if !beside.is_empty() {
            environment["py_modules"] = json!(beside);
        }
        let mut body = json!({
            "entrypoint": job.entrypoint,
            "submission_id": job.id,
            "entrypoint_num_cpus": job.resources.cpus,
            "metadata": metadata,
            "runtime_env": environment,
        });
        if job.resources.gpus > 0.0 {
            body["entrypoint_num_gpus"] = json!(job.resources.gpus);
        }
        if let Some(memory) = job.resources.memory {
            body["entrypoint_memory"] = json!(memory);
        }
        // The slash at the end belongs to the path.
        let answer =
            self.answer(self.client.post_json("/api/jobs/", body.to_string().as_bytes()))?;
        if answer.is_success() || String::from_utf8_lossy(&answer.body).contains("already exists") {
            return Ok(());
        }
        Err(self.refusal(&answer))
    }

    /// What the cluster knows of a job; none when it knows no such job.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn job(&self, id: &str) -> Result<Option<JobInfo>, JobsError> {
        let Some(answer) = self.found(self.client.get(&format!("/api/jobs/{id}")))? else {
            return Ok(None);
        };
        let info = serde_json::from_slice(&answer.body);
        let strange = |error| {
            JobsError::Unreachable(format!("{}: a strange answer: {error}", self.address()))
        };
        info.map(Some).map_err(strange)
    }

    /// All that a job has written so far.
    ///
    /// # Errors
    /// When the cluster or the job's node does not answer.
    pub fn logs(&self, id: &str) -> Result<String, JobsError> {
        #[derive(Deserialize)]
        struct Logs {
            logs: String,
        }
        let answer = self.checked(self.client.get(&format!("/api/jobs/{id}/logs")))?;
        let logs: Result<Logs, _> = serde_json::from_slice(&answer.body);
        logs.map(|logs| logs.logs).map_err(|error| JobsError::Unreachable(error.to_string()))
    }

    /// Writes a file of the folder in which a node keeps its logs.
    ///
    /// # Errors
    /// When the cluster or the node does not answer, there is no such file, or `into` fails.
    pub fn node_file(
        &self,
        node: &str,
        name: &str,
        into: &mut dyn std::io::Write,
    ) -> Result<(), JobsError> {
        let path = format!(
            "/api/v0/logs/file?node_id={node}&filename={}&lines=-1&timeout=3600",
            limbeck_remote::http::escaped(name)
        );
        let status = self.client.download(&path, into);
        let status = status.map_err(|error| JobsError::Unreachable(error.to_string()))?;
        match status {
            200..300 => Ok(()),
            _ => Err(JobsError::Unreachable(format!("{} answers {status}", self.address()))),
        }
    }

    /// Asks for a job's end. One that waits for its place stays where it is for a while.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn stop(&self, id: &str) -> Result<(), JobsError> {
        self.found(self.client.post_json(&format!("/api/jobs/{id}/stop"), b"{}")).map(drop)
    }

    fn answer(&self, answer: Result<Answer, HttpError>) -> Result<Answer, JobsError> {
        answer.map_err(|error| JobsError::Unreachable(error.to_string()))
    }

    /// An answer that is a yes; none when there is no such thing.
    fn found(&self, answer: Result<Answer, HttpError>) -> Result<Option<Answer>, JobsError> {
        match self.answer(answer)? {
            answer if answer.status == 404 => Ok(None),
            answer if answer.is_success() => Ok(Some(answer)),
            answer => Err(self.refusal(&answer)),
        }
    }

    fn checked(&self, answer: Result<Answer, HttpError>) -> Result<Answer, JobsError> {
        match self.answer(answer)? {
            answer if answer.is_success() => Ok(answer),
            answer => Err(self.refusal(&answer)),
        }
    }

    fn refusal(&self, answer: &Answer) -> JobsError {
        let (address, status) = (self.address(), answer.status);
        match status {
            // Who has the token may put it right while trials wait.
            401 | 403 => JobsError::Unreachable(format!(
                "{address} answers {status}: it wants another token in RAY_AUTH_TOKEN"
            )),
            413 => JobsError::Refused(format!(
                "{address}: the package is too large for it; give what is large a place that \
                 every node can read"
            )),
            // A traceback; its last words tell most.
            500..600 | 408 | 429 => {
                let text = answer.text();
                JobsError::Unreachable(format!("{address} answers {status}: {text}"))
            }
            _ => JobsError::Refused(format!("{address} answers {status}: {}", answer.text())),
        }
    }
}
