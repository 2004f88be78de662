//! Which characters may be printed: one rule for what orders hold, for reasons, and for what `orderctl` writes.

use std::fmt::Write;

use unicode_general_category::{GeneralCategory, get_general_category};

/// Whether a character may be printed, by its category in Unicode. Those that may not steer a terminal, break a line, turn the
/// direction of the text around them, or show nothing; or Unicode reserves them for the inside of programs, and SQS refuses
/// some of these: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
///
/// Three kinds of format characters stay: U+200C and U+200D, which Persian and emoji are written with, and the tags of which
/// flags such as Scotland's are made. So do characters that have no category yet: phones get new emoji before this code.
#[must_use]
pub fn is_printable(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    match c {
        '\u{200c}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}' => true,
        // https://www.unicode.org/faq/private_use.html#nonchar1
        '\u{fdd0}'..='\u{fdef}' => false,
        c if u32::from(c) & 0xfffe == 0xfffe => false,
        c => !matches!(
            get_general_category(c),
            Control | Format | LineSeparator | ParagraphSeparator
        ),
    }
}

/// Text in which each character that may not be printed is written as in Rust: `\u{1b}`.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_printable(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_unicode());
        }
    }
    escaped
}

/// JSON on one line that means the same, in which each character that may not be printed is an escape of JSON: `\u001b`.
#[must_use]
pub fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String never fails.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// Any text on one line: what may not be printed, and runs of spaces, become single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let printable = text.replace(|c| !is_printable(c), " ");
    printable.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The characters that may not be printed, but for some, as the inside of a class in a regular expression. JavaScript, Python
/// and others read it. They agree on no way to escape a character beyond U+FFFF, so these stand for themselves.
#[cfg(feature = "schemas")]
pub(crate) fn unprintable_class(but_for: &[char]) -> String {
    let written = |c: char| match u32::from(c) {
        code @ ..=0xffff => format!("\\u{code:04X}"),
        _ => c.to_string(),
    };
    let is_listed = |c: &char| !is_printable(*c) && !but_for.contains(c);
    let mut class = String::new();
    let mut listed = ('\0'..=char::MAX).filter(is_listed).peekable();
    while let Some(first) = listed.next() {
        let mut last = first;
        while let Some(next) = listed.next_if(|next| u32::from(*next) == u32::from(last) + 1) {
            last = next;
        }
        class += &written(first);
        if last != first {
            class += "-";
            class += &written(last);
        }
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_shows_nothing_may_not_be_printed() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{80}',
            '\u{9b}',
            '\u{9f}', // controls
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0001}', // format characters
            '\u{2028}',
            '\u{2029}', // separators of lines and paragraphs
            '\u{fdd0}',
            '\u{fffe}',
            '\u{ffff}',
            '\u{1fffe}',
            '\u{10ffff}', // noncharacters
        ] {
            assert!(!is_printable(c), "{c:?}");
        }
    }

    #[test]
    fn what_people_write_may_be_printed() {
        for text in [
            "Tiramisù, 2 × 寿司 \u{3000}",
            // Persian with its joiners, Hebrew, Hindi.
            "می\u{200c}خواهم שלום हिन्दी",
            // Emoji: of several people, with a skin tone, in colour, Scotland's flag, and one that Unicode may add.
            "👩\u{200d}🍳 👍🏽 ❤\u{fe0f} 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} \u{1fad4}\u{1faff}",
        ] {
            assert_eq!(escaped(text), text);
            assert_eq!(escaped_json(text), text);
        }
    }

    #[test]
    fn what_may_not_be_printed_is_escaped() {
        assert_eq!(escaped("a\u{1b}[2J\u{202e}"), r"a\u{1b}[2J\u{202e}");
        let json = "\"a\u{9b}\u{200b}\u{e0001}\"";
        let escaped = escaped_json(json);
        assert_eq!(escaped, r#""a\u009b\u200b\udb40\udc01""#);
        let read = |json| serde_json::from_str::<String>(json).expect("JSON");
        assert_eq!(read(&escaped), read(json));
    }
}
