//! A server from start to end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::api;
use crate::ask::{self, Questions, Texts};
use crate::http::listen;
use crate::options::ServeOptions;
use crate::state::State;
use crate::student::{Skill, Students};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not to be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The system refuses threads.
    #[error("cannot start threads: {0}")]
    Threads(#[source] std::io::Error),
    /// A model does not answer.
    #[error("the model `{model}` does not answer: {reason}")]
    Model {
        /// The model.
        model: String,
        /// What it says instead.
        reason: String,
    },
}

/// Open files that are no connections within the limit: the models', and connections that are
/// turned away.
const FILES_FOR_ELSE: usize = 512;

/// A server that listens, and has not begun to answer.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    /// Takes the address, starts the engine, and puts a question to every model: once this
    /// returns, the server can answer.
    ///
    /// # Errors
    /// When the address is taken, or a model does not answer.
    pub async fn bind(options: ServeOptions, students: Students) -> Result<Server, ServeError> {
        let mut options = options;
        // As many files as the system allows; connections over that could not even be told so.
        if let Ok(files) = rlimit::increase_nofile_limit(u64::MAX) {
            let most = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(FILES_FOR_ELSE);
            options.max_connections = options.max_connections.min(most.max(1));
        }
        let address = SocketAddr::new(options.host, options.port);
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = State::new(options, students).map_err(ServeError::Threads)?;
        for (number, student) in state.students.iter().enumerate() {
            let text = || "There is an answer.".to_owned();
            let answered = match &student.skill {
                Skill::Answer { decode, .. } => {
                    let (questions, documents) = (vec![text()], vec![text()]);
                    let decode = decode.clone();
                    let plan = None;
                    let asked = Questions { model: number, plan, questions, documents, decode };
                    ask::answer(&state, asked, state.options.timeout).await.map(drop)
                }
                Skill::Classify { .. } => {
                    let texts = vec![(text(), None)];
                    ask::classify(
                        &state,
                        Texts { model: number, plan: None, texts },
                        state.options.timeout,
                    )
                    .await
                    .map(drop)
                }
            };
            answered.map_err(|refusal| ServeError::Model {
                model: student.name.clone(),
                reason: refusal.message,
            })?;
        }
        Ok(Server { listener, address, state })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end`, then finishes what is under way.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let router = api::router(self.state.clone());
        listen::listen(self.listener, router, self.state, end).await;
    }

    /// Runs a server in a runtime of its own until the process is asked to stop (Ctrl-C or
    /// SIGTERM); a second request ends the process. `announce` hears the address once the
    /// server can answer.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn run_to_end(
        options: ServeOptions,
        students: Students,
        announce: impl FnOnce(SocketAddr),
    ) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(ServeError::Threads)?;
        let result = runtime.block_on(async {
            let server = Server::bind(options, students).await?;
            announce(server.address());
            server.run(asked_to_stop()).await;
            Ok(())
        });
        // Connections that were cut off must not hold the process up.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }
}

/// Returns at the first Ctrl-C or SIGTERM; the next one ends the process.
async fn asked_to_stop() {
    signal().await;
    tracing::info!("stopping; requests under way are finished");
    tokio::spawn(async {
        signal().await;
        std::process::exit(130);
    });
}

/// Ctrl-C or SIGTERM.
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is nothing to wait for: only another signal ends the process.
    if interrupt.await.is_err() {
        std::future::pending::<()>().await;
    }
}
