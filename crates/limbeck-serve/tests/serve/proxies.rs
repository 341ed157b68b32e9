//! Behind a proxy that shows the server under a path, asked by pages of other origins, with packed
//! bodies.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use limbeck_serve::{Cors, Prefix, ServeOptions};
use serde_json::json;

use crate::client::{JSON, Response, get, raw, request};
use crate::running::Running;

const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn body() -> String {
    json!({"question": "who ?", "context": "the cat sat"}).to_string()
}

#[test]
fn the_page_works_under_any_path() {
    let server = Running::start(ServeOptions::default());
    let page = get(server.address, "/");
    assert_eq!(page.headers["vary"], "x-forwarded-prefix");
    assert!(page.body.contains("href=\"page.css\"") && page.body.contains("src=\"page.js\""));
    let api = get(server.address, "/openapi.json").json();
    assert_eq!(api["servers"][0]["url"], ".");
    let forwarded = |path: &str, prefix: &str| {
        let headers = [("X-Forwarded-Prefix", prefix)];
        raw(server.address, &request("GET", path, &headers, b"")).unwrap()
    };
    assert!(forwarded("/", "/qa").body.contains("src=\"/qa/page.js\""));
    assert!(forwarded("/docs", "/qa/").body.contains("href=\"/qa/openapi.json\""));
    assert_eq!(forwarded("/openapi.json", "/qa").json()["servers"][0]["url"], "/qa");
    // What is no path of this server is not written into the page.
    for hostile in ["//evil.example", "/\"><script>x</script>", "https://evil.example/"] {
        let page = forwarded("/", hostile).body;
        assert!(!page.contains("evil") && !page.contains("<script>x"), "{page}");
        assert!(page.contains("src=\"page.js\""));
    }
}

#[test]
fn a_proxy_that_passes_the_path_on_needs_only_the_flag() {
    let root_path = Prefix::parse("/qa/").unwrap();
    let server = Running::start(ServeOptions { root_path, ..ServeOptions::default() });
    for path in ["/qa", "/qa/", "/"] {
        let page = get(server.address, path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("src=\"/qa/page.js\""), "{path}");
    }
    for path in ["/qa/page.js", "/qa/info", "/info", "/qa/health", "/qa/docs"] {
        assert_eq!(get(server.address, path).status, 200, "{path}");
    }
    assert_eq!(get(server.address, "/qab").status, 404);
    let asked = request("POST", "/qa/v1/answer", &[JSON], body().as_bytes());
    assert_eq!(raw(server.address, &asked).unwrap().status, 200);
    let metrics = get(server.address, "/metrics").body;
    assert!(metrics.contains("endpoint=\"answer\""), "{metrics}");
}

fn from_origin(server: &Running, origin: &str, method: &str, more: &[(&str, &str)]) -> Response {
    let headers = [&[("Origin", origin), JSON][..], more].concat();
    let body = if method == "POST" { body() } else { String::new() };
    raw(server.address, &request(method, "/v1/answer", &headers, body.as_bytes())).unwrap()
}

const BEFOREHAND: [(&str, &str); 2] = [
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "authorization,content-type"),
];

#[test]
fn pages_of_the_origins_that_were_named_may_ask() {
    let cors = Cors::of(["https://a.example", "http://localhost:3000"]).unwrap();
    let server = Running::start(ServeOptions { cors, ..ServeOptions::default() });
    let allows = |response: &Response| response.headers.get("access-control-allow-origin").cloned();
    for origin in ["https://a.example", "http://localhost:3000"] {
        let before = from_origin(&server, origin, "OPTIONS", &BEFOREHAND);
        assert_eq!((before.status, allows(&before).as_deref()), (204, Some(origin)));
        assert!(before.headers["access-control-allow-methods"].contains("POST"));
        let headers = &before.headers["access-control-allow-headers"];
        assert!(headers.contains("authorization") && headers.contains("content-type"));
        let answer = from_origin(&server, origin, "POST", &[]);
        assert_eq!((answer.status, allows(&answer).as_deref()), (200, Some(origin)));
        assert!(answer.headers["access-control-expose-headers"].contains("x-request-id"));
        assert!(answer.headers["vary"].contains("origin"));
    }
    let other = "https://a.example.evil";
    let before = from_origin(&server, other, "OPTIONS", &BEFOREHAND);
    assert_eq!((before.status, allows(&before)), (403, None));
    let answer = from_origin(&server, other, "POST", &[]);
    assert!(allows(&answer).is_none() && answer.headers["vary"].contains("origin"));
    // The page may read why it is refused.
    let wrong = from_origin(&server, "https://a.example", "DELETE", &[]);
    assert_eq!((wrong.status, allows(&wrong).is_some()), (405, true));
}

#[test]
fn everybody_may_ask_beforehand_without_the_key_and_needs_it_then() {
    let api_key = Some(limbeck_serve::ApiKey::new("secret"));
    let cors = Cors::of(["*"]).unwrap();
    let server = Running::start(ServeOptions { cors, api_key, ..ServeOptions::default() });
    let before = from_origin(&server, "null", "OPTIONS", &BEFOREHAND);
    assert_eq!((before.status, &*before.headers["access-control-allow-origin"]), (204, "*"));
    assert!(!before.headers.contains_key("access-control-allow-credentials"));
    let without = from_origin(&server, "null", "POST", &[]);
    assert_eq!((without.status, &*without.headers["access-control-allow-origin"]), (401, "*"));
    let with = from_origin(&server, "null", "POST", &[("Authorization", "Bearer secret")]);
    assert_eq!(with.status, 200);
}

#[test]
fn without_the_flag_no_other_page_may_ask() {
    let server = Running::start(ServeOptions::default());
    let before = from_origin(&server, "https://a.example", "OPTIONS", &BEFOREHAND);
    assert_eq!(before.status, 405);
    let answer = from_origin(&server, "https://a.example", "POST", &[]);
    for response in [before, answer] {
        assert!(!response.headers.keys().any(|name| name.starts_with("access-control")));
    }
}

#[test]
fn packed_bodies_are_read_within_the_limits() {
    let server = Running::start(ServeOptions { max_body_bytes: 5000, ..ServeOptions::default() });
    let ask = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[JSON], headers].concat();
        raw(server.address, &request("POST", "/v1/answer", &headers, body)).unwrap()
    };
    let plain = ask(&[], body().as_bytes());
    let read = ask(&[GZIP], &packed(&body()));
    assert_eq!((read.status, &read.json()["answer"]), (200, &plain.json()["answer"]));
    let bomb = packed(&" ".repeat(1 << 20));
    assert!(bomb.len() < 5000);
    let refused = ask(&[GZIP], &bomb);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (413, Some("too_large")));
    assert_eq!(ask(&[GZIP], body().as_bytes()).json()["code"], "malformed_gzip");
    for other in ["br", "zstd", "deflate", "gzip, br"] {
        let refused = ask(&[("Content-Encoding", other)], body().as_bytes());
        assert_eq!((refused.status, &*refused.headers["accept-encoding"]), (415, "gzip"));
        assert!(refused.json()["error"].as_str().unwrap().contains("send gzip"), "{refused:?}");
    }
}
