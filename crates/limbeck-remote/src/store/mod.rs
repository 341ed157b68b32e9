//! Files and folders by their address: `s3://`, `gs://`, `az://`, `file://`, or a plain path.
//!
//! What lies in an object store is fetched into a cache on disk; whoever reads it sees a local
//! path. What is written there is written to a local folder that is kept in the store. Credentials
//! come from the environment alone.
//!
//! # Layout
//! - here: addresses, and the way from one to a local path.
//! - [`keeper`]: a folder that is kept in a store while it is written; `mirror` is what it does,
//!   `manifest` what it writes down, `snapshot` how it reads a folder that changes.
//! - [`objects`]: what it needs of a store.
//! - `cloud`: object stores, with the feature `cloud`.

#[cfg(feature = "cloud")]
mod cloud;
pub mod keeper;
mod manifest;
#[cfg(test)]
mod memory;
mod mirror;
pub mod objects;
mod snapshot;

use std::path::{Path, PathBuf};

use objects::Objects;

/// Where something lies in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Location {
    /// `s3`, `gs` or `az`.
    scheme: String,
    /// The bucket, or with `az` the container.
    bucket: String,
    /// The name in it, without slashes at its ends.
    key: String,
}

/// Why something cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be used.
    #[error("{url}: {reason}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The store refuses, and will do so again.
    #[error("{url}: {reason}")]
    Refused {
        /// What was asked for.
        url: String,
        /// What the store says.
        reason: String,
    },
    /// The store does not answer, or not as it should.
    #[error("{url}: {reason}")]
    Store {
        /// What was asked for.
        url: String,
        /// What the store says.
        reason: String,
    },
    /// Another process has written there meanwhile.
    #[error("{url}: another process writes there; what it has is left alone")]
    Taken {
        /// The address.
        url: String,
    },
    /// A folder here cannot be read or written.
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

/// Whether a text is an address with a scheme rather than a path.
pub fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The local path of a file or folder: a plain path is itself, `file://` the path behind it, and
/// what lies in an object store is fetched into the cache unless it is there already.
///
/// The cache is `LIMBECK_CACHE`, else `XDG_CACHE_HOME/limbeck`, else `~/.cache/limbeck`.
///
/// # Errors
/// When the address cannot be used, the store does not answer or has nothing there, what comes is
/// not what the store has, or the cache cannot be written.
pub fn local(text: &str) -> Result<PathBuf, StoreError> {
    if !is_url(text) {
        return Ok(PathBuf::from(text));
    }
    if let Some(path) = text.strip_prefix("file://") {
        if Path::new(path).is_absolute() {
            return Ok(PathBuf::from(path));
        }
        return Err(wrong(text, "expected file:///PATH, an absolute path without a host"));
    }
    fetch(text, &Location::parse(text)?)
}

/// How often a file is sent.
const TRIES: u32 = 4;

/// Uploads a file to an address, or the files of a folder below it, each compared with what was
/// sent.
///
/// # Errors
/// When the address cannot be used, the store does not answer or refuses, or a file cannot be
/// read.
pub fn send(path: &Path, url: &str) -> Result<(), StoreError> {
    let objects = open(url)?;
    let files = match path.is_dir() {
        true => snapshot::open(path).map_err(io("read", path))?,
        false => vec![snapshot::Opened::file(path).map_err(io("read", path))?],
    };
    for mut opened in files {
        let mut tried = 1;
        while let Err(error) = objects.upload(&opened.name, &mut opened.file, opened.stamp.length) {
            if tried == TRIES {
                return Err(error);
            }
            std::thread::sleep(std::time::Duration::from_secs(1) * 2_u32.pow(tried));
            tried += 1;
        }
    }
    Ok(())
}

/// What lies below an address.
///
/// # Errors
/// When the address cannot be used, or its credentials are not whole.
pub fn open(url: &str) -> Result<Box<dyn Objects>, StoreError> {
    objects(url, &Location::parse(url)?)
}

