use std::fs;
use std::sync::{Arc, Mutex};

use super::*;
use crate::store::memory::Memory;

const EVERY: Duration = Duration::from_millis(10);

fn until(what: impl Fn() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < Duration::from_secs(20), "it does not happen");
        thread::sleep(EVERY);
    }
}

#[test]
fn what_is_written_is_in_the_store_while_the_writer_goes_on() {
    let (store, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let start = || {
        let objects = Box::new(store.clone());
        Keeper::over("s3://b/run", folder.path(), objects, EVERY, |_| {}).unwrap()
    };
    let keeper = start();
    fs::write(folder.path().join("state"), "1").unwrap();
    until(|| store.inner().uploaded.len() == 1);
    fs::write(folder.path().join("report"), "2").unwrap();
    assert_eq!(keeper.finish(End::Unfinished, false).unwrap().files, 2);
    assert_eq!(store.bytes("state"), None, "it is not finished");
    assert_eq!(start().finish(End::Finished, false).unwrap().files, 0);
    assert_eq!(store.bytes("state").unwrap(), b"1");
    start().finish(End::Finished, true).unwrap();
    assert!(!folder.path().exists());
}

#[test]
fn a_store_that_fails_is_told_of_once_and_the_end_waits_for_it() {
    let (store, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    store.inner().changes_left = Some(0);
    let news = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&news);
    let objects = Box::new(store.clone());
    let keeper = Keeper::over("s3://b/run", folder.path(), objects, EVERY, move |one| {
        heard.lock().unwrap().push(one);
    });
    let keeper = keeper.unwrap();
    fs::write(folder.path().join("state"), "1").unwrap();
    until(|| !news.lock().unwrap().is_empty());
    thread::sleep(10 * EVERY);
    assert_eq!(news.lock().unwrap().len(), 1);
    store.inner().changes_left = None;
    keeper.finish(End::Finished, false).unwrap();
    assert_eq!(store.bytes("state").unwrap(), b"1");
    let news = news.lock().unwrap();
    assert!(matches!(&news[..], [News::Fails(reason), News::Back] if reason.contains("down")));
}
