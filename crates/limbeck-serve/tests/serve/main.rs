//! A real server on loopback, asked over real sockets.

mod answers;
mod classify;
mod client;
mod hostile;
mod limits;
mod proxies;
mod running;
