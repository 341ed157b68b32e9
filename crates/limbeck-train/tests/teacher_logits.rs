//! A teacher's logits on disk: completed when they were cut short, computed anew when they are
//! damaged, handed over once.

// Each test program takes its part of it.
#[allow(dead_code)]
mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use limbeck_data::cache::Source;
use limbeck_data::{Cache, Features, Purpose};
use limbeck_model::heads::Part;
use limbeck_train::observer::{Observer, Silent};
use limbeck_train::teacher::TeacherLogits;

fn features() -> Features {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = support::tokenizer(folder.path());
    support::features(&support::questions(90), &tokenizer, Purpose::Train)
}

/// How many features went through a teacher.
struct Count(u64);

impl Observer for Count {
    fn advance(&mut self, units: u64) {
        self.0 += units;
    }
}

#[test]
fn teacher_logits_that_were_cut_short_are_completed() {
    let features = features();
    let teacher = support::model(9);
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::folder(folder.path());
    let open = |observer: &mut dyn Observer| {
        TeacherLogits::open_or_compute(&cache, &teacher, &features, observer).unwrap()
    };
    let want = open(&mut Silent).unwrap();
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 5, bytes.len() / 2 + 3, bytes.len() - 1] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path.with_extension("unfinished"), &bytes[..keep]).unwrap();
        let got = open(&mut Silent).unwrap();
        for feature in 0..features.len() {
            for part in [Part::Start, Part::End] {
                let (a, b) = (got.part(feature, part), want.part(feature, part));
                let close = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
                assert!(close && a.len() == b.len(), "feature {feature} after {keep} bytes");
            }
        }
    }
}

/// A source in memory, which has nothing and takes nothing when it fails.
#[derive(Default)]
struct Store {
    files: Mutex<HashMap<String, Vec<u8>>>,
    kept: AtomicUsize,
    fails: bool,
}

impl Source for Store {
    fn bring(&self, name: &str, to: &Path) -> bool {
        let files = self.files.lock().unwrap();
        files.get(name).is_some_and(|bytes| std::fs::write(to, bytes).is_ok())
    }

    fn keep(&self, name: &str, path: &Path) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        if !self.fails {
            self.files.lock().unwrap().insert(name.to_owned(), std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn teacher_logits_are_handed_over_once_and_brought_to_other_folders() {
    let features = features();
    let teacher = support::model(9);
    // The logits' file in a new folder, and how many features went through the teacher.
    let open = |store: &Arc<Store>| {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::before(folder.path(), store.clone());
        let mut counts = [0; 2];
        for count in &mut counts {
            let mut observer = Count(0);
            TeacherLogits::open_or_compute(&cache, &teacher, &features, &mut observer)
                .unwrap()
                .unwrap();
            *count = observer.0;
        }
        assert_eq!(counts[1], 0, "what lies in the folder is not computed again");
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let [path] = &files.collect::<Vec<_>>()[..] else { panic!("one file") };
        (std::fs::read(path).unwrap(), counts[0])
    };
    let kept = |store: &Store| store.kept.swap(0, Ordering::Relaxed);
    let all = features.len() as u64;
    let store = Arc::new(Store::default());
    let (whole, computed) = open(&store);
    assert_eq!((computed, kept(&store)), (all, 1));
    assert_eq!(open(&store), (whole.clone(), 0));
    assert_eq!(kept(&store), 0);
    for damaged in [&whole[..whole.len() - 4], b"", &[&whole[..], b"more"].concat()] {
        store.files.lock().unwrap().values_mut().for_each(|bytes| *bytes = damaged.to_vec());
        assert_eq!((open(&store), kept(&store)), ((whole.clone(), all), 1));
        assert!(store.files.lock().unwrap().values().all(|bytes| *bytes == whole));
    }
    let failing = Arc::new(Store { fails: true, ..Store::default() });
    for _ in 0..2 {
        assert_eq!(open(&failing), (whole.clone(), all));
    }
}
