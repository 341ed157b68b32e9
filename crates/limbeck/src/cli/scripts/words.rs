//! Values in the words of the scripts, put into ours.

use super::table::{Meaning, Row, Takes};

/// `run_glue.py`'s name of a task.
pub const TASK_NAME: Row =
    Row { name: "task-name", takes: Takes::Value, meaning: Meaning::As("task", task) };

/// Whether a word is a truth value, in any of the spellings that the scripts' parsers take.
pub fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "t" | "y" | "1" => Some(true),
        "false" | "no" | "f" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Whether a value asks for nothing: zero, minus one, false, none, or empty.
pub fn asks_for_nothing(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    matches!(value.as_str(), "" | "none" | "null" | "false" | "no" | "{}")
        || value.parse::<f64>().is_ok_and(|number| number <= 0.0)
}

/// `SST-2` is `sst2` here.
fn task(text: &str) -> Result<Option<String>, String> {
    Ok(Some(match text.to_ascii_lowercase().replace('-', "").as_str() {
        "mnlimm" | "mnli_mm" => "mnli".to_owned(),
        "squadv1" | "squadv1.1" => "squad".to_owned(),
        "squadv2" | "squad_v2" | "squadv2.0" => "squad_v2".to_owned(),
        other => other.to_owned(),
    }))
}

/// Shapes of the learning rate.
pub fn schedule(text: &str) -> Result<Option<String>, String> {
    let text = text.to_ascii_lowercase();
    match text.rsplit('.').next().unwrap_or_default() {
        "linear" => Ok(Some("linear".to_owned())),
        "cosine" => Ok(Some("cosine".to_owned())),
        "constant" | "constant_with_warmup" => Ok(Some("constant".to_owned())),
        _ => Err("linear, cosine, constant and constant_with_warmup are there".to_owned()),
    }
}

/// AdamW by any maker; nothing has to be set for it.
pub fn optimiser(text: &str) -> Result<Option<String>, String> {
    match text.to_ascii_lowercase() {
        text if text.starts_with("adamw") && !text.contains("bit") => Ok(None),
        _ => Err("the optimiser is AdamW, such as adamw_torch: leave it out".to_owned()),
    }
}

/// A share in per cent.
pub fn percentage(text: &str) -> Result<Option<String>, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..100.0).contains(share));
    share.map(|share| Some((share / 100.0).to_string())).ok_or_else(|| "expected per cent".into())
}

/// Who is told of the run.
pub fn trackers(text: &str) -> Result<Option<String>, String> {
    let one = |word: &str| match word {
        "none" => Ok("none".to_owned()),
        "tensorboard" | "all" => Ok("tensorboard".to_owned()),
        "mlflow" => match std::env::var("MLFLOW_TRACKING_URI") {
            Ok(address) if address.starts_with("http") => Ok(format!("mlflow={address}")),
            _ => Err("give --track mlflow=http://HOST:PORT".to_owned()),
        },
        _ => Err("tensorboard, mlflow and none are there; tensorboard/ in --out can be synced"
            .to_owned()),
    };
    let words = text.split(',').filter(|word| !word.is_empty()).map(one);
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    Ok((!words.is_empty()).then(|| words.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_are_those_of_glue_in_any_spelling() {
        for (theirs, ours) in [
            ("SST-2", "sst2"),
            ("STS-B", "stsb"),
            ("MRPC", "mrpc"),
            ("CoLA", "cola"),
            ("RTE", "rte"),
        ] {
            assert_eq!(task(theirs), Ok(Some(ours.to_owned())));
        }
    }

    #[test]
    fn schedules_and_optimisers_that_are_not_there_are_refused() {
        assert_eq!(schedule("constant_with_warmup"), Ok(Some("constant".to_owned())));
        assert!(schedule("polynomial").is_err());
        assert_eq!(optimiser("adamw_torch_fused"), Ok(None));
        assert!(optimiser("adafactor").is_err() && optimiser("adamw_bnb_8bit").is_err());
    }

    #[test]
    fn zero_none_and_false_ask_for_nothing() {
        assert!(["0.0", "-1", "None", "", "False"].into_iter().all(asks_for_nothing));
        assert!(!["0.1", "bucket", "True"].into_iter().any(asks_for_nothing));
    }
}
