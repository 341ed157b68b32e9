//! The arguments of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use limbeck_serve::Prefix;

use super::lengths::LengthArgs;
use super::settings::{Predicting, Settings};

/// Answer questions over HTTP, and show a page to ask them.
///
/// POST /v1/answer takes {"question": "...", "context": "..."}; /docs describes everything,
/// /openapi.json for programs; /health, /info and /metrics tell of the server; the page is
/// at /. Requests that come together are computed together. The log goes to standard error
/// and names requests by their id; texts are never in it unless --log-text is given. Ctrl-C
/// or SIGTERM finishes what is under way.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  limbeck serve --model student
  limbeck serve --model student-int8 --model large=teacher --port 9000
  LIMBECK_API_KEY=secret limbeck serve --model student --host 0.0.0.0
  limbeck serve --model student --root-path /qa --cors-allow-origin https://example.org
  curl -s http://127.0.0.1:8080/v1/answer -H 'Content-Type: application/json' \\
      -d '{\"question\": \"Who wrote it?\", \"context\": \"Ada wrote it in 1843.\"}'")]
pub struct ServeArgs {
    /// Model folder or id, or NAME=DIR; may repeat, the first is the default
    #[arg(long, value_name = "MODEL", required = true)]
    pub model: Vec<String>,
    /// Address to listen on; 0.0.0.0 for every network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Key that clients must send; safer in the environment or in a file
    #[arg(long, value_name = "KEY", env = "LIMBECK_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// File whose first line is the key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    pub api_key_file: Option<PathBuf>,
    /// Path under which a proxy shows the server, such as /qa; needed where the proxy neither takes
    /// the path away nor tells it as X-Forwarded-Prefix, or where its last slash may be left out
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true,
        value_parser = Prefix::parse)]
    pub root_path: Prefix,
    /// Origins whose pages may ask from a browser, such as `https://example.org`, or `*` for all;
    /// several are possible, by commas or by giving it again
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_allow_origin: Vec<String>,
    /// Write questions and texts to classify into the log
    #[arg(long)]
    pub log_text: bool,
    /// How the log looks
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Limits of the server.
    #[command(flatten)]
    pub limits: Limits,
    /// How many tokens go on from layer to layer.
    #[command(flatten)]
    pub length: LengthArgs,
    /// Flags that set keys.
    #[command(flatten)]
    pub settings: Settings<Predicting>,
}

/// Limits of a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Tokens computed together; more makes others wait longer
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one())]
    pub max_batch_tokens: u32,
    /// Questions under way at a time; further ones get status 429
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one())]
    pub max_queue: u32,
    /// Questions times documents of one request
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    pub max_questions: u32,
    /// Tokens of all windows of one request
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = at_least_one())]
    pub max_input_tokens: u32,
    /// Bytes of a request's body
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = at_least_one())]
    pub max_body_bytes: u32,
    /// Open connections; further ones get status 503
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = at_least_one())]
    pub max_connections: u32,
    /// Seconds that a client may take to send a request's head, or its body
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = at_least_one())]
    pub read_timeout: u32,
    /// Seconds from a request's last byte to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = at_least_one())]
    pub timeout: u32,
    /// Seconds that requests may still take when the server is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = at_least_one())]
    pub shutdown_timeout: u32,
}

fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}
