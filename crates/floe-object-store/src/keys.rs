//! Keys that `object_store` would change: carried through it literally.
//!
//! Its paths drop a slash at either end when they are parsed, and refuse two in a row. Joined part by part they keep all
//! of them but a first one. What a store lists is parsed, so keys in listings are put into a form before, which the
//! parser leaves alone, and taken out of it after; see [`protected`] and [`restored`].

use std::borrow::Cow;

use object_store::path::{Path, PathPart};

/// Marks a part of a listed key that stands for another one. A private-use character, which is marked itself where a
/// part begins with it.
const MARK: char = '\u{10fffd}';

/// The path whose text is `key`, byte for byte; nothing where there is none.
pub(crate) fn literal(key: &str) -> Option<Path> {
    let mut path = Path::ROOT;
    for part in key.split('/') {
        path = path.join(PathPart::parse(part).ok()?);
    }
    (path.as_ref() == key).then_some(path)
}

/// A listed key in a form that the parser of paths keeps: parts that it would drop or refuse are marked, and written as
/// the digits of their bytes.
#[cfg_attr(not(feature = "cloud"), allow(dead_code))]
pub(crate) fn protected(key: &str) -> Cow<'_, str> {
    let odd = |part: &str| {
        matches!(part, "" | "." | "..")
            || part.starts_with(MARK)
            || part.contains(|c: char| c.is_ascii_control())
    };
    if !key.split('/').any(odd) {
        return key.into();
    }
    let digits = |part: &str| part.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let parts = key.split('/').map(|part| match odd(part) {
        true => format!("{MARK}{}", digits(part)),
        false => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/").into()
}

/// The key that [`protected`] was given.
pub(crate) fn restored(key: &str) -> Cow<'_, str> {
    if !key.contains(MARK) {
        return key.into();
    }
    let part = |part: &str| part.strip_prefix(MARK).and_then(of_digits).unwrap_or_else(|| part.to_owned());
    key.split('/').map(part).collect::<Vec<_>>().join("/").into()
}

fn of_digits(digits: &str) -> Option<String> {
    let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2));
    let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of up to five of the characters that matter.
    fn odd_keys() -> Vec<String> {
        let letters = ['a', '/', '.', '%', MARK, '\n', 'é'];
        let (mut all, mut last) = (Vec::new(), vec![String::new()]);
        for _ in 0..5 {
            last = last.iter().flat_map(|s| letters.iter().map(move |c| format!("{s}{c}"))).collect();
            all.extend(last.clone());
        }
        all
    }

    #[test]
    fn a_literal_path_is_the_key_or_there_is_none() {
        for key in odd_keys() {
            match literal(&key) {
                Some(path) => assert_eq!(path.as_ref(), key),
                None => {
                    assert!(floe_core::location::unaddressable(&key).is_some(), "{key:?} could be addressed");
                }
            }
        }
        assert_eq!(literal("a//b").unwrap().as_ref(), "a//b");
    }

    #[test]
    fn a_listed_key_survives_the_parser() {
        for key in odd_keys() {
            let safe = protected(&key);
            let parsed = Path::parse(&*safe).unwrap_or_else(|e| panic!("{key:?}: {e}"));
            assert_eq!(restored(parsed.as_ref()), key);
        }
        assert!(matches!(protected("a/b.c/%20"), Cow::Borrowed(_)));
    }
}
