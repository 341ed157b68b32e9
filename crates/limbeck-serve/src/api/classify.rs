//! `POST /v1/classify`: labels of texts and of pairs of texts.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State as Extract};
use axum::http::Request;
use axum::response::Response;
use limbeck_data::text_keys::{self, Keyed};
use limbeck_runtime::Classified;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body;
use super::cost::{Told, limit};
use super::lengths::{Lengths, plan};
use crate::ask::{self, Texts};
use crate::error::{ErrorBody, Refusal};
use crate::http::observe::RequestId;
use crate::state::State;
use crate::student::Skill;

/// Give `text`, with `pair` where two texts are compared; or `texts`. The texts may have other names
/// that files use, such as `sentence`, or `premise` and `hypothesis`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "Fields")]
#[schema(example = json!({ "text": "A film that stays with you." }))]
pub struct ClassifyRequest {
    /// A text.
    text: Option<String>,
    /// The second text of a pair.
    pair: Option<String>,
    /// Several texts.
    texts: Option<Vec<TextToClassify>>,
    /// The model, by its name in `/info`; without it the first classifier.
    model: Option<String>,
    /// Tokens that go on after each layer: shares of the input, numbers, or the name of a plan.
    lengths: Option<Lengths>,
    /// Let tokens leave from layer to layer until this share of the multiply-adds is left.
    budget: Option<f64>,
    /// Milliseconds after which the labels are of no use; the server's own limit holds too.
    timeout_ms: Option<u64>,
}

/// A request as its JSON is written.
#[derive(Deserialize)]
#[serde(expecting = "an object with a text")]
struct Fields {
    texts: Option<Vec<TextToClassify>>,
    model: Option<String>,
    lengths: Option<Lengths>,
    budget: Option<f64>,
    timeout_ms: Option<u64>,
    /// All other keys: the text and its pair.
    #[serde(flatten)]
    named: Map<String, Value>,
}

/// One of several texts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
pub struct TextToClassify {
    /// The text.
    text: String,
    /// The second text of a pair.
    pair: Option<String>,
}

impl TryFrom<Fields> for ClassifyRequest {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { texts, model, lengths, budget, timeout_ms, named } = fields;
        let Keyed { text, pair, .. } = match named.is_empty() {
            true => Keyed::default(),
            false => texts_of(named)?,
        };
        Ok(ClassifyRequest { text, pair, texts, model, lengths, budget, timeout_ms })
    }
}

impl TryFrom<Map<String, Value>> for TextToClassify {
    type Error = String;

    fn try_from(object: Map<String, Value>) -> Result<Self, Self::Error> {
        let Keyed { text, pair, .. } = texts_of(object)?;
        Ok(TextToClassify { text: text.ok_or("the text is null")?, pair })
    }
}

/// A text and its pair under the names that they may have; no other key may be there.
fn texts_of(object: Map<String, Value>) -> Result<Keyed, String> {
    match object.keys().find(|name| !text_keys::is_any_text(name)) {
        Some(unknown) => Err(format!("unknown field `{unknown}`: give `text` and perhaps `pair`")),
        None => Keyed::read(object, &[]).map_err(|error| error.to_string()),
    }
}

/// The labels, and what they cost.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ClassifyResponse {
    /// Of `text`.
    One {
        /// Its labels.
        #[serde(flatten)]
        labels: Labels,
        /// What they cost.
        #[serde(flatten)]
        cost: Told,
    },
    /// Of `texts`.
    Many {
        /// Those of each text, in order.
        results: Vec<Labels>,
        /// What they cost.
        #[serde(flatten)]
        cost: Told,
    },
}

/// What a text is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Labels {
    /// The label for which most speaks.
    #[schema(example = "positive")]
    label: String,
    /// How much.
    score: f64,
    /// Every label, best first.
    labels: Vec<ScoredLabel>,
    /// Whether the text was longer than what was read of it.
    truncated: bool,
}

