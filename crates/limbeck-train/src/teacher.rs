//! A teacher's logits on disk: each feature goes through the teacher once, however many
//! epochs a student takes and however often the run is killed.
//!
//! The file is the logits of all features, in order, as little-endian `f32`: for each, its start
//! logits and then its end logits, or one a label. Its name holds the key, which covers the
//! teacher's weights and the features. While it grows it has another name; what is there is taken
//! up again. Only a whole file is handed to what lies behind the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use limbeck_data::{Cache, Examples};
use limbeck_model::heads::Part;
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Head, HeadKind, Model, ModelError};
use limbeck_runtime::logits::{Memory, each_batch, each_class_batch};

use crate::error::{Result, TrainError};
use crate::observer::{Observer, advance};

/// The logits of a teacher for every training feature.
#[derive(Debug)]
pub struct TeacherLogits {
    /// Where each feature's logits begin, and the total.
    starts: Vec<usize>,
    /// For each feature its start logits, then its end logits; or one a label.
    logits: Vec<f32>,
}

impl TeacherLogits {
    /// The logits of a part of a feature.
    pub fn part(&self, index: usize, part: Part) -> &[f32] {
        let logits = &self.logits[self.starts[index]..self.starts[index + 1]];
        match part {
            Part::Start => &logits[..logits.len() / 2],
            Part::End => &logits[logits.len() / 2..],
            Part::Class | Part::Value => logits,
        }
    }

    /// Reads the teacher's logits from `cache`, or computes what is missing there and keeps it.
    /// A file of another length than it must have is computed anew. `None` when the observer
    /// asked to stop: what is done is kept.
    ///
    /// # Errors
    /// When the features do not fit the teacher, or the cache cannot be written.
    pub fn open_or_compute(
        cache: &Cache,
        teacher: &Model,
        features: &dyn Examples,
        observer: &mut dyn Observer,
    ) -> Result<Option<TeacherLogits>> {
        let starts = starts_of(&teacher.config.head, features);
        let name = format!("teacher-{}.logits", key(teacher, features));
        let path = cache.wanted(&name);
        if !is_whole(&path, &starts)
            && !compute(cache, &name, teacher, features, &starts, observer)?
        {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        let total = starts.last().copied().unwrap_or(0);
        if bytes.len() != 4 * total {
            return Err(TrainError::File {
                path,
                reason: "is damaged: delete it, it will be computed again".into(),
            });
        }
        let read = |word: &[u8; 4]| f32::from_le_bytes(*word);
        let logits = bytes.as_chunks().0.iter().map(read).collect();
        Ok(Some(TeacherLogits { starts, logits }))
    }
}

/// Where each feature's logits begin, and the total.
fn starts_of(head: &Head, features: &dyn Examples) -> Vec<usize> {
    let mut total = 0;
    let ends = (0..features.len()).map(|index| {
        total += match head {
            Head::Span => 2 * features.rows_of(index),
            Head::Classification(classes) => classes.labels.len(),
            // Too many to keep: whoever teaches masked words does so live.
            Head::MaskedWord => 0,
        };
        total
    });
    std::iter::once(0).chain(ends).collect()
}

/// Changes when the same teacher's logits would be others, or would lie otherwise in their file.
const VERSION: &[u8] = b"teacher logits 1";

/// Names the teacher's weights and the features they are applied to.
fn key(teacher: &Model, features: &dyn Examples) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(VERSION);
    hash.update(&identity(teacher));
    hash.update(&fingerprint(features));
    hash.finalize().to_hex()[..32].to_owned()
}

/// Names a model by its configuration and all its weights.
pub fn identity(model: &Model) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{:?}", model.config).as_bytes());
    hash.update(bytemuck::cast_slice(&model.parameters));
    hash.finalize().into()
}

