//! From texts to answers: the stages of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use limbeck_data::Sequence;
use limbeck_data::decode::{DecodeOptions, Pooled, pool_documents};
use limbeck_model::LengthPlan;
use limbeck_runtime::{Asked, Classified, Prepared, RuntimeError};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::engine::job::{Done, Job, Work};
use crate::error::Refusal;
use crate::state::State;
use crate::student::{Skill, Student};

/// Every question is put to every document.
#[derive(Debug)]
pub struct Questions {
    /// The number of the model.
    pub model: usize,
    /// How many tokens go on from layer to layer, where it is not the model's own plan.
    pub plan: Option<LengthPlan>,
    /// The questions.
    pub questions: Vec<String>,
    /// The texts that may answer them.
    pub documents: Vec<String>,
    /// How answers are chosen.
    pub decode: DecodeOptions,
}

/// Texts to classify.
#[derive(Debug)]
pub struct Texts {
    /// The number of the model.
    pub model: usize,
    /// How many tokens go on from layer to layer, where it is not the model's own plan.
    pub plan: Option<LengthPlan>,
    /// Texts, some with a second one to compare with.
    pub texts: Vec<(String, Option<String>)>,
}

/// What a request cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// What went through the model.
    pub usage: Usage,
    /// Cutting the texts into tokens.
    pub tokenize: Duration,
    /// Waiting for the model.
    pub queue: Duration,
    /// In batches that held some of the request.
    pub compute: Duration,
}

/// How much went through the model.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Usage {
    /// Windows of text.
    windows: usize,
    /// Their tokens.
    tokens: usize,
}

/// Takes questions through tokenising, the model and decoding: one answer a question, over all
/// documents.
///
/// # Errors
/// When too much is under way or asked for, a question fits no window, or the server fails.
pub async fn answer(state: &Arc<State>, asked: Questions) -> Result<(Vec<Pooled>, Cost), Refusal> {
    let Questions { model, plan, questions, documents, decode } = asked;
    let count = questions.len();
    let prepare = move |student: &Student| {
        let Skill::Answer { features, .. } = &student.skill else { return Ok(None) };
        let pairs = documents
            .iter()
            .flat_map(|context| questions.iter().map(|question| Asked { question, context }));
        let prepared = Prepared::new(&pairs.collect::<Vec<_>>(), &student.tokenizer, features)?;
        Ok(Some(Work::windows(prepared)))
    };
    let read = move |_: &Student, work: Work| {
        let Work::Windows { prepared, logits } = work else { return Vec::new() };
        let mut of_document = prepared.decode(&logits, &decode).into_iter();
        let mut of_question: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        while of_document.len() > 0 {
            for (list, decoded) in of_question.iter_mut().zip(of_document.by_ref().take(count)) {
                list.push(decoded);
            }
        }
        of_question.into_iter().map(|list| pool_documents(list, &decode)).collect()
    };
    through(state, model, plan, prepare, read).await
}

/// Takes texts through tokenising and the model: what each of them is.
///
/// # Errors
/// When too much is under way or asked for, or the server fails.
pub async fn classify(
    state: &Arc<State>,
    asked: Texts,
) -> Result<(Vec<Classified>, Cost), Refusal> {
    let Texts { model, plan, texts } = asked;
    let prepare = move |student: &Student| {
        let Skill::Classify { max_length, .. } = &student.skill else { return Ok(None) };
        let sequence = |(text, pair): &(String, Option<String>)| {
            Sequence::new(&student.tokenizer, text, pair.as_deref(), *max_length)
        };
        Ok(Some(Work::texts(texts.iter().map(sequence).collect::<Result<_, _>>()?)))
    };
    let read = move |student: &Student, work: Work| {
        let Skill::Classify { classes, .. } = &student.skill else { return Vec::new() };
        let Work::Texts { sequences, logits } = work else { return Vec::new() };
        let texts = sequences.iter().zip(&logits);
        texts.map(|(text, logits)| Classified::new(classes, logits, text.truncated)).collect()
    };
    through(state, model, plan, prepare, read).await
}

/// The stages that every request goes through. Whoever calls has been [admitted](State::admit).
async fn through<T: Send + 'static>(
    state: &Arc<State>,
    model: usize,
    plan: Option<LengthPlan>,
    prepare: impl FnOnce(&Student) -> Result<Option<Work>, RuntimeError> + Send + 'static,
    read: impl FnOnce(&Student, Work) -> T + Send + 'static,
) -> Result<(T, Cost), Refusal> {
    let begun = Instant::now();
    let ours = state.clone();
    let work = off_thread(move || prepare(ours.students.get(model))).await?;
    let work = work.map_err(|error| Refusal::invalid(error.to_string()))?;
    let work = work.ok_or_else(Refusal::fault)?;
    let tokenize = begun.elapsed();

    let usage = Usage { windows: work.sequences(), tokens: work.rows() };
    let most = state.options.max_input_tokens;
    if usage.tokens > most {
        let message =
            format!("the request takes {} tokens, at most {most} are allowed", usage.tokens);
        return Err(Refusal::too_large(message));
    }

    let (job, done) = Job::new(model, plan, work);
    state.engine.queue.push(job).map_err(|_| Refusal::stopping())?;
    let Done { work, queue, compute } = done.await.map_err(|_| Refusal::fault())?;

    let ours = state.clone();
    let result = off_thread(move || read(ours.students.get(model), work)).await?;
    state.metrics.stages(tokenize, queue, compute);
    Ok((result, Cost { usage, tokenize, queue, compute }))
}

/// Runs something long beside the network's threads. Not at all if nobody waits for it by
/// then.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, receiver) = oneshot::channel();
    rayon::spawn(move || {
        if sender.is_closed() {
            return;
        }
        // A panic would be a fault of ours: it costs this request, not the server.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
            // Nobody listening is no error: the client has gone.
            let _ = sender.send(result);
        }
    });
    receiver.await.map_err(|_| Refusal::fault())
}
