use tempfile::TempDir;

use super::*;
use crate::store::memory::Memory;

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, store: &Memory) -> Result<(Mirror, Moved), StoreError> {
        Mirror::open("s3://b/run", self.0.path(), Box::new(store.clone()))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As runs do: whole, by another name.
        let aside = self.0.path().join(".aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, path).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.0.path().join(name)).ok()
    }
}

#[test]
fn another_machine_goes_on_from_what_was_pushed_last() {
    let (store, first, second) = (Memory::default(), Machine::new(), Machine::new());
    let (mut mirror, _) = first.open(&store).unwrap();
    first.write("run.json", "{}");
    first.write("checkpoint/state", "step 100");
    first.write("checkpoint/old", "of no use soon");
    assert_eq!(mirror.push().unwrap().files, 3);
    fs::remove_file(first.0.path().join("checkpoint/old")).unwrap();
    first.write("checkpoint/state", "step 200");
    assert_eq!(mirror.push().unwrap(), Moved { files: 1, bytes: 8 });
    assert_eq!(store.inner().objects.len(), 3, "contents without a file are gone");
    assert_eq!(mirror.push().unwrap(), Moved::default());
    second.write("stale", "x");
    let (_, brought) = second.open(&store).unwrap();
    assert_eq!(brought, Moved { files: 2, bytes: 10 });
    assert_eq!(second.read("checkpoint/state").unwrap(), "step 200");
    assert_eq!(second.read("stale"), None);
}

#[test]
fn a_folder_that_is_ahead_of_the_store_is_left_alone() {
    let (store, machine) = (Memory::default(), Machine::new());
    let (mut mirror, _) = machine.open(&store).unwrap();
    machine.write("state", "1");
    mirror.push().unwrap();
    machine.write("state", "2");
    drop(mirror);
    let (mirror, brought) = machine.open(&store).unwrap();
    assert_eq!((brought, machine.read("state").as_deref()), (Moved::default(), Some("2")));
    drop(mirror);
    // The same for one that was brought back and has gone on without a push.
    let other = Machine::new();
    drop(other.open(&store).unwrap());
    other.write("state", "3");
    let (mut mirror, brought) = other.open(&store).unwrap();
    assert_eq!((brought, other.read("state").as_deref()), (Moved::default(), Some("3")));
    mirror.push().unwrap();
    drop(mirror);
    // The first machine comes back: the other has gone on.
    assert_eq!(machine.open(&store).unwrap().1.files, 1);
    assert_eq!(machine.read("state").unwrap(), "3");
}

#[test]
fn two_machines_cannot_both_go_on() {
    let (store, first, second) = (Memory::default(), Machine::new(), Machine::new());
    let (mut one, _) = first.open(&store).unwrap();
    first.write("state", "1");
    one.push().unwrap();
    let (mut two, _) = second.open(&store).unwrap();
    second.write("state", "2");
    two.push().unwrap();
    first.write("state", "1b");
    assert!(matches!(one.push(), Err(StoreError::Taken { .. })));
    let third = Machine::new();
    third.open(&store).unwrap();
    assert_eq!(third.read("state").unwrap(), "2");
    let error = second.open(&store).err().unwrap().to_string();
    assert!(error.contains("another process of this machine"), "{error}");
}

#[test]
fn an_answer_that_was_lost_is_no_conflict() {
    let (store, machine) = (Memory::default(), Machine::new());
    let (mut mirror, _) = machine.open(&store).unwrap();
    for text in ["1", "2"] {
        machine.write("state", text);
        store.inner().loses_answers = true;
        mirror.push().unwrap();
    }
    machine.write("state", "3");
    mirror.publish().unwrap();
    assert_eq!(store.bytes("state").unwrap(), b"3");
}

#[test]
fn what_is_finished_lies_under_its_own_names_and_nothing_else() {
    let (store, machine) = (Memory::default(), Machine::new());
    let (mut mirror, _) = machine.open(&store).unwrap();
    machine.write("model", "weights");
    machine.write("last/model", "weights");
    machine.write("checkpoint/state", "s");
    mirror.push().unwrap();
    fs::remove_dir_all(machine.0.path().join("checkpoint")).unwrap();
    mirror.publish().unwrap();
    let names: Vec<String> = store.names("").unwrap();
    assert_eq!(names, [".limbeck/manifest.json", "last/model", "model"]);
    assert_eq!(store.inner().uploaded.len(), 2, "the same content is sent once");
    assert_eq!(mirror.verify().unwrap().files, 2);
    // Training again over it: contents move between names, and one name goes.
    machine.write("model", "other");
    machine.write("best/model", "weights");
    fs::remove_dir_all(machine.0.path().join("last")).unwrap();
    mirror.publish().unwrap();
    assert_eq!(store.bytes("model").unwrap(), b"other");
    assert_eq!(store.bytes("best/model").unwrap(), b"weights");
    assert_eq!(store.names("").unwrap(), [".limbeck/manifest.json", "best/model", "model"]);
    store.inner().objects.get_mut("model").unwrap().0 = b"0ther".to_vec();
    let error = mirror.verify().unwrap_err().to_string();
    assert!(error.contains("model: the store has other bytes"), "{error}");
    mirror.remove_local().unwrap();
    assert!(!machine.0.path().exists());
}

