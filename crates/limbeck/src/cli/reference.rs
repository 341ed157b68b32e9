//! The reference of all commands, flags and keys, in Markdown, made from clap and the
//! table of settings.

use std::fmt::{self, Write};

use clap::{Arg, Command};

use super::settings::default_text;
use crate::config::settings::{Kind, RECIPE, Setting};
use crate::config::{Layer, RunConfig};

const HEAD: &str = "\
# The command line

Made by `limbeck docs`; do not edit by hand.

Every flag also answers to its name with underscores (`--doc_stride`), and to the name \
that the SQuAD scripts gave it (`--max_seq_length`, `--num_train_epochs`, ...).

Results go to standard output, messages and progress to standard error. An error is one \
line: `limbeck: what: where: what to do`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something failed that the input did not cause; or no trial of a search was complete |
| 2 | the input is wrong: flags, recipes, data, models |
| 130 | interrupted; the work is saved and the same command goes on with it |

";

const RECIPE_HEAD: &str = "\
## Recipe keys

What `limbeck run` reads from recipes and every training command from `--set KEY=VALUE`. \
The last of recipe, `--set` and flag wins. Lists are written `[0, 2, 5]` in recipes and \
`0,2,5` in flags and `--set`. In paths and models `${NAME}` stands for an environment \
variable and `${NAME:-text}` for the variable or, where it is not set, the text.

Keys above the first `[[stage]]` hold for all stages; keys inside a stage hold for that \
stage. A stage needs a `name` and writes to a folder of that name; `stage:NAME` as a \
model or teacher means the result of an earlier stage. `--set stage.NAME.KEY=VALUE` sets \
a key of one stage.

| key | flag | default | meaning |
|---|---|---|---|
";

/// The whole reference.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text);
    text
}

fn write_all(text: &mut String) -> fmt::Result {
    let mut root = super::command();
    root.build();
    let commands: Vec<_> = visible(&root).collect();
    writeln!(text, "## Commands\n\n| command | what it does |\n|---|---|")?;
    for command in &commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let link = command.get_name();
        writeln!(text, "| [`limbeck {link}`](#limbeck-{link}) | {} |", cell(&about))?;
    }
    writeln!(text, "\n## Flags of every command\n")?;
    write_flags(text, root.get_arguments().filter(|arg| arg.is_global_set()))?;
    for command in commands {
        write_command(text, command, "limbeck")?;
    }
    text.push_str(RECIPE_HEAD);
    let defaults = Layer::of(&RunConfig::default()).unwrap_or_default();
    for setting in RECIPE.iter().flat_map(|group| group.settings) {
        write_key(text, setting, &defaults)?;
    }
    Ok(())
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn write_command(text: &mut String, command: &Command, parent: &str) -> fmt::Result {
    let name = format!("{parent} {}", command.get_name());
    writeln!(text, "## {name}\n")?;
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        writeln!(text, "{about}\n")?;
    }
    let usage = command.clone().render_usage().to_string();
    writeln!(text, "```text\n{}\n```\n", usage.trim_start_matches("Usage: "))?;
    write_flags(text, command.get_arguments().filter(|arg| !arg.is_global_set()))?;
    if let Some(examples) = command.get_after_help() {
        let examples = examples.to_string();
        let lines = examples.trim_start_matches("Examples:\n").lines();
        let lines: Vec<_> = lines.map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        writeln!(text, "```sh\n{}\n```\n", lines.join("\n"))?;
    }
    visible(command).try_for_each(|below| write_command(text, below, &name))
}

fn write_flags<'a>(text: &mut String, args: impl Iterator<Item = &'a Arg>) -> fmt::Result {
    let shown = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    let args: Vec<_> = args.filter(shown).filter(|arg| !arg.is_hide_set()).collect();
    if args.is_empty() {
        return Ok(());
    }
    writeln!(text, "| flag | meaning |\n|---|---|")?;
    for arg in args {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values = arg.get_value_names().unwrap_or_default().join(" ");
        let takes_value = arg.get_action().takes_values() && !values.is_empty();
        let name = match arg.get_long() {
            Some(long) if takes_value && arg.is_require_equals_set() => {
                format!("--{long}[={values}]")
            }
            Some(long) if takes_value => format!("--{long} {values}"),
            Some(long) => format!("--{long}"),
            None => format!("{values}..."),
        };
        let mut notes = String::new();
        let words: Vec<_> =
            arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        if takes_value && !words.is_empty() && !arg.is_hide_possible_values_set() {
            write!(notes, "; one of {}", words.join(", "))?;
        }
        if let [default] = arg.get_default_values()
            && takes_value
            && !arg.is_hide_default_value_set()
        {
            write!(notes, " [default: {}]", default.to_string_lossy())?;
        }
        if arg.is_required_set() {
            notes.push_str(" (required)");
        }
        writeln!(text, "| `{name}` | {}{} |", cell(&help), cell(&notes))?;
    }
    writeln!(text)
}

fn write_key(text: &mut String, setting: &Setting, defaults: &Layer) -> fmt::Result {
    let default = match (setting.kind, default_text(setting.key, defaults)) {
        (_, Some(default)) => format!("`{default}`"),
        (Kind::Paths | Kind::Counts | Kind::Numbers | Kind::Texts, None) => "`[]`".to_owned(),
        _ => String::new(),
    };
    let Setting { key, flag, help, .. } = setting;
    writeln!(text, "| `{key}` | `--{flag}` | {default} | {} |", cell(help))
}

/// Text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
