//! A store in memory that can fail, for tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard};

use super::StoreError;
use super::objects::{Objects, Over, Version};

/// Clones share what is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) objects: BTreeMap<String, (Vec<u8>, u64)>,
    versions: u64,
    /// Changes that still go through; then all fail.
    pub(super) changes_left: Option<usize>,
    /// Whether answers to conditional writes are lost after they are done.
    pub(super) loses_answers: bool,
    /// Names of what was uploaded.
    pub(super) uploaded: Vec<String>,
}

impl Memory {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.inner().objects.get(name).map(|(bytes, _)| bytes.clone())
    }

    fn change(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        let mut inner = self.inner();
        match &mut inner.changes_left {
            Some(0) => Err(down()),
            Some(left) => {
                *left -= 1;
                Ok(inner)
            }
            None => Ok(inner),
        }
    }
}

impl Inner {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> u64 {
        self.versions += 1;
        self.objects.insert(name.to_owned(), (bytes, self.versions));
        self.versions
    }
}

fn down() -> StoreError {
    StoreError::Store { url: "memory".to_owned(), reason: "it is down".to_owned() }
}

impl Objects for Memory {
    fn names(&self, below: &str) -> Result<Vec<String>, StoreError> {
        let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
        let inner = self.inner();
        let names = inner.objects.keys().filter_map(|name| name.strip_prefix(&prefix));
        Ok(names.map(str::to_owned).collect())
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.bytes(name).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let inner = self.inner();
        let version = |number: &u64| Version { tag: Some(number.to_string()), number: None };
        Ok(inner.objects.get(name).map(|(bytes, number)| (bytes.clone(), version(number))))
    }

    fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        over: Over<'_>,
    ) -> Result<Option<Version>, StoreError> {
        let there = self.read(name)?.map(|(_, version)| version);
        let mut inner = self.change()?;
        let is_expected = match over {
            Over::Nothing => there.is_none(),
            Over::Version(version) => there.as_ref() == Some(version),
        };
        if !is_expected {
            return Ok(None);
        }
        let number = inner.put(name, bytes);
        // What a client sees that asks again after its answer was lost.
        let lost = std::mem::take(&mut inner.loses_answers);
        Ok((!lost).then(|| Version { tag: Some(number.to_string()), number: None }))
    }

    fn upload(&self, name: &str, file: &mut File, length: u64) -> Result<(), StoreError> {
        let mut inner = self.change()?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.take(length).read_to_end(&mut bytes).unwrap();
        inner.put(name, bytes);
        inner.uploaded.push(name.to_owned());
        Ok(())
    }

    fn download(
        &self,
        name: &str,
        from: u64,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let bytes = self.bytes(name).ok_or_else(down)?;
        sink(&bytes[from as usize..]).map_err(|_| down())
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let bytes = self.bytes(from).ok_or_else(down)?;
        self.change()?.put(to, bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.change()?.objects.remove(name);
        Ok(())
    }
}
