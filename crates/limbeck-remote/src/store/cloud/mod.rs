//! Object stores themselves.
//!
//! # Layout
//! - here: from an address to its bucket.
//! - `fetch`: what is read, in a cache on disk.
//! - `keep`: what is written.

mod fetch;
mod keep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, Error, GetOptions, ObjectMeta, ObjectStore, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::{Location, StoreError, wrong};

/// Bytes that are sent or asked for at once, so that a connection that breaks costs little.
const PIECE: u64 = 8 << 20;

/// What lies at one address, or below it.
pub(super) struct Cloud {
    url: String,
    /// The address within its bucket.
    key: String,
    /// A folder for the bucket in a cache.
    place: PathBuf,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl Cloud {
    /// The bucket of an address, with the credentials of the environment.
    pub(super) fn open(url: &str, location: &Location) -> Result<Self, StoreError> {
        // Another part of the program may have chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 5,
            retry_timeout: Duration::from_secs(60),
        };
        let bucket = &location.bucket;
        let store: Result<Arc<dyn ObjectStore>, Error> = match location.scheme.as_str() {
            "gs" => GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _),
            "az" => MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _),
            _ => AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_retry(retry)
                .build()
                .map(|store| Arc::new(store) as _),
        };
        let store = store.map_err(|error| refused(url, &error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| wrong(url, &error.to_string()))?;
        let place = Path::new(&location.scheme).join(bucket);
        Ok(Self { url: url.to_owned(), key: location.key.clone(), place, store, runtime })
    }

    /// The bytes of an object from `from` on, piece by piece, each of the same version of it.
    fn pieces(
        &self,
        meta: &ObjectMeta,
        from: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut done = from;
        while done < meta.size {
            let end = (done + PIECE).min(meta.size);
            let options = GetOptions {
                if_match: meta.e_tag.clone(),
                range: Some((done..end).into()),
                ..GetOptions::default()
            };
            let piece = self.runtime.block_on(async {
                self.store.get_opts(&meta.location, options).await?.bytes().await
            });
            let piece = piece.map_err(|error| refused(&self.url, &error))?;
            if piece.len() as u64 != end - done {
                let reason =
                    format!("{}: {} of {} bytes came", meta.location, piece.len(), end - done);
                return Err(StoreError::Store { url: self.url.clone(), reason });
            }
            sink(&piece)?;
            done = end;
        }
        Ok(())
    }
}

/// What a store says, on one line and without the queries of addresses, which may hold a
/// signature.
fn refused(url: &str, error: &Error) -> StoreError {
    let text = error.to_string();
    let words = text.split_whitespace().map(|word| match word.contains("://") {
        true => word.split('?').next().unwrap_or_default(),
        false => word,
    });
    let reason: String = words.collect::<Vec<_>>().join(" ").chars().take(400).collect();
    let url = url.to_owned();
    match error {
        Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            StoreError::Refused { url, reason }
        }
        // Of a list in a bucket that is not there the crate says no more than this.
        _ if reason.contains("NoSuchBucket") => StoreError::Refused { url, reason },
        _ => StoreError::Store { url, reason },
    }
}

/// The MD5 that an object's tag holds, where it has the form of one.
fn md5_of(tag: Option<&str>) -> Option<String> {
    let tag = tag?.trim_matches('"');
    let is_one = tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| tag.to_ascii_lowercase())
}
