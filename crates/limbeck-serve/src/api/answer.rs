//! `POST /v1/answer`: questions about texts.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Extension, State as Extract};
use axum::http::Request;
use axum::response::Response;
use limbeck_data::decode::{Candidate as Decoded, Pooled};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::cost::{Told, limit};
use super::lengths::{Lengths, plan};
use crate::ask::{self, Questions};
use crate::error::{ErrorBody, Refusal};
use crate::http::observe::RequestId;
use crate::state::State;
use crate::student::Skill;

/// Candidates that a request may ask for.
const MOST_CANDIDATES: usize = 100;

/// Give `question` or `questions`, and `context` or `documents`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with a question and a context")]
#[schema(example = json!({
    "question": "Who wrote it?",
    "context": "Ada Lovelace wrote it in 1843.",
}))]
pub struct AnswerRequest {
    /// A question.
    question: Option<String>,
    /// Several questions about the same texts.
    questions: Option<Vec<String>>,
    /// The text that holds the answer, of any length.
    context: Option<String>,
    /// Several texts; the best answer of all of them is given, with the number of its text.
    documents: Option<Vec<String>>,
    /// The model, by its name in `/info`; without it the default.
    model: Option<String>,
    /// Candidates to list, 1 to 100; 20 unless the model was made otherwise. More than that
    /// also looks at more starts and ends.
    #[schema(minimum = 1, maximum = 100)]
    n_best: Option<usize>,
    /// Whether "no answer" may be the answer; the model knows whether it has learnt that.
    allow_no_answer: Option<bool>,
    /// "No answer" is given when its score leads the best answer's by more than this.
    null_score_diff_threshold: Option<f64>,
    /// Tokens of an answer at most.
    #[schema(minimum = 1)]
    max_answer_length: Option<usize>,
    /// Tokens that go on after each layer: shares of the input, numbers, or the name of a plan.
    lengths: Option<Lengths>,
    /// Let tokens leave from layer to layer until this share of the multiply-adds is left.
    budget: Option<f64>,
    /// Milliseconds after which the answer is of no use; the server's own limit holds too.
    timeout_ms: Option<u64>,
}

/// The answers, and what they cost.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnswerResponse {
    /// To `question`.
    One {
        /// The answer.
        #[serde(flatten)]
        answer: Answer,
        /// What it cost.
        #[serde(flatten)]
        cost: Told,
    },
    /// To `questions`.
    Many {
        /// One a question, in order.
        answers: Vec<Answer>,
        /// What they cost.
        #[serde(flatten)]
        cost: Told,
    },
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// A slice of the text; empty for "no answer".
    #[schema(example = "Ada Lovelace")]
    answer: String,
    /// Its probability among the candidates.
    score: f64,
    /// First code point of the answer in its text.
    start: usize,
    /// Code point past its last.
    end: usize,
    /// The number of its text in `documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
    /// The candidates, best first.
    n_best: Vec<Candidate>,
}

/// A possible answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Candidate {
    /// A slice of the text; empty for "no answer".
    text: String,
    /// Softmax of the logits' sum over the candidates.
    probability: f64,
    /// First code point of the candidate in its text.
    start: usize,
    /// Code point past its last.
    end: usize,
    /// The model's logit for its first token.
    start_logit: f32,
    /// The model's logit for its last token.
    end_logit: f32,
    /// The number of its text in `documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
}

