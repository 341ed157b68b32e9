//! What a line asks for.

use crate::cli::scripts::line::Line;
use crate::cli::scripts::words::asks_for_nothing;
use crate::exit::InputError;

/// What the line asks for, beginning with the command that was typed.
pub(super) fn command(
    line: &Line,
    typed: &str,
    notes: &mut Vec<String>,
) -> Result<&'static str, InputError> {
    let known = crate::cli::scripts::COMMANDS.into_iter().find(|name| *name == typed);
    let typed = known.unwrap_or("finetune");
    let train = line.is_on("do-train")?;
    let (eval, predict) = (line.is_on("do-eval")?, line.is_on("do-predict")?);
    let mut search = None;
    for name in ["do-search", "do-sigopt-search", "do-optuna-search"] {
        search = search.max(line.is_on(name)?);
    }
    let says = train.or(eval).or(predict).or(search).is_some();
    if !matches!(typed, "finetune" | "distill" | "pretrain") {
        if train == Some(true) {
            let what = format!("--do_train: `limbeck {typed}` does not train");
            return Err(InputError::new(what, "", "`limbeck finetune` and `limbeck distill` do"));
        }
        return Ok(typed);
    }
    let teacher = ["teacher-name-or-path", "teacher-model-name-or-path"].into_iter();
    let teacher = teacher.filter_map(|name| line.text(name)).any(|name| !asks_for_nothing(&name));
    if says && train != Some(true) {
        let other = match (search, eval, predict) {
            (Some(true), _, _) => "lengths",
            (_, Some(true), _) => "evaluate",
            (_, _, Some(true)) => "predict",
            _ => {
                return Err(InputError::new(
                    "the line asks for nothing",
                    "",
                    "give --do_train, --do_eval or --do_predict",
                ));
            }
        };
        if typed == "pretrain" {
            let what = "the line does not train";
            return Err(InputError::new(
                what,
                "",
                "give --do_train: text that is kept aside is evaluated while training",
            ));
        }
        notes.push(format!("without --do_train nothing is trained: this is `limbeck {other}`"));
        return Ok(other);
    }
    if typed == "finetune" && teacher {
        notes.push("with a teacher this is `limbeck distill`".to_owned());
        return Ok("distill");
    }
    Ok(typed)
}
