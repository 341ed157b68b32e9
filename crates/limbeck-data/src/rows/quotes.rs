//! Whether the quotes of a table stand around whole fields, as RFC 4180 says.

/// How a quote is written inside a field that stands in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inner {
    /// Twice, as RFC 4180 says.
    Twice,
    /// With a backslash before it, as `write.table` of R does.
    Escaped,
}

/// The first quote that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The field that begins with it, on this line, never ends.
    Open(usize),
    /// The field that begins on this line goes on behind the quote that closes it.
    Inside(usize),
}

impl Fault {
    /// What is wrong, in a file with so many lines before those that were counted.
    pub(super) fn message(self, lines_before: usize) -> String {
        let (line, what) = match self {
            Fault::Open(line) => (line, "a quote is opened and never closed"),
            Fault::Inside(line) => (line, "a field goes on behind its closing quote"),
        };
        format!(
            "line {}: {what}; a field that begins with a quote must end with one, and quotes in it \
             stand twice",
            line + lines_before
        )
    }
}

/// The first quote of a table that cannot be meant so. One inside a field that does not begin with
/// one is a character.
pub(super) fn fault(text: &str, delimiter: u8, inner: Inner) -> Option<Fault> {
    let mut bytes = text.bytes().peekable();
    let (mut line, mut opened, mut begins) = (1, None, true);
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        let ends = |next: u8| next == delimiter || next == b'\n' || next == b'\r';
        match opened {
            Some(_) if byte == b'\\' && inner == Inner::Escaped => {
                bytes.next_if_eq(&b'"');
            }
            Some(_) if byte != b'"' => {}
            Some(_) if inner == Inner::Twice && bytes.next_if_eq(&b'"').is_some() => {}
            Some(begun) if bytes.peek().is_some_and(|&next| !ends(next)) => {
                return Some(Fault::Inside(begun));
            }
            Some(_) => (opened, begins) = (None, false),
            None if byte == b'"' && begins => opened = Some(line),
            None => begins = ends(byte),
        }
    }
    opened.map(Fault::Open)
}
