//! The client that everything here speaks through.
//!
//! Every wait has an end, so that a machine that hangs is told from one that works. No redirect
//! is followed: whoever may want to does it by hand, knowing where a [`Token`] may go.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use ureq::http::{Request, Response, Uri};
use ureq::{Agent, AsSendBody, Body};

/// The most bytes of an answer that is read into memory whole.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A secret; it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// How it is presented.
    scheme: &'static str,
    secret: String,
}

impl Token {
    /// What a variable or file holds, without the white space around it; `None` when that is
    /// nothing.
    pub fn new(text: &str) -> Option<Self> {
        let text = Some(text.trim()).filter(|text| !text.is_empty());
        text.map(|text| Self { scheme: "Bearer", secret: text.to_owned() })
    }

    /// A name and a password.
    pub fn basic(name: &str, password: &str) -> Self {
        Self { scheme: "Basic", secret: base64(format!("{name}:{password}").as_bytes()) }
    }

    /// The secret itself, for who presents it in another way.
    #[cfg(feature = "aws")]
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    fn header(&self) -> String {
        format!("{} {}", self.scheme, self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// How long a client waits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To find the machine and be connected with it.
    pub connect: Duration,
    /// Between two signs of life.
    pub silence: Duration,
    /// For all of an exchange; `None` as long as it takes.
    pub exchange: Option<Duration>,
}

/// A client of one machine.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    origin: Origin,
    base: String,
    token: Option<Token>,
}

/// Scheme, host and port: what a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What it says.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be used.
    #[error("{address}: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine cannot be reached, or it hangs.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What happened.
        reason: String,
    },
}

impl Client {
    /// Of the machine at `base`, such as `http://127.0.0.1:8265`.
    ///
    /// # Errors
    /// When `base` is no address that this program can speak to.
    pub fn new(base: &str, token: Option<Token>, patience: Patience) -> Result<Self, HttpError> {
        let base = base.trim().trim_end_matches('/').to_owned();
        let wrong =
            |reason: &str| HttpError::Address { address: base.clone(), reason: reason.to_owned() };
        let uri: Uri = base.parse().map_err(|_| wrong("this is no address"))?;
        let origin = Origin::of(&uri).ok_or(wrong("expected http://HOST or https://HOST"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            // An address is shown in messages; it is no place for a password.
            let address = format!("{}://{}", origin.scheme, origin.host);
            let reason = "the address must not hold a password".to_owned();
            return Err(HttpError::Address { address, reason });
        }
        if origin.scheme == "https" && !cfg!(feature = "https") {
            return Err(wrong("this program was built without https (the feature `https`)"));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("limbeck/", env!("CARGO_PKG_VERSION")))
            // Sizes must be those of the files.
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            .timeout_global(patience.exchange);
        Ok(Self { agent: config.build().into(), origin, base, token })
    }

    /// The address of the machine.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The machine as the header `host` names it.
    pub fn host(&self) -> String {
        let authority = self.base.split_once("://").map_or("", |(_, rest)| rest);
        authority.split('/').next().unwrap_or_default().to_owned()
    }

    /// What a path of this machine answers.
    ///
    /// # Errors
    /// When there is no answer; an answer that refuses is one.
    pub fn get(&self, path: &str) -> Result<Answer, HttpError> {
        self.whole(self.ask("GET", &self.address(path), &[], ())?)
    }

    /// Writes what a path of this machine answers, however long, if that is a yes; the status.
    ///
    /// # Errors
    /// As [`Client::get`]; also when the answer breaks off or `into` takes no more.
    pub fn download(&self, path: &str, into: &mut dyn Write) -> Result<u16, HttpError> {
        let address = self.address(path);
        let mut response = self.ask("GET", &address, &[], ())?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            let copied = io::copy(&mut response.body_mut().as_reader(), into);
            copied.map_err(|error| unreachable(&address, &error.to_string()))?;
        }
        Ok(status)
    }

    /// Sends this to a path of this machine, with headers of one's own.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Answer, HttpError> {
        let address = self.address(path);
        self.whole(match body.is_empty() {
            true => self.ask(method, &address, headers, ())?,
            false => self.ask(method, &address, headers, body)?,
        })
    }

    /// Sends JSON to a path of this machine.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post_json(&self, path: &str, body: &[u8]) -> Result<Answer, HttpError> {
        let headers = [("content-type", "application/json".to_owned())];
        self.whole(self.ask("POST", &self.address(path), &headers, body)?)
    }

    /// Puts a file's bytes to a path of this machine.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn put(&self, path: &str, body: impl AsSendBody) -> Result<Answer, HttpError> {
        let headers = [("content-type", "application/octet-stream".to_owned())];
        self.whole(self.ask("PUT", &self.address(path), &headers, body)?)
    }

    /// The address of a path of this machine.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Asks any machine; the token goes to the client's own alone.
    pub(crate) fn ask(
        &self,
        method: &str,
        address: &str,
        headers: &[(&str, String)],
        body: impl AsSendBody,
    ) -> Result<Response<Body>, HttpError> {
        let wrong = |reason: String| HttpError::Address { address: shown(address), reason };
        let uri: Uri = address.parse().map_err(|_| wrong("this is no address".to_owned()))?;
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token
            && Origin::of(&uri).as_ref() == Some(&self.origin)
        {
            request = request.header("authorization", token.header());
        }
        let request = request
            .body(body)
            // The text could hold the header's value.
            .map_err(|_| wrong("a header or the token holds what no header may".to_owned()))?;
        self.agent.run(request).map_err(|error| unreachable(address, &error.to_string()))
    }

    fn whole(&self, mut response: Response<Body>) -> Result<Answer, HttpError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.body_mut().as_reader().take(LONGEST_ANSWER);
        let read = reader.read_to_end(&mut body);
        read.map_err(|error| unreachable(&self.base, &error.to_string()))?;
        Ok(Answer { status, body })
    }
}

