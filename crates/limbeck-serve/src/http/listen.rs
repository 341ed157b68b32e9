//! Accepting connections, within limits, until the end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use crate::error::Refusal;
use crate::state::State;

/// Connections over the limit that are told so at a time; the next ones wait in the
/// system's queue.
const MOST_TURNED_AWAY: usize = 256;
/// How long a connection over the limit may take to send its request.
const TURNED_AWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest head of a request.
const MOST_HEAD_BYTES: usize = 32 << 10;

/// Serves connections until `end`, then finishes what is under way.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    state: Arc<State>,
    end: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(state.options.max_connections));
    let turned_away = Arc::new(Semaphore::new(MOST_TURNED_AWAY));
    let graceful = GracefulShutdown::new();
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut end => break,
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            let service = TowerToHyperService::new(router.clone());
            // Who does not read its answers loses its connection too.
            let mut timed = TimeoutStream::new(accepted);
            timed.set_write_timeout(Some(state.options.read_timeout));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(state.options.read_timeout)
                .max_buf_size(MOST_HEAD_BYTES)
                .serve_connection(TokioIo::new(Box::pin(timed)), service);
            let connection = graceful.watch(connection);
            let state = state.clone();
            tokio::spawn(async move {
                state.metrics.connections.inc();
                // Clients come and go as they like: an error here is theirs.
                let _ = connection.await;
                state.metrics.connections.dec();
                drop(place);
            });
        } else {
            let place = tokio::select! {
                place = turned_away.clone().acquire_owned() => place,
                () = &mut end => break,
            };
            tokio::spawn(async move {
                let _ = tokio::time::timeout(TURNED_AWAY_TIMEOUT, turn_away(accepted)).await;
                drop(place);
            });
        }
    }
    state.stop();
    drop(listener);
    if tokio::time::timeout(state.options.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests are still under way; they are cut off");
    }
}

/// The next connection. Waits a moment when the system has none to give.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and whole: no reason to hold their last bytes back.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Says that there are too many connections.
async fn turn_away(stream: TcpStream) {
    let service = service_fn(|_| async {
        let mut response: Response<Body> = Refusal::connections().into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, Infallible>(response)
    });
    // An error here is the client's.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
