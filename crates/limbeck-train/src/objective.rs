//! What a run minimises.

use crate::losses::{Intermediate, Projection, Weighted, WordLosses};
use crate::sandwich::Sandwich;

/// All that a run minimises: losses over the logits, over what lies before them, and over
/// passes in which tokens leave.
#[derive(Default)]
pub struct Objective {
    /// Over the logits of the whole pass.
    pub losses: Vec<Weighted>,
    /// Over masked words, of a model that guesses them: instead of the others over logits.
    pub words: Option<WordLosses>,
    /// Over hidden states and attention of the whole pass.
    pub intermediate: Option<Intermediate>,
    /// Shortened passes that learn from the whole one.
    pub sandwich: Option<Sandwich>,
    /// Names what the losses depend on beside the features, such as the weights of teachers: a run
    /// only goes on with the same.
    pub identity: Vec<u8>,
}

impl Objective {
    /// Losses over the logits alone.
    pub fn new(losses: Vec<Weighted>) -> Objective {
        Objective { losses, ..Objective::default() }
    }

    /// The names of its parts in `train.jsonl`, behind `loss_`: those of the losses, then those
    /// of what else there is.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.losses.iter().map(|loss| loss.loss.name().to_owned()).collect();
        if let Some(words) = &self.words {
            names.extend(words.names().iter().map(|&name| name.to_owned()));
        }
        if self.intermediate.is_some() {
            names.extend(["hidden", "attention"].map(str::to_owned));
        }
        if self.sandwich.is_some() {
            names.push("in_place".to_owned());
        }
        names
    }

    pub(crate) fn projection(&self) -> Option<&Projection> {
        self.intermediate.as_ref()?.projection.as_ref()
    }

    pub(crate) fn projection_mut(&mut self) -> Option<&mut Projection> {
        self.intermediate.as_mut()?.projection.as_mut()
    }
}

impl From<Vec<Weighted>> for Objective {
    fn from(losses: Vec<Weighted>) -> Objective {
        Objective::new(losses)
    }
}
