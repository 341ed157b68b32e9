//! Objects that are read, in a cache on disk.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use md5::Md5;
use object_store::path::Path as Key;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use super::{Cloud, md5_of, refused};
use crate::store::{StoreError, hex, io, wrong};

impl Cloud {
    /// The object of this address, or the folder of those directly below it, in the cache.
    pub(in crate::store) fn fetch(&self, cache: &Path) -> Result<PathBuf, StoreError> {
        let place = cache.join(&self.place);
        let key = Key::from(&*self.key);
        // The list first: a store on a file system may fail when it is asked for a folder.
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&key)));
        let mut objects = listed.map_err(|error| refused(&self.url, &error))?.objects;
        if objects.is_empty() {
            return match self.runtime.block_on(self.store.head(&key)) {
                Ok(meta) => self.bring(&meta, &place.join(name_of(std::slice::from_ref(&meta)))),
                Err(Error::NotFound { .. }) => {
                    Err(wrong(&self.url, "the store has no such object, and none below it"))
                }
                Err(error) => Err(refused(&self.url, &error)),
            };
        }
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        let folder = place.join(name_of(&objects));
        for meta in &objects {
            // Not every store lists tags.
            let known = match meta.e_tag {
                Some(_) => meta.clone(),
                None => self
                    .runtime
                    .block_on(self.store.head(&meta.location))
                    .map_err(|error| refused(&self.url, &error))?,
            };
            self.bring(&known, &folder)?;
        }
        Ok(folder)
    }

    /// Brings one object into a folder, unless it is there. What an earlier start has brought of
    /// it is kept: the folder's name stands for this very content.
    fn bring(&self, meta: &ObjectMeta, folder: &Path) -> Result<PathBuf, StoreError> {
        let name = meta.location.filename().unwrap_or("object");
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let partial = folder.join(format!(".{name}.partial"));
        let mut options = File::options();
        let opened = options.create(true).truncate(false).read(true).write(true).open(&partial);
        let mut kept = opened.map_err(io("create", &partial))?;
        kept.lock().map_err(io("lock", &partial))?;
        // Somebody else may have brought it while we waited.
        if path.is_file() {
            return Ok(path);
        }
        let mut former = None;
        loop {
            self.append(meta, &mut kept, &partial)?;
            let Some(tag) = md5_of(meta.e_tag.as_deref()) else { break };
            let found = digest(&mut kept).map_err(io("read", &partial))?;
            // A tag may have the form and not be one, where the store encrypts with a managed
            // key: then a second download must agree with the first.
            if found == tag || former.as_ref() == Some(&found) {
                break;
            }
            kept.set_len(0).map_err(io("write", &partial))?;
            if former.replace(found).is_some() {
                let reason = format!("{}: what comes is not what the store has", meta.location);
                return Err(StoreError::Store { url: self.url.clone(), reason });
            }
        }
        kept.sync_all().map_err(io("write", &partial))?;
        fs::rename(&partial, &path).map_err(io("rename", &partial))?;
        Ok(path)
    }

    /// Adds what is missing.
    fn append(&self, meta: &ObjectMeta, kept: &mut File, partial: &Path) -> Result<(), StoreError> {
        let mut done = kept.seek(SeekFrom::End(0)).map_err(io("write", partial))?;
        if done > meta.size {
            kept.set_len(0).map_err(io("write", partial))?;
            done = kept.seek(SeekFrom::Start(0)).map_err(io("write", partial))?;
        }
        self.pieces(meta, done, &mut |piece| kept.write_all(piece).map_err(io("write", partial)))
    }
}

/// Names the content of objects, as far as the store tells it from another.
fn name_of(objects: &[ObjectMeta]) -> String {
    let mut hash = Sha256::new();
    for meta in objects {
        let tag = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_string());
        hash.update(format!("{}\0{tag}\0{}\0", meta.location, meta.size));
    }
    hex(&hash.finalize()[..16])
}

fn digest(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use tokio::runtime::Builder;

    use super::super::PIECE;
    use super::*;

    fn cloud(store: &Arc<InMemory>, key: &str) -> Cloud {
        let runtime = Builder::new_current_thread().build().unwrap();
        let store = Arc::clone(store) as Arc<dyn ObjectStore>;
        Cloud {
            url: "s3://b/x".to_owned(),
            key: key.to_owned(),
            place: "s3/b".into(),
            store,
            runtime,
        }
    }

    fn put(cloud: &Cloud, key: &str, bytes: Vec<u8>) {
        cloud.runtime.block_on(cloud.store.put(&Key::from(key), bytes.into())).unwrap();
    }

    #[test]
    fn an_object_comes_once_and_again_when_it_has_changed() {
        let cache = tempfile::tempdir().unwrap();
        let store = Arc::new(InMemory::new());
        let cloud = cloud(&store, "a/x.bin");
        let bytes: Vec<u8> = (0..PIECE + 5).map(|i| (i % 251) as u8).collect();
        put(&cloud, "a/x.bin", bytes.clone());
        let path = cloud.fetch(cache.path()).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        assert_eq!(cloud.fetch(cache.path()).unwrap(), path);
        put(&cloud, "a/x.bin", b"new".to_vec());
        let newer = cloud.fetch(cache.path()).unwrap();
        assert_eq!(fs::read(newer).unwrap(), b"new");
    }

    #[test]
    fn what_an_earlier_start_has_brought_is_gone_on_with() {
        let cache = tempfile::tempdir().unwrap();
        let store = Arc::new(InMemory::new());
        let cloud = cloud(&store, "x.bin");
        put(&cloud, "x.bin", b"0123456789".to_vec());
        let path = cloud.fetch(cache.path()).unwrap();
        fs::remove_file(&path).unwrap();
        // Other bytes than the store's show that these were not asked for again.
        fs::write(path.with_file_name(".x.bin.partial"), b"abcd").unwrap();
        assert_eq!(fs::read(cloud.fetch(cache.path()).unwrap()).unwrap(), b"abcd456789");
    }

    #[test]
    fn a_name_with_objects_below_it_is_a_folder_and_one_without_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let store = Arc::new(InMemory::new());
        let model = cloud(&store, "model");
        put(&model, "model/config.json", b"{}".to_vec());
        put(&model, "model/model.safetensors", b"w".to_vec());
        let folder = model.fetch(cache.path()).unwrap();
        assert_eq!(fs::read(folder.join("config.json")).unwrap(), b"{}");
        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), b"w");
        let error = cloud(&store, "mod").fetch(cache.path()).unwrap_err().to_string();
        assert!(error.contains("no such"), "{error}");
    }
}
