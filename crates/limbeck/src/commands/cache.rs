//! The cache of what is derived from data, which may stand before an object store.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use anyhow::Result;
use limbeck_data::Cache;
use limbeck_data::cache::Source;
use limbeck_remote::store;
use limbeck_remote::store::objects::Objects;

use super::place::{address, here};
use crate::console::Console;
use crate::exit;

/// The cache that `data.cache` names, if it names one.
pub fn given(named: Option<&Path>, console: Console) -> Result<Option<Cache>> {
    let Some(named) = named else { return Ok(None) };
    let Some(url) = address(named) else { return Ok(Some(Cache::folder(here(named)?))) };
    let behind = Behind::open(url, console)?;
    Ok(Some(Cache::before(store::folder_for(url, "derived")?, Arc::new(behind))))
}

/// The store behind a cache. Nothing in it is needed: what it fails to give is made here.
struct Behind {
    url: String,
    console: Console,
    objects: Mutex<Box<dyn Objects>>,
    /// Names and paths for the thread that uploads; none once it is to end.
    uploads: Option<Sender<(String, PathBuf)>>,
    uploader: Option<JoinHandle<()>>,
}

impl Behind {
    fn open(url: &str, console: Console) -> Result<Self> {
        let objects = store::open(url)?;
        let own = store::open(url)?;
        let (uploads, wanted) = channel::<(String, PathBuf)>();
        let name = url.to_owned();
        let uploader = thread::Builder::new().name("cache".to_owned()).spawn(move || {
            for (file, path) in wanted {
                let sent = File::open(&path)
                    .and_then(|opened| opened.metadata().map(|data| (opened, data.len())))
                    .map_err(|error| error.to_string())
                    .and_then(|(mut opened, length)| {
                        let sent = own.upload(&file, &mut opened, length);
                        sent.map_err(|error| error.to_string())
                    });
                if let Err(reason) = sent {
                    exit::complain(&format!(
                        "{name}: {file} is kept on this machine only: {reason}"
                    ));
                }
            }
        })?;
        Ok(Self {
            url: url.to_owned(),
            console,
            objects: Mutex::new(objects),
            uploads: Some(uploads),
            uploader: Some(uploader),
        })
    }

    /// Brings a file, if there is one.
    fn fetch(&self, name: &str, to: &Path) -> Result<bool> {
        let Ok(objects) = self.objects.lock() else { return Ok(false) };
        if objects.size(name)?.is_none() {
            return Ok(false);
        }
        let aside = to.with_extension(format!("{}.partial", std::process::id()));
        let mut file = File::create(&aside)?;
        let brought = objects.download(name, 0, &mut |bytes| file.write_all(bytes));
        let brought = brought.map_err(anyhow::Error::from).and_then(|()| {
            file.sync_all()?;
            Ok(fs::rename(&aside, to)?)
        });
        if brought.is_err() {
            let _ = fs::remove_file(&aside);
        }
        brought?;
        self.console.message(&format!("{}: {name} brought from there", self.url));
        Ok(true)
    }
}

impl Source for Behind {
    fn bring(&self, name: &str, to: &Path) -> bool {
        self.fetch(name, to).unwrap_or_else(|error| {
            let reason = exit::line_of(&error);
            exit::complain(&format!("{}: {name} is not to be had: {reason}", self.url));
            false
        })
    }

    fn keep(&self, name: &str, path: &Path) {
        if let Some(uploads) = &self.uploads {
            // The thread has ended if nobody hears: then it has said why.
            let _ = uploads.send((name.to_owned(), path.to_owned()));
        }
    }
}

impl Drop for Behind {
    /// Waits for what is being uploaded.
    fn drop(&mut self) {
        self.uploads = None;
        if let Some(uploader) = self.uploader.take() {
            let _ = uploader.join();
        }
    }
}
