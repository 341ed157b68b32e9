//! Services of Amazon that speak JSON, each request signed.
//!
//! # Layout
//! - `sign`: Signature Version 4.
//! - [`credentials`]: whose name is signed with, from where programs usually find it.

pub mod credentials;
mod sign;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::{Answer, Client, HttpError, Patience};
use credentials::{Chain, CredentialsError};

/// A service in one region.
#[derive(Debug)]
pub struct JsonService {
    client: Client,
    host: String,
    region: String,
    /// As it is called in signatures.
    name: &'static str,
    chain: Chain,
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nobody to sign as.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No region was named.
    #[error("no region: set AWS_REGION")]
    Region,
    /// The service was not reached, or its address cannot be used.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl JsonService {
    /// The service of this name in the region of `AWS_REGION` or `AWS_DEFAULT_REGION`, at
    /// `AWS_ENDPOINT_URL` where that is set. Nobody is asked yet.
    ///
    /// # Errors
    /// When there is no region, or the address cannot be used.
    pub fn from_environment(name: &'static str, patience: Patience) -> Result<Self, AwsError> {
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or(AwsError::Region)?;
        let own = format!("AWS_ENDPOINT_URL_{}", name.to_ascii_uppercase());
        let address = variable(&own).or_else(|| variable("AWS_ENDPOINT_URL"));
        let address = address.unwrap_or_else(|| format!("https://{name}.{region}.amazonaws.com"));
        Ok(Self::at(&address, &region, name, Chain::from_environment(), patience)?)
    }

    /// The service at an address.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn at(
        address: &str,
        region: &str,
        name: &'static str,
        chain: Chain,
        patience: Patience,
    ) -> Result<Self, HttpError> {
        let client = Client::new(address, None, patience)?;
        let host = client.host();
        Ok(Self { client, host, region: region.to_owned(), name, chain })
    }

    /// What the service answers to a call, such as `Logs_20140328.PutLogEvents`.
    ///
    /// # Errors
    /// When there are no credentials or there is no answer; an answer that refuses is one.
    pub fn call(&mut self, target: &str, body: &[u8]) -> Result<Answer, AwsError> {
        let credentials = self.chain.credentials()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("host", self.host.clone()),
            ("x-amz-date", sign::timestamp(now.as_secs())),
            ("x-amz-target", target.to_owned()),
        ];
        if let Some(token) = &credentials.session_token {
            headers.push(("x-amz-security-token", token.clone()));
        }
        let request = sign::Request { method: "POST", path: "/", headers: &headers, body };
        let signature = request.authorization(credentials, &self.region, self.name);
        headers.push(("authorization", signature));
        // The client sets it itself, to the same.
        headers.retain(|(name, _)| *name != "host");
        Ok(self.client.send("POST", "/", &headers, body)?)
    }
}

pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::credentials::Credentials;
    use crate::stub::{Reply, Stub};

    #[test]
    fn a_call_is_signed_and_keeps_its_secret() {
        let stub = Stub::start(|_| Reply::text(200, "{}"));
        let own = Credentials {
            access_key: "AKID".to_owned(),
            secret_key: "s3cret".to_owned(),
            session_token: Some("t0ken".to_owned()),
        };
        let second = Duration::from_secs(1);
        let patience = Patience { connect: second, silence: second, exchange: None };
        let chain = Chain::of(own);
        let mut service =
            JsonService::at(&stub.address(), "eu-west-1", "logs", chain, patience).unwrap();
        assert!(service.call("Logs_20140328.PutLogEvents", b"{}").unwrap().is_success());
        let request = &stub.requests()[0];
        let signature = request.header("authorization").unwrap();
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{signature}");
        assert!(signature.contains("/eu-west-1/logs/aws4_request"), "{signature}");
        assert!(signature.contains("x-amz-security-token;x-amz-target"), "{signature}");
        assert_eq!(request.header("x-amz-security-token"), Some("t0ken"));
        assert_eq!(request.header("host"), stub.address().strip_prefix("http://"));
        let shown = format!("{service:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }
}
