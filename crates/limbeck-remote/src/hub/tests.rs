//! Against a hub on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::*;
use crate::stub::{Reply, Request, Stub};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn hub(stub: &Stub, cache: &Path, more: &[(&str, &str)]) -> Hub {
    let mut variables: BTreeMap<String, OsString> =
        more.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    variables.insert("HF_ENDPOINT".to_owned(), stub.address().into());
    variables.insert("HF_HOME".to_owned(), cache.into());
    let silence = Duration::from_millis(300);
    let hub = Hub::from_variables(|name| variables.get(name).cloned());
    Hub { patience: Patience { silence, ..PATIENCE }, ..hub }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

/// `acme/tiny`, whose weights lie on another machine.
fn tiny(request: &Request, elsewhere: &str) -> Reply {
    let missing = |code: &str| Reply::text(404, "").with("x-error-code", code);
    let Some(rest) = request.path.strip_prefix("/acme/tiny/resolve/") else {
        return missing("RepoNotFound");
    };
    let Some((revision, name)) = rest.split_once('/') else { return missing("RepoNotFound") };
    if !["main", "v1", COMMIT].contains(&revision) {
        return missing("RevisionNotFound");
    }
    let small = |text: &str| {
        Reply::text(200, text)
            .with("etag", format!("\"e{}\"", text.len()))
            .with("x-repo-commit", COMMIT)
    };
    match name {
        "config.json" => small("{}"),
        "vocab.txt" => small("[PAD]\n[UNK]\n"),
        "model.safetensors" => Reply::text(302, "")
            .with("location", format!("{elsewhere}/blob?signature=abc"))
            .with("x-repo-commit", COMMIT)
            .with("x-linked-etag", format!("\"{}\"", sha256(&weights())))
            .with("x-linked-size", weights().len().to_string()),
        _ => missing("EntryNotFound"),
    }
}

/// The blob, from where it is asked for.
fn part(request: &Request) -> Reply {
    let from = request.header("range").map_or(0, |range| {
        range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
    });
    let status = if from == 0 { 200 } else { 206 };
    Reply::text(status, &weights()[from..])
}

fn no_watch(_: Fetched) {}

#[test]
fn a_model_is_fetched_once_into_the_layout_of_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let storage = Stub::start(part);
    let elsewhere = storage.address();
    let stub = Stub::start(move |request| tiny(request, &elsewhere));
    let hub = hub(&stub, cache.path(), &[("HF_TOKEN", "s3cret")]);
    let mut last = 0;
    let folder = hub.resolve("acme/tiny", &mut |fetched| last = fetched.done).unwrap();
    let repository = cache.path().join("hub/models--acme--tiny");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read_to_string(folder.join("vocab.txt")).unwrap(), "[PAD]\n[UNK]\n");
    assert!(!folder.join("tokenizer.json").exists());
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    let link = fs::read_link(folder.join("model.safetensors")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    assert_eq!(last, weights().len() as u64);
    // The token went to the hub with every request, and to nobody else.
    let bearer = Some("Bearer s3cret");
    assert!(stub.requests().iter().all(|request| request.header("authorization") == bearer));
    assert_eq!(storage.requests().len(), 1);
    assert_eq!(storage.requests()[0].header("authorization"), None);

    let asked = stub.requests().len();
    assert_eq!(hub.resolve("acme/tiny", &mut no_watch).unwrap(), folder);
    assert_eq!(hub.resolve(&format!("acme/tiny@{COMMIT}"), &mut no_watch).unwrap(), folder);
    assert_eq!(stub.requests().len(), asked, "what the cache has is not asked for");
    assert_eq!(hub.resolve("acme/tiny@v1", &mut no_watch).unwrap(), folder);
    assert_eq!(storage.requests().len(), 1, "another name of the same commit brings no file again");
}

#[test]
fn a_download_goes_on_where_the_network_broke_off() {
    let cache = tempfile::tempdir().unwrap();
    let times = AtomicUsize::new(0);
    let storage = Stub::start(move |request| match times.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Cut(Box::new(part(request)), 100_000),
        1 => Reply::text(503, "later"),
        2 => Reply::Cut(Box::new(part(request)), 50_000),
        _ => part(request),
    });
    let elsewhere = storage.address();
    let stub = Stub::start(move |request| tiny(request, &elsewhere));
    let folder = hub(&stub, cache.path(), &[]).resolve("acme/tiny", &mut no_watch).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    let requests = storage.requests();
    let ranges: Vec<_> = requests.iter().map(|request| request.header("range")).collect();
    let expected = [None, Some("bytes=100000-"), Some("bytes=100000-"), Some("bytes=150000-")];
    assert_eq!(ranges, expected);
}

