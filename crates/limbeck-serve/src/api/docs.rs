//! The OpenAPI description, and the same to read.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::page::{base, seen_under_a_prefix};
use super::{about, answer, classify};
use crate::http::prefix::Prefix;
use crate::state::State;

/// Everything that can be asked. A new endpoint is one line here.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Limbeck",
        description = "Answers and labels by small models on this machine.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(answer::answer, classify::classify, about::health, about::info, about::metrics),
    modifiers(&Key),
)]
struct Api;

/// Says how the key is shown.
struct Key;

impl utoipa::Modify for Key {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// The description as a value.
pub fn description() -> Value {
    serde_json::to_value(Api::openapi()).unwrap_or_default()
}

/// The description of a server that is seen under this prefix. Where it is not known, the server is
/// where the description is.
fn description_under(prefix: &Prefix) -> Value {
    let mut api = description();
    let url = if prefix.as_str().is_empty() { "." } else { prefix.as_str() };
    api["servers"] = json!([{ "url": url }]);
    api
}

/// `/openapi.json`.
pub async fn openapi(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> impl IntoResponse {
    let prefix = Prefix::of(&state.options.root_path, &headers);
    (seen_under_a_prefix(), Json(description_under(&prefix)))
}

/// `/docs`: the description to read.
pub async fn docs(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> impl IntoResponse {
    let prefix = Prefix::of(&state.options.root_path, &headers);
    (seen_under_a_prefix(), Html(render(&description(), &prefix)))
}

/// The description as a page.
fn render(api: &Value, prefix: &Prefix) -> String {
    let (base, prefix) = (base(prefix), prefix.as_str());
    let home = if base.is_empty() { "./" } else { &base };
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Limbeck: the API</title><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"{base}page.css\"></head>\
         <body class=\"docs\"><main><h1>The API</h1><p>Requests and answers are JSON. \
         <a href=\"{base}openapi.json\">openapi.json</a> describes them for programs; \
         <a href=\"{home}\">the page</a> asks for people. Where the server has a key, send it as \
         <code>Authorization: Bearer KEY</code>.</p><pre>curl -s http://HOST:PORT{prefix}/v1/answer \
         -H 'Content-Type: application/json' \\\n  -d '{{\"question\": \"Who wrote it?\", \
         \"context\": \"Ada Lovelace wrote it in 1843.\"}}'</pre>",
    );
    for (path, methods) in object(&api["paths"]) {
        for (method, operation) in object(methods) {
            operation_to(&mut page, api, path, method, operation);
        }
    }
    page.push_str("<h2>Types</h2>");
    for (name, schema) in object(&api["components"]["schemas"]) {
        let _ = write!(page, "<h3 id=\"{name}\">{name}</h3>{}", paragraph(&schema["description"]));
        fields_to(&mut page, schema);
    }
    page.push_str("</main></body></html>");
    page
}

fn operation_to(page: &mut String, api: &Value, path: &str, method: &str, operation: &Value) {
    let method = method.to_uppercase();
    let _ = write!(page, "<h2><code>{method} {}</code></h2>", escaped(path));
    page.push_str(&paragraph(&operation["summary"]));
    page.push_str(&paragraph(&operation["description"]));
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(name) = body["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let _ = write!(page, "<h3>Body: <a href=\"#{name}\">{name}</a></h3>");
        fields_to(page, &api["components"]["schemas"][name]);
    }
    page.push_str("<h3>Answers</h3><table>");
    for (status, response) in object(&operation["responses"]) {
        let description = prose(response["description"].as_str().unwrap_or(""));
        let kinds = object(&response["content"]).map(|(_, content)| kind_of(&content["schema"]));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let _ = write!(page, "<tr><th>{status}</th><td>{description}</td><td>{kinds}</td></tr>");
    }
    page.push_str("</table>");
}

/// A table of a schema's fields; the alternatives and parts of a schema in turn.
fn fields_to(page: &mut String, schema: &Value) {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    if schema["properties"].is_object() {
        page.push_str("<table>");
        for (name, field) in object(&schema["properties"]) {
            let needed =
                if required.iter().any(|field| field == name) { "" } else { " (optional)" };
            let text = prose(description_of(field));
            let kind = kind_of(field);
            let _ = write!(
                page,
                "<tr><th><code>{name}</code>{needed}</th><td>{kind}</td><td>{text}</td></tr>"
            );
        }
        page.push_str("</table>");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            match part["$ref"].as_str() {
                Some(_) => {
                    let _ = write!(page, "<p>{}</p>", kind_of(part));
                }
                None if part["type"].is_string() && part["type"] != "object" => {
                    let text = prose(description_of(part));
                    let _ = write!(page, "<p>{}: {text}</p>", kind_of(part));
                }
                None => fields_to(page, part),
            }
        }
    }
}

/// What a schema says of itself; of one that may be left out its description is further in.
fn description_of(schema: &Value) -> &str {
    let parts = schema["oneOf"].as_array().into_iter().flatten();
    let mut all = std::iter::once(schema).chain(parts);
    all.find_map(|part| part["description"].as_str()).unwrap_or("")
}

/// What kind of value a schema describes, with a link to its type.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        let parts = parts.iter().filter(|part| part["type"] != "null");
        return parts.map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    let name = |kind: &Value| escaped(kind.as_str().unwrap_or(""));
    match &schema["type"] {
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter(|kind| *kind != "null");
            kinds.map(|kind| of_items(schema, name(kind))).collect::<Vec<_>>().join(" or ")
        }
        kind => of_items(schema, name(kind)),
    }
}

fn of_items(schema: &Value, kind: String) -> String {
    if kind == "array" { format!("list of {}", kind_of(&schema["items"])) } else { kind }
}

fn paragraph(text: &Value) -> String {
    text.as_str().map(|text| format!("<p>{}</p>", prose(text))).unwrap_or_default()
}

/// Escaped, and what stands between backticks as code.
fn prose(text: &str) -> String {
    let mut page = String::new();
    for (index, part) in escaped(text).split('`').enumerate() {
        let part = if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() };
        page.push_str(&part);
    }
    page
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_and_every_reference_leads_somewhere() {
        let api = description();
        for path in ["/v1/answer", "/v1/classify", "/health", "/info", "/metrics"] {
            assert!(api["paths"][path].is_object(), "{path}");
        }
        let text = api.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(api["components"]["schemas"][name].is_object(), "{name}");
        }
        let page = render(&api, &Prefix::default());
        for needed in [
            "POST /v1/answer",
            "null_score_diff_threshold",
            "id=\"Candidate\"",
            "429",
            "<p>list of number: Shares",
        ] {
            assert!(page.contains(needed), "{needed}");
        }
    }
}
