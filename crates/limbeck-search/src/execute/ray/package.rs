//! A trial's files as one archive, named by its content: the zip format, without compression
//! and without times, so that the same files make the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// A package, ready to be given to a cluster.
#[derive(Debug, Clone)]
pub struct Package {
    /// The name, which tells the content.
    pub name: String,
    /// The archive.
    pub bytes: Vec<u8>,
}

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
    /// Reads a package that was [written](Self::write).
    ///
    /// # Errors
    /// What is wrong, in a line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { name: name_of(&bytes), bytes })
    }

    /// Writes it into a folder under its name; where it is then.
    ///
    /// # Errors
    /// What is wrong, in a line.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, String> {
        let path = folder.join(&self.name);
        let aside = folder.join(format!(".{}.{}", self.name, std::process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&aside, &self.bytes))
            .and_then(|()| fs::rename(&aside, &path));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Packs these; what comes twice under a name is an error.
    ///
    /// # Errors
    /// What is wrong, in a line.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, String> {
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
                "the trial's files have {} MB, a cluster takes {} (the largest is {largest}); what \
                 is large needs a place that every node can read, and an absolute path",
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
        let bytes = zip.finish();
        Ok(Self { name: name_of(&bytes), bytes })
    }
}

fn name_of(bytes: &[u8]) -> String {
    format!("limbeck-{}.zip", &blake3::hash(bytes).to_hex()[..32])
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
        let one = Package::new(vec![text("a", "1"), text("b", "2")]).unwrap();
        let same = Package::new(vec![text("b", "2"), text("a", "1")]).unwrap();
        let other = Package::new(vec![text("a", "1"), text("b", "3")]).unwrap();
        assert_eq!((&one.name, &one.bytes), (&same.name, &same.bytes));
        assert_ne!(one.name, other.name);
        assert!(Package::new(vec![text("a", "1"), text("a", "2")]).is_err());
    }

    #[test]
    fn what_goes_along_is_named_from_the_current_folder() {
        assert!(Entry::below(Path::new("/etc/hostname")).is_err());
        assert!(Entry::below(Path::new("../x")).is_err());
        let entries = Entry::below(Path::new("./src/execute")).unwrap();
        assert!(entries.iter().any(|entry| entry.name() == "src/execute/mod.rs"));
    }
}
