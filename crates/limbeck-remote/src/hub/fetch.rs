//! One file over the network, whole and checked.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::Response;

use super::cache::{self, Repository, make_parent};
use super::id::ModelId;
use super::{Fetched, HubError};
use crate::http::{Client, HttpError, redirected, unreachable};

/// How often a file is tried without a new byte coming.
const TRIES: usize = 5;
/// Redirects that are followed.
const REDIRECTS: usize = 8;
/// The pause before another try; it grows with each.
const PAUSE: Duration = Duration::from_millis(250);

/// A model on its way.
pub(super) struct Fetch<'a> {
    pub(super) client: &'a Client,
    pub(super) id: &'a ModelId,
    pub(super) repository: &'a Repository,
    pub(super) watch: &'a mut dyn FnMut(Fetched),
}

/// What the hub says of a file.
pub(super) enum Found {
    File(RemoteFile),
    NoFile,
}

/// A file of the hub.
pub(super) struct RemoteFile {
    pub(super) commit: String,
    /// Names its content: the SHA-256 of a large file, something else for a small one.
    etag: String,
    size: u64,
}

impl Fetch<'_> {
    /// Brings a file unless the hub has none of that name; whether it has.
    pub(super) fn bring_if_there(&mut self, name: &str, commit: &str) -> Result<bool, HubError> {
        if self.repository.snapshot(commit).join(name).is_file() {
            return Ok(true);
        }
        match self.look(name, commit)? {
            Found::File(file) => self.bring(name, &file).map(|()| true),
            Found::NoFile => Ok(false),
        }
    }

    /// What the hub has under a name.
    pub(super) fn look(&mut self, name: &str, revision: &str) -> Result<Found, HubError> {
        let mut failed = 0;
        let head = loop {
            match self.head(&self.address(name, revision)) {
                Ok(head) if !is_passing(head.status) => break head,
                Ok(head) => self.wait(&mut failed, || {
                    unreachable(self.client.base(), &format!("it answers {}", head.status))
                })?,
                Err(error) => self.wait(&mut failed, || error)?,
            }
        };
        let refused = |reason: String| Err(HubError::NotFound { id: self.id.text.clone(), reason });
        match head.status {
            200..300 => {}
            // It is the model or the revision that is missing, or hidden, unless it says so.
            404 if head.error == "EntryNotFound" => return Ok(Found::NoFile),
            404 if head.error.is_empty() && name != "config.json" => return Ok(Found::NoFile),
            401 | 403 | 404 => {
                let what = match head.error.as_str() {
                    "GatedRepo" => "the model is gated: its page tells how to be let in",
                    "RevisionNotFound" => "the model has no such revision",
                    _ => "there is no such folder, and no such model that one may see",
                };
                let (hub, status) = (self.client.base(), head.status);
                return refused(format!(
                    "{what} ({hub} answers {status}; HF_TOKEN holds the token of who may)"
                ));
            }
            status => return refused(format!("{} answers {status}", self.client.base())),
        }
        let commit = head.commit.unwrap_or_else(|| revision.to_owned());
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() < 200
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        match (head.etag, head.size) {
            (Some(etag), Some(size)) if is_name(&etag) && is_name(&commit) => {
                Ok(Found::File(RemoteFile { commit, etag, size }))
            }
            _ => Err(HubError::Damaged {
                id: self.id.text.clone(),
                file: name.to_owned(),
                reason: format!("{} does not say which file it is", self.client.base()),
            }),
        }
    }

    /// Brings a file into the snapshot, unless its content is there already. What an earlier
    /// start has brought of it is kept.
    pub(super) fn bring(&mut self, name: &str, file: &RemoteFile) -> Result<(), HubError> {
        let blob = self.repository.blob(&file.etag);
        if !blob.is_file() {
            make_parent(&blob)?;
            let _lock = self.repository.lock(&file.etag)?;
            // Somebody else may have brought it while we waited.
            if !blob.is_file() {
                self.download(name, file, &blob)?;
            }
        }
        self.repository.link(&file.commit, name, &file.etag)
    }

    fn download(&mut self, name: &str, file: &RemoteFile, blob: &Path) -> Result<(), HubError> {
        let partial = blob.with_file_name(format!("{}.incomplete", file.etag));
        let mut options = File::options();
        let opened = options.create(true).truncate(false).read(true).write(true).open(&partial);
        let mut kept = opened.map_err(cache::io("create", &partial))?;
        let mut failed = 0;
        loop {
            let before = kept.seek(SeekFrom::End(0)).map_err(cache::io("write", &partial))?;
            let outcome = if before == file.size {
                Ok(())
            } else {
                self.append(name, file, &mut kept, before)
            };
            let after = kept.seek(SeekFrom::End(0)).map_err(cache::io("write", &partial))?;
            match outcome {
                Ok(()) if after == file.size => break,
                Ok(()) => self.wait(&mut failed, || {
                    let reason = format!("{name}: {after} of {} bytes came", file.size);
                    unreachable(self.client.base(), &reason)
                })?,
                Err(Stop::Disk(error)) => return Err(cache::io("write", &partial)(error)),
                Err(Stop::Network(error)) => {
                    if after > before {
                        failed = 0;
                    }
                    self.wait(&mut failed, || error)?;
                }
            }
        }
        if let Err(reason) = check(&mut kept, &file.etag) {
            let _ = fs::remove_file(&partial);
            let (id, file) = (self.id.text.clone(), name.to_owned());
            return Err(HubError::Damaged { id, file, reason });
        }
        kept.sync_all().map_err(cache::io("write", &partial))?;
        fs::rename(&partial, blob).map_err(cache::io("rename", &partial))
    }

    /// Adds what is missing behind the first `from` bytes.
    fn append(
        &mut self,
        name: &str,
        file: &RemoteFile,
        kept: &mut File,
        from: u64,
    ) -> Result<(), Stop> {
        let restart = from > file.size;
        let headers = match from {
            0 => Vec::new(),
            _ if restart => Vec::new(),
            _ => vec![("range", format!("bytes={from}-"))],
        };
        let address = self.address(name, &file.commit);
        let mut response = self.follow("GET", &address, &headers)?;
        let status = response.status().as_u16();
        let mut done = match status {
            206 => from,
            // It sends all of it, asked for a part or not.
            200 | 416 => 0,
            _ => {
                return Err(unreachable(self.client.base(), &format!("it answers {status}")).into());
            }
        };
        if done == 0 {
            kept.set_len(0)?;
        }
        kept.seek(SeekFrom::Start(done))?;
        if status == 416 {
            return Ok(());
        }
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            (self.watch)(Fetched { file: name, done, size: file.size });
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) => return Err(unreachable(&address, &error.to_string()).into()),
            };
            done += read as u64;
            if done > file.size {
                kept.set_len(0)?;
                let reason = format!("more than the {} bytes of {name} came", file.size);
                return Err(unreachable(&address, &reason).into());
            }
            kept.write_all(&buffer[..read])?;
        }
    }

    /// What the hub tells of a file without sending it. Redirects within the hub are followed;
    /// where one leads elsewhere, what it says is enough.
    fn head(&self, address: &str) -> Result<Head, HttpError> {
        let mut head = Head::default();
        let mut address = address.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.client.ask("HEAD", &address, &[], ())?;
            let header = |name: &str| {
                response
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            head.status = response.status().as_u16();
            head.error = header("x-error-code").unwrap_or_default();
            head.commit = head.commit.or_else(|| header("x-repo-commit"));
            let linked = header("x-linked-etag").as_deref().map(bare);
            let size = header("x-linked-size").and_then(|text| text.parse().ok());
            if linked.is_some() && size.is_some() {
                (head.etag, head.size) = (linked, size);
                if (300..400).contains(&head.status) {
                    head.status = 200;
                }
                return Ok(head);
            }
            let Some(location) = header("location").filter(|_| (300..400).contains(&head.status))
            else {
                head.etag = header("etag").as_deref().map(bare);
                head.size = header("content-length").and_then(|text| text.parse().ok());
                return Ok(head);
            };
            address = redirected(&address, &location)
                .ok_or_else(|| unreachable(&address, "it redirects to no address"))?;
        }
        Err(unreachable(&address, "it redirects too often"))
    }

    /// An answer, wherever redirects lead.
    fn follow(
        &self,
        method: &str,
        address: &str,
        headers: &[(&str, String)],
    ) -> Result<Response<Body>, HttpError> {
        let mut address = address.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.client.ask(method, &address, headers, ())?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| redirected(&address, location));
            address = next.ok_or_else(|| unreachable(&address, "it redirects to no address"))?;
        }
        Err(unreachable(&address, "it redirects too often"))
    }

    fn address(&self, name: &str, revision: &str) -> String {
        // Of what may stand in a revision, the slash alone must be told from one of the path.
        let revision = revision.replace('/', "%2F");
        self.client.address(&format!("/{}/resolve/{revision}/{name}", self.id.name))
    }

    /// Counts a failure and waits a little, or gives up with its cause.
    fn wait(&self, failed: &mut usize, cause: impl FnOnce() -> HttpError) -> Result<(), HubError> {
        *failed += 1;
        if *failed >= TRIES {
            return Err(HubError::Unreachable { id: self.id.text.clone(), cause: cause() });
        }
        thread::sleep(PAUSE * 2_u32.pow(*failed as u32 - 1));
        Ok(())
    }
}

#[derive(Default)]
struct Head {
    status: u16,
    error: String,
    commit: Option<String>,
    etag: Option<String>,
    size: Option<u64>,
}

/// Why a file is not whole yet.
enum Stop {
    Network(HttpError),
    Disk(io::Error),
}

impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        Self::Network(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// An entity tag without its quotes.
fn bare(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Whether a refusal may be over soon.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..600)
}

/// Whether the content is what its tag says; only the tag of a large file tells.
fn check(file: &mut File, etag: &str) -> Result<(), String> {
    if etag.len() != 64 || !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let read = (|| {
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                read => hash.update(&buffer[..read]),
            }
        }
    })();
    read.map_err(|error: io::Error| format!("cannot be read again: {error}"))?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(etag) {
        return Ok(());
    }
    Err(format!("its SHA-256 is {found} where the hub says {etag}"))
}