/// Names all tokens, segments and labels of some features, in order.
pub(crate) fn fingerprint(features: &dyn Examples) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let mut batch = limbeck_data::Batch::default();
    for index in 0..features.len() {
        features.batch(&[index], &mut batch);
        hash.update(bytemuck::cast_slice(&batch.input_ids));
        hash.update(&batch.token_type_ids);
        hash.update(bytemuck::bytes_of(&(batch.rows() as u32)));
        hash.update(bytemuck::cast_slice(&batch.start_positions));
        hash.update(bytemuck::cast_slice(&batch.end_positions));
        hash.update(bytemuck::cast_slice(&batch.labels));
        hash.update(bytemuck::cast_slice(&batch.masked_rows));
        hash.update(bytemuck::cast_slice(&batch.masked_ids));
    }
    hash.finalize().into()
}

/// Whether the file is there, as long as it must be.
fn is_whole(path: &Path, starts: &[usize]) -> bool {
    let logits = starts.last().copied().unwrap_or(0) as u64;
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() == 4 * logits)
}

/// Writes the file of this name, taking up an unfinished one. `false` when the observer
/// asked to stop.
fn compute(
    cache: &Cache,
    name: &str,
    teacher: &Model,
    features: &dyn Examples,
    starts: &[usize],
    observer: &mut dyn Observer,
) -> Result<bool> {
    let path = &cache.path_of(name);
    let unfinished: PathBuf = path.with_extension("unfinished");
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&unfinished)
        .map_err(TrainError::io("write", &unfinished))?;
    // Two runs may share the folder: the second waits, and finds the first one's work.
    file.lock().map_err(TrainError::io("lock", &unfinished))?;
    if is_whole(path, starts) {
        return Ok(true);
    }
    let done = whole_features(&mut file, starts).map_err(TrainError::io("read", &unfinished))?;
    observer.stage("teacher", Some(features.len() as u64));
    observer.advance(done as u64);
    let mut progress = advance(observer);
    let mut bytes = Vec::new();
    let mut keep = |count: usize, logits: &mut dyn Iterator<Item = f32>| {
        bytes.clear();
        bytes.extend(logits.flat_map(f32::to_le_bytes));
        file.write_all(&bytes).map_err(TrainError::io("write", &unfinished))?;
        Ok::<_, TrainError>(progress(count))
    };
    let model = InferenceModel::of(teacher);
    let (left, memory) = (done..features.len(), &mut Memory::default());
    let finished = match &teacher.config.head {
        Head::Span => each_batch(&model, features, left, memory, |range, batch, logits| {
            let mut both = batch.starts.windows(2).flat_map(|rows| {
                let rows = rows[0]..rows[1];
                logits.start[rows.clone()].iter().chain(&logits.end[rows]).copied()
            });
            keep(range.len(), &mut both)
        })?,
        Head::Classification(_) => {
            each_class_batch(&model, features, left, memory, |range, _, logits| {
                keep(range.len(), &mut logits.iter().copied())
            })?
        }
        found @ Head::MaskedWord => {
            let (needed, found) = (HeadKind::Classification, found.kind());
            return Err(ModelError::Head { needed, found }.into());
        }
    };
    if finished {
        file.sync_all().map_err(TrainError::io("write", &unfinished))?;
        fs::rename(&unfinished, path).map_err(TrainError::io("rename", &unfinished))?;
        cache.built(name);
    }
    Ok(finished)
}

/// How many features an unfinished file holds whole; cuts off what follows them.
fn whole_features(file: &mut File, starts: &[usize]) -> std::io::Result<usize> {
    let logits = file.metadata()?.len() / 4;
    let done = starts.partition_point(|&start| start as u64 <= logits).saturating_sub(1);
    // A file that another machine's crash filled with zeros would pass by its length.
    let mut last = [0; 4];
    if done > 0 {
        file.seek(SeekFrom::Start(4 * starts[done] as u64 - 4))?;
        file.read_exact(&mut last)?;
    }
    let done = if last == [0; 4] { 0 } else { done };
    file.set_len(4 * starts[done] as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok(done)
}