/// Answer questions about texts.
///
/// The answer is a slice of the text; `start` and `end` count its code points. A text of any
/// length is read in windows. Several questions are answered in order; of several documents
/// the best answer is given.
#[utoipa::path(post, path = "/v1/answer", tag = "Ask", request_body = AnswerRequest,
    security((), ("key" = [])),
    responses(
        (status = 200, description = "The answers", body = AnswerResponse),
        (status = 400, description = "The body is not JSON", body = ErrorBody),
        (status = 401, description = "The key is missing or wrong", body = ErrorBody),
        (status = 404, description = "There is no such model", body = ErrorBody),
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
pub async fn answer(
    Extract(state): Extract<Arc<State>>,
    Extension(id): Extension<RequestId>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let request: AnswerRequest = body::json(request, &state).await?;
    let begun = Instant::now();
    let limit = limit(request.timeout_ms, &state.options);
    let (asked, form) = check(request, &state)?;
    if state.options.log_text {
        tracing::info!(request_id = %id, questions = ?asked.questions, "asked");
    }
    let name = &state.students.get(asked.model).name;
    let answers = tokio::time::timeout(limit, ask::answer(&state, asked, limit)).await;
    let (answers, cost) = answers.map_err(|_| Refusal::deadline(limit))??;
    let cost = Told::new(name, cost, begun);
    let mut answers: Vec<_> = answers.into_iter().map(|answer| Answer::of(answer, &form)).collect();
    let response = match answers.pop() {
        Some(answer) if !form.several_questions => {
            AnswerResponse::One { answer, cost: cost.clone() }
        }
        last => {
            answers.extend(last);
            AnswerResponse::Many { answers, cost: cost.clone() }
        }
    };
    Ok(cost.respond(response))
}

/// How the response is to look.
struct Form {
    several_questions: bool,
    several_documents: bool,
    n_best: usize,
}

/// What is asked, if it makes sense.
fn check(request: AnswerRequest, state: &State) -> Result<(Questions, Form), Refusal> {
    let (several_questions, several_documents) =
        (request.questions.is_some(), request.documents.is_some());
    let either = |one: Option<String>, many: Option<Vec<String>>, names: [&str; 2], what: &str| {
        let [single, plural] = names;
        match (one, many) {
            (Some(one), None) => Ok(vec![one]),
            (None, Some(many)) if many.is_empty() => {
                Err(Refusal::invalid(format!("`{plural}` is empty: give at least one")))
            }
            (None, Some(many)) => Ok(many),
            (None, None) => Err(Refusal::invalid(format!("`{single}` is missing: give {what}"))),
            (Some(_), Some(_)) => {
                Err(Refusal::invalid(format!("give `{single}` or `{plural}`, not both")))
            }
        }
    };
    let questions =
        either(request.question, request.questions, ["question", "questions"], "a question")?;
    let what = "the text that holds the answer";
    let documents = either(request.context, request.documents, ["context", "documents"], what)?;
    if questions.iter().any(|question| question.trim().is_empty()) {
        return Err(Refusal::invalid("a question is empty"));
    }
    let most = state.options.max_questions.min(state.options.max_queue);
    if questions.len().saturating_mul(documents.len()) > most {
        let message = format!("questions times documents may be {most} at most");
        return Err(Refusal::too_large(message));
    }
    let answers = |skill: &Skill| matches!(skill, Skill::Answer { .. });
    let model = state.students.find(request.model.as_deref(), answers)?;
    let student = state.students.get(model);
    let Skill::Answer { decode, .. } = &student.skill else { return Err(Refusal::fault()) };
    let plan = plan(student, request.lengths.as_ref(), request.budget)?;
    let mut decode = decode.clone();
    let n_best = request.n_best.unwrap_or(decode.n_best_size);
    if let Some(n_best) = request.n_best {
        if !(1..=MOST_CANDIDATES).contains(&n_best) {
            let message = format!("`n_best` is {n_best}: give 1 to {MOST_CANDIDATES}");
            return Err(Refusal::invalid(message));
        }
        // Fewer would change the probabilities; the list is cut afterwards.
        decode.n_best_size = decode.n_best_size.max(n_best);
    }
    if let Some(length) = request.max_answer_length {
        if length == 0 {
            return Err(Refusal::invalid("`max_answer_length` is 0: give at least 1"));
        }
        decode.max_answer_length = length;
    }
    decode.allow_null = request.allow_no_answer.unwrap_or(decode.allow_null);
    decode.null_score_diff_threshold =
        request.null_score_diff_threshold.unwrap_or(decode.null_score_diff_threshold);
    let form = Form { several_questions, several_documents, n_best };
    Ok((Questions { model, plan, questions, documents, decode }, form))
}

impl Answer {
    fn of(pooled: Pooled, form: &Form) -> Answer {
        let Pooled { candidates, predicted } = pooled;
        let numbered = |document: usize| form.several_documents.then_some(document);
        let chosen = predicted.and_then(|place| candidates.get(place));
        // The answer is listed however short the list is.
        let listed = |&(place, _): &(usize, _)| {
            place + 1 < form.n_best
                || Some(place) == predicted
                || (place + 1 == form.n_best && predicted.is_none_or(|chosen| chosen <= place))
        };
        let of = |pick: fn(&Decoded) -> usize| chosen.map_or(0, |(_, candidate)| pick(candidate));
        Answer {
            answer: chosen.map(|(_, candidate)| candidate.text.clone()).unwrap_or_default(),
            score: chosen.map_or(0.0, |(_, candidate)| candidate.probability),
            start: of(|candidate| candidate.start),
            end: of(|candidate| candidate.end),
            document: chosen
                .filter(|(_, candidate)| !candidate.text.is_empty())
                .and_then(|&(document, _)| numbered(document)),
            n_best: candidates
                .iter()
                .enumerate()
                .filter(listed)
                .map(|(_, (document, candidate))| Candidate {
                    text: candidate.text.clone(),
                    probability: candidate.probability,
                    start: candidate.start,
                    end: candidate.end,
                    start_logit: candidate.start_logit,
                    end_logit: candidate.end_logit,
                    document: numbered(*document).filter(|_| !candidate.text.is_empty()),
                })
                .collect(),
        }
    }
}
