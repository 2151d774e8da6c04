//! Text of others, made safe to show: on a terminal, in a log, in a message.
//!
//! Names, properties, values and replies of servers may hold characters that steer a terminal, turn the direction of the
//! text around them, or cannot be seen. One function shows them: whatever shows foreign text calls [`escape`], or
//! [`escape_lines`] where the text has lines of its own. See `docs/decisions/0046-foreign-text-is-shown-escaped.md`.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character steers a terminal, turns the direction of text, or takes no room: control characters (C0, DEL, C1),
/// marks of direction, separators of lines, and what is invisible. Not so the joiners U+200C and U+200D, which are part of
/// how Persian, Hindi and emoji are written.
///
/// ```
/// use floe_core::text::is_unseen;
///
/// assert!(['\u{1b}', '\r', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{feff}'].into_iter().all(is_unseen));
/// assert!(!['a', ' ', 'é', '表', '\u{200d}', '\\'].into_iter().any(is_unseen));
/// ```
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Text of one line: every character that [`is_unseen`] is written as JSON writes it, `\n` or `\u001b`.
///
/// ```
/// use floe_core::text::escape;
///
/// assert_eq!(escape("größe"), "größe");
/// assert_eq!(escape("a\u{1b}[2J\nb\u{202e}"), r"a\u001b[2J\nb\u202e");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, |_| false)
}

/// As [`escape`], for text of several lines: line feeds stay. JSON text stays the same JSON, as such characters stand in
/// strings only.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_but(text, |c| c == '\n')
}

fn escape_but(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let shown = |c: char| !is_unseen(c) || stays(c);
    // ASCII that is seen is nearly all there is.
    let Some(first) = text.char_indices().find(|(_, c)| !shown(*c)).map(|(at, _)| at) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        match c {
            c if shown(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unseen_is_left() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            let one = escape(&text);
            assert!(!one.contains(is_unseen), "{c:?}");
            assert_eq!(one == text, !is_unseen(c), "{c:?}");
            assert!(!escape_lines(&text).contains(|c| is_unseen(c) && c != '\n'), "{c:?}");
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let hostile: String = (0..0x3000).chain(0xe0000..0xe0080).filter_map(char::from_u32).collect();
        let value = serde_json::json!({ hostile.as_str(): [hostile.as_str(), 1, null] });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = escape_lines(&text);
            assert!(!shown.contains(|c| is_unseen(c) && c != '\n'));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
        }
    }
}
