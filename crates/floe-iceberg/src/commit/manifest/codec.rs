//! How manifests are compressed.

use std::collections::HashMap;

use floe_core::{Error, Result};

use crate::commit::avro::Codec;

/// The table property that names the compression of Avro files.
const CODEC: &str = "write.avro.compression-codec";
/// The table property for the level of that compression.
const LEVEL: &str = "write.avro.compression-level";
/// Manifests below this size stay as they are, unless the table's properties say otherwise: compressing them takes
/// longer than transferring them.
const SMALL_BYTES: usize = 64 * 1024;

/// What a table's properties say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commit) enum Compression {
    /// Nothing: manifests that are worth it are compressed fast.
    Automatic,
    /// This, always.
    Always(Codec),
}

impl Compression {
    /// Fails with `Validation` when a property cannot be read.
    pub(in crate::commit) fn from_properties(properties: &HashMap<String, String>) -> Result<Self> {
        let Some(name) = properties.get(CODEC) else { return Ok(Self::Automatic) };
        let refused = |key: &str| {
            Error::validation(format!("the table property {key} cannot be read"))
                .with_hint("set it to a valid value, or remove it")
        };
        let level = match properties.get(LEVEL) {
            Some(text) => Some(text.trim().parse::<i32>().map_err(|_| refused(LEVEL))?),
            None => None,
        };
        let deflate = u32::try_from(level.unwrap_or(1)).ok().filter(|level| *level <= 9);
        Ok(Self::Always(match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "deflate" => Codec::Deflate(deflate.unwrap_or(1)),
            "zstd" | "zstandard" => Codec::Zstandard(level.unwrap_or(1)),
            "snappy" => Codec::Snappy,
            "uncompressed" | "none" | "null" => Codec::Null,
            _ => return Err(refused(CODEC)),
        }))
    }

    /// The codec for `bytes` bytes of records.
    pub(super) fn codec(self, bytes: usize) -> Codec {
        match self {
            Self::Always(codec) => codec,
            Self::Automatic if bytes < SMALL_BYTES => Codec::Null,
            Self::Automatic => Codec::Deflate(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&str, &str)]) -> Result<Compression> {
        let properties = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Compression::from_properties(&properties.collect())
    }

    #[test]
    fn the_property_is_honoured_and_nonsense_is_named() {
        assert_eq!(named(&[]).unwrap().codec(10), Codec::Null);
        assert_eq!(named(&[]).unwrap().codec(1 << 20), Codec::Deflate(1));
        assert_eq!(named(&[(CODEC, "gzip")]).unwrap().codec(10), Codec::Deflate(1));
        assert_eq!(named(&[(CODEC, "zstd"), (LEVEL, "3")]).unwrap().codec(10), Codec::Zstandard(3));
        assert_eq!(named(&[(CODEC, "uncompressed")]).unwrap().codec(1 << 20), Codec::Null);
        assert!(named(&[(CODEC, "lzma")]).unwrap_err().to_string().contains(CODEC));
        assert!(named(&[(CODEC, "zstd"), (LEVEL, "high")]).unwrap_err().to_string().contains(LEVEL));
    }
}