#[test]
fn a_file_that_came_wrong_is_refused_and_brought_anew() {
    let cache = tempfile::tempdir().unwrap();
    let wrong = Arc::new(Mutex::new(true));
    let is_wrong = wrong.clone();
    let storage = Stub::start(move |request| match *is_wrong.lock().unwrap() {
        true => Reply::text(200, vec![7; weights().len()]),
        false => part(request),
    });
    let elsewhere = storage.address();
    let stub = Stub::start(move |request| tiny(request, &elsewhere));
    let hub = hub(&stub, cache.path(), &[]);
    let message = hub.resolve("acme/tiny", &mut no_watch).unwrap_err().to_string();
    assert!(message.contains("model.safetensors: its SHA-256 is "), "{message}");
    let snapshot = cache.path().join("hub/models--acme--tiny/snapshots").join(COMMIT);
    assert!(!snapshot.join("model.safetensors").exists());
    *wrong.lock().unwrap() = false;
    let folder = hub.resolve("acme/tiny", &mut no_watch).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn offline_nothing_is_asked() {
    let cache = tempfile::tempdir().unwrap();
    let stub = Stub::start(|_| Reply::text(500, ""));
    let hub = hub(&stub, cache.path(), &[("HF_HUB_OFFLINE", "1")]);
    let message = hub.resolve("acme/tiny", &mut no_watch).unwrap_err().to_string();
    assert!(
        message.contains("no model `acme/tiny`: ") && message.contains("HF_HUB_OFFLINE"),
        "{message}"
    );
    assert!(message.contains(&cache.path().display().to_string()), "{message}");

    let repository = cache.path().join("hub/models--acme--tiny");
    fs::create_dir_all(repository.join("snapshots/abc123")).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "abc123\n").unwrap();
    let folder = hub.resolve("acme/tiny", &mut no_watch).unwrap();
    assert_eq!(folder, repository.join("snapshots/abc123"));
    fs::write(repository.join("refs/main"), "../../..").unwrap();
    assert!(hub.resolve("acme/tiny", &mut no_watch).is_err());
    assert!(stub.requests().is_empty());
}

#[test]
fn what_the_hub_refuses_is_said_in_one_line() {
    let cache = tempfile::tempdir().unwrap();
    let stub = Stub::start(|request| match request.path.split('/').nth(2) {
        Some("gated") => Reply::text(403, "").with("x-error-code", "GatedRepo"),
        _ => tiny(request, "http://127.0.0.1:1"),
    });
    let hub = hub(&stub, cache.path(), &[("HF_TOKEN", "s3cret")]);
    let cases = [
        ("acme/absent", "no such model"),
        ("acme/tiny@v9", "no such revision"),
        ("acme/gated", "is gated"),
    ];
    for (id, part) in cases {
        let message = hub.resolve(id, &mut no_watch).unwrap_err().to_string();
        assert!(message.starts_with(&format!("no model `{id}`: ")), "{message}");
        assert!(message.contains(part) && message.contains("HF_TOKEN"), "{message}");
        assert!(!message.contains("s3cret") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_folder_is_itself_and_an_absent_path_is_not_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().to_str().unwrap();
    let stub = Stub::start(|_| Reply::text(500, ""));
    let hub = hub(&stub, folder.path(), &[]);
    assert_eq!(hub.resolve(text, &mut no_watch).unwrap(), folder.path());
    assert!(hub.resolve(&format!("{text}/absent"), &mut no_watch).is_err());
    assert!(stub.requests().is_empty());
}

#[test]
fn the_cache_and_the_token_are_where_the_variables_say_the_nearest_first() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "kept\n").unwrap();
    let path = home.path().to_str().unwrap().to_owned();
    let all = [
        ("HF_HUB_CACHE", "/a"),
        ("HF_HOME", path.as_str()),
        ("XDG_CACHE_HOME", "/c"),
        ("HOME", "/d"),
        ("HF_TOKEN", "given"),
    ];
    let of = |set: &[(&str, &str)]| {
        Hub::from_variables(|name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    };
    assert_eq!(of(&all).cache, Some(PathBuf::from("/a")));
    assert_eq!(of(&all).token, Token::new("given"));
    assert_eq!(of(&all[1..]).cache, Some(home.path().join("hub")));
    assert_eq!(of(&all[1..4]).token, Token::new("kept"));
    let hidden = [all[1], ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    assert_eq!(of(&hidden).token, None);
    assert_eq!(of(&all[2..]).cache, Some(PathBuf::from("/c/huggingface/hub")));
    assert_eq!(of(&all[3..]).cache, Some(PathBuf::from("/d/.cache/huggingface/hub")));
    assert_eq!(of(&[]).cache, None);
}
