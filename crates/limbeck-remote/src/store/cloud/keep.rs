//! Objects that are written, each compared with what was sent.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use md5::{Digest, Md5};
use object_store::path::Path as Key;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    PutResult, UpdateVersion,
};
use sha2::Sha256;

use super::{Cloud, PIECE, refused};
use crate::store::objects::{Objects, Over, Version};
use crate::store::{StoreError, hex};

/// What was sent of a file.
struct Sent {
    result: PutResult,
    /// The tag that a store gives it, if it gives such tags: the MD5 of an object that came whole,
    /// that of the parts' MD5s and their number for one that came in parts.
    tag: String,
    sha256: String,
}

impl Objects for Cloud {
    fn names(&self, below: &str) -> Result<Vec<String>, StoreError> {
        let top = self.at(below);
        let mut folders = vec![top.clone()];
        let mut names = Vec::new();
        while let Some(folder) = folders.pop() {
            let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&folder)));
            let listed = listed.map_err(|error| refused(&self.url, &error))?;
            folders.extend(listed.common_prefixes);
            for meta in listed.objects {
                let name = meta.location.as_ref().strip_prefix(top.as_ref());
                names.extend(name.map(|name| name.trim_start_matches('/').to_owned()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.runtime.block_on(self.store.head(&self.at(name))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused(&self.url, &error)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let key = self.at(name);
        let read = self.runtime.block_on(async {
            let found = self.store.get(&key).await?;
            let version =
                Version { tag: found.meta.e_tag.clone(), number: found.meta.version.clone() };
            Ok((found.bytes().await?.to_vec(), version))
        });
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused(&self.url, &error)),
        }
    }

    fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        over: Over<'_>,
    ) -> Result<Option<Version>, StoreError> {
        let mode = match over {
            Over::Nothing => PutMode::Create,
            Over::Version(version) => PutMode::Update(UpdateVersion {
                e_tag: version.tag.clone(),
                version: version.number.clone(),
            }),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let key = self.at(name);
        match self.runtime.block_on(self.store.put_opts(&key, bytes.into(), options)) {
            Ok(put) => Ok(Some(Version { tag: put.e_tag, number: put.version })),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(refused(&self.url, &error)),
        }
    }

    fn upload(&self, name: &str, file: &mut File, length: u64) -> Result<(), StoreError> {
        let sent = self.send(&self.at(name), file, length)?;
        if sent.result.e_tag.as_deref().is_some_and(|tag| tag.trim_matches('"') == sent.tag) {
            return Ok(());
        }
        // Not every store has such tags: then what it has tells.
        let mut hash = Sha256::new();
        self.download(name, 0, &mut |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
        if hex(&hash.finalize()) == sent.sha256 {
            return Ok(());
        }
        self.remove(name)?;
        Err(self.fails(name, "the store has other bytes than were sent"))
    }

    fn download(
        &self,
        name: &str,
        from: u64,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let key = self.at(name);
        let meta = self.runtime.block_on(self.store.head(&key));
        let meta = meta.map_err(|error| refused(&self.url, &error))?;
        self.pieces(&meta, from, &mut |piece| {
            sink(piece).map_err(|error| self.fails(name, &error.to_string()))
        })
    }

    fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let copied = self.runtime.block_on(self.store.copy(&self.at(from), &self.at(to)));
        copied.map_err(|error| refused(&self.url, &error))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.runtime.block_on(self.store.delete(&self.at(name))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(&self.url, &error)),
        }
    }
}

impl Cloud {
    fn at(&self, name: &str) -> Key {
        Key::from(format!("{}/{name}", self.key).trim_end_matches('/'))
    }

    fn fails(&self, name: &str, reason: &str) -> StoreError {
        StoreError::Store { url: self.url.clone(), reason: format!("{name}: {reason}") }
    }

