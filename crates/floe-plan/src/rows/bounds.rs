//! Shortening column bounds (Iceberg spec, "Manifests", fields 125 and 128).

/// The first `width` code points of `value`: never above it.
pub fn truncate_str(value: &str, width: usize) -> &str {
    match value.char_indices().nth(width) {
        Some((end, _)) => &value[..end],
        None => value,
    }
}

/// At most `width` code points that are not below `value`, or `None` when there are none.
///
/// ```
/// use floe_plan::rows::bounds::truncate_str_up;
///
/// assert_eq!(truncate_str_up("abc", 3).as_deref(), Some("abc"));
/// assert_eq!(truncate_str_up("abcd", 3).as_deref(), Some("abd"));
/// assert_eq!(truncate_str_up("a\u{10ffff}b", 2).as_deref(), Some("b"));
/// assert_eq!(truncate_str_up("\u{10ffff}b", 1), None);
/// ```
pub fn truncate_str_up(value: &str, width: usize) -> Option<String> {
    let prefix = truncate_str(value, width);
    if prefix.len() == value.len() {
        return Some(value.to_owned());
    }
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = next_char(last) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The first `width` bytes of `value`: never above it.
pub fn truncate_bytes(value: &[u8], width: usize) -> &[u8] {
    &value[..value.len().min(width)]
}

/// At most `width` bytes that are not below `value` (unsigned), or `None` when there are none.
pub fn truncate_bytes_up(value: &[u8], width: usize) -> Option<Vec<u8>> {
    if value.len() <= width {
        return Some(value.to_vec());
    }
    let mut bytes = value[..width].to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some(bytes);
        }
    }
    None
}

/// The next code point that is a character; there is none after the last.
fn next_char(c: char) -> Option<char> {
    match c {
        '\u{d7ff}' => Some('\u{e000}'),
        _ => char::from_u32(c as u32 + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        let odd = prop_oneof![
            Just('\u{10ffff}'),
            Just('\u{d7ff}'),
            Just('\u{e000}'),
            Just('\u{7f}'),
            Just('a'),
            any::<char>()
        ];
        proptest::collection::vec(odd, 0..30).prop_map(|c| c.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_string_lies_between_its_bounds(value in text(), width in 1_usize..20) {
            let lower = truncate_str(&value, width);
            prop_assert!(lower <= value.as_str() && lower.chars().count() <= width);
            match truncate_str_up(&value, width) {
                Some(upper) => prop_assert!(upper.as_str() >= value.as_str() && upper.chars().count() <= width),
                None => prop_assert!(value.chars().take(width).all(|c| c == char::MAX)),
            }
        }

        #[test]
        fn bytes_lie_between_their_bounds(
            value in proptest::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 0..30),
            width in 1_usize..20,
        ) {
            prop_assert!(truncate_bytes(&value, width) <= value.as_slice());
            match truncate_bytes_up(&value, width) {
                Some(upper) => prop_assert!(upper >= value && upper.len() <= width),
                None => prop_assert!(value.iter().take(width).all(|b| *b == 255)),
            }
        }
    }
}
