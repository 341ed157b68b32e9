//! The losses of SigOpt's and Intel's scripts.

use super::whole::Reading;
use crate::exit::InputError;

impl Reading<'_> {
    /// `alpha_ce`: against the teacher in the scripts that distil, against the labels in the
    /// notebook, which calls the other one `alpha_distil`.
    pub(super) fn weights(&mut self) -> Result<(), InputError> {
        if self.command != "distill" {
            let given = ["alpha-ce", "alpha-distil"].iter().find_map(|name| self.line.given(name));
            return match given.filter(|_| self.trains()) {
                Some(given) => {
                    let what = format!("{} weighs a loss against a teacher", given.typed);
                    Err(InputError::new(what, "", "give --teacher_name_or_path, or leave it out"))
                }
                None => Ok(()),
            };
        }
        match (self.line.text("alpha-distil"), self.line.text("alpha-ce")) {
            (Some(soft), hard) => {
                self.set("alpha-soft", soft);
                hard.into_iter().for_each(|hard| self.set("alpha-hard", hard));
            }
            (None, Some(soft)) => self.set("alpha-soft", soft),
            (None, None) => {}
        }
        Ok(())
    }

    /// Intel's losses: hidden states and attention with their ratios, the teacher's logits with
    /// `pred_distill`, and never the labels.
    pub(super) fn intermediate(&mut self) -> Result<(), InputError> {
        let ratio = |name: &str| -> Result<f64, InputError> {
            let Some(text) = self.line.text(name) else { return Ok(0.0) };
            let ratio = text.parse::<f64>().ok().filter(|ratio| ratio.is_finite() && *ratio >= 0.0);
            let flag = name.replace('-', "_");
            ratio.ok_or_else(|| {
                InputError::new(
                    format!("invalid value '{text}' for '--{flag}'"),
                    "",
                    "expected a number from 0",
                )
            })
        };
        let (state, attention) = (ratio("state-loss-ratio")?, ratio("att-loss-ratio")?);
        let prediction = self.line.on("pred-distill")?;
        if self.command != "distill" {
            if self.trains() && (state > 0.0 || attention > 0.0 || prediction) {
                let what = "--state_loss_ratio, --att_loss_ratio and --pred_distill need a teacher";
                return Err(InputError::new(what, "", "give --teacher_model_name_or_path"));
            }
            return Ok(());
        }
        if self.line.given("teacher-model-name-or-path").is_none() {
            return Ok(());
        }
        if !prediction && state == 0.0 && attention == 0.0 {
            let what = "the line names a teacher and no loss against it";
            return Err(InputError::new(what, "", "give --pred_distill or --state_loss_ratio"));
        }
        self.set("alpha-hard", "0");
        self.set("alpha-soft", if prediction { "1" } else { "0" });
        if prediction {
            self.set("soft-loss", "cross-entropy");
            self.set("temperature", "1");
        }
        if state > 0.0 {
            self.set("alpha-hidden", state.to_string());
            self.set("projection", "always");
            let cosine = self.line.on("state-distill-cs")?;
            self.set("hidden-loss", if cosine { "cosine" } else { "mse" });
            if self.line.on("partial-reps")? {
                self.set("hidden-states", "ends");
            }
        }
        if attention > 0.0 {
            self.set("alpha-attention", attention.to_string());
            self.set("attention-maps", "probabilities");
            let mse = self.line.on("att-mse")?;
            self.set("attention-loss", if mse { "mse" } else { "cosine" });
        }
        Ok(())
    }
}
