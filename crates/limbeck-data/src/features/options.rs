use serde::{Deserialize, Serialize};

use crate::DataError;

/// `[CLS]`, and the `[SEP]` after the question and after the window.
pub(crate) const SPECIAL_TOKENS: usize = 3;

/// How a context is cut into windows; the names are those of the SQuAD scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureOptions {
    /// Tokens of a feature at most: question, window and three special tokens.
    pub max_length: usize,
    /// Tokens between windows; `doc_stride_meaning` says which.
    pub doc_stride: usize,
    /// What `doc_stride` counts.
    pub doc_stride_meaning: DocStrideMeaning,
    /// Tokens of a question at most, the rest is cut off; 0 for no limit.
    pub max_query_length: usize,
    /// With `advance`: whether a label shrinks from the whole words around the answer to the
    /// wordpieces that equal the tokenised answer. With `overlap`, labels follow the answer's
    /// characters, as today's scripts do, and are as tight as can be already.
    pub refine_labels: bool,
}

/// The two meanings that `doc_stride` has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocStrideMeaning {
    /// Consecutive windows share `doc_stride` tokens (today's Hugging Face scripts).
    #[default]
    Overlap,
    /// Each window begins `doc_stride` tokens after the one before (the older scripts).
    Advance,
}

impl Default for FeatureOptions {
    fn default() -> Self {
        FeatureOptions {
            max_length: 384,
            doc_stride: 128,
            doc_stride_meaning: DocStrideMeaning::Overlap,
            max_query_length: 64,
            refine_labels: true,
        }
    }
}

impl FeatureOptions {
    /// Checks that a window always has room and always moves on.
    ///
    /// # Errors
    /// Names the option that does not fit, and what would.
    pub fn validate(&self) -> Result<(), DataError> {
        let needed = self.max_query_length.saturating_add(SPECIAL_TOKENS);
        if self.max_length <= needed {
            return Err(DataError::Option {
                option: "max_length",
                message: format!(
                    "{} leaves no room for the context: a question takes up to {} tokens \
                     (max_query_length) and {SPECIAL_TOKENS} are special; set at least {}",
                    self.max_length,
                    self.max_query_length,
                    needed.saturating_add(1),
                ),
            });
        }
        match self.doc_stride_meaning {
            DocStrideMeaning::Overlap if self.doc_stride >= self.max_length - needed => {
                Err(DataError::Option {
                    option: "doc_stride",
                    message: format!(
                        "windows that share {} tokens never move on: beside a question of {} \
                         tokens a window has {}; set a smaller doc_stride or a larger max_length",
                        self.doc_stride,
                        self.max_query_length,
                        self.max_length - needed,
                    ),
                })
            }
            DocStrideMeaning::Advance if self.doc_stride == 0 => Err(DataError::Option {
                option: "doc_stride",
                message: "windows that advance by 0 tokens never move on; set at least 1".into(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(max_length: usize, doc_stride: usize, max_query_length: usize) -> FeatureOptions {
        FeatureOptions { max_length, doc_stride, max_query_length, ..Default::default() }
    }

    #[test]
    fn options_that_leave_no_room_or_never_move_on_are_refused() {
        assert!(FeatureOptions::default().validate().is_ok());
        assert!(options(67, 0, 64).validate().is_err());
        assert!(options(68, 0, 64).validate().is_ok());
        assert!(options(68, 1, 64).validate().is_err());
        assert!(options(usize::MAX, 1, usize::MAX).validate().is_err());
        let mut advance = options(68, 500, 64);
        advance.doc_stride_meaning = DocStrideMeaning::Advance;
        assert!(advance.validate().is_ok());
        advance.doc_stride = 0;
        assert!(advance.validate().is_err());
    }

    #[test]
    fn options_are_read_with_defaults_and_without_unknown_keys() {
        let options: FeatureOptions =
            serde_json::from_str(r#"{"doc_stride_meaning": "advance", "max_length": 320}"#)
                .unwrap();
        assert_eq!(options.doc_stride_meaning, DocStrideMeaning::Advance);
        assert_eq!((options.max_length, options.doc_stride), (320, 128));
        assert!(serde_json::from_str::<FeatureOptions>(r#"{"max_lenght": 320}"#).is_err());
    }
}