#[test]
fn whenever_the_store_fails_it_holds_one_whole_state() {
    for changes in 0.. {
        let (store, machine) = (Memory::default(), Machine::new());
        let (mut mirror, _) = machine.open(&store).unwrap();
        machine.write("a", "old a");
        machine.write("b", "old b");
        machine.write("c", "old c");
        mirror.publish().unwrap();
        machine.write("a", "old b");
        machine.write("b", "new b");
        fs::remove_file(machine.0.path().join("c")).unwrap();
        store.inner().changes_left = Some(changes);
        let outcome = mirror.publish();
        store.inner().changes_left = None;
        let other = Machine::new();
        other.open(&store).unwrap();
        let found = ["a", "b", "c"].map(|name| other.read(name));
        let old = ["old a", "old b", "old c"].map(|text| Some(text.to_owned()));
        let new = [Some("old b".to_owned()), Some("new b".to_owned()), None];
        assert!(found == old || found == new, "after {changes} changes: {found:?}");
        assert!(outcome.is_err() || found == new, "after {changes} changes: {found:?}");
        // Here nothing is lost either, and the next try ends it.
        mirror.publish().unwrap();
        assert_eq!(store.names("").unwrap(), [".limbeck/manifest.json", "a", "b"]);
        assert_eq!(store.bytes("a").unwrap(), b"old b");
        if outcome.is_ok() {
            assert!(changes > 4, "the failures came too late to show anything");
            return;
        }
    }
}

#[test]
fn a_download_that_broke_off_is_gone_on_with_and_a_damaged_one_refused() {
    let (store, machine) = (Memory::default(), Machine::new());
    let (mut mirror, _) = machine.open(&store).unwrap();
    machine.write("a", "0123456789");
    mirror.push().unwrap();
    let name = mirror.seen.as_ref().unwrap().0.files[0].sha256.clone();
    let other = Machine::new();
    fs::write(other.0.path().join(format!(".{name}.partial")), "0123").unwrap();
    other.open(&store).unwrap();
    assert_eq!(other.read("a").unwrap(), "0123456789");
    let third = Machine::new();
    fs::write(third.0.path().join(format!(".{name}.partial")), "abcd").unwrap();
    let error = third.open(&store).err().unwrap().to_string();
    assert!(error.contains("a: the store has other bytes than its manifest says"), "{error}");
    third.open(&store).unwrap();
    assert_eq!(third.read("a").unwrap(), "0123456789");
}

#[test]
fn what_no_run_left_there_is_not_overwritten() {
    let store = Memory::default();
    store.inner().objects.insert(".limbeck/objects/x".to_owned(), (b"cut off".to_vec(), 1));
    Machine::new().open(&store).unwrap();
    store.inner().objects.insert("model.safetensors".to_owned(), (b"precious".to_vec(), 1));
    let error = Machine::new().open(&store).err().unwrap().to_string();
    assert!(error.contains("holds model.safetensors"), "{error}");
}

#[test]
fn a_manifest_cannot_name_files_elsewhere() {
    let store = Memory::default();
    let hash = "a".repeat(64);
    for path in ["../x", "/x", "a//b", ".store.json", "a/../../b", "a\\b", ""] {
        let entry = Entry { path: path.to_owned(), size: 1, sha256: hash.clone() };
        let manifest = Manifest { writer: "w".into(), files: vec![entry], ..Manifest::default() };
        let text = serde_json::to_vec(&manifest).unwrap();
        store.inner().objects.insert(MANIFEST.to_owned(), (text, 1));
        let error = Machine::new().open(&store).err().unwrap().to_string();
        assert!(error.contains("it names"), "{path}: {error}");
    }
    store.inner().objects.insert(MANIFEST.to_owned(), (b"{".to_vec(), 1));
    let error = Machine::new().open(&store).err().unwrap().to_string();
    assert!(error.contains("damaged"), "{error}");
}