/// A label and how much speaks for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoredLabel {
    /// Its name.
    label: String,
    /// Its probability; in a regression the value itself.
    score: f64,
}

/// Classify texts.
///
/// Texts that are too long are cut, and the answer says so.
#[utoipa::path(post, path = "/v1/classify", tag = "Ask", request_body = ClassifyRequest,
    security((), ("key" = [])),
    responses(
        (status = 200, description = "The labels", body = ClassifyResponse),
        (status = 400, description = "The body is not JSON", body = ErrorBody),
        (status = 401, description = "The key is missing or wrong", body = ErrorBody),
        (status = 404, description = "There is no such classifier", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ErrorBody),
        (status = 413, description = "The body, or its texts, are too large", body = ErrorBody),
        (status = 415, description = "Not declared as application/json, or packed in another way than gzip", body = ErrorBody),
        (status = 422, description = "The request does not make sense", body = ErrorBody),
        (status = 429, description = "Too many questions are under way", body = ErrorBody,
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
        (status = 500, description = "A fault of the server", body = ErrorBody),
        (status = 503, description = "The server is stopping", body = ErrorBody),
        (status = 504, description = "No answer in time", body = ErrorBody),
    ))]
pub async fn classify(
    Extract(state): Extract<Arc<State>>,
    Extension(id): Extension<RequestId>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let request: ClassifyRequest = body::json(request, &state).await?;
    let begun = Instant::now();
    let limit = limit(request.timeout_ms, &state.options);
    let (asked, several) = check(request, &state)?;
    if state.options.log_text {
        tracing::info!(request_id = %id, texts = ?asked.texts, "asked");
    }
    let name = &state.students.get(asked.model).name;
    let results = tokio::time::timeout(limit, ask::classify(&state, asked, limit)).await;
    let (results, cost) = results.map_err(|_| Refusal::deadline(limit))??;
    let cost = Told::new(name, cost, begun);
    let mut results: Vec<_> = results.into_iter().map(Labels::of).collect();
    let response = match results.pop() {
        Some(labels) if !several => ClassifyResponse::One { labels, cost: cost.clone() },
        last => {
            results.extend(last);
            ClassifyResponse::Many { results, cost: cost.clone() }
        }
    };
    Ok(cost.respond(response))
}

/// What is asked, and whether as a list, if it makes sense.
fn check(request: ClassifyRequest, state: &State) -> Result<(Texts, bool), Refusal> {
    let several = request.texts.is_some();
    let texts = match (request.text, request.pair, request.texts) {
        (Some(text), pair, None) => vec![(text, pair)],
        (None, None, Some(texts)) if !texts.is_empty() => {
            texts.into_iter().map(|one| (one.text, one.pair)).collect()
        }
        (None, None, Some(_)) => {
            return Err(Refusal::invalid("`texts` is empty: give at least one"));
        }
        (None, _, None) => return Err(Refusal::invalid("`text` is missing: give a text")),
        (_, _, Some(_)) => return Err(Refusal::invalid("give `text` or `texts`, not both")),
    };
    let most = state.options.max_questions.min(state.options.max_queue);
    if texts.len() > most {
        return Err(Refusal::too_large(format!("there may be {most} texts at most")));
    }
    let classifies = |skill: &Skill| matches!(skill, Skill::Classify { .. });
    let model = state.students.find(request.model.as_deref(), classifies)?;
    let plan = plan(state.students.get(model), request.lengths.as_ref(), request.budget)?;
    Ok((Texts { model, plan, texts }, several))
}

impl Labels {
    fn of(classified: Classified) -> Labels {
        let best = classified.best();
        Labels {
            label: best.map(|best| best.label.clone()).unwrap_or_default(),
            score: best.map_or(0.0, |best| best.score),
            truncated: classified.truncated,
            labels: classified
                .labels
                .into_iter()
                .map(|label| ScoredLabel { label: label.label, score: label.score })
                .collect(),
        }
    }
}
