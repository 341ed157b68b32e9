//! What keeping a folder needs of an object store.

use std::fs::File;
use std::io;

use super::StoreError;

/// Names one version of an object, so that it is replaced only by who has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The entity tag.
    pub tag: Option<String>,
    /// A number that some stores give beside it.
    pub number: Option<String>,
}

/// What [`Objects::write`] asks of the object that is there.
#[derive(Debug, Clone, Copy)]
pub enum Over<'a> {
    /// That there is none.
    Nothing,
    /// That it is this version.
    Version(&'a Version),
}

/// The objects below one address; names are relative to it, with slashes between folders.
pub trait Objects: Send {
    /// The names of all objects below the folder `below`, of any depth.
    ///
    /// # Errors
    /// As all of these: when the store does not answer, or refuses.
    fn names(&self, below: &str) -> Result<Vec<String>, StoreError>;

    /// The bytes of an object.
    ///
    /// # Errors
    /// As [`Objects::names`]; an object that is not there has no size.
    fn size(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// A small object, whole, with its version.
    ///
    /// # Errors
    /// As [`Objects::names`].
    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError>;

    /// Writes a small object if what is there is as expected; else there is no version.
    ///
    /// # Errors
    /// As [`Objects::names`].
    fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        over: Over<'_>,
    ) -> Result<Option<Version>, StoreError>;

    /// Writes the first `length` bytes of a file, and makes sure that the store has these bytes.
    ///
    /// # Errors
    /// As [`Objects::names`], when the file cannot be read, or when the store has other bytes.
    fn upload(&self, name: &str, file: &mut File, length: u64) -> Result<(), StoreError>;

    /// Gives the bytes of an object from `from` on to `sink`, piece by piece.
    ///
    /// # Errors
    /// As [`Objects::names`], when there is no such object, or when the sink fails.
    fn download(
        &self,
        name: &str,
        from: u64,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StoreError>;

    /// Copies an object within the store, over one that may be there.
    ///
    /// # Errors
    /// As [`Objects::names`].
    fn copy(&self, from: &str, to: &str) -> Result<(), StoreError>;

    /// Removes an object, which need not be there.
    ///
    /// # Errors
    /// As [`Objects::names`].
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}
