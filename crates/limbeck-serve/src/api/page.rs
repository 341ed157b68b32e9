//! The page for people: no framework, nothing from elsewhere.
//!
//! Its addresses are relative, so that it works under any path that a proxy shows it; where that path
//! is known, they begin with it, so that its last slash may be left out. Where it is not known, the
//! page itself goes to the address with the slash.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use crate::http::prefix::{FORWARDED, Prefix};
use crate::state::State;

const HTML: &str = include_str!("../page/page.html");
const SCRIPT: &str = include_str!("../page/page.js");
const STYLE: &str = include_str!("../page/page.css");

/// Where the page has what its addresses begin with.
const BASE: &str = "{base}";

/// The SHA-256 of the one script that stands in the page, for the policy of its contents.
pub const INLINE_SCRIPT: &str = "'sha256-fVuRDD+oWWNlFQyLvT0H4WZPpVqV7/OxcoTH/X6mg98='";

/// The page and its parts.
pub fn routes() -> Router<Arc<State>> {
    let part = |kind: &'static str, text: &'static str| {
        get(move || async move {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
        })
    };
    Router::new()
        .route("/", get(page))
        .route("/page.js", part("text/javascript; charset=utf-8", SCRIPT))
        .route("/page.css", part("text/css; charset=utf-8", STYLE))
}

async fn page(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> impl IntoResponse {
    let prefix = Prefix::of(&state.options.root_path, &headers);
    (seen_under_a_prefix(), Html(HTML.replace(BASE, &base(&prefix))))
}

/// What the addresses of a page begin with: nothing where the prefix is not known.
pub fn base(prefix: &Prefix) -> String {
    match prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

/// The headers of what depends on the path that a proxy tells.
pub fn seen_under_a_prefix() -> HeaderMap {
    let no_cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    HeaderMap::from_iter([no_cache, (header::VARY, FORWARDED.into())])
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Base 64 of a SHA-256.
    fn encoded(hash: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = hash.chunks(3).flat_map(|three| {
            let bits =
                (0..3).fold(0, |bits, i| bits << 8 | three.get(i).copied().unwrap_or(0) as usize);
            (0..=three.len()).map(move |i| char::from(DIGITS[bits >> (18 - 6 * i) & 63]))
        });
        digits.chain(['=']).collect()
    }

    #[test]
    fn the_policy_knows_the_script_that_stands_in_the_page() {
        let script = HTML.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        assert_eq!(INLINE_SCRIPT, format!("'sha256-{}'", encoded(&Sha256::digest(script))));
    }

    #[test]
    fn no_address_of_the_page_begins_at_the_root() {
        for text in [HTML, SCRIPT, STYLE] {
            for root in ["href=\"/", "src=\"/", "fetch(\"/", "url(/"] {
                assert!(!text.contains(root), "{root}");
            }
        }
        assert!(HTML.matches(BASE).count() >= 4);
    }
}