/// Whether there is nothing below an address.
///
/// # Errors
/// When the address cannot be used, or the store does not answer or refuses.
pub fn is_empty(url: &str) -> Result<bool, StoreError> {
    Ok(open(url)?.names("")?.is_empty())
}

/// A folder of this machine for what belongs at an address, apart from those of other addresses;
/// `kind` tells what of it lies there.
///
/// # Errors
/// When the address cannot be used, or there is no place for a cache.
pub fn folder_for(url: &str, kind: &str) -> Result<PathBuf, StoreError> {
    let Location { scheme, bucket, key } = Location::parse(url)?;
    let name = key.replace('%', "%25").replace('/', "%2F");
    Ok(cache(url)?.join(kind).join(scheme).join(bucket).join(name))
}

#[cfg(feature = "cloud")]
fn fetch(text: &str, location: &Location) -> Result<PathBuf, StoreError> {
    cloud::Cloud::open(text, location)?.fetch(&cache(text)?.join("stores"))
}

#[cfg(feature = "cloud")]
fn objects(text: &str, location: &Location) -> Result<Box<dyn Objects>, StoreError> {
    Ok(Box::new(cloud::Cloud::open(text, location)?))
}

#[cfg(not(feature = "cloud"))]
fn fetch(text: &str, location: &Location) -> Result<PathBuf, StoreError> {
    objects(text, location).map(|_| PathBuf::new())
}

#[cfg(not(feature = "cloud"))]
fn objects(text: &str, _: &Location) -> Result<Box<dyn Objects>, StoreError> {
    Err(wrong(
        text,
        "this program was built without object stores; build it with `--features cloud`",
    ))
}

/// Where this program keeps what is of use to more than one run.
fn cache(text: &str) -> Result<PathBuf, StoreError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("LIMBECK_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("XDG_CACHE_HOME")?).join("limbeck")))
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/limbeck")))
        .ok_or_else(|| wrong(text, "there is no place for it on this machine; set LIMBECK_CACHE"))
}

fn wrong(url: &str, reason: &str) -> StoreError {
    StoreError::Address { url: url.to_owned(), reason: reason.to_owned() }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |cause| StoreError::Io { action, path, cause }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Location {
    fn parse(text: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        if !["s3", "gs", "az"].contains(&scheme) {
            return Err(wrong(text, "expected s3://, gs://, az://, file:// or a path"));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let key = key.trim_matches('/');
        if bucket.contains(['@', '?', '#']) {
            // An address is shown in messages; it is no place for a password.
            let shown = format!("{scheme}://");
            return Err(wrong(
                &shown,
                "a bucket's name holds no @, ? or #; secrets belong into the environment",
            ));
        }
        if bucket.is_empty()
            || key.is_empty()
            || key.split('/').any(|part| ["", ".", ".."].contains(&part))
        {
            return Err(wrong(text, &format!("expected {scheme}://BUCKET/NAME")));
        }
        Ok(Self { scheme: scheme.to_owned(), bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_itself_and_a_file_address_the_path_behind_it() {
        assert_eq!(local("a/b.json").unwrap(), PathBuf::from("a/b.json"));
        assert_eq!(local("file:///a/b.json").unwrap(), PathBuf::from("/a/b.json"));
        assert!(local("file://host/a").unwrap_err().to_string().contains("file:///PATH"));
    }

    #[test]
    fn an_address_has_a_bucket_and_a_name() {
        let location = Location::parse("s3://bucket/a/b/").unwrap();
        assert_eq!((&*location.bucket, &*location.key), ("bucket", "a/b"));
        for text in ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/a/../b", "ftp://a/b"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        let error = Location::parse("s3://me:pass@bucket/a").unwrap_err().to_string();
        assert!(!error.contains("pass"), "{error}");
    }

    #[cfg(not(feature = "cloud"))]
    #[test]
    fn without_the_feature_the_line_says_how_to_build_with_it() {
        let error = local("s3://bucket/a").unwrap_err().to_string();
        assert!(error.contains("--features cloud"), "{error}");
    }
}
