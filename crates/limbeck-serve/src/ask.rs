//! From texts to answers: the stages of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use limbeck_data::Sequence;
use limbeck_data::decode::{DecodeOptions, Pooled, pool_documents};
use limbeck_model::LengthPlan;
use limbeck_runtime::{Asked, Classified, Prepared};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::engine::job::{Done, Job, Work};
use crate::error::Refusal;
use crate::state::{Places, State};
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
pub async fn answer(
    state: &Arc<State>,
    asked: Questions,
    limit: Duration,
) -> Result<(Vec<Pooled>, Cost), Refusal> {
    let Questions { model, plan, questions, documents, decode } = asked;
    let count = questions.len();
    let places = state.admit(count * documents.len())?;
    let most = state.options.max_input_tokens;
    let prepare = move |student: &Student| {
        let Skill::Answer { features, .. } = &student.skill else { return Err(Refusal::fault()) };
        let pairs = documents
            .iter()
            .flat_map(|context| questions.iter().map(|question| Asked { question, context }));
        let prepared = Prepared::new(&pairs.collect::<Vec<_>>(), &student.tokenizer, features)
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        // Before anything is laid out for them.
        let windows = prepared.features();
        check_tokens((0..windows.len()).map(|window| windows.rows_of(window)).sum(), most)?;
        Ok(Work::windows(prepared))
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
    through(state, Passage { model, plan, places, limit }, prepare, read).await
}

/// Takes texts through tokenising and the model: what each of them is.
///
/// # Errors
/// When too much is under way or asked for, or the server fails.
pub async fn classify(
    state: &Arc<State>,
    asked: Texts,
    limit: Duration,
) -> Result<(Vec<Classified>, Cost), Refusal> {
    let Texts { model, plan, texts } = asked;
    let places = state.admit(texts.len())?;
    let most = state.options.max_input_tokens;
    let prepare = move |student: &Student| {
        let Skill::Classify { max_length, .. } = &student.skill else {
            return Err(Refusal::fault());
        };
        let sequence = |(text, pair): &(String, Option<String>)| {
            Sequence::new(&student.tokenizer, text, pair.as_deref(), *max_length)
        };
        let sequences: Vec<_> = texts
            .iter()
            .map(sequence)
            .collect::<Result<_, _>>()
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        check_tokens(sequences.iter().map(Sequence::rows).sum(), most)?;
        Ok(Work::texts(sequences))
    };
    let read = move |student: &Student, work: Work| {
        let Skill::Classify { classes, .. } = &student.skill else { return Vec::new() };
        let Work::Texts { sequences, logits } = work else { return Vec::new() };
        let texts = sequences.iter().zip(&logits);
        texts.map(|(text, logits)| Classified::new(classes, logits, text.truncated)).collect()
    };
    through(state, Passage { model, plan, places, limit }, prepare, read).await
}

fn check_tokens(tokens: usize, most: usize) -> Result<(), Refusal> {
    if tokens <= most {
        return Ok(());
    }
    let message = format!("the request takes {tokens} tokens, at most {most} are allowed");
    Err(Refusal::too_large(message))
}

/// How a request goes through.
struct Passage {
    model: usize,
    plan: Option<LengthPlan>,
    /// Held by everything that works for the request, also when nobody waits for it any more.
    places: Arc<Places>,
    /// How long it may take.
    limit: Duration,
}

/// The stages that every request goes through.
async fn through<T: Send + 'static>(
    state: &Arc<State>,
    Passage { model, plan, places, limit }: Passage,
    prepare: impl FnOnce(&Student) -> Result<Work, Refusal> + Send + 'static,
    read: impl FnOnce(&Student, Work) -> T + Send + 'static,
) -> Result<(T, Cost), Refusal> {
    let begun = Instant::now();
    let (ours, held) = (state.clone(), places.clone());
    let work = off_thread(None, move || {
        let _held = held;
        prepare(ours.students.get(model))
    });
    let work = work.await??;
    let tokenize = begun.elapsed();

    let usage = Usage { windows: work.sequences(), tokens: work.rows() };
    // All jobs advance in turn, so what comes too late had better not begin.
    let wait = state.metrics.time_for(state.engine.queue.rows() + usage.tokens);
    if wait.is_some_and(|wait| wait > limit) && !state.engine.queue.is_empty() {
        return Err(state.busy());
    }
    let (job, done) = Job::new(model, plan, work, places);
    state.engine.queue.push(job).map_err(|_| Refusal::stopping())?;
    let Done { work, queue, compute, places } = done.await.map_err(|_| Refusal::fault())?;

    let ours = state.clone();
    let result = off_thread(Some(&state.readers), move || {
        let _held = places;
        read(ours.students.get(model), work)
    });
    let result = result.await?;
    state.metrics.stages(tokenize, queue, compute);
    Ok((result, Cost { usage, tokenize, queue, compute }))
}

/// Runs something long beside the network's threads, in a pool of its own or that of
/// tokenising. Not at all if nobody waits for it by then.
async fn off_thread<T: Send + 'static>(
    pool: Option<&rayon::ThreadPool>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, receiver) = oneshot::channel();
    let task = move || {
        if sender.is_closed() {
            return;
        }
        // A panic would be a fault of ours: it costs this request, not the server.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
            // Nobody listening is no error: the client has gone.
            let _ = sender.send(result);
        }
    };
    match pool {
        Some(pool) => pool.spawn(task),
        None => rayon::spawn(task),
    }
    receiver.await.map_err(|_| Refusal::fault())
}
