//! Where results go: to a path, or to an address in an object store.
//!
//! A run writes to a folder of this machine that is [kept](Place) at the address meanwhile; what a
//! command makes at once is [delivered](Destination) when it is whole.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_model::ModelError;
use limbeck_remote::store::keeper::{End, Keeper, News, RESULTS};
use limbeck_remote::store::{self, StoreError};
use tempfile::TempDir;

use crate::console::Console;
use crate::exit::{self, InputError};

/// The address in a store that a path is, where it is one; `file://` is a path like another.
pub fn address(named: &Path) -> Option<&str> {
    named.to_str().filter(|text| store::is_url(text) && !text.starts_with("file://"))
}

/// The local path of what does not lie in a store.
pub fn here(named: &Path) -> Result<PathBuf> {
    named.to_str().map_or_else(|| Ok(named.to_owned()), |text| Ok(store::local(text)?))
}

/// The folder of a run.
pub struct Place {
    folder: PathBuf,
    kept: Option<Keeper>,
    console: Console,
}

impl Place {
    /// The folder to write to; what a store has of the run is brought there first.
    pub fn open(named: &Path, console: Console) -> Result<Self> {
        let Some(url) = address(named) else {
            return Ok(Self { folder: here(named)?, kept: None, console });
        };
        let owned = url.to_owned();
        let keeper = Keeper::start(url, move |news| match news {
            News::Fails(reason) => {
                exit::complain(&format!("{reason}; the run goes on, the upload is tried again"));
            }
            News::Taken => exit::complain(&format!(
                "{owned}: another process writes there; what is made here stays on this machine"
            )),
            News::Back => exit::complain(&format!("{owned}: it answers again")),
        })?;
        let folder = keeper.folder().to_owned();
        console.message(&format!("{url}: until it is uploaded, in {}", folder.display()));
        let brought = keeper.brought();
        if brought.files > 0 {
            console.message(&format!("{url}: {} brought from there", amount(brought)));
        }
        Ok(Self { folder, kept: Some(keeper), console })
    }

    /// The folder of a run that another process leads.
    pub fn of_another(named: &Path) -> Result<PathBuf> {
        match address(named) {
            Some(url) => Ok(store::folder_for(url, RESULTS)?),
            None => here(named),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Uploads what is left. A run that has not finished is not failed by a store that does: then
    /// a line tells.
    pub fn close(self, end: End, remove_local: bool) -> Result<()> {
        let Some(keeper) = self.kept else { return Ok(()) };
        let (folder, console) = (self.folder, self.console);
        if end == End::Finished {
            console.message("uploading what is left");
        }
        match keeper.finish(end, remove_local) {
            Ok(moved) => {
                if moved.files > 0 {
                    console.message(&format!("{} uploaded", amount(moved)));
                }
                Ok(())
            }
            Err(error @ StoreError::Taken { .. }) => {
                Err(error).with_context(|| format!("not uploaded: {}", folder.display()))
            }
            Err(error) if end == End::Finished => {
                let advice = "all is here, and the same command uploads what is missing";
                Err(error).with_context(|| format!("not uploaded: {}: {advice}", folder.display()))
            }
            Err(error) => {
                exit::complain(&format!("not uploaded: {}: {error}", folder.display()));
                Ok(())
            }
        }
    }
}

fn amount(moved: store::keeper::Moved) -> String {
    let files = if moved.files == 1 { "file" } else { "files" };
    format!("{} {files}, {:.1} MB", moved.files, moved.bytes as f64 / 1e6)
}

/// A file or folder that is made at once.
pub struct Destination {
    url: Option<String>,
    local: PathBuf,
    _aside: Option<TempDir>,
}

impl Destination {
    /// Where to write what belongs at `named`.
    pub fn of(named: &Path) -> Result<Self> {
        let Some(url) = address(named) else {
            return Ok(Self { url: None, local: here(named)?, _aside: None });
        };
        // An address that cannot be used is told of before the work, not after it.
        store::is_empty(url)?;
        let aside = tempfile::tempdir().context("cannot create a folder for the result")?;
        let name = url.rsplit('/').next().unwrap_or("result");
        let local = aside.path().join(name);
        Ok(Self { url: Some(url.to_owned()), local, _aside: Some(aside) })
    }

    /// The same for a folder, which is created, or must be empty.
    pub fn new_folder(named: &Path) -> Result<Self> {
        let destination = Self::of(named)?;
        let occupied = || {
            let advice = "give another --out, or empty it";
            let place = named.display().to_string();
            InputError::new("the folder holds files already", place, advice).into()
        };
        if let Some(url) = &destination.url
            && !store::is_empty(url)?
        {
            return Err(occupied());
        }
        let local = &destination.local;
        match fs::read_dir(local).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(occupied()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let (what, place) = ("not a folder", named.display().to_string());
                return Err(InputError::new(what, place, "give another --out").into());
            }
            Err(_) => fs::create_dir_all(local).map_err(|cause| ModelError::Io {
                action: "create",
                path: local.clone(),
                cause,
            })?,
        }
        Ok(destination)
    }

    /// The local path to write to.
    pub fn local(&self) -> &Path {
        &self.local
    }

    /// Brings what was written to its address.
    pub fn deliver(self) -> Result<(), StoreError> {
        self.url.as_ref().map_or(Ok(()), |url| store::send(&self.local, url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_to_itself_and_an_address_asks_for_the_feature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let destination = Destination::new_folder(&path).unwrap();
        assert!(destination.local() == path && path.is_dir());
        destination.deliver().unwrap();
        fs::write(path.join("x"), "").unwrap();
        let error = Destination::new_folder(&path).err().unwrap().to_string();
        assert!(error.contains("holds files already"), "{error}");
        let error = Destination::new_folder(&path.join("x")).err().unwrap().to_string();
        assert!(error.contains("not a folder"), "{error}");
        let url = format!("file://{}", path.display());
        assert_eq!(Destination::of(Path::new(&url)).unwrap().local(), path);
        #[cfg(not(feature = "cloud"))]
        for error in [
            Destination::of(Path::new("s3://b/x")).err().unwrap(),
            Place::open(
                Path::new("s3://b/x"),
                Console { json: false, quiet: true, reports: false },
            )
            .err()
            .unwrap(),
        ] {
            assert!(error.to_string().contains("--features cloud"), "{error}");
        }
    }
}
