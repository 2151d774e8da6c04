//! Avro object container files, as far as Iceberg's manifests and manifest lists need them (Avro
//! specification, "Object Container Files" and "Binary Encoding").
//!
//! Nothing is decoded into values here: a [`Cursor`] walks the bytes, so that a caller reads what it needs and
//! skips the rest.

mod cursor;
mod schema;

use std::collections::HashMap;
use std::io::Read;

use floe_core::{Error, ErrorKind};
use serde_json::Value;

pub(super) use cursor::Cursor;

/// Why a file cannot be read. Never holds a value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: String,
    /// `Corrupted` when the file is proven to be damaged, `Unsupported` when it may be read elsewhere.
    pub(super) kind: ErrorKind,
}

impl Broken {
    /// The file is damaged.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), kind: ErrorKind::Corrupted }
    }

    /// The file may be sound, and has what floe does not read.
    pub(super) fn unsupported(why: impl Into<String>) -> Self {
        Self { why: why.into(), kind: ErrorKind::Unsupported }
    }

    /// The error that names the file, `file` being what it is and where.
    pub(super) fn error(&self, file: &str) -> Error {
        let error = Error::new(self.kind, format!("{file} cannot be read: {}", self.why));
        error.with_hint(match self.kind {
            ErrorKind::Unsupported => {
                "the table is not damaged: an engine that knows this can read it, and may write the file anew"
            }
            _ => "compare the file with a copy or an earlier version of it, if the storage keeps one, and restore that",
        })
    }
}

pub(super) type Decoded<T> = std::result::Result<T, Broken>;

pub(super) fn broken<T>(why: impl Into<String>) -> Decoded<T> {
    Err(Broken::new(why))
}

/// A file in memory: its header, and the data of all its blocks, decompressed and joined.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) metadata: HashMap<String, Vec<u8>>,
    pub(super) schema: AvroType,
    /// What [`AvroType::Recursive`] points to.
    pub(super) definitions: Vec<AvroType>,
    /// How many records `data` holds.
    pub(super) count: usize,
    pub(super) data: Vec<u8>,
}

/// The type of a value, as the writer of the file declared it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AvroType {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum,
    Array(Box<AvroType>),
    Map(Box<AvroType>),
    Record(Vec<AvroField>),
    Union(Vec<AvroType>),
    /// A record within itself, by its place among the definitions of the file.
    Recursive(usize),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroField {
    pub(super) name: String,
    /// Other names of the field.
    pub(super) aliases: Vec<String>,
    /// The Iceberg field id that the schema carries as `field-id`.
    pub(super) id: Option<i32>,
    pub(super) ty: AvroType,
}

const MAGIC: &[u8] = b"Obj\x01";
/// More decompressed data is refused: places in it are kept as four bytes.
const MAX_DATA: u64 = u32::MAX as u64;

impl Container {
    /// Reads a whole file.
    pub(super) fn read(bytes: &[u8]) -> Decoded<Self> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return broken("it is no Avro file");
        };
        let mut cursor = Cursor::new(rest);
        let mut metadata = HashMap::new();
        cursor.each(|c| {
            let key = c.string()?.to_owned();
            metadata.insert(key, c.bytes()?.to_vec());
            Ok(())
        })?;
        let sync = cursor.take(16)?;
        let schema = metadata.get("avro.schema").ok_or_else(|| Broken::new("it has no Avro schema"))?;
        let schema: Value =
            serde_json::from_slice(schema).map_err(|_| Broken::new("its Avro schema is no JSON"))?;
        let schema::Parsed { root: schema, definitions } = schema::parse(&schema)?;
        let codec = metadata.get("avro.codec").map_or(&b"null"[..], Vec::as_slice);
        let codec = Codec::named(codec)?;

        let mut data = Vec::with_capacity(bytes.len() * if codec == Codec::Null { 1 } else { 4 });
        let mut count = 0_usize;
        while !cursor.is_at_end() {
            let records = usize::try_from(cursor.long()?).or_else(|_| broken("a block has no size"))?;
            let block = cursor.bytes()?;
            codec.decompress(block, &mut data)?;
            count = count.checked_add(records).ok_or_else(|| Broken::new("it has too many records"))?;
            if cursor.take(16)? != sync {
                return broken("a block does not end where it should");
            }
        }
        // Every record of a manifest takes at least a byte, so that no larger number can be meant.
        if count > data.len() {
            return broken("it claims more records than it holds");
        }
        Ok(Self { metadata, schema, definitions, count, data })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

impl Codec {
    fn named(name: &[u8]) -> Decoded<Self> {
        match name {
            b"null" | b"" => Ok(Self::Null),
            b"deflate" => Ok(Self::Deflate),
            b"snappy" => Ok(Self::Snappy),
            b"zstandard" => Ok(Self::Zstandard),
            other => {
                let name: String = String::from_utf8_lossy(other).chars().take(40).collect();
                Err(Broken::unsupported(format!("it is compressed with {name:?}, which floe does not read")))
            }
        }
    }

    fn decompress(self, block: &[u8], data: &mut Vec<u8>) -> Decoded<()> {
        let start = data.len();
        let fails = |_| Broken::new("a block cannot be decompressed");
        match self {
            Self::Null => data.extend_from_slice(block),
            Self::Deflate => {
                flate2::read::DeflateDecoder::new(block).take(MAX_DATA).read_to_end(data).map_err(fails)?;
            }
            Self::Zstandard => {
                zstd::stream::read::Decoder::with_buffer(block)
                    .and_then(|decoder| decoder.take(MAX_DATA).read_to_end(data))
                    .map_err(fails)?;
            }
            Self::Snappy => {
                let Some((block, checksum)) = block.split_last_chunk::<4>() else {
                    return broken("a block cannot be decompressed");
                };
                // A byte of Snappy stands for less than 64. What claims more would only take memory.
                let claimed = snap::raw::decompress_len(block).unwrap_or(usize::MAX);
                if claimed / 64 > block.len() {
                    return broken("a block cannot be decompressed");
                }
                let plain = snap::raw::Decoder::new()
                    .decompress_vec(block)
                    .map_err(|_| Broken::new("a block cannot be decompressed"))?;
                data.extend_from_slice(&plain);
                let mut crc = flate2::Crc::new();
                crc.update(&data[start..]);
                if crc.sum() != u32::from_be_bytes(*checksum) {
                    return broken("the checksum of a block is wrong");
                }
            }
        }
        if data.len() as u64 > MAX_DATA {
            return broken("it is larger than 4 GiB");
        }
        Ok(())
    }
}
