//! The one table of settings: every key of the configuration with its flag, its kind
//! of value and its meaning. Flags, `--set`, recipes and the reference all read it.

mod table;

use toml::Value;

use Kind::{Choice, Count, Counts, Number, Numbers, Path, Paths, Switch, Texts};
pub use table::{
    ANSWERING, ARCHITECTURE, DATA, DISTILLATION, EVALUATION, FEATURES, INTERMEDIATE, LENGTHS,
    MODEL, NEW_MODEL, OPTIMISER, OUTPUT, PLAIN_TEXT, RECIPE, SCHEDULE, SOFTENING, SPARSITY, TASK,
    TEACHER_AND_STUDENT, TEACHERS, TEXT, TRAINING, WINDOW,
};

/// One key of the configuration and the flag that sets it.
#[derive(Debug)]
pub struct Setting {
    /// The dotted key: `optim.learning_rate`.
    pub key: &'static str,
    /// The flag without its dashes: `learning-rate`.
    pub flag: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// How the value is called in help: `RATE`.
    pub value_name: &'static str,
    /// What it means, in one sentence without its full stop.
    pub help: &'static str,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file or folder; `${NAME}` stands for an environment variable.
    Path,
    /// Files or folders as in [`Kind::Path`]; the flag may be given several times.
    Paths,
    /// A whole number from 0.
    Count,
    /// Whole numbers separated by commas.
    Counts,
    /// A number.
    Number,
    /// Numbers separated by commas.
    Numbers,
    /// Texts separated by commas.
    Texts,
    /// `true` or `false`; the flag alone means `true`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// Settings that belong together, under one heading of help.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub heading: &'static str,
    /// The settings, in the order of help.
    pub settings: &'static [Setting],
}

/// All known keys; a key with two flags comes twice.
pub fn keys() -> impl Iterator<Item = &'static str> {
    RECIPE.iter().flat_map(|group| group.settings).map(|setting| setting.key)
}

/// The setting of a dotted key.
pub fn find(key: &str) -> Option<&'static Setting> {
    RECIPE.iter().flat_map(|group| group.settings).find(|setting| setting.key == key)
}

impl Kind {
    /// The value that a flag's or `--set`'s text stands for.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Path => Ok(Value::String(text.to_owned())),
            Paths | Texts => Ok(list(text, |part| Ok(Value::String(part.to_owned())))?),
            Count => count(text),
            Counts => list(text, count),
            Number => number(text),
            Numbers => list(text, number),
            Switch => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err("expected true or false".to_owned()),
            },
            Choice(words) if words.contains(&text) => Ok(Value::String(text.to_owned())),
            Choice(words) => Err(format!("expected {}", words.join(" or "))),
        }
    }
}

fn count(text: &str) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(n) if n >= 0 => Ok(Value::Integer(n)),
        _ => Err("expected a whole number from 0".to_owned()),
    }
}

fn number(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Value::Float(x)),
        _ => Err("expected a number".to_owned()),
    }
}

/// The parts between commas; brackets around and quotes inside, as TOML has them, may
/// stand or not. An empty text is an empty list.
fn list(text: &str, each: impl Fn(&str) -> Result<Value, String>) -> Result<Value, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(inner);
    if inner.trim().is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let unquoted = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
    inner.split(',').map(|part| each(&unquoted(part))).collect::<Result<_, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Layer, RunConfig};

    /// A configuration in which every optional key has a value.
    fn full() -> RunConfig {
        let mut config = RunConfig { runs: 2, ..RunConfig::default() };
        config.train.best_metric = Some("f1".into());
        config.model.path = Some("m".into());
        config.model.config = Some("c".into());
        config.text.tokenizer = Some("t".into());
        config.distill.temperature_end = Some(1.0);
        config.distill.factor_end = Some(0.5);
        config.lengths.count_from = limbeck_train::options::CountFrom::MaxLength;
        config.schedule.range_loss = limbeck_train::options::RangeLoss::Evaluation;
        config.model.hidden_act = Some("gelu".into());
        config.model.type_vocab_size = Some(2);
        config.model.hidden_dropout = Some(0.1);
        config.model.attention_dropout = Some(0.1);
        config.model.head_dropout = Some(0.1);
        config.model.initializer_range = Some(0.02);
        config.data.train = vec!["t".into()];
        config.data.dev = Some("d".into());
        config.data.dev_mismatched = Some("m".into());
        config.data.cache = Some("c".into());
        config.eval.null_score_diff_threshold = Some(0.0);
        config.output.dir = Some("o".into());
        config.output.register_model = Some("r".into());
        config
    }

    fn leaves(prefix: &str, table: &toml::Table, into: &mut BTreeSet<String>) {
        for (key, value) in table {
            match value {
                Value::Table(inner) => leaves(&format!("{prefix}{key}."), inner, into),
                _ => drop(into.insert(format!("{prefix}{key}"))),
            }
        }
    }

    #[test]
    fn the_table_knows_exactly_the_keys_of_the_configuration() {
        let mut expected = BTreeSet::new();
        leaves("", &Layer::of(&full()).unwrap().into_table(), &mut expected);
        let known: BTreeSet<String> = keys().map(str::to_owned).collect();
        assert_eq!(known, expected);
    }

    #[test]
    fn every_word_of_a_choice_is_accepted_by_the_configuration() {
        for setting in RECIPE.iter().flat_map(|group| group.settings) {
            if let Choice(words) = setting.kind {
                for word in words {
                    let mut layer = Layer::default();
                    layer.set(setting.key, setting.kind.parse(word).unwrap());
                    let table = layer.into_table();
                    table.try_into::<RunConfig>().unwrap_or_else(|e| panic!("{word}: {e}"));
                }
            }
        }
    }

    #[test]
    fn no_two_settings_of_a_command_share_a_flag() {
        let groups = [
            &DATA,
            &MODEL,
            &ARCHITECTURE,
            &FEATURES,
            &OPTIMISER,
            &TRAINING,
            &EVALUATION,
            &OUTPUT,
            &SPARSITY,
        ];
        let flags: Vec<_> = groups.iter().flat_map(|g| g.settings).map(|s| s.flag).collect();
        assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
    }

    #[test]
    fn texts_become_values_of_their_kind() {
        assert_eq!(Count.parse("16"), Ok(Value::Integer(16)));
        assert!(Count.parse("-1").is_err());
        assert_eq!(Number.parse("3e-5"), Ok(Value::Float(3e-5)));
        assert!(Number.parse("nan").is_err());
        let expected = Value::Array([0, 2, 5].map(Value::Integer).to_vec());
        assert_eq!(Counts.parse("0,2,5"), Ok(expected.clone()));
        assert_eq!(Counts.parse("[0, 2, 5]"), Ok(expected));
        assert_eq!(Paths.parse("[\"a\"]"), Ok(Value::Array(vec![Value::String("a".into())])));
        assert_eq!(Counts.parse(""), Ok(Value::Array(Vec::new())));
    }
}
