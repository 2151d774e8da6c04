//! Avro object container files, as far as Iceberg's manifests and manifest lists need them (Avro
//! specification, "Object Container Files" and "Binary Encoding").
//!
//! Nothing is decoded into values here: a [`Cursor`] walks the bytes, so that a caller reads what it needs and
//! skips the rest.

mod cursor;
mod schema;

use std::cmp::Ordering;
use std::collections::HashMap;

use floe_core::limits::{self, Limits, beyond, read_bounded};
use floe_core::{Error, ErrorKind};
use serde_json::Value;

pub(super) use cursor::Cursor;

/// Why a file cannot be read. Never holds a value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: String,
    /// `Corrupted` when the file is proven to be damaged, `Unsupported` when it may be read elsewhere.
    pub(super) kind: ErrorKind,
    /// The limit that it goes beyond.
    pub(super) limit: Option<&'static str>,
}

impl Broken {
    /// The file is damaged.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), kind: ErrorKind::Corrupted, limit: None }
    }

    /// The file may be sound, and has what floe does not read.
    pub(super) fn unsupported(why: impl Into<String>) -> Self {
        Self { why: why.into(), kind: ErrorKind::Unsupported, limit: None }
    }

    /// The file goes beyond the limit called `setting`, which is `most`.
    pub(super) fn beyond(what: &str, setting: &'static str, most: u64) -> Self {
        Self { why: beyond(what, setting, most), kind: ErrorKind::Corrupted, limit: Some(setting) }
    }

    /// The error that names the file, `file` being what it is and where.
    pub(super) fn error(&self, file: &str) -> Error {
        let error = Error::new(self.kind, format!("{file} cannot be read: {}", self.why));
        if let Some(setting) = self.limit {
            return error.with_hint(limits::hint(setting));
        }
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
    /// The blocks, in order.
    blocks: Vec<Block>,
    /// How many bytes of memory the records may take besides.
    most: u64,
}

/// A block of a file.
#[derive(Debug, Clone, Copy)]
struct Block {
    records: usize,
    /// Where its data ends.
    end: usize,
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

/// The largest window of zstd that is given memory: 128 MiB, as `zstd` itself has it.
const WINDOW_LOG: u32 = 27;
/// No more room is made for records that are claimed.
const MOST_EXPECTED: usize = 100_000;
const MAGIC: &[u8] = b"Obj\x01";
/// More decompressed data is refused, whatever the limits: places in it are kept as four bytes.
const MAX_DATA: u64 = u32::MAX as u64;

impl Container {
    /// Reads a whole file, within the limits of the process.
    pub(super) fn read(bytes: &[u8]) -> Decoded<Self> {
        Self::read_within(bytes, &limits::current())
    }

    fn read_within(bytes: &[u8], limits: &Limits) -> Decoded<Self> {
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

        let most = if codec == Codec::Null { limits.metadata_bytes } else { limits.unfolded(bytes.len()) };
        let room = Room { most: most.min(MAX_DATA), setting: limits.unfolded_by(bytes.len()) };
        let expected = bytes.len() as u64 * if codec == Codec::Null { 1 } else { 4 };
        let mut data = Vec::with_capacity(usize::try_from(expected.min(room.most)).unwrap_or(0));
        let mut count = 0_usize;
        let mut blocks = Vec::new();
        while !cursor.is_at_end() {
            let records = usize::try_from(cursor.long()?).or_else(|_| broken("a block has no size"))?;
            let block = cursor.bytes()?;
            codec.decompress(block, &mut data, room)?;
            count = count.checked_add(records).ok_or_else(|| Broken::new("it has too many records"))?;
            if cursor.take(16)? != sync {
                return broken("a block does not end where it should");
            }
            // Every record takes a byte at least; an empty block tells nothing.
            if records > 0 {
                blocks.push(Block { records, end: data.len() });
            } else if !block.is_empty() && data.len() > blocks.last().map_or(0, |last: &Block| last.end) {
                return broken("it holds more than its records");
            }
        }
        // Every record of a manifest takes at least a byte, so that no larger number can be meant.
        if count > data.len() {
            return broken("it claims more records than it holds");
        }
        Ok(Self { metadata, schema, definitions, count, data, blocks, most: limits.metadata_bytes })
    }

