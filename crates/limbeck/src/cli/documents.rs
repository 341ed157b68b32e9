//! Every command line that the documentation and the recipes show can be typed, and every recipe
//! that they name is there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::scripts::translate;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages and the recipes, with their names.
fn texts() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    for folder in ["docs", "recipes"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        paths.extend(
            files.filter(|path| path.extension().is_some_and(|e| e == "md" || e == "toml")),
        );
    }
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// The command lines of blocks of shell in Markdown, or of indented lines in a recipe's comments.
fn lines(name: &str, text: &str) -> Vec<String> {
    let mut in_shell = false;
    let mut shell = String::new();
    for line in text.lines() {
        if name.ends_with(".toml") {
            if let Some(command) = line.strip_prefix("#   ") {
                shell.push_str(command);
                shell.push('\n');
            }
        } else if line.starts_with("```") {
            in_shell = line == "```sh";
        } else if in_shell {
            shell.push_str(line);
            shell.push('\n');
        }
    }
    let whole = shell.replace("\\\n", " ");
    whole
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("limbeck "))
        .map(str::to_owned)
        .collect()
}

/// The words of a command line of the shell, up to where another one or a file begins.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '<' | '>' | '|' | '&' | ';' | '#') if word.is_none() => break,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_line_can_be_typed() {
    let mut root = super::command();
    root.build();
    let mut seen = 0;
    for (name, text) in texts() {
        for line in lines(&name, &text) {
            let args: Vec<OsString> = words(&line).into_iter().map(OsString::from).collect();
            let args =
                translate(args, &root).unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
            if let Err(error) = super::command().try_get_matches_from(args.args) {
                assert!(!error.use_stderr(), "{name}: {line}: {error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn every_recipe_that_is_named_is_there_and_every_recipe_is_named() {
    let files = fs::read_dir(root().join("recipes")).unwrap();
    let there: BTreeSet<String> =
        files.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    let mut named = BTreeSet::new();
    for (page, text) in texts() {
        for part in text.split("recipes/").skip(1) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let name: String = part.chars().take_while(|&c| is_name(c)).collect();
            let Some(end) = name.find(".toml") else { continue };
            let name = &name[..end + ".toml".len()];
            assert!(there.contains(name), "{page}: recipes/{name}");
            if page == "migrating.md" {
                named.insert(name.to_owned());
            }
        }
    }
    assert_eq!(named, there, "docs/migrating.md lists all recipes");
}
