//! From what a user names to a model's folder.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use limbeck_remote::hub::{Fetched, Hub};
use limbeck_remote::store;

use super::runs;
use crate::revision::pinned;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether nothing is to be shown while a model comes.
pub fn configure(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// The folder of a model: itself, the best of the runs in it, that of an address in an object store, or that of a model of the
/// Hugging Face Hub by its id. What the cache does not hold is fetched, from the hub with a bar.
pub fn resolve(model: &str) -> Result<PathBuf> {
    if store::is_url(model) {
        return Ok(store::local(model)?);
    }
    if let Some(best) = runs::best(Path::new(model)) {
        return Ok(best);
    }
    let mut shown = Shown { bar: None, last_line: Instant::now() };
    let folder = Hub::from_environment().resolve(&pinned(model), &mut |fetched| shown.see(fetched));
    if let Some(bar) = shown.bar {
        bar.finish_and_clear();
    }
    Ok(folder?)
}

struct Shown {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Shown {
    /// On a terminal a bar; else a line now and then, so that a log tells why nothing happens.
    fn see(&mut self, fetched: Fetched) {
        let Fetched { file, done, size } = fetched;
        if QUIET.load(Ordering::Relaxed) {
            return;
        }
        if !io::stderr().is_terminal() {
            if self.last_line.elapsed() >= LINE_EVERY {
                self.last_line = Instant::now();
                let _ = writeln!(io::stderr(), "fetching {file}: {done} of {size} bytes");
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // A constant with placeholders that indicatif knows.
            let style = "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        bar.set_prefix(format!("fetching {file}"));
        bar.set_length(size);
        bar.set_position(done);
    }
}
