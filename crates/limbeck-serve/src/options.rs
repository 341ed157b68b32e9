//! What a server can be told.

use std::net::IpAddr;
use std::time::Duration;

use crate::http::cors::Cors;
use crate::http::prefix::Prefix;

/// Limits and habits of a server. The defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What clients must show as `Authorization: Bearer KEY`; none lets everybody ask.
    pub api_key: Option<ApiKey>,
    /// The path under which a proxy shows the server.
    pub root_path: Prefix,
    /// The pages of other origins that may ask from a browser; none lets the server's own alone.
    pub cors: Option<Cors>,
    /// Tokens of one pass through a model. More makes others wait longer.
    pub max_batch_tokens: usize,
    /// Questions that may be under way at a time; further ones are told to come back.
    pub max_queue: usize,
    /// Questions times documents of one request.
    pub max_questions: usize,
    /// Tokens of all windows of one request.
    pub max_input_tokens: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// Open connections; further ones are told to come back.
    pub max_connections: usize,
    /// How long a client may take to send a request's head, or its body.
    pub read_timeout: Duration,
    /// How long a request may take from its last byte to its answer, where it does not say
    /// so itself.
    pub timeout: Duration,
    /// How long requests under way may take when the server is asked to stop.
    pub shutdown_timeout: Duration,
    /// Whether questions are written into the log.
    pub log_text: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 8080,
            api_key: None,
            root_path: Prefix::default(),
            cors: None,
            max_batch_tokens: 512,
            max_queue: 512,
            max_questions: 64,
            max_input_tokens: 200_000,
            max_body_bytes: 1 << 20,
            max_connections: 2048,
            read_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
            log_text: false,
        }
    }
}

/// A secret that never shows itself. Kept as a hash, so that comparing takes the same time
/// for every wrong key, whatever its length.
#[derive(Clone, Copy)]
pub struct ApiKey(blake3::Hash);

impl ApiKey {
    /// Takes the key.
    pub fn new(key: &str) -> Self {
        ApiKey(blake3::hash(key.as_bytes()))
    }

    /// Whether `shown` is the key.
    pub fn is(&self, shown: &[u8]) -> bool {
        // `Hash` compares in constant time.
        self.0 == blake3::hash(shown)
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_itself_and_shows_itself_to_nobody() {
        let key = ApiKey::new("secret");
        assert!(key.is(b"secret"));
        assert!(!key.is(b"secret ") && !key.is(b""));
        assert!(!format!("{key:?}").contains("secret"));
    }
}
