//! Escaping.

/// `text` for use between tags and inside quoted attributes. Characters that HTML
/// forbids become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\r' => {}
            control if control.is_control() => escaped.push('\u{FFFD}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_read_as_markup() {
        assert_eq!(
            escape("<script a=\"b\" c='d'>&amp;</script>"),
            "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;amp;&lt;/script&gt;"
        );
    }

    #[test]
    fn other_text_stays_and_control_characters_go() {
        assert_eq!(escape("naïve 漢字 🦀\r\n\tx\0"), "naïve 漢字 🦀\n\tx\u{FFFD}");
    }
}
