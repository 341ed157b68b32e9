//! The page for people: no framework, nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::state::State;

const HTML: &str = include_str!("../page/page.html");
const SCRIPT: &str = include_str!("../page/page.js");
const STYLE: &str = include_str!("../page/page.css");

/// The page and its parts.
pub fn routes() -> Router<Arc<State>> {
    let part = |kind: &'static str, text: &'static str| {
        get(move || async move {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
        })
    };
    Router::new()
        .route("/", part("text/html; charset=utf-8", HTML))
        .route("/page.js", part("text/javascript; charset=utf-8", SCRIPT))
        .route("/page.css", part("text/css; charset=utf-8", STYLE))
}
