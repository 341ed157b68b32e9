//! Models of the Hugging Face Hub: from an id to a folder.
//!
//! A model that lies whole in the cache is taken from there without asking anybody. What is
//! missing is fetched into the same layout that Hugging Face's own programs use, so that both
//! find what the other has brought.
//!
//! # Layout
//! - here: what the environment says, and the way from an id to a folder.
//! - `id`: the form of an id; `cache`: the layout on disk.
//! - `fetch`: one file over the network, whole and checked.

mod cache;
mod fetch;
mod id;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::http::{Client, HttpError, Patience, Token};
use cache::Repository;
use fetch::Found;
use id::ModelId;
pub use id::{is_revision, with_revision};

const ENDPOINT: &str = "https://huggingface.co";

/// A hub that is silent for so long hangs.
const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(15), silence: Duration::from_secs(60), exchange: None };

/// Beside `config.json` and the weights, what may be in a model's folder that is of use here.
const FURTHER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "limbeck.json",
];

/// The cache and the hub behind it.
#[derive(Debug)]
pub struct Hub {
    cache: Option<PathBuf>,
    endpoint: String,
    token: Option<Token>,
    offline: bool,
    patience: Patience,
}

/// How far a file is.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// Its name.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes that it has.
    pub size: u64,
}

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no such model, as far as can be seen.
    #[error("no model `{id}`: {reason}")]
    NotFound {
        /// What was asked for.
        id: String,
        /// Where it was looked for, and what to do.
        reason: String,
    },
    /// The hub cannot be spoken to.
    #[error("`{id}`: it is not in the Hugging Face cache, and the hub does not answer: {cause}")]
    Unreachable {
        /// What was asked for.
        id: String,
        /// What happened.
        cause: HttpError,
    },
    /// What came is not what the hub has.
    #[error("`{id}`: {file}: {reason}; the same command tries again")]
    Damaged {
        /// What was asked for.
        id: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The cache cannot be written.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
}

impl Hub {
    /// As the variables of the environment say that Hugging Face's programs understand:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `HF_HUB_CACHE`, else `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub` | the cache |
    /// | `HF_ENDPOINT` | a mirror |
    /// | `HF_TOKEN`, else the file `HF_TOKEN_PATH` or `HF_HOME/token` unless `HF_HUB_DISABLE_IMPLICIT_TOKEN` | the token |
    /// | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | nothing is fetched |
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let path = |name| variable(name).map(PathBuf::from);
        let is_on = |name| {
            let on = ["1", "on", "yes", "true"];
            text(name).is_some_and(|value| on.contains(&value.to_ascii_lowercase().as_str()))
        };
        let home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(path("HOME")?.join(".cache/huggingface")));
        let given = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let kept = || {
            let path = path("HF_TOKEN_PATH").or_else(|| Some(home.as_ref()?.join("token")))?;
            std::fs::read_to_string(path).ok()
        };
        let kept = if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") { None } else { Some(kept) };
        let token = given.or_else(|| kept?());
        Self {
            cache: path("HF_HUB_CACHE").or_else(|| Some(home.as_ref()?.join("hub"))),
            endpoint: text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()),
            token: token.as_deref().and_then(Token::new),
            offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
            patience: PATIENCE,
        }
    }

    /// The folder of a model: `model` itself if it is one, else that of the model of this id,
    /// `name` or `organisation/name`, at the revision behind an `@` or at `main`. What the cache
    /// lacks is fetched; `watch` sees how it comes.
    ///
    /// # Errors
    /// When there is no such folder and no such model, the hub cannot be reached, or the cache
    /// cannot be written.
    pub fn resolve(
        &self,
        model: &str,
        watch: &mut dyn FnMut(Fetched),
    ) -> Result<PathBuf, HubError> {
        let folder = Path::new(model);
        if folder.is_dir() {
            return Ok(folder.to_owned());
        }
        let not_found = |reason: String| HubError::NotFound { id: model.to_owned(), reason };
        let Some(id) = ModelId::parse(model) else {
            return Err(not_found("there is no such folder".to_owned()));
        };
        let Some(cache) = &self.cache else {
            let reason =
                "there is no such folder; to find it in the Hugging Face cache, set HF_HOME";
            return Err(not_found(reason.to_owned()));
        };
        let repository = Repository::new(cache, &id);
        let known = repository.commit_of(&id.revision);
        if let Some(commit) = &known {
            let folder = repository.snapshot(commit);
            if cache::is_whole(&folder) || self.offline && folder.is_dir() {
                return Ok(folder);
            }
        }
        if self.offline {
            return Err(not_found(format!(
                "there is no such folder, it is not in the Hugging Face cache {}, and \
                 HF_HUB_OFFLINE forbids to fetch it",
                cache.display()
            )));
        }
        self.fetch(&id, known.as_deref(), &repository, watch)
    }

    /// Brings what is missing of a model. The weights come last: where they are, all is.
    fn fetch(
        &self,
        id: &ModelId,
        known: Option<&str>,
        repository: &Repository,
        watch: &mut dyn FnMut(Fetched),
    ) -> Result<PathBuf, HubError> {
        let cause = |cause| HubError::Unreachable { id: id.text.clone(), cause };
        let client =
            Client::new(&self.endpoint, self.token.clone(), self.patience).map_err(cause)?;
        let mut fetch = fetch::Fetch { client: &client, id, repository, watch };
        // A snapshot that was begun is completed, also if the branch has moved on since.
        let revision = known.unwrap_or(&id.revision);
        let config = match fetch.look("config.json", revision)? {
            Found::File(file) => file,
            Found::NoFile => {
                let reason = format!("it has no config.json at revision {revision}");
                return Err(HubError::NotFound { id: id.text.clone(), reason });
            }
        };
        let commit = config.commit.clone();
        fetch.bring("config.json", &config)?;
        for name in FURTHER_FILES {
            fetch.bring_if_there(name, &commit)?;
        }
        if !fetch.bring_if_there(cache::WEIGHTS, &commit)? {
            if !fetch.bring_if_there(cache::INDEX, &commit)? {
                let reason = "it has no model.safetensors; convert its weights first".to_owned();
                return Err(HubError::NotFound { id: id.text.clone(), reason });
            }
            let folder = repository.snapshot(&commit);
            let shards = cache::shards(&folder).ok_or_else(|| HubError::Damaged {
                id: id.text.clone(),
                file: cache::INDEX.to_owned(),
                reason: "it does not name files of weights".to_owned(),
            })?;
            for shard in shards {
                if !fetch.bring_if_there(&shard, &commit)? {
                    let reason = format!("its {} names a {shard} that it has not", cache::INDEX);
                    return Err(HubError::NotFound { id: id.text.clone(), reason });
                }
            }
        }
        repository.remember(&id.revision, &commit)?;
        Ok(repository.snapshot(&commit))
    }
}
