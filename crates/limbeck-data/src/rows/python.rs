//! Values as Python prints them, which is what a column of CSV holds that was a list or an object.

use serde_json::{Map, Number, Value};

/// How deep lists and objects may lie in each other.
const DEEPEST: usize = 32;

/// The value of a text such as `{'text': ['a'], 'answer_start': array([3], dtype=int32)}`, or of
/// JSON. Of a call such as `array(...)` it is the first argument. Nothing where the text is neither.
pub(crate) fn value_of(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.rest.trim().is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '{' => self.object(depth),
            '[' => self.list(']', depth),
            '(' => self.list(')', depth),
            '\'' | '"' => self.text().map(Value::String),
            '-' | '+' | '.' | '0'..='9' => self.number(),
            _ => self.name(depth),
        }
    }

    /// Takes `wanted`, if it comes next.
    fn takes(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        self.takes('{');
        while !self.takes('}') {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if !self.takes(':') {
                return None;
            }
            object.insert(key, self.value(depth + 1)?);
            if !self.takes(',') {
                return self.takes('}').then_some(Value::Object(object));
            }
        }
        Some(Value::Object(object))
    }

    fn list(&mut self, end: char, depth: usize) -> Option<Value> {
        let mut list = Vec::new();
        self.rest = &self.rest[1..];
        while !self.takes(end) {
            list.push(self.value(depth + 1)?);
            // NumPy prints arrays of numbers and of objects with spaces alone between them.
            let separated = self.takes(',') || self.rest.starts_with(char::is_whitespace);
            if !separated {
                return self.takes(end).then_some(Value::Array(list));
            }
        }
        Some(Value::Array(list))
    }

    fn text(&mut self) -> Option<String> {
        let mut characters = self.rest.chars();
        let quote = characters.next()?;
        let mut text = String::new();
        loop {
            match characters.next()? {
                '\\' => text.extend(escaped(&mut characters)?),
                character if character == quote => break,
                character => text.push(character),
            }
        }
        self.rest = characters.as_str();
        Some(text)
    }

    fn number(&mut self) -> Option<Value> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(whole.into());
        }
        let value: f64 = digits.parse().ok()?;
        Some(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    /// A constant, or a call.
    fn name(&mut self, depth: usize) -> Option<Value> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        match name {
            "" => None,
            "None" | "nan" | "NaN" | "null" => Some(Value::Null),
            "True" | "true" => Some(Value::Bool(true)),
            "False" | "false" => Some(Value::Bool(false)),
            _ => self.call(depth),
        }
    }

    fn call(&mut self, depth: usize) -> Option<Value> {
        if !self.takes('(') {
            return None;
        }
        let value = self.value(depth + 1)?;
        // What follows says how the value is stored: `dtype=int32`, in which nothing is nested but
        // perhaps a text.
        let end = self.rest.find(')')?;
        self.rest = &self.rest[end + 1..];
        Some(value)
    }
}

/// The character behind a backslash; none where a line is broken.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<Option<char>> {
    let digits = match characters.next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        'n' => return Some(Some('\n')),
        't' => return Some(Some('\t')),
        'r' => return Some(Some('\r')),
        '\n' => return Some(None),
        other => return Some(Some(other)),
    };
    let text: String = characters.by_ref().take(digits).collect();
    let code = u32::from_str_radix(&text, 16).ok()?;
    // Half of a character is one code point to Python, and so is this.
    Some(Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_and_numpy_print_is_read() {
        for (text, wanted) in [
            (
                "{'text': ['1874'], 'answer_start': [35]}",
                json!({"text": ["1874"], "answer_start": [35]}),
            ),
            (
                "{'text': array(['O\\'Neil', \"it's\"], dtype=object),\n 'answer_start': array([ 3, 17],\n dtype=int32)}",
                json!({"text": ["O'Neil", "it's"], "answer_start": [3, 17]}),
            ),
            ("{'text': array([], dtype=object)}", json!({"text": []})),
            (
                "[{'text': 'a\\n\\xe9\\u6771', 'answer_start': np.int64(4)}]",
                json!([{"text": "a\né東", "answer_start": 4}]),
            ),
            ("['a' 'b']", json!(["a", "b"])),
            ("(1, 2.5, None, True, nan, -1,)", json!([1, 2.5, null, true, null, -1])),
            ("{\"text\": [\"x\"]}", json!({"text": ["x"]})),
            ("[]", json!([])),
        ] {
            assert_eq!(value_of(text), Some(wanted), "{text}");
        }
        let deep = "[".repeat(100_000);
        for text in ["", "{'a'", "{'a': }", "['a", "a b", "[1 2] 3", "f(", "'\\x", &deep] {
            assert_eq!(value_of(text), None, "{text:.20}");
        }
    }
}
