//! Recipes, `--set` and flags.

use std::fs;
use std::path::Path;

use crate::support::Folder;

/// All recipes of the repository.
fn recipes() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_recipe_of_the_repository_can_be_read() {
    let recipes = recipes();
    assert!(recipes.len() >= 4);
    for recipe in recipes {
        let printed = Folder::new().run(&["run", &recipe, "--print-config"]);
        assert_eq!(printed.code, 0, "{}", printed.err);
    }
}

#[test]
fn the_printed_configuration_is_a_recipe_for_itself() {
    for recipe in recipes() {
        let folder = Folder::new();
        let first = folder.run(&["run", &recipe, "--set", "train.seed=5", "--print-config"]);
        folder.write("printed.toml", &first.out);
        let second = folder.run(&["run", "printed.toml", "--print-config"]);
        assert_eq!(second.code, 0, "{}", second.err);
        assert_eq!(first.out, second.out);
        assert!(first.out.contains("[output]\ndir = ") || first.out.contains(".output]\ndir = "));
        let text = fs::read_to_string(&recipe).unwrap();
        for section in ["search", "parameters.", "metrics."] {
            let written = text.contains(&format!("\n[{section}"));
            let printed = first.out.contains(&format!("\n[{section}"));
            assert!(printed || !written, "{recipe}: {section}");
        }
        if first.out.contains("[parameters.") {
            let print = |space: &str, more: &[&str]| {
                folder.run(&[&["search", "--space", space, "--print-config"], more].concat())
            };
            let first = print(&recipe, &["--trials", "7", "--sampler", "sobol"]);
            assert_eq!(first.code, 0, "{}", first.err);
            assert!(first.out.contains("trials = 7\n") && first.out.contains("\"sobol\""));
            folder.write("printed.toml", &first.out);
            assert_eq!(print("printed.toml", &[]).out, first.out);
        }
    }
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let folder = Folder::new();
    folder.write("r.toml", "[model]\npath = 'm'\n[optim]\nlerning_rate = 1e-4\n");
    folder.run(&["run", "r.toml"]).refused(&[
        "`optim.lerning_rate`",
        "r.toml:4",
        "`optim.learning_rate`",
    ]);
    folder.write("ok.toml", "model.path = 'm'\ndata.train = 't'\n");
    folder.run(&["run", "ok.toml", "--set", "optim.weigth_decay=0"]).refused(&[
        "`optim.weigth_decay`",
        "--set",
        "`optim.weight_decay`",
    ]);
}

#[test]
fn values_that_cannot_be_are_named_with_their_place() {
    let folder = Folder::new();
    folder.write("type.toml", "model.path = 'm'\ndata.train = 't'\ntrain.epochs = 'two'\n");
    folder.run(&["run", "type.toml"]).refused(&["type.toml:3", "two"]);
    folder.write("zero.toml", "model.path = 'm'\ndata.train = 't'\ntrain.batch_size = 0\n");
    folder.run(&["run", "zero.toml"]).refused(&["zero.toml", "train.batch_size: 0 features"]);
    folder.write("none.toml", "task = 'squad'\n");
    folder.run(&["run", "none.toml"]).refused(&["`data.train`", "--train"]);
    folder.run(&["run", "absent.toml"]).refused(&["absent.toml"]);
    folder.write("latin.toml", b"# caf\xe9");
    folder.run(&["run", "latin.toml"]).refused(&["latin.toml"]);
    folder.write("deep.toml", format!("x = {}", "[".repeat(100_000)));
    folder.run(&["run", "deep.toml"]).refused(&["deep.toml"]);
}

#[test]
fn flags_win_over_set_and_set_over_the_recipe() {
    let folder = Folder::new();
    folder.write("r.toml", "model.path = 'm'\ndata.train = 't'\n[train]\nseed = 1\nepochs = 1\n");
    let run = folder.run(&["run", "r.toml", "--set", "train.seed=2", "--print-config"]);
    assert!(run.out.contains("seed = 2\n") && run.out.contains("epochs = 1.0\n"), "{}", run.out);
    let set = ["--set", "train.seed=2", "--set", "train.epochs=7"];
    let flags = ["finetune", "--model=m", "--train=t", "--out=o", "--seed=3", "--print-config"];
    let flags = folder.run(&[&flags[..], &set[..]].concat());
    assert!(
        flags.out.contains("seed = 3\n") && flags.out.contains("epochs = 7.0\n"),
        "{}",
        flags.out
    );
}

#[test]
fn an_environment_variable_that_is_not_set_is_named() {
    let folder = Folder::new();
    folder.write("r.toml", "model.path = 'm'\ndata.train = '${LIMBECK_TEST_NOT_SET}/t'\n");
    folder.run(&["run", "r.toml"]).refused(&["`LIMBECK_TEST_NOT_SET`", "data.train"]);
}

#[test]
fn recipes_that_extend_one_another_run_each_in_its_own_folder() {
    let folder = Folder::new();
    folder.write(
        "all/base.toml",
        "data.train = 't'\ntrain.epochs = 3\n[[stage]]\nname = 'teacher'\nmodel.path = 'm'\n",
    );
    folder.write(
        "more.toml",
        "extends = 'all/base.toml'\n[[stage]]\nname = 'student'\nteacher = 'stage:teacher'\n\
         model.layers = [0]\n",
    );
    let both = folder.run(&["run", "all/base.toml", "more.toml", "--print-config"]);
    for part in ["runs/base/teacher", "runs/more/teacher", "runs/more/student"] {
        assert!(both.out.contains(&format!("dir = \"{part}\"")), "{part}: {}", both.out);
    }
    folder.write("all/base.toml", "extends = '../more.toml'");
    folder.run(&["run", "more.toml"]).refused(&["base.toml:1", "comes back to a recipe"]);
}
