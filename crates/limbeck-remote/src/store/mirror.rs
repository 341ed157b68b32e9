//! A folder that is written here and kept in an object store.
//!
//! What is under way lies in the store by content, below `.limbeck/objects`; a manifest, written
//! last and only over the one that was last seen, says which contents make up the folder. So
//! whoever reads finds the folder as it was at one moment, and two machines cannot both go on
//! with it. What is finished is copied, within the store, to the files' own names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::{Entry, MANIFEST, Manifest};
use super::objects::{Objects, Over, Version};
use super::snapshot::{self, Opened, Stamp};
use super::{StoreError, hex, io};

/// Says in the folder what it has to do with the store.
const RECORD: &str = ".store.json";
const LOCK: &str = ".store.lock";

/// A folder and its address.
pub struct Mirror {
    url: String,
    folder: PathBuf,
    objects: Box<dyn Objects>,
    record: Record,
    /// The newest manifest that is known, and its version.
    seen: Option<(Manifest, Version)>,
    /// Hashes of files that have not changed since.
    hashes: BTreeMap<String, (Stamp, String)>,
    _lock: File,
}

/// What the folder has to do with the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The name under which manifests are written from here.
    writer: String,
    /// Writer and sequence of the manifest that the folder was brought back from.
    base: Option<(String, u64)>,
}

/// What went over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Moved {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { files: self.files + other.files, bytes: self.bytes + other.bytes }
    }
}

impl Mirror {
    /// A folder, made if it is not there, and the objects that it is kept in; `url` is their
    /// address in messages. Brings the folder to what the store has, unless what the store has is
    /// from here, or nothing.
    ///
    /// # Errors
    /// When another process of this machine keeps the folder, it cannot be written, or the store
    /// does not answer or has files there that are not from here.
    pub fn open(
        url: &str,
        folder: &Path,
        objects: Box<dyn Objects>,
    ) -> Result<(Self, Moved), StoreError> {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let lock = lock(url, folder)?;
        let record = fs::read(folder.join(RECORD)).ok();
        let record = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut mirror = Self {
            url: url.to_owned(),
            folder: folder.to_owned(),
            objects,
            record: record.unwrap_or_else(|| Record { writer: new_name(), base: None }),
            seen: None,
            hashes: BTreeMap::new(),
            _lock: lock,
        };
        mirror.seen = mirror.manifest()?;
        let moved = match &mirror.seen {
            None => {
                mirror.refuse_strangers()?;
                Moved::default()
            }
            Some((manifest, _)) if !mirror.is_from_here(manifest) => {
                let manifest = manifest.clone();
                mirror.bring_back(&manifest)?
            }
            _ => Moved::default(),
        };
        mirror.remember()?;
        Ok((mirror, moved))
    }