    /// Sends a file: whole if it is small, else in parts.
    fn send(&self, key: &Key, file: &mut File, length: u64) -> Result<Sent, StoreError> {
        let cannot = |error: io::Error| self.fails(key.as_ref(), &error.to_string());
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        if length <= PIECE {
            let bytes = piece(file, length).map_err(cannot)?;
            let (tag, sha256) = (hex(&Md5::digest(&bytes)), hex(&Sha256::digest(&bytes)));
            let put = self.runtime.block_on(self.store.put(key, bytes.into()));
            let result = put.map_err(|error| refused(&self.url, &error))?;
            return Ok(Sent { result, tag, sha256 });
        }
        let upload = self.runtime.block_on(self.store.put_multipart(key));
        let mut upload = upload.map_err(|error| refused(&self.url, &error))?;
        let sent = self.send_parts(&mut *upload, file, length, &cannot);
        if sent.is_err() {
            // What came of it is of no use; a store that cannot even hear this forgets it some day.
            let _ = self.runtime.block_on(upload.abort());
        }
        sent
    }

    fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        file: &mut File,
        length: u64,
        cannot: &dyn Fn(io::Error) -> StoreError,
    ) -> Result<Sent, StoreError> {
        let (mut whole, mut of_parts) = (Sha256::new(), Md5::new());
        let (mut done, mut parts) = (0, 0);
        while done < length {
            let bytes = piece(file, PIECE.min(length - done)).map_err(cannot)?;
            done += bytes.len() as u64;
            parts += 1;
            whole.update(&bytes);
            of_parts.update(Md5::digest(&bytes));
            let put = self.runtime.block_on(upload.put_part(PutPayload::from(bytes)));
            put.map_err(|error| refused(&self.url, &error))?;
        }
        let result = self.runtime.block_on(upload.complete());
        let result = result.map_err(|error| refused(&self.url, &error))?;
        let tag = format!("{}-{parts}", hex(&of_parts.finalize()));
        Ok(Sent { result, tag, sha256: hex(&whole.finalize()) })
    }
}

/// The next bytes of a file.
fn piece(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use tokio::runtime::Builder;

    use super::*;
    use crate::store::mirror::Mirror;

    fn cloud(store: &Arc<InMemory>) -> Cloud {
        let runtime = Builder::new_current_thread().build().unwrap();
        let store = Arc::clone(store) as Arc<dyn ObjectStore>;
        let (url, key) = ("s3://b/runs/x".to_owned(), "runs/x".to_owned());
        Cloud { url, key, place: "s3/b".into(), store, runtime }
    }

    #[test]
    fn a_folder_comes_back_whole_also_its_large_files() {
        let (store, folder) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
        let large: Vec<u8> = (0..2 * PIECE + 77).map(|i| (i % 251) as u8).collect();
        fs::create_dir(folder.path().join("last")).unwrap();
        fs::write(folder.path().join("last/model.safetensors"), &large).unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let objects = || Box::new(cloud(&store));
        let (mut mirror, _) = Mirror::open("s3://b/runs/x", folder.path(), objects()).unwrap();
        assert_eq!(mirror.push().unwrap().bytes, 2 * PIECE + 79);
        for _ in 0..2 {
            let other = tempfile::tempdir().unwrap();
            Mirror::open("s3://b/runs/x", other.path(), objects()).unwrap();
            assert!(fs::read(other.path().join("last/model.safetensors")).unwrap() == large);
            mirror.publish().unwrap();
        }
        let names = ["config.json", "last/model.safetensors"];
        assert_eq!(objects().names("").unwrap()[1..], names);
        assert_eq!(mirror.verify().unwrap().files, 2);
    }

    #[test]
    fn an_object_is_replaced_only_by_who_has_seen_it() {
        let store = Arc::new(InMemory::new());
        let cloud = cloud(&store);
        assert!(cloud.read("a").unwrap().is_none() && cloud.size("a").unwrap().is_none());
        let first = cloud.write("a", b"1".to_vec(), Over::Nothing).unwrap().unwrap();
        assert!(cloud.write("a", b"2".to_vec(), Over::Nothing).unwrap().is_none());
        assert!(cloud.write("a", b"3".to_vec(), Over::Version(&first)).unwrap().is_some());
        assert!(cloud.write("a", b"4".to_vec(), Over::Version(&first)).unwrap().is_none());
        assert_eq!(cloud.read("a").unwrap().unwrap().0, b"3");
        cloud.remove("a").unwrap();
        cloud.remove("a").unwrap();
    }
}
