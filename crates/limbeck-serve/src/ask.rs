//! From texts to answers: the stages of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use limbeck_data::decode::{DecodeOptions, Pooled, pool_documents};
use limbeck_runtime::{Asked, Prepared};
use tokio::sync::oneshot;

use crate::engine::job::{Done, Job};
use crate::error::Refusal;
use crate::state::State;

/// Every question is put to every document.
#[derive(Debug)]
pub struct Questions {
    /// The number of the model.
    pub model: usize,
    /// The questions.
    pub questions: Vec<String>,
    /// The texts that may answer them.
    pub documents: Vec<String>,
    /// How answers are chosen.
    pub decode: DecodeOptions,
}

/// The answers and what they cost.
#[derive(Debug)]
pub struct Replies {
    /// One a question, over all documents.
    pub answers: Vec<Pooled>,
    /// Windows that went through the model.
    pub windows: usize,
    /// Tokens of those windows.
    pub tokens: usize,
    /// Cutting the texts into windows.
    pub tokenize: Duration,
    /// Waiting for the model.
    pub queue: Duration,
    /// In batches that held some of the windows.
    pub compute: Duration,
}

/// Takes the questions through tokenising, the model and decoding.
///
/// # Errors
/// When too much is under way or asked for, a question fits no window, or the server fails.
pub async fn ask(state: &Arc<State>, asked: Questions) -> Result<Replies, Refusal> {
    let Questions { model, questions, documents, decode } = asked;
    let count = questions.len();
    // Held to the end: what is under way is bounded from here on.
    let _places = state.admit(count * documents.len())?;

    let begun = Instant::now();
    let ours = state.clone();
    let prepared = off_thread(move || {
        let student = ours.students.get(model);
        let pairs = documents
            .iter()
            .flat_map(|context| questions.iter().map(|question| Asked { question, context }));
        Prepared::new(&pairs.collect::<Vec<_>>(), &student.tokenizer, &student.features)
    });
    let prepared = prepared.await?.map_err(|error| Refusal::invalid(error.to_string()))?;
    let tokenize = begun.elapsed();

    let windows = prepared.features().len();
    let tokens = (0..windows).map(|window| prepared.features().rows_of(window)).sum();
    let most = state.options.max_input_tokens;
    if tokens > most {
        let message = format!("the request takes {tokens} tokens, at most {most} are allowed");
        return Err(Refusal::too_large(message));
    }

    let (job, done) = Job::new(model, prepared);
    state.engine.queue.push(job).map_err(|_| Refusal::stopping())?;
    let Done { prepared, logits, queue, compute } = done.await.map_err(|_| Refusal::fault())?;

    let answers = off_thread(move || {
        let mut of_document = prepared.decode(&logits, &decode).into_iter();
        let mut of_question: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        while of_document.len() > 0 {
            for (list, decoded) in of_question.iter_mut().zip(of_document.by_ref().take(count)) {
                list.push(decoded);
            }
        }
        of_question.into_iter().map(|list| pool_documents(list, &decode)).collect()
    });
    let answers = answers.await?;
    state.metrics.stages(tokenize, queue, compute);
    Ok(Replies { answers, windows, tokens, tokenize, queue, compute })
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
