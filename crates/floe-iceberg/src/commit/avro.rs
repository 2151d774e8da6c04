//! Writing Avro object container files (Avro specification, "Binary Encoding" and "Object Container Files").

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use floe_core::{Error, ErrorKind, Result};

/// Records are put into blocks of about this many bytes.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate(u32),
    Zstandard(i32),
    Snappy,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate(_) => "deflate",
            Self::Zstandard(_) => "zstandard",
            Self::Snappy => "snappy",
        }
    }
}

/// A container file with the encoded `records`, which all end where `ends` says.
pub(super) fn container(
    metadata: &[(&str, &[u8])],
    codec: Codec,
    sync: [u8; 16],
    records: &[u8],
    ends: &[usize],
) -> Result<Vec<u8>> {
    let mut file = Vec::with_capacity(records.len() + 8 * 1024);
    file.extend_from_slice(b"Obj\x01");
    long(&mut file, metadata.len() as i64 + 1);
    bytes(&mut file, b"avro.codec");
    bytes(&mut file, codec.name().as_bytes());
    for (key, value) in metadata {
        bytes(&mut file, key.as_bytes());
        bytes(&mut file, value);
    }
    long(&mut file, 0);
    file.extend_from_slice(&sync);
    let (mut start, mut count) = (0, 0);
    for (index, &end) in ends.iter().enumerate() {
        count += 1;
        if end - start >= BLOCK_BYTES || index + 1 == ends.len() {
            long(&mut file, count);
            block(&mut file, codec, &records[start..end])?;
            file.extend_from_slice(&sync);
            (start, count) = (end, 0);
        }
    }
    Ok(file)
}

fn block(file: &mut Vec<u8>, codec: Codec, records: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| {
        Error::new(ErrorKind::Internal, "a block of a manifest cannot be compressed").with_source(e)
    };
    match codec {
        Codec::Null => bytes(file, records),
        Codec::Deflate(level) => {
            let room = Vec::with_capacity(records.len() / 2);
            let mut encoder = DeflateEncoder::new(room, Compression::new(level));
            encoder.write_all(records).map_err(failed)?;
            bytes(file, &encoder.finish().map_err(failed)?);
        }
        Codec::Zstandard(level) => {
            bytes(file, &zstd::stream::encode_all(records, level).map_err(failed)?);
        }
        Codec::Snappy => {
            let mut packed = snap::raw::Encoder::new()
                .compress_vec(records)
                .map_err(|e| failed(std::io::Error::other(e.to_string())))?;
            let mut crc = flate2::Crc::new();
            crc.update(records);
            packed.extend_from_slice(&crc.sum().to_be_bytes());
            bytes(file, &packed);
        }
    }
    Ok(())
}

/// A union of null and something.
pub(super) fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => long(out, 0),
        Some(value) => {
            long(out, 1);
            write(out, value);
        }
    }
}

/// An `int` or `long`: zig-zag, seven bits to a byte, the lowest first.
pub(crate) fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, value.len() as i64);
    out.extend_from_slice(value);
}

pub(super) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}
