//! The compact protocol of Thrift, as far as footers have to be looked at before the Parquet crate reads them, or where it does
//! not take them as they are.

/// Deeper structures are in no footer.
const MAX_DEPTH: usize = 24;
/// The type that ends a struct.
pub(crate) const STOP: u8 = 0;
/// The type of 32-bit integers.
pub(crate) const I32: u8 = 5;
/// The type of 64-bit integers.
pub(crate) const I64: u8 = 6;
/// The type of lists.
pub(crate) const LIST: u8 = 9;
/// The type of structs.
pub(crate) const STRUCT: u8 = 12;

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

/// Steps through the compact protocol of Thrift. `None` for what is cut off, claims more than there is, or is too deep.
pub(crate) struct Thrift<'a> {
    rest: &'a [u8],
}

impl<'a> Thrift<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What comes next.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An integer of the types 4 to 6.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// The next field of a struct: its id and its type, which is [`STOP`] at the end.
    pub(crate) fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let head = self.byte()?;
        if head == 0 {
            return Some((0, STOP));
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.integer()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some((id, head & 0x0f)).filter(|(_, kind)| *kind != STOP)
    }

    /// The beginning of a list or set: the type of its elements, and how many there are.
    pub(crate) fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Some((head & 0x0f, self.held(count)?))
    }

    /// Passes over the value of a field. `depth` is how deep the field lies.
    pub(crate) fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        // The type of a field tells its boolean.
        if matches!(kind, 1 | 2) { Some(()) } else { self.skip_value(kind, depth) }
    }

    /// Passes over a value that is no field's.
    fn skip_value(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1..=3 => self.take(1),
            4..=6 => self.varint().map(drop),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(length)
            }
            LIST | 10 => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_value(kind, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                for _ in 0..self.held(count)? {
                    self.skip_value(kinds >> 4, depth + 1)?;
                    self.skip_value(kinds & 0x0f, depth + 1)?;
                }
                Some(())
            }
            STRUCT => {
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

    /// A number of elements, each of which takes a byte at least.
    fn held(&self, count: u64) -> Option<u64> {
        (count <= self.rest.len() as u64).then_some(count)
    }

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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of booleans in a struct: outside of fields they take a byte each.
    #[test]
    fn booleans_of_maps_and_lists_are_passed_over() {
        let map = [0x1b, 2, 0x11, 1, 2, 1, 1, 0x15, 8, 0];
        let list = [0x19, 0x31, 1, 2, 1, 0x15, 8, 0];
        let alone = [0x11, 0x15, 8, 0];
        for bytes in [&map[..], &list, &alone] {
            let mut thrift = Thrift::new(bytes);
            let (id, kind) = thrift.field(0).unwrap();
            thrift.skip(kind, 0).unwrap();
            assert_eq!(thrift.field(id), Some((2, I32)));
            assert_eq!((thrift.integer(), thrift.field(2)), (Some(4), Some((0, STOP))));
        }
    }

    #[test]
    fn what_claims_more_than_there_is_ends_there() {
        assert_eq!(Thrift::new(&[0xfc, 0xff, 0xff, 0x03, 0, 0]).list(), None);
        assert_eq!(Thrift::new(&[0xff, 0xff, 0x03, 0x11, 0, 0]).skip(11, 0), None);
        let deep: Vec<u8> = std::iter::repeat_n(0x1c, 100).collect();
        assert_eq!(Thrift::new(&deep).skip(STRUCT, 0), None);
    }
}
