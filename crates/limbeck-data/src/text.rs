//! Between code points, which data files count in, and bytes, which the program counts in.

/// The byte at which code point number `code_points` begins; the text's length for the
/// number just past the last one; nothing beyond that.
pub(crate) fn byte_of_code_point(text: &str, code_points: usize) -> Option<usize> {
    if text.is_ascii() {
        return (code_points <= text.len()).then_some(code_points);
    }
    text.char_indices().map(|(byte, _)| byte).chain(std::iter::once(text.len())).nth(code_points)
}

/// How many code points lie before `byte`, which must be a boundary of a code point.
pub(crate) fn code_point_of_byte(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}

/// Whether a character that makes no token belongs to the letter before it. What makes no
/// token is white space, a control or format character, or a combining mark.
pub(crate) fn is_mark(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffd}'
            | '\u{e0001}'..='\u{e007f}'
            | '\u{f0000}'..
    );
    !(is_format || character.is_whitespace() || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_and_bytes_agree_in_both_directions() {
        for text in ["plain", "naïve 🦀 日本", ""] {
            for (code_point, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(byte_of_code_point(text, code_point), Some(byte));
                assert_eq!(code_point_of_byte(text, byte), code_point);
            }
            let count = text.chars().count();
            assert_eq!(byte_of_code_point(text, count), Some(text.len()));
            assert_eq!(byte_of_code_point(text, count + 1), None);
        }
    }
}
