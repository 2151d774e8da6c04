//! Avro object container files, as far as Iceberg's manifests and manifest lists need them (Avro
//! specification, "Object Container Files" and "Binary Encoding").
//!
//! Nothing is decoded into values here: a [`Cursor`] walks the bytes, so that a caller reads what it needs and
//! skips the rest.

use std::collections::HashMap;
use std::io::Read;

use serde_json::Value;

/// What is wrong with a file. Never holds a value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

pub(super) type Decoded<T> = std::result::Result<T, Broken>;

pub(super) fn broken<T>(why: impl Into<String>) -> Decoded<T> {
    Err(Broken(why.into()))
}

/// A file in memory: its header, and the data of all its blocks, decompressed and joined.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) metadata: HashMap<String, Vec<u8>>,
    pub(super) schema: AvroType,
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
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroField {
    pub(super) name: String,
    /// The Iceberg field id that the schema carries as `field-id`.
    pub(super) id: Option<i32>,
    pub(super) ty: AvroType,
}

const MAGIC: &[u8] = b"Obj\x01";
/// Deeper schemas are refused, rather than overflow the stack.
const MAX_DEPTH: usize = 64;

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
        let schema = metadata.get("avro.schema").ok_or_else(|| Broken("it has no Avro schema".into()))?;
        let schema: Value =
            serde_json::from_slice(schema).map_err(|_| Broken("its Avro schema is no JSON".into()))?;
        let schema = parse_type(&schema, &mut HashMap::new(), 0)?;
        let codec = metadata.get("avro.codec").map_or(&b"null"[..], Vec::as_slice);
        let codec = Codec::named(codec)?;

        let mut data = Vec::with_capacity(bytes.len() * if codec == Codec::Null { 1 } else { 4 });
        let mut count = 0_usize;
        while !cursor.is_at_end() {
            let records = usize::try_from(cursor.long()?).or_else(|_| broken("a block has no size"))?;
            let block = cursor.bytes()?;
            codec.decompress(block, &mut data)?;
            count = count.checked_add(records).ok_or_else(|| Broken("it has too many records".into()))?;
            if cursor.take(16)? != sync {
                return broken("a block does not end where it should");
            }
        }
        // Every record of a manifest takes at least a byte, so that no larger number can be meant.
        if count > data.len() {
            return broken("it claims more records than it holds");
        }
        Ok(Self { metadata, schema, count, data })
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
            other => broken(format!("its codec {} is not known", String::from_utf8_lossy(other))),
        }
    }

    fn decompress(self, block: &[u8], data: &mut Vec<u8>) -> Decoded<()> {
        let start = data.len();
        let fails = |_| Broken("a block cannot be decompressed".into());
        match self {
            Self::Null => data.extend_from_slice(block),
            Self::Deflate => {
                flate2::read::DeflateDecoder::new(block).read_to_end(data).map_err(fails)?;
            }
            Self::Zstandard => {
                zstd::stream::read::Decoder::with_buffer(block)
                    .and_then(|mut decoder| decoder.read_to_end(data))
                    .map_err(fails)?;
            }
            Self::Snappy => {
                let Some((block, checksum)) = block.split_last_chunk::<4>() else {
                    return broken("a block cannot be decompressed");
                };
                let plain = snap::raw::Decoder::new()
                    .decompress_vec(block)
                    .map_err(|_| Broken("a block cannot be decompressed".into()))?;
                data.extend_from_slice(&plain);
                let mut crc = flate2::Crc::new();
                crc.update(&data[start..]);
                if crc.sum() != u32::from_be_bytes(*checksum) {
                    return broken("the checksum of a block is wrong");
                }
            }
        }
        Ok(())
    }
}

