//! A server on loopback that plays another machine: a function from requests to replies, and
//! replies that fail as networks do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An answer.
    Whole {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// The same with only so many bytes of the body before the connection breaks.
    Cut(Box<Reply>, usize),
    /// Nothing for so long, then the end of the connection.
    Hang(Duration),
}

impl Reply {
    /// A text.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Whole { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }
}

type Answering = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server; it ends with this value.
pub struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl Stub {
    /// Answers every request as `answer` says, several at a time.
    ///
    /// # Panics
    /// When there is no loopback.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let stub = Self { address, requests: Arc::default(), stopped: Arc::default() };
        let (requests, stopped) = (stub.requests.clone(), stub.stopped.clone());
        let answer: Arc<Answering> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (requests, answer) = (requests.clone(), answer.clone());
                thread::spawn(move || serve(stream, &requests, &*answer));
            }
        });
        stub
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// One request of a connection, which ends with its reply.
fn serve(stream: TcpStream, requests: &Mutex<Vec<Request>>, answer: &Answering) {
    let Some(request) = read(&stream) else { return };
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let is_head = request.method == "HEAD";
    match answer(&request) {
        Reply::Hang(time) => thread::sleep(time),
        Reply::Cut(reply, bytes) => write(&stream, &reply, is_head, bytes),
        reply => write(&stream, &reply, is_head, usize::MAX),
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(mut stream: &TcpStream, reply: &Reply, is_head: bool, most: usize) {
    let Reply::Whole { status, headers, body } = reply else { return };
    let mut head = format!("HTTP/1.1 {status} Word\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name == "content-length") {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    // Who has gone away is not told more.
    let _ = stream.write_all(head.as_bytes());
    if !is_head {
        let _ = stream.write_all(&body[..body.len().min(most)]);
    }
}
