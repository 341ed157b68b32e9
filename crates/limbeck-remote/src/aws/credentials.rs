//! Whose name a request is signed with, from the places where programs look for it: the
//! environment, the file `~/.aws/credentials`, the container's agent, the machine's own.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::variable;
use crate::http::{Client, Patience, Token};

/// How long credentials are taken for good; agents give out new ones five minutes before the old
/// ones end.
const FRESH: Duration = Duration::from_secs(240);
/// These agents are near, or not there.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    silence: Duration::from_secs(2),
    exchange: Some(Duration::from_secs(5)),
};
const CONTAINER: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";

/// A name and its secret; what is secret is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
    /// Goes along with passing ones.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ***)", self.access_key)
    }
}

/// There are none.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {0}")]
pub struct CredentialsError(String);

/// The places, one after another.
#[derive(Debug)]
pub struct Chain {
    found: Option<(Credentials, Instant)>,
    /// Given, and not to be looked for.
    given: bool,
}

impl Chain {
    /// That of this process's environment.
    pub fn from_environment() -> Self {
        Self { found: None, given: false }
    }

    /// Just these.
    pub fn of(credentials: Credentials) -> Self {
        Self { found: Some((credentials, Instant::now())), given: true }
    }

    /// The credentials, as fresh as they have to be.
    ///
    /// # Errors
    /// When no place has any.
    pub fn credentials(&mut self) -> Result<&Credentials, CredentialsError> {
        let is_good = self.found.as_ref().is_some_and(|found| found.1.elapsed() < FRESH);
        if !is_good && !self.given {
            self.found = Some((look()?, Instant::now()));
        }
        let none = || CredentialsError("nowhere to be found".to_owned());
        self.found.as_ref().map(|(credentials, _)| credentials).ok_or_else(none)
    }
}

fn look() -> Result<Credentials, CredentialsError> {
    if let (Some(access_key), Some(secret_key)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        let session_token = variable("AWS_SESSION_TOKEN");
        return Ok(Credentials { access_key, secret_key, session_token });
    }
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    let file = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or(home);
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    if let Some(credentials) = of_profile(&text, &profile) {
        return Ok(credentials);
    }
    let full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    if let Some(address) = full.or_else(|| relative.map(|path| format!("{CONTAINER}{path}"))) {
        return of_container(&address).map_err(CredentialsError);
    }
    if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        let place = "not in the environment, and not in ~/.aws/credentials";
        return Err(CredentialsError(place.to_owned()));
    }
    of_machine(MACHINE).map_err(|error| {
        let place = "not in the environment, not in ~/.aws/credentials, and no machine gives any";
        CredentialsError(format!("{place} ({error})"))
    })
}

/// Those of a profile of a credentials file.
fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let heading = format!("[{profile}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != heading).skip(1);
    let own = lines.take_while(|line| !line.starts_with('['));
    let pairs: Vec<(&str, &str)> = own
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let value = |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
    Some(Credentials {
        access_key: value("aws_access_key_id")?,
        secret_key: value("aws_secret_access_key")?,
        session_token: value("aws_session_token"),
    })
}

fn of_container(address: &str) -> Result<Credentials, String> {
    let file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let token = file.and_then(|file| std::fs::read_to_string(file).ok());
    let token = token.or_else(|| variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    // It is the whole header, without a word before it.
    let headers = token.map(|token| ("authorization", token.trim().to_owned()));
    let headers: Vec<(&str, String)> = headers.into_iter().collect();
    let end = address.find("://").and_then(|at| address[at + 3..].find('/').map(|n| at + 3 + n));
    let (base, path) = address.split_at(end.unwrap_or(address.len()));
    let client = Client::new(base, None, PATIENCE).map_err(|error| error.to_string())?;
    let answer = client.send("GET", path, &headers, b"").map_err(|error| error.to_string())?;
    of_answer(&answer.body)
}

/// Those of the role of a machine, by the second version of its service.
fn of_machine(address: &str) -> Result<Credentials, String> {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let client = Client::new(address, None, PATIENCE).map_err(|error| error.to_string())?;
    let ask = |method: &str, path: &str, header: (&str, String)| {
        let answer =
            client.send(method, path, &[header], b"").map_err(|error| error.to_string())?;
        match answer.is_success() {
            true => Ok(answer.body),
            false => Err(format!("{address} answers {}", answer.status)),
        }
    };
    let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", "300".to_owned());
    let token = ask("PUT", "/latest/api/token", lifetime)?;
    let token = Token::new(&String::from_utf8_lossy(&token)).ok_or("an empty token")?;
    let with_token = || ("x-aws-ec2-metadata-token", token.secret().to_owned());
    let role = ask("GET", ROLES, with_token())?;
    let role = String::from_utf8_lossy(&role);
    let role = role.lines().next().unwrap_or_default().trim();
    of_answer(&ask("GET", &format!("{ROLES}{role}"), with_token())?)
}

fn of_answer(body: &[u8]) -> Result<Credentials, String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let (Some(access_key), Some(secret_key)) = (text("AccessKeyId"), text("SecretAccessKey"))
    else {
        return Err("an answer without credentials".to_owned());
    };
    Ok(Credentials { access_key, secret_key, session_token: text("Token") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::{Reply, Stub};

    #[test]
    fn a_profile_is_read_from_its_own_lines() {
        let text = "[other]\naws_access_key_id = o\n[default]\n# mine\naws_access_key_id = a\n\
                    aws_secret_access_key=b=c\n[last]\naws_session_token = x\n";
        let found = of_profile(text, "default").unwrap();
        assert_eq!((found.access_key.as_str(), found.secret_key.as_str()), ("a", "b=c"));
        assert_eq!(found.session_token, None);
        assert_eq!(of_profile(text, "other"), None);
        assert_eq!(of_profile("", "default"), None);
        assert!(!format!("{found:?}").contains("b=c"));
    }

    #[test]
    fn a_machine_gives_the_credentials_of_its_role() {
        let given = "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Token\":\"c\"}";
        let stub = Stub::start(move |request| {
            let path = request.path.as_str();
            let has_token = request.header("x-aws-ec2-metadata-token") == Some("t1");
            match (request.method.as_str(), path.rsplit('/').next().unwrap_or_default()) {
                ("PUT", "token") => Reply::text(200, "t1"),
                ("GET", "") if has_token => Reply::text(200, "role\n"),
                ("GET", "role") if has_token => Reply::text(200, given),
                _ => Reply::text(401, ""),
            }
        });
        let found = of_machine(&stub.address()).unwrap();
        assert_eq!((found.access_key.as_str(), found.session_token.as_deref()), ("a", Some("c")));
        let container = format!("{}/latest/meta-data/role", stub.address());
        assert!(of_container(&container).is_err());
    }
}
