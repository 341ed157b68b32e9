//! Warm-up, and when a training is evaluated.

use super::Reading;
use crate::exit::InputError;

impl Reading<'_> {
    /// Whether the line says what is to be done.
    pub(super) fn asks(&self) -> bool {
        ["do-train", "do-eval", "do-predict"].iter().any(|name| self.line.given(name).is_some())
    }

    /// Whether a training evaluates.
    pub(super) fn evaluates(&self) -> Result<bool, InputError> {
        let strategy = self.strategy().is_some_and(|strategy| strategy != "no");
        Ok(!self.asks()
            || self.line.on("do-eval")?
            || self.line.on("evaluate-during-training")?
            || self.line.on("load-best-model-at-end")?
            || strategy)
    }

    /// Whether the line has more than the last model evaluated. Where it does not, the scripts
    /// keep the last one.
    pub(super) fn keeps_the_best(&self) -> bool {
        let flags = ["evaluate-during-training", "load-best-model-at-end", "save-only-best"];
        self.strategy().is_some_and(|strategy| strategy != "no")
            || flags.iter().any(|name| self.line.is_on(name) == Ok(Some(true)))
    }

    fn strategy(&self) -> Option<String> {
        let strategy =
            self.line.text("eval-strategy").or_else(|| self.line.text("evaluation-strategy"));
        strategy.map(|strategy| strategy.to_ascii_lowercase())
    }

    /// Warm-up, and when is evaluated.
    pub(super) fn rhythm(&mut self) -> Result<(), InputError> {
        let number = |name: &str| -> Result<Option<f64>, InputError> {
            let Some(given) = self.line.given(name) else { return Ok(None) };
            let text = given.text();
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            let wrong = |rule: &str| {
                InputError::new(format!("invalid value '{text}' for '{}'", given.typed), "", rule)
            };
            let number = number.ok_or_else(|| wrong("expected a number"))?;
            let is_share = matches!(name, "warmup-ratio" | "warmup-proportion");
            if number < 0.0 || is_share && number >= 1.0 {
                return Err(wrong(if is_share {
                    "expected a share of all steps, from 0 to below 1"
                } else {
                    "expected a number of steps"
                }));
            }
            Ok(Some(number))
        };
        let steps = number("warmup-steps")?.or(number("warm-up-steps")?);
        let share = number("warmup-ratio")?.or(number("warmup-proportion")?);
        // As in the Trainer, steps win where both are given.
        let warmup = steps.filter(|steps| *steps > 0.0).or(share).or(steps);
        if let Some(warmup) = warmup {
            let names = ["warmup-steps", "warmup-ratio", "warm-up-steps", "warmup-proportion"];
            let given = names.iter().find_map(|name| self.line.given(name));
            match given.filter(|_| !self.knows("warmup")) {
                None => self.set("warmup", warmup.to_string()),
                Some(given) => self.unknown(given),
            }
        }
        let every = match self.strategy().as_deref() {
            Some("steps") => true,
            Some("no" | "epoch") | None => self.line.on("evaluate-during-training")?,
            Some(other) => {
                let what = format!("invalid value '{other}' for '--eval_strategy'");
                return Err(InputError::new(what, "", "expected no, steps or epoch"));
            }
        };
        if self.strategy().as_deref() == Some("epoch") && self.trains() {
            self.set_else("eval-steps", "0");
        } else if every && self.trains() {
            let steps = self.line.own("logging-steps").and_then(|own| own.value.clone());
            self.set_else("eval-steps", steps.unwrap_or_else(|| "500".into()));
        }
        Ok(())
    }
}
