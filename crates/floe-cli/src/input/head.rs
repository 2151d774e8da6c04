//! The first bytes of a text input, and the whole of it after that.

use std::io::{Cursor, Read};
use std::sync::Mutex;

use floe::{Error, Result};

use super::sniff::Compression;
use super::source::Seekable;

/// As much of a text input as schemas are inferred from.
const HEAD_BYTES: usize = 4 * 1024 * 1024;

/// A text input, decompressed.
pub(super) enum Text {
    File(Seekable),
    /// A stream: its start, and the rest, which is read once.
    Stream {
        head: Vec<u8>,
        whole: bool,
        rest: Mutex<Option<Box<dyn Read + Send>>>,
    },
}

/// The start of a text input.
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    /// Whether this is all there is.
    pub(super) whole: bool,
}

impl Text {
    /// A stream that can be read once; reads its start.
    pub(super) fn stream(mut reader: Box<dyn Read + Send>) -> Result<Self> {
        let (head, whole) = take_head(&mut reader)?;
        Ok(Self::Stream { head, whole, rest: Mutex::new(Some(reader)) })
    }

    pub(super) fn head(&self) -> Result<Head> {
        match self {
            Self::File(file) => {
                let (bytes, whole) = take_head(&mut open(file)?)?;
                Ok(Head { bytes, whole })
            }
            Self::Stream { head, whole, .. } => Ok(Head { bytes: head.clone(), whole: *whole }),
        }
    }

    pub(super) fn read(&self) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::File(file) => open(file),
            Self::Stream { head, rest, .. } => {
                let rest = rest.lock().ok().and_then(|mut rest| rest.take());
                let rest = rest.ok_or_else(|| Error::validation("this input can be read once only"))?;
                Ok(Box::new(Cursor::new(head.clone()).chain(rest)))
            }
        }
    }
}

/// Decompresses what `reader` gives, if its first bytes say so.
pub(super) fn decompressed(mut reader: Box<dyn Read + Send>) -> std::io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut start)?;
    let compression = Compression::of_content(&start);
    let whole = Cursor::new(start).chain(reader);
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
    })
}

fn open(file: &Seekable) -> Result<Box<dyn Read + Send>> {
    Ok(decompressed(Box::new(file.open()?))?)
}

fn take_head(reader: &mut dyn Read) -> Result<(Vec<u8>, bool)> {
    let mut head = Vec::new();
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let whole = head.len() < HEAD_BYTES;
    Ok((head, whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn compressed_text_reads_as_plain() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a,b\n").unwrap();
        let zstd = zstd::encode_all(b"a,b\n".as_slice(), 1).unwrap();
        for bytes in [b"a,b\n".to_vec(), gzip.finish().unwrap(), zstd] {
            let mut text = String::new();
            decompressed(Box::new(Cursor::new(bytes))).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "a,b\n");
        }
    }

    #[test]
    fn a_stream_is_whole_after_its_head_was_taken() {
        let bytes: Vec<u8> = (0..HEAD_BYTES + 1000).map(|i| (i % 251) as u8).collect();
        let text = Text::stream(Box::new(Cursor::new(bytes.clone()))).unwrap();
        assert!(!text.head().unwrap().whole);
        let mut read = Vec::new();
        text.read().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert!(text.read().is_err(), "a second read must not silently be half");
    }
}
