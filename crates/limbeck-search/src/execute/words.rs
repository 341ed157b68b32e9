//! A command line to its words, and a trial's values into them.

use crate::space::Params;

/// The words of a command line: blanks part them, quotes and backslashes keep them together, as
/// in a shell. Nothing else is special; there is no shell.
///
/// # Errors
/// When a quote is open or there is no word.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', Some('"') | None) => {
                let next = characters.next().ok_or("nothing follows the last backslash")?;
                word.get_or_insert_default().push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is open".to_owned());
    }
    words.extend(word);
    if words.is_empty() { Err("there is no command".to_owned()) } else { Ok(words) }
}

/// The words with `{name}` replaced by the value of a parameter; of one that the trial does not
/// have, by nothing. Other braces stay.
pub fn fill(words: &[String], params: &Params, names: &[&str]) -> Vec<String> {
    let one = |word: &String| {
        let mut filled = String::new();
        let mut rest = word.as_str();
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled += before;
            let name = from[1..].split_once('}').map(|(name, _)| name);
            match name.filter(|name| names.contains(name)) {
                Some(name) => {
                    filled += &params.get(name).map(ToString::to_string).unwrap_or_default();
                    rest = &from[name.len() + 2..];
                }
                None => {
                    filled.push('{');
                    rest = &from[1..];
                }
            }
        }
        filled + rest
    };
    words.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Value;

    #[test]
    fn words_are_parted_as_in_a_shell() {
        let words = split(r#"a 'b c' "d \"e" f\ g '' h"i"j"#).unwrap();
        assert_eq!(words, ["a", "b c", "d \"e", "f g", "", "hij"]);
        assert!(split("a 'b").is_err() && split("  ").is_err() && split("a \\").is_err());
    }

    #[test]
    fn values_take_the_places_of_their_names() {
        let params = Params::from([
            ("rate".to_owned(), Value::Real(1e-5)),
            ("kind".to_owned(), Value::Text("a b {rate}".into())),
        ]);
        let words =
            ["--r={rate}", "{kind}{gone}!", "{\"x\": {rate}}", "{other}"].map(str::to_owned);
        let filled = fill(&words, &params, &["rate", "kind", "gone"]);
        assert_eq!(filled, ["--r=1e-5", "a b {rate}!", "{\"x\": 1e-5}", "{other}"]);
    }
}
