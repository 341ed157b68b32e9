//! The path under which a proxy shows the server.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use crate::state::State;

/// How proxies tell of the path that they took away.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Characters of a prefix.
const LONGEST: usize = 256;

/// What stands before every path of the server: nothing, or `/a/b`, without a slash at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Reads `/a/b`, `/a/b/` or `a/b`; `/` and the empty text are no prefix. It may stand in a page
    /// as it is: letters, digits and `-._~%@:+` alone are allowed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.trim().trim_end_matches('/');
        if path.is_empty() {
            return Ok(Self::default());
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~%@:+".contains(c);
        let sound = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(allowed);
        if path.len() > LONGEST || !path.split('/').all(sound) {
            return Err("expected a path such as /qa, of letters, digits and -._~%@:+".to_owned());
        }
        Ok(Self(format!("/{path}")))
    }

    /// The prefix of what this request's client sees: the one that the server was told, or the one
    /// that proxies tell; the outermost comes first where there are several. One that cannot be a
    /// path is none.
    pub fn of(told: &Self, headers: &HeaderMap) -> Self {
        if *told != Self::default() {
            return told.clone();
        }
        let mut whole = String::new();
        for value in headers.get_all(FORWARDED) {
            for part in value.to_str().unwrap_or_default().split(',') {
                match Self::parse(part) {
                    Ok(part) => whole += part.as_str(),
                    Err(_) => return Self::default(),
                }
            }
        }
        Self::parse(&whole).unwrap_or_default()
    }

    /// As text: empty, or `/a/b`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path without this prefix; none where it does not lie below it.
    fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.as_str()).filter(|_| !self.0.is_empty())?;
        match rest {
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }
}

/// Takes the prefix from the paths of requests, for proxies that pass paths on as they are.
pub async fn strip(
    Extract(state): Extract<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(uri) = stripped(&state.options.root_path, request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn stripped(prefix: &Prefix, uri: &Uri) -> Option<Uri> {
    let path = prefix.strip(uri.path())?;
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> String {
        Prefix::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn a_prefix_is_a_path_without_a_slash_at_its_end() {
        assert_eq!(["/qa", "/qa/", "qa", " /qa "].map(prefix), ["/qa"; 4]);
        assert_eq!(["", "/", "//"].map(prefix), [""; 3]);
        assert_eq!(prefix("/a/b-c.d/~e/"), "/a/b-c.d/~e");
        for hostile in [
            "//evil.example",
            "/a//b",
            "/../a",
            "/a/.",
            "/a b",
            "/\"><script>",
            "/a?b",
            "/a#b",
            "/é",
        ] {
            assert!(Prefix::parse(hostile).is_err(), "{hostile}");
        }
        assert!(Prefix::parse(&"/a".repeat(200)).is_err());
    }

    #[test]
    fn what_the_server_was_told_wins_over_what_proxies_tell() {
        let headers = |values: &[&str]| -> HeaderMap {
            values.iter().map(|value| (FORWARDED, value.parse().unwrap())).collect()
        };
        let none = Prefix::default();
        let of = |told: &Prefix, values: &[&str]| Prefix::of(told, &headers(values)).0;
        assert_eq!(of(&none, &[]), "");
        assert_eq!(of(&none, &["/qa/"]), "/qa");
        assert_eq!(of(&none, &["/a, /b"]), "/a/b");
        assert_eq!(of(&none, &["/a", "/b"]), "/a/b");
        assert_eq!(of(&none, &["//evil.example/a"]), "");
        assert_eq!(of(&Prefix::parse("/own").unwrap(), &["/qa"]), "/own");
    }

    #[test]
    fn paths_below_the_prefix_lose_it_and_others_stay() {
        let prefix = Prefix::parse("/qa").unwrap();
        let of = |path: &str| stripped(&prefix, &path.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(of("/qa/info?x=1").as_deref(), Some("/info?x=1"));
        assert_eq!(of("/qa").as_deref(), Some("/"));
        assert_eq!(of("/qa/").as_deref(), Some("/"));
        assert_eq!([of("/qab"), of("/info"), of("/")], [None, None, None]);
        assert_eq!(stripped(&Prefix::default(), &"/info".parse().unwrap()), None);
    }
}
