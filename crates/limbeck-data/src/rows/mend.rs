//! JSON as Python writes and reads it, made JSON: halves of characters and numbers that are none.

/// What was replaced in a JSON text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// How many escaped halves of characters (`\ud83d` alone) became U+FFFD.
    pub halves: usize,
    /// The line of the first of them.
    pub first_line: usize,
    /// How many `NaN` and `Infinity` became `null`.
    pub numbers: usize,
}

impl Mended {
    /// One sentence on it, if there is anything to tell.
    pub(super) fn notice(&self) -> Option<String> {
        (self.halves > 0).then(|| {
            format!(
                "{} times there is half of a character (a lone surrogate such as \\ud83d), read as \
                 U+FFFD; the first is on line {}",
                self.halves, self.first_line
            )
        })
    }
}

/// Replaces every escaped half of a character by U+FFFD, which is one code point as the half is for
/// Python, and `NaN` and infinities by `null`. What is no JSON besides stays as it is.
pub(super) fn mend(text: &str) -> (String, Mended) {
    let mut mended = Mended::default();
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    // `copied` is the end of what is in `out` already.
    let (mut at, mut copied, mut line, mut in_text) = (0, 0, 1, false);
    while let Some(&byte) = bytes.get(at) {
        let mut replace = |len: usize, by: &str| {
            out.push_str(&text[copied..at]);
            out.push_str(by);
            copied = at + len;
            copied
        };
        match byte {
            b'"' => in_text = !in_text,
            b'\n' => line += 1,
            b'\\' if in_text => {
                match (unit(bytes, at), unit(bytes, at + 6)) {
                    (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 12,
                    (Some(0xD800..=0xDFFF), _) => {
                        at = replace(6, "\\ufffd");
                        mended.first_line =
                            if mended.halves == 0 { line } else { mended.first_line };
                        mended.halves += 1;
                    }
                    _ => at += 2,
                }
                continue;
            }
            b'N' | b'I' | b'-' if !in_text => {
                let words = ["NaN", "Infinity", "-Infinity", "-NaN"];
                let found = words.into_iter().find(|word| bytes[at..].starts_with(word.as_bytes()));
                if let Some(word) = found {
                    at = replace(word.len(), "null");
                    mended.numbers += 1;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    out.push_str(&text[copied..]);
    (out, mended)
}

/// The UTF-16 unit of the escape `\uXXXX` at a place.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
