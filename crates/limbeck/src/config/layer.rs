//! One layer of configuration: a part of the keys, to be laid over another layer.

use serde::Serialize;
use toml::{Table, Value};

/// Some keys of a [`RunConfig`](super::RunConfig) with their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer(Table);

impl Layer {
    /// The keys and values of anything that serialises to a TOML table.
    pub fn of(value: &impl Serialize) -> anyhow::Result<Self> {
        Ok(Self(Table::try_from(value)?))
    }

    /// Sets a dotted key. A plain value that stands where a section is needed gives way.
    pub fn set(&mut self, key: &str, value: Value) {
        let mut table = &mut self.0;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                table.insert(part.to_owned(), value);
                return;
            }
            let slot = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            if !slot.is_table() {
                *slot = Value::Table(Table::new());
            }
            match slot {
                Value::Table(inner) => table = inner,
                _ => return,
            }
        }
    }

    /// The value of a dotted key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let mut value = self.0.get(parts.next()?)?;
        for part in parts {
            value = value.as_table()?.get(part)?;
        }
        Some(value)
    }

    /// This layer with `upper` on top: its values win, sections are merged, lists are
    /// replaced whole.
    pub fn under(mut self, upper: &Layer) -> Layer {
        merge(&mut self.0, &upper.0);
        self
    }

    /// This layer without a key, or a section, at its top.
    pub fn without(mut self, key: &str) -> Layer {
        self.0.remove(key);
        self
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The table itself.
    pub fn into_table(self) -> Table {
        self.0
    }
}

impl From<Table> for Layer {
    fn from(table: Table) -> Self {
        Self(table)
    }
}

fn merge(lower: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                lower.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Layer {
        Layer(text.parse().unwrap())
    }

    #[test]
    fn the_upper_layer_wins_key_by_key() {
        let lower = layer("a = 1\n[s]\nx = 1\ny = 2\nlist = [1, 2]");
        let upper = layer("[s]\ny = 3\nlist = [9]");
        assert_eq!(lower.under(&upper), layer("a = 1\n[s]\nx = 1\ny = 3\nlist = [9]"));
    }

    #[test]
    fn dotted_keys_make_their_sections() {
        let mut made = Layer::default();
        made.set("s.t.x", Value::Integer(4));
        assert_eq!(made, layer("[s.t]\nx = 4"));
        assert_eq!(made.get("s.t.x"), Some(&Value::Integer(4)));
        assert_eq!(made.get("s.t.y"), None);
        assert_eq!(made.get("s.t.x.y"), None);
    }
}