    /// Every record, read by `read`. Each block must hold its own records, whole, and nothing else.
    pub(super) fn records<T>(&self, mut read: impl FnMut(&mut Cursor<'_>) -> Decoded<T>) -> Decoded<Vec<T>> {
        let mut cursor = Cursor::new(&self.data);
        let mut all = Vec::with_capacity(self.count.min(MOST_EXPECTED));
        for block in &self.blocks {
            for _ in 0..block.records {
                all.push(read(&mut cursor)?);
            }
            match cursor.position().cmp(&block.end) {
                Ordering::Equal => {}
                Ordering::Less => return broken("it holds more than its records"),
                Ordering::Greater => return broken("a block ends in the middle of a record"),
            }
        }
        Ok(all)
    }

    /// Refuses records that would take too much memory, at `bytes` for each one, before any is read.
    pub(super) fn check_records(&self, bytes: usize) -> Decoded<()> {
        self.check_memory(self.count, bytes)
    }

    /// Refuses `count` parts of records that take `bytes` of memory each, where that is too much.
    pub(super) fn check_memory(&self, count: usize, bytes: usize) -> Decoded<()> {
        match (count as u64).saturating_mul(bytes as u64) > self.most {
            true => Err(Broken::beyond("its records take", "metadata-bytes", self.most)),
            false => Ok(()),
        }
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

    /// Puts the data of a block behind `data`, and refuses it before it fills more than the room for the whole file. What
    /// follows the end of the compressed data is not for any reader: such a block is refused.
    fn decompress(self, block: &[u8], data: &mut Vec<u8>, room: Room) -> Decoded<()> {
        let start = data.len();
        let left = room.most.saturating_sub(start as u64);
        let fails = |_| Broken::new("a block cannot be decompressed");
        let (fits, rest) = match self {
            Self::Null => {
                let fits = block.len() as u64 <= left;
                if fits {
                    data.extend_from_slice(block);
                }
                (fits, 0)
            }
            Self::Deflate => {
                let mut decoder = flate2::bufread::DeflateDecoder::new(block);
                let fits = read_bounded(&mut decoder, left, data).map_err(fails)?;
                let rest = decoder.into_inner();
                // PyIceberg and fastavro cut the frame of zlib off, but for some bytes of its checksum.
                let checksum = fits && !rest.is_empty() && adler32(&data[start..]).starts_with(rest);
                (fits, if checksum { 0 } else { rest.len() })
            }
            Self::Zstandard => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(block).map_err(fails)?;
                // Larger windows than the data that is allowed would only take memory.
                decoder.window_log_max(WINDOW_LOG).map_err(fails)?;
                (read_bounded(&mut decoder, left, data).map_err(fails)?, 0)
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
                if claimed as u64 > left {
                    return Err(room.exceeded());
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
                (true, 0)
            }
        };
        if !fits {
            return Err(room.exceeded());
        }
        if rest > 0 {
            return broken("a block holds more than its compressed data");
        }
        Ok(())
    }
}

/// The checksum at the end of zlib's format (RFC 1950, section 8.2).
fn adler32(data: &[u8]) -> [u8; 4] {
    let (mut a, mut b) = (1_u32, 0_u32);
    // So many bytes do not overflow.
    for chunk in data.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        (a, b) = (a % 65_521, b % 65_521);
    }
    ((b << 16) | a).to_be_bytes()
}

/// How much the blocks of a file may unfold to, together.
#[derive(Debug, Clone, Copy)]
struct Room {
    most: u64,
    setting: &'static str,
}

impl Room {
    fn exceeded(self) -> Broken {
        if self.most == MAX_DATA {
            return Broken::new("it is larger than 4 GiB");
        }
        Broken::beyond("its blocks unfold to", self.setting, self.most)
    }
}

#[cfg(test)]
mod tests;
