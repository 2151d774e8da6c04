//! Formats by extension and by content.

use std::path::Path;

use floe::{Error, Result};

use crate::args::InputFormat;

/// How a text file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the magic number at the start of a file.
    pub(super) fn of_content(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The format that an extension stands for; `.csv.gz` counts as `.csv`.
pub(super) fn by_extension(path: &Path) -> Option<InputFormat> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "parquet" | "pq" => Some(InputFormat::Parquet),
        "csv" | "tsv" => Some(InputFormat::Csv),
        "json" | "ndjson" | "jsonl" => Some(InputFormat::Json),
        "arrow" | "arrows" | "feather" | "ipc" => Some(InputFormat::Arrow),
        _ => None,
    }
}

/// Whether the fields of this file are parted by tabs.
pub(super) fn is_tsv(label: &str) -> bool {
    let name = label.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, extension)| extension == "tsv")
}

/// The format of a file by its first bytes (decompressed).
pub(super) fn by_content(start: &[u8], label: &str) -> Result<InputFormat> {
    // Encrypted files are Parquet too, and refused as such.
    if start.starts_with(b"PAR1") || start.starts_with(b"PARE") {
        return Ok(InputFormat::Parquet);
    }
    // An Arrow stream starts with the continuation marker of its first message.
    if start.starts_with(b"ARROW1") || start.starts_with(&[0xff, 0xff, 0xff, 0xff]) {
        return Ok(InputFormat::Arrow);
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => Ok(InputFormat::Json),
        Some(_) if is_text(text) => Ok(InputFormat::Csv),
        _ => Err(Error::validation(format!("{label}: the format is not known"))
            .with_hint("name it with --input-format parquet, csv, json or arrow")),
    }
}

/// UTF-8 without control characters; the last character may be cut.
fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    valid && !start.iter().any(|b| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_known_also_when_compressed() {
        for (name, format) in [
            ("a.parquet", Some(InputFormat::Parquet)),
            ("a.CSV", Some(InputFormat::Csv)),
            ("a.csv.gz", Some(InputFormat::Csv)),
            ("a.b.jsonl.zst", Some(InputFormat::Json)),
            ("a.feather", Some(InputFormat::Arrow)),
            ("a.txt", None),
            ("a.gz", None),
            ("a", None),
        ] {
            assert_eq!(by_extension(Path::new(name)), format, "{name}");
        }
        assert!(is_tsv("x/a.tsv.gz") && !is_tsv("a.csv"));
    }

    #[test]
    fn content_tells_the_format() {
        for (start, format) in [
            (b"PAR1xx".as_slice(), InputFormat::Parquet),
            (b"PARExx".as_slice(), InputFormat::Parquet),
            (b"ARROW1\0\0", InputFormat::Arrow),
            (b"\xff\xff\xff\xff\x10", InputFormat::Arrow),
            (b"  {\"a\":1}", InputFormat::Json),
            (b"a,b\n1,2\n", InputFormat::Csv),
            ("größ".as_bytes(), InputFormat::Csv),
        ] {
            assert_eq!(by_content(start, "x").unwrap(), format);
        }
        for start in [b"".as_slice(), b"\x00\x01\x02", b"abc\x00"] {
            assert!(by_content(start, "x").is_err());
        }
    }
}
