//! XML of stores, looked at before a parser reads it.

/// The longest tag that a store sends, in bytes. None has attributes to speak of.
const LONGEST_TAG: usize = 4 << 10;

/// Whether a body has only tags as stores write them: short ones, and neither comments nor declarations. The parser
/// behind `object_store` takes time by the square of a tag's attributes and memory by its namespaces (RUSTSEC-2026-0194,
/// RUSTSEC-2026-0195); within this length neither comes to anything. What is no XML passes: it has no tags.
pub(super) fn has_plain_tags(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(open) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[open + 1..];
        let within = &rest[..rest.len().min(LONGEST_TAG)];
        let end = match within.first() {
            Some(b'!') => None,
            Some(b'?') => within.windows(2).position(|pair| pair == b"?>"),
            _ => end_of_tag(within),
        };
        match end {
            Some(end) => rest = &rest[end..],
            // The last tag of a body that was cut: the parser says so.
            None => return rest.len() < LONGEST_TAG && rest.first() != Some(&b'!'),
        }
    }
    true
}

/// Where a tag ends: at the first `>` that is in no quotes.
fn end_of_tag(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    text.iter().position(|byte| {
        match (quote, *byte) {
            (None, b'>') => return true,
            (None, mark @ (b'"' | b'\'')) => quote = Some(mark),
            (Some(mark), byte) if byte == mark => quote = None,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stores_send_passes() {
        for body in [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Key>a&gt;\"b'</Key></ListBucketResult>",
            "<Blob><Name Encoded=\"true\">a%EF%BF%BE</Name><Properties/></Blob>",
            "{\"access_token\": \"x\"}",
            "",
            "<cut",
        ] {
            assert!(has_plain_tags(body.as_bytes()), "{body}");
        }
        let long = format!("<Key>{}</Key>", "x".repeat(1 << 20));
        assert!(has_plain_tags(long.as_bytes()), "texts are as long as they are");
    }

    #[test]
    fn tags_without_end_do_not_reach_the_parser() {
        let attributes = (0..2000).map(|n| format!(" a{n}=\"\"")).collect::<Vec<_>>().concat();
        let namespaces = (0..2000).map(|n| format!(" xmlns:a{n}='>'")).collect::<Vec<_>>().concat();
        for body in [
            format!("<R{attributes}>"),
            format!("<R{namespaces}/>"),
            format!("<R><a b=\">\"{attributes}></R>"),
            format!("<R{attributes}"),
            format!("<!-- > <a \" --><x y=\">\"{attributes}>"),
            format!("<?a > <b \" ?><x y=\">\"{attributes}>"),
            format!("<![CDATA[ > ]]><x{attributes}>"),
            "<!DOCTYPE x []>".to_owned(),
        ] {
            assert!(!has_plain_tags(body.as_bytes()), "{}", &body[..60.min(body.len())]);
        }
    }
}
