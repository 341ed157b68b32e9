//! A trial's files as one archive, named by its content: the zip format, without compression
//! and without times, so that the same files make the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// A package in a file of this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The name, which tells the content.
    pub name: String,
    path: PathBuf,
}

/// What the name of every package begins with.
pub const PREFIX: &str = "limbeck-";

/// The largest package that a cluster takes.
const LARGEST: u64 = 100 << 20;

/// The day before which the format knows no times.
const FIRST_DAY: u16 = 0x21;

/// Something that is packed.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A file of this disk under a name of its own.
    File(PathBuf, String),
    /// A text.
    Text(String, String),
}

impl Package {
    /// A package that was packed into this file.
    ///
    /// # Errors
    /// When the file has not the name of a package.
    pub fn at(path: &Path) -> Result<Self, String> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| name.starts_with(PREFIX) && name.ends_with(".zip"));
        let name = name.ok_or_else(|| format!("{}: this is no package", path.display()))?;
        Ok(Self { name: name.to_owned(), path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The archive.
    ///
    /// # Errors
    /// What is wrong, in a line.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// Packs these into a file of this folder; what comes twice under a name is an error.
    ///
    /// # Errors
    /// What is wrong, in a line.
    pub fn pack(entries: Vec<Entry>, folder: &Path) -> Result<Self, String> {
        let bytes = archive(entries)?;
        let name = format!("{PREFIX}{}.zip", &blake3::hash(&bytes).to_hex()[..32]);
        let package = Self { path: folder.join(&name), name };
        if package.path.is_file() {
            return Ok(package);
        }
        let aside = folder.join(format!(".{}.{}", package.name, std::process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&aside, &bytes))
            .and_then(|()| fs::rename(&aside, &package.path));
        written.map_err(|error| format!("{}: {error}", package.path.display()))?;
        Ok(package)
    }

    /// The folder into which a node of a cluster has unpacked it.
    pub fn folder_name(&self) -> &str {
        self.name.trim_end_matches(".zip")
    }
}

/// The bytes of an archive with these entries.
fn archive(mut entries: Vec<Entry>) -> Result<Vec<u8>, String> {
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        return Err(format!("two files of the package are called {}", pair[0].name()));
    }
    let size = |entry: &Entry| match entry {
        Entry::File(path, _) => fs::metadata(path).map_or(0, |meta| meta.len()),
        Entry::Text(_, text) => text.len() as u64,
    };
    let total: u64 = entries.iter().map(size).sum();
    if total > LARGEST {
        let largest = entries.iter().max_by_key(|entry| size(entry)).map_or("", Entry::name);
        return Err(format!(
            "a package of {} MB, and a cluster takes {} (the largest file is {largest}); put what \
             is large where every node can read it, and name it by its absolute path",
            total >> 20,
            LARGEST >> 20
        ));
    }
    let mut zip = Zip::default();
    for entry in &entries {
        let (bytes, mode) = match entry {
            Entry::Text(_, text) => (text.clone().into_bytes(), 0o644),
            Entry::File(path, _) => {
                let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
                let mode = fs::metadata(path).map_err(wrong)?.permissions().mode() & 0o777;
                (fs::read(path).map_err(wrong)?, mode)
            }
        };
        zip.add(entry.name(), &bytes, mode);
    }
    Ok(zip.finish())
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::File(_, name) | Self::Text(name, _) => name,
        }
    }

    /// A file, or all files of a folder, under the relative path that was given.
    ///
    /// # Errors
    /// When it is not below the current folder, or cannot be read.
    pub fn below(path: &Path) -> Result<Vec<Self>, String> {
        let is_below =
            path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !is_below {
            return Err(format!(
                "{}: what goes along must lie below the current folder, and be named from there",
                path.display()
            ));
        }
        let path: PathBuf = path.components().filter(|c| *c != Component::CurDir).collect();
        let mut entries = Vec::new();
        collect(&path, &mut entries).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(entries)
    }
}

fn collect(path: &Path, entries: &mut Vec<Entry>) -> std::io::Result<()> {
    if fs::metadata(path)?.is_file() {
        entries.push(Entry::File(path.to_owned(), path.to_string_lossy().into_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), entries)?;
    }
    Ok(())
}

/// An archive under construction.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Zip {
    fn add(&mut self, name: &str, content: &[u8], mode: u32) {
        // Below the limit of a package, all of these fit 32 bits.
        let (offset, size) = (self.bytes.len() as u32, content.len() as u32);
        let mut common = Vec::new();
        put(&mut common, &[20, 1 << 11, 0, 0, FIRST_DAY]);
        common.extend_from_slice(&crc32(content).to_le_bytes());
        common.extend_from_slice(&size.to_le_bytes());
        common.extend_from_slice(&size.to_le_bytes());
        put(&mut common, &[name.len() as u16, 0]);
        self.bytes.extend_from_slice(b"PK\x03\x04");
        self.bytes.extend_from_slice(&common);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(content);

        self.directory.extend_from_slice(b"PK\x01\x02");
        // Made by a Unix, whose mode is in the upper half of the attributes.
        put(&mut self.directory, &[3 << 8 | 20]);
        self.directory.extend_from_slice(&common);
        put(&mut self.directory, &[0, 0, 0]);
        self.directory.extend_from_slice(&((0o100_000 | mode) << 16).to_le_bytes());
        self.directory.extend_from_slice(&offset.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.count += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        let (start, length) = (self.bytes.len() as u32, self.directory.len() as u32);
        self.bytes.append(&mut self.directory);
        self.bytes.extend_from_slice(b"PK\x05\x06");
        put(&mut self.bytes, &[0, 0, self.count, self.count]);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&start.to_le_bytes());
        put(&mut self.bytes, &[0]);
        self.bytes
    }
}

fn put(bytes: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
}

/// The CRC-32 of the zip format.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| TABLE[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_same_files_make_the_same_package_and_other_files_another() {
        let text = |name: &str, text: &str| Entry::Text(name.to_owned(), text.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let pack = |entries| Package::pack(entries, folder.path());
        let one = pack(vec![text("a", "1"), text("b", "2")]).unwrap();
        let bytes = one.bytes().unwrap();
        fs::remove_file(one.path()).unwrap();
        let same = pack(vec![text("b", "2"), text("a", "1")]).unwrap();
        let other = pack(vec![text("a", "1"), text("b", "3")]).unwrap();
        assert_eq!((&one, &bytes), (&same, &same.bytes().unwrap()));
        assert_ne!(one.name, other.name);
        assert!(pack(vec![text("a", "1"), text("a", "2")]).is_err());
        assert_eq!(Package::at(one.path()).unwrap(), one);
        assert!(Package::at(Path::new("x.zip")).is_err());
    }

    #[test]
    fn what_goes_along_is_named_from_the_current_folder() {
        assert!(Entry::below(Path::new("/etc/hostname")).is_err());
        assert!(Entry::below(Path::new("../x")).is_err());
        let entries = Entry::below(Path::new("./src/execute")).unwrap();
        assert!(entries.iter().any(|entry| entry.name() == "src/execute/mod.rs"));
    }
}