impl Answer {
    /// Whether it is a yes.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The beginning of what it says, on one line.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: Vec<&str> = text.split_whitespace().collect();
        text.join(" ").chars().take(300).collect()
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Self { scheme, host, port: uri.port_u16().unwrap_or(usual) })
    }
}

pub(crate) fn unreachable(address: &str, reason: &str) -> HttpError {
    HttpError::Unreachable { address: shown(address), reason: reason.to_owned() }
}

/// Base 64 with its usual letters.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of_three = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let (bits, length) = (bits << (8 * (3 - three.len())), three.len());
        (0..4).map(move |place| match place <= length {
            true => char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]),
            false => '=',
        })
    };
    bytes.chunks(3).flat_map(of_three).collect()
}

/// A text as part of a query.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// An address without its query, which may hold a signature.
fn shown(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Where a redirect leads that `address` answered with.
pub(crate) fn redirected(address: &str, location: &str) -> Option<String> {
    if location.contains("://") {
        return Some(location.to_owned());
    }
    let uri: Uri = address.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    match location {
        _ if location.starts_with("//") => Some(format!("{scheme}:{location}")),
        _ if location.starts_with('/') => Some(format!("{scheme}://{authority}{location}")),
        _ => {
            let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(format!("{scheme}://{authority}{folder}/{location}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stub::{Reply, Stub};

    const PATIENCE: Patience = Patience {
        connect: Duration::from_secs(5),
        silence: Duration::from_millis(200),
        exchange: None,
    };

    #[test]
    fn a_machine_that_hangs_is_unreachable_after_a_while() {
        let stub = Stub::start(|_| Reply::Hang(Duration::from_secs(30)));
        let client = Client::new(&stub.address(), None, PATIENCE).unwrap();
        let begun = Instant::now();
        let error = client.get("/x").unwrap_err();
        assert!(matches!(error, HttpError::Unreachable { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_token_goes_to_its_own_machine_only_and_is_never_shown() {
        let other = Stub::start(|_| Reply::text(200, "ok"));
        let own = Stub::start(|_| Reply::text(200, "ok"));
        let client = Client::new(&own.address(), Token::new(" s3cret\n"), PATIENCE).unwrap();
        client.get("/a").unwrap();
        client.ask("GET", &format!("{}/b", other.address()), &[], ()).unwrap();
        assert_eq!(own.requests()[0].header("authorization"), Some("Bearer s3cret"));
        assert_eq!(other.requests()[0].header("authorization"), None);
        assert!(!format!("{client:?}").contains("s3cret"));
        let odd = Client::new(&own.address(), Token::new("s3cret\u{7f}"), PATIENCE).unwrap();
        assert!(!odd.get("/").unwrap_err().to_string().contains("s3cret"));
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for base in ["", "127.0.0.1:80", "ftp://a", "http://", "http://me:pass@host"] {
            let error = Client::new(base, None, PATIENCE).unwrap_err().to_string();
            assert!(!error.contains("pass@"), "{error}");
        }
    }

    #[test]
    fn a_password_is_presented_as_basic_authentication_has_it() {
        // RFC 7617 and RFC 4648.
        let header = Token::basic("Aladdin", "open sesame").header();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, encoded) in known {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert!(!format!("{:?}", Token::basic("me", "pass")).contains("bWU6"));
    }

    #[test]
    fn names_are_escaped_in_queries() {
        assert_eq!(escaped("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn what_is_downloaded_is_whole_or_an_error() {
        let whole = Reply::text(200, "0123456789");
        let stub = Stub::start(move |request| match request.path.as_str() {
            "/whole" => whole.clone(),
            "/cut" => Reply::Cut(Box::new(whole.clone()), 5),
            _ => Reply::text(404, "none"),
        });
        let client = Client::new(&stub.address(), None, PATIENCE).unwrap();
        let mut bytes = Vec::new();
        assert_eq!(client.download("/whole", &mut bytes).unwrap(), 200);
        assert_eq!(bytes, b"0123456789");
        assert_eq!(client.download("/none", &mut bytes).unwrap(), 404);
        assert!(client.download("/cut", &mut bytes).is_err());
    }

    #[test]
    fn a_redirect_may_be_relative() {
        let from = "http://a:1/b/c?d=e";
        assert_eq!(redirected(from, "/x?y").unwrap(), "http://a:1/x?y");
        assert_eq!(redirected(from, "x").unwrap(), "http://a:1/b/x");
        assert_eq!(redirected(from, "//b/x").unwrap(), "http://b/x");
        assert_eq!(redirected(from, "https://c/x").unwrap(), "https://c/x");
    }
}
