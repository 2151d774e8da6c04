//! Encrypted Parquet files (Parquet specification, "Parquet Modular Encryption").

/// Why a file that ends with `end` cannot be read without its keys; `None` if it is not encrypted, as far as can be seen.
///
/// `end` is the end of the file, with the whole footer if it may be encrypted in part.
pub fn encrypted(end: &[u8]) -> Option<&'static str> {
    let (rest, magic) = end.split_last_chunk::<4>()?;
    if magic == b"PARE" {
        return Some("it is encrypted, its footer too (PARE), and floe has no keys");
    }
    let (rest, length) = rest.split_last_chunk::<4>()?;
    let start = rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?;
    (magic == b"PAR1" && has_algorithm(&rest[start..])?)
        .then_some("columns of it are encrypted, and floe has no keys")
}

/// The field `encryption_algorithm` of `FileMetaData`.
const ALGORITHM: i16 = 8;
/// Deeper structs are in no footer.
const MAX_DEPTH: usize = 32;

/// Whether a footer names an encryption algorithm. The crate steps over that field. `None` if it cannot be read.
fn has_algorithm(footer: &[u8]) -> Option<bool> {
    let mut thrift = Thrift { rest: footer };
    let mut id = 0;
    while let Some((next, kind)) = thrift.field(id)? {
        if next == ALGORITHM {
            return Some(true);
        }
        id = next;
        thrift.skip(kind, 0)?;
    }
    Some(false)
}

/// The fields of a footer, each with its place, for tests that forge one.
#[cfg(test)]
pub(crate) fn fields(footer: &[u8]) -> Vec<(i16, std::ops::Range<usize>)> {
    let mut thrift = Thrift { rest: footer };
    let (mut fields, mut id, mut start) = (Vec::new(), 0, 0);
    while let Some((next, kind)) = thrift.field(id).unwrap() {
        id = next;
        thrift.skip(kind, 0).unwrap();
        let end = footer.len() - thrift.rest.len();
        fields.push((id, start..end));
        start = end;
    }
    fields
}

/// Steps through the compact protocol of Thrift.
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    fn take(&mut self, length: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    /// The next field of a struct: its id and its type. `Some(None)` at the end.
    fn field(&mut self, last: i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => {
                let zigzag = self.varint()?;
                i16::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()?
            }
            delta => last.checked_add(i16::from(delta))?,
        };
        Some(Some((id, head & 0x0f)))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // Booleans are told by the type.
            1 | 2 => Some(()),
            3 => self.take(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                for _ in 0..count {
                    match head & 0x0f {
                        1 | 2 => self.take(1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Some(())
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                for _ in 0..count {
                    self.skip(kinds >> 4, depth + 1)?;
                    self.skip(kinds & 0x0f, depth + 1)?;
                }
                Some(())
            }
            12 => {
                let mut id = 0;
                while let Some((next, kind)) = self.field(id)? {
                    id = next;
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a file with this footer.
    fn end(footer: &[u8]) -> Vec<u8> {
        let length = (footer.len() as u32).to_le_bytes();
        [footer, &length, b"PAR1"].concat()
    }

    #[test]
    fn encrypted_files_are_told_by_their_magic_or_their_footer() {
        assert!(encrypted(b"....PARE").unwrap().contains("PARE"));
        assert!(encrypted(b"xPAR1").is_none() && encrypted(b"").is_none());
        // version = 1, and nothing else.
        assert_eq!(encrypted(&end(&[0x15, 2, 0])), None);
        // version = 1, a list of two strings as field 2, field 8 a struct.
        let footer = [0x15, 2, 0x19, 0x28, 1, b'a', 0, 0x6c, 0, 0];
        assert!(encrypted(&end(&footer)).unwrap().contains("columns"));
    }
}