fn parse_type(json: &Value, named: &mut HashMap<String, AvroType>, depth: usize) -> Decoded<AvroType> {
    if depth > MAX_DEPTH {
        return broken("its Avro schema is nested too deeply");
    }
    match json {
        Value::String(name) => Ok(match name.as_str() {
            "null" => AvroType::Null,
            "boolean" => AvroType::Boolean,
            "int" => AvroType::Int,
            "long" => AvroType::Long,
            "float" => AvroType::Float,
            "double" => AvroType::Double,
            "bytes" => AvroType::Bytes,
            "string" => AvroType::String,
            other => {
                let short = other.rsplit('.').next().unwrap_or(other);
                return named
                    .get(short)
                    .cloned()
                    .ok_or_else(|| Broken("its Avro schema uses a type that it does not define".into()));
            }
        }),
        Value::Array(branches) => Ok(AvroType::Union(
            branches.iter().map(|b| parse_type(b, named, depth + 1)).collect::<Decoded<_>>()?,
        )),
        Value::Object(object) => {
            let inner = |key: &str, named: &mut HashMap<String, AvroType>| match object.get(key) {
                Some(json) => parse_type(json, named, depth + 1),
                None => broken("its Avro schema is incomplete"),
            };
            let ty = match object.get("type") {
                Some(Value::String(name)) => match name.as_str() {
                    "array" => AvroType::Array(Box::new(inner("items", named)?)),
                    "map" => AvroType::Map(Box::new(inner("values", named)?)),
                    "enum" => AvroType::Enum,
                    "fixed" => match object.get("size").and_then(Value::as_u64) {
                        Some(size) => AvroType::Fixed(size as usize),
                        None => return broken("its Avro schema is incomplete"),
                    },
                    "record" => {
                        let Some(Value::Array(fields)) = object.get("fields") else {
                            return broken("its Avro schema is incomplete");
                        };
                        let field = |json: &Value, named: &mut HashMap<String, AvroType>| {
                            let (Some(name), Some(ty)) =
                                (json.get("name").and_then(Value::as_str), json.get("type"))
                            else {
                                return broken("its Avro schema is incomplete");
                            };
                            let id = json
                                .get("field-id")
                                .and_then(Value::as_i64)
                                .and_then(|id| i32::try_from(id).ok());
                            Ok(AvroField { name: name.to_owned(), id, ty: parse_type(ty, named, depth + 1)? })
                        };
                        AvroType::Record(fields.iter().map(|f| field(f, named)).collect::<Decoded<_>>()?)
                    }
                    // A primitive with attributes, as logical types have them.
                    _ => inner("type", named)?,
                },
                Some(_) => inner("type", named)?,
                None => return broken("its Avro schema is incomplete"),
            };
            if let Some(name) = object.get("name").and_then(Value::as_str) {
                named.insert(name.rsplit('.').next().unwrap_or(name).to_owned(), ty.clone());
            }
            Ok(ty)
        }
        _ => broken("its Avro schema is not valid"),
    }
}

/// Walks encoded values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// A cursor that starts in the middle of `data`.
    pub(super) fn at(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.data.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.data.len());
        let Some(end) = end else {
            return broken("it ends in the middle of a value");
        };
        let taken = &self.data[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An int or a long: both are encoded alike.
    #[inline]
    pub(super) fn long(&mut self) -> Decoded<i64> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let Some(&byte) = self.data.get(self.at) else {
                return broken("it ends in the middle of a number");
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return broken("it holds a number that is too long");
            }
        }
    }

    pub(super) fn int(&mut self) -> Decoded<i32> {
        i32::try_from(self.long()?).or_else(|_| broken("it holds a number that is out of range"))
    }

    pub(super) fn boolean(&mut self) -> Decoded<bool> {
        Ok(self.take(1)?[0] != 0)
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        match usize::try_from(self.long()?) {
            Ok(length) => self.take(length),
            Err(_) => broken("it holds a negative length"),
        }
    }

    pub(super) fn string(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes()?).or_else(|_| broken("it holds text that is not UTF-8"))
    }

    /// Calls `item` at every item of an array, or at every key of a map; it must read the item whole.
    #[inline]
    pub(super) fn each(&mut self, mut item: impl FnMut(&mut Self) -> Decoded<()>) -> Decoded<()> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                count = count.checked_neg().ok_or_else(|| Broken("it holds a wrong count".into()))?;
                self.long()?;
            }
            if count as u64 > (self.data.len() - self.at) as u64 {
                return broken("it claims more items than it holds");
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    /// The branch of a union that was written.
    pub(super) fn branch<'t>(&mut self, branches: &'t [AvroType]) -> Decoded<&'t AvroType> {
        let branch = usize::try_from(self.long()?).ok().and_then(|index| branches.get(index));
        branch.ok_or_else(|| Broken("it holds a value that its schema does not have".into()))
    }

    /// Steps over a value.
    pub(super) fn skip(&mut self, ty: &AvroType) -> Decoded<()> {
        match ty {
            AvroType::Null => {}
            AvroType::Boolean => {
                self.take(1)?;
            }
            AvroType::Int | AvroType::Long | AvroType::Enum => {
                self.long()?;
            }
            AvroType::Float => {
                self.take(4)?;
            }
            AvroType::Double => {
                self.take(8)?;
            }
            AvroType::Bytes | AvroType::String => {
                self.bytes()?;
            }
            AvroType::Fixed(size) => {
                self.take(*size)?;
            }
            AvroType::Array(item) => self.skip_items(|c| c.skip(item))?,
            AvroType::Map(value) => self.skip_items(|c| {
                c.bytes()?;
                c.skip(value)
            })?,
            AvroType::Record(fields) => {
                for field in fields {
                    self.skip(&field.ty)?;
                }
            }
            AvroType::Union(branches) => {
                let branch = self.branch(branches)?;
                self.skip(branch)?;
            }
        }
        Ok(())
    }

    /// As [`Self::each`], but jumps over blocks that tell their size.
    fn skip_items(&mut self, mut item: impl FnMut(&mut Self) -> Decoded<()>) -> Decoded<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                match usize::try_from(self.long()?) {
                    Ok(size) => self.take(size)?,
                    Err(_) => return broken("it holds a negative length"),
                };
                continue;
            }
            if count as u64 > (self.data.len() - self.at) as u64 {
                return broken("it claims more items than it holds");
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}