    /// What tells one state of the folder from another: all but how long files have grown.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn state(&self) -> Result<Vec<(String, u64)>, StoreError> {
        snapshot::state(&self.folder).map_err(io("read", &self.folder))
    }

    /// Uploads what the store does not have of the folder as it is now.
    ///
    /// # Errors
    /// When the store does not answer, refuses, or was written to by another; when the folder
    /// cannot be read. What was there before stays whole.
    pub fn push(&mut self) -> Result<Moved, StoreError> {
        let opened = snapshot::open(&self.folder).map_err(io("read", &self.folder))?;
        let mut files = Vec::new();
        for mut file in opened {
            files.push((self.entry(&mut file)?, file));
        }
        let entries: Vec<Entry> = files.iter().map(|(entry, _)| entry.clone()).collect();
        let former = self.seen.as_ref().map(|(manifest, _)| manifest.clone());
        let former = former.unwrap_or_default();
        if former.files == entries {
            return Ok(Moved::default());
        }
        let mut there = self.contents()?;
        let mut moved = Moved::default();
        for (entry, opened) in &mut files {
            if former.published.contains(entry) || !there.insert(entry.content()) {
                continue;
            }
            self.objects.upload(&entry.content(), &mut opened.file, entry.size)?;
            moved.files += 1;
            moved.bytes += entry.size;
        }
        self.write(Manifest { files: entries, ..former })?;
        self.clean()?;
        Ok(moved)
    }

    /// [`Mirror::push`], and gives the files their own names in the store.
    ///
    /// # Errors
    /// As [`Mirror::push`].
    pub fn publish(&mut self) -> Result<Moved, StoreError> {
        let moved = self.push()?;
        let Some((manifest, _)) = self.seen.clone() else { return Ok(moved) };
        if manifest.published == manifest.files && manifest.replaced.is_empty() {
            // An earlier end may have been cut off.
            self.clean()?;
            return Ok(moved);
        }
        // What is about to change must not be counted on any more, nor forgotten.
        let (stays, changes): (Vec<Entry>, Vec<Entry>) =
            manifest.published.iter().cloned().partition(|entry| manifest.files.contains(entry));
        let mut replaced = manifest.replaced.clone();
        replaced.extend(changes.into_iter().map(|entry| entry.path));
        if replaced != manifest.replaced {
            self.write(Manifest {
                published: stays.clone(),
                replaced: replaced.clone(),
                ..manifest.clone()
            })?;
        }
        for entry in manifest.files.iter().filter(|entry| !stays.contains(entry)) {
            self.objects.copy(&entry.content(), &entry.path)?;
            if self.objects.size(&entry.path)? != Some(entry.size) {
                return Err(self.wrong(&entry.path, "the store's copy is not as long as the file"));
            }
        }
        let names: BTreeSet<&str> = manifest.files.iter().map(|entry| &*entry.path).collect();
        for name in replaced.iter().filter(|name| !names.contains(&***name)) {
            self.objects.remove(name)?;
        }
        let published = manifest.files.clone();
        self.write(Manifest { published, replaced: Vec::new(), ..manifest })?;
        self.clean()?;
        Ok(moved)
    }

    /// Reads everything that the store has of the folder, and compares.
    ///
    /// # Errors
    /// When the store does not answer, or has other bytes than it should.
    pub fn verify(&self) -> Result<Moved, StoreError> {
        let mut moved = Moved::default();
        let Some((manifest, _)) = &self.seen else { return Ok(moved) };
        for entry in &manifest.files {
            let mut hash = Sha256::new();
            let name = manifest.place(entry);
            self.objects.download(&name, 0, &mut |bytes| {
                hash.update(bytes);
                Ok(())
            })?;
            if hex(&hash.finalize()) != entry.sha256 {
                return Err(self.wrong(&entry.path, "the store has other bytes"));
            }
            moved.files += 1;
            moved.bytes += entry.size;
        }
        Ok(moved)
    }

    /// Removes the local folder.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_local(self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.folder).map_err(io("remove", &self.folder))
    }

    /// Refuses an address below which lie files that this has not put there: they would be
    /// overwritten.
    fn refuse_strangers(&self) -> Result<(), StoreError> {
        let names = self.objects.names("")?;
        match names.iter().find(|name| !Manifest::is_own(name)) {
            Some(name) => {
                let reason = format!("holds {name}, which no run left there; give another address");
                Err(StoreError::Address { url: self.url.clone(), reason })
            }
            None => Ok(()),
        }
    }

    /// Whether the folder is where `manifest` came from, or at it.
    fn is_from_here(&self, manifest: &Manifest) -> bool {
        let is_base = |(writer, sequence): &(String, u64)| {
            *writer == manifest.writer && *sequence == manifest.sequence
        };
        manifest.writer == self.record.writer || self.record.base.as_ref().is_some_and(is_base)
    }

    fn manifest(&self) -> Result<Option<(Manifest, Version)>, StoreError> {
        let Some((bytes, version)) = self.objects.read(MANIFEST)? else { return Ok(None) };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| self.wrong(MANIFEST, &format!("it is damaged: {error}")))?;
        match manifest.files.iter().chain(&manifest.published).find(|entry| !entry.is_safe()) {
            Some(entry) => Err(self.wrong(MANIFEST, &format!("it names {:?}", entry.path))),
            None => Ok(Some((manifest, version))),
        }
    }

    /// Makes the folder what the manifest says. What an earlier start has brought is kept.
    fn bring_back(&mut self, manifest: &Manifest) -> Result<Moved, StoreError> {
        let mut moved = Moved::default();
        for entry in &manifest.files {
            let path = self.folder.join(&entry.path);
            let here = File::open(&path).and_then(|mut file| hash(&mut file, u64::MAX));
            if here.is_ok_and(|hash| hash == entry.sha256) {
                continue;
            }
            self.bring(manifest, entry, &path)?;
            moved.files += 1;
            moved.bytes += entry.size;
        }
        let named: BTreeSet<&str> = manifest.files.iter().map(|entry| &*entry.path).collect();
        let here = snapshot::names(&self.folder).map_err(io("read", &self.folder))?;
        for name in here.iter().filter(|name| !named.contains(&***name)) {
            let path = self.folder.join(name);
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
        self.record.base = Some((manifest.writer.clone(), manifest.sequence));
        Ok(moved)
    }

    fn bring(&self, manifest: &Manifest, entry: &Entry, path: &Path) -> Result<(), StoreError> {
        let partial = self.folder.join(format!(".{}.partial", entry.sha256));
        let mut options = File::options();
        let opened = options.create(true).truncate(false).read(true).write(true).open(&partial);
        let mut file = opened.map_err(io("create", &partial))?;
        let mut done = file.seek(SeekFrom::End(0)).map_err(io("write", &partial))?;
        if done > entry.size {
            file.set_len(0).map_err(io("write", &partial))?;
            done = file.seek(SeekFrom::Start(0)).map_err(io("write", &partial))?;
        }
        if done < entry.size {
            let mut left = entry.size - done;
            self.objects.download(&manifest.place(entry), done, &mut |bytes| {
                left =
                    left.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::FileTooLarge)?;
                file.write_all(bytes)
            })?;
        }
        if hash(&mut file, u64::MAX).map_err(io("read", &partial))? != entry.sha256 {
            let _ = fs::remove_file(&partial);
            return Err(self.wrong(&entry.path, "the store has other bytes than its manifest says"));
        }
        file.sync_all().map_err(io("write", &partial))?;
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(io("create", parent))?;
        fs::rename(&partial, path).map_err(io("rename", &partial))
    }

    fn entry(&mut self, opened: &mut Opened) -> Result<Entry, StoreError> {
        let path = opened.name.clone();
        let sha256 = match self.hashes.get(&path) {
            Some((stamp, hash)) if *stamp == opened.stamp => hash.clone(),
            _ => {
                let hash = hash(&mut opened.file, opened.stamp.length);
                let hash = hash.map_err(io("read", &self.folder.join(&path)))?;
                self.hashes.insert(path.clone(), (opened.stamp, hash.clone()));
                hash
            }
        };
        Ok(Entry { path, size: opened.stamp.length, sha256 })
    }

    /// The contents that the store has.
    fn contents(&self) -> Result<BTreeSet<String>, StoreError> {
        let names = self.objects.names(Manifest::contents())?;
        Ok(names.into_iter().map(|name| format!("{}/{name}", Manifest::contents())).collect())
    }

    /// Writes the next manifest over the one that was seen.
    fn write(&mut self, manifest: Manifest) -> Result<(), StoreError> {
        let sequence = self.seen.as_ref().map_or(0, |(seen, _)| seen.sequence) + 1;
        let writer = self.record.writer.clone();
        let manifest = Manifest { writer, sequence, ..manifest };
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| self.wrong(MANIFEST, &error.to_string()))?;
        let over = self.seen.as_ref().map_or(Over::Nothing, |(_, version)| Over::Version(version));
        if let Some(version) = self.objects.write(MANIFEST, text, over)? {
            self.seen = Some((manifest, version));
            return Ok(());
        }
        // It may be our own, whose answer was lost.
        match self.manifest()? {
            Some((there, version)) if there == manifest => {
                self.seen = Some((there, version));
                Ok(())
            }
            _ => Err(StoreError::Taken { url: self.url.clone() }),
        }
    }

    /// Removes contents that no file has any more.
    fn clean(&self) -> Result<(), StoreError> {
        let Some((manifest, _)) = &self.seen else { return Ok(()) };
        let needed: BTreeSet<String> =
            manifest.files.iter().map(|entry| manifest.place(entry)).collect();
        for name in self.contents()?.difference(&needed) {
            self.objects.remove(name)?;
        }
        Ok(())
    }

    fn remember(&self) -> Result<(), StoreError> {
        let path = self.folder.join(RECORD);
        let partial = self.folder.join(format!("{RECORD}.partial"));
        let text = serde_json::to_vec(&self.record)
            .map_err(|error| self.wrong(RECORD, &error.to_string()))?;
        fs::write(&partial, text).map_err(io("write", &partial))?;
        fs::rename(&partial, &path).map_err(io("rename", &partial))
    }

    fn wrong(&self, name: &str, reason: &str) -> StoreError {
        StoreError::Store { url: self.url.clone(), reason: format!("{name}: {reason}") }
    }
}

fn lock(url: &str, folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let reason =
                format!("another process of this machine keeps it, in {}", folder.display());
            Err(StoreError::Address { url: url.to_owned(), reason })
        }
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

/// The SHA-256 of the first `length` bytes, or of all.
fn hash(file: &mut File, length: u64) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut file = file.take(length);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// A name that nobody else has.
fn new_name() -> String {
    let mut random = RandomState::new().build_hasher();
    random.write_u32(std::process::id());
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_nanos());
    random.write_u128(time);
    format!("{:016x}{:016x}", random.finish(), RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests;
