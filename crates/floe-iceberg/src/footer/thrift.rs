//! The compact protocol of Thrift, as far as footers have to be looked at that the crate does not take as they are.

/// Deeper structs are in no footer.
const MAX_DEPTH: usize = 32;
/// The type that ends a struct.
pub(super) const STOP: u8 = 0;

/// The footer in the end of a file, which is given without its magic.
pub(super) fn footer_of(end: &[u8]) -> Option<&[u8]> {
    let (rest, length) = end.split_last_chunk::<4>()?;
    rest.get(rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?..)
}

/// The fields of a footer, each with its place, for tests that forge one.
#[cfg(test)]
pub(crate) fn fields(footer: &[u8]) -> Vec<(i16, std::ops::Range<usize>)> {
    let mut thrift = Thrift::new(footer);
    let (mut fields, mut id, mut start) = (Vec::new(), 0, 0);
    loop {
        let (next, kind) = thrift.field(id).unwrap();
        if kind == STOP {
            return fields;
        }
        id = next;
        thrift.skip(kind, 0).unwrap();
        let end = footer.len() - thrift.rest().len();
        fields.push((id, start..end));
        start = end;
    }
}

/// Steps through the compact protocol of Thrift.
pub(super) struct Thrift<'a> {
    rest: &'a [u8],
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What comes next.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
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

    /// The next field of a struct: its id and its type, which is [`STOP`] at the end.
    pub(super) fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let head = self.byte()?;
        if head == 0 {
            return Some((0, STOP));
        }
        let id = match head >> 4 {
            0 => {
                let zigzag = self.varint()?;
                i16::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()?
            }
            delta => last.checked_add(i16::from(delta))?,
        };
        Some((id, head & 0x0f)).filter(|(_, kind)| *kind != STOP)
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
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
                loop {
                    let (next, kind) = self.field(id)?;
                    if kind == STOP {
                        return Some(());
                    }
                    id = next;
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => None,
        }
    }
}
