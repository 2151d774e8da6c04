//! Walking encoded values (Avro specification, "Binary Encoding").

use super::{AvroType, Broken, Decoded, broken};

/// Deeper values, which only types that contain themselves have, are refused, rather than overflow the stack.
const MAX_DEPTH: usize = 500;

/// Walks encoded values.
#[derive(Debug, Clone, Copy)]
pub(in crate::base) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(in crate::base) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// A cursor that starts in the middle of `data`.
    pub(in crate::base) fn at(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    pub(in crate::base) fn position(&self) -> usize {
        self.at
    }

    pub(in crate::base) fn is_at_end(&self) -> bool {
        self.at >= self.data.len()
    }

    pub(in crate::base) fn take(&mut self, length: usize) -> Decoded<&'a [u8]> {
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
    pub(in crate::base) fn long(&mut self) -> Decoded<i64> {
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

    pub(in crate::base) fn int(&mut self) -> Decoded<i32> {
        i32::try_from(self.long()?).or_else(|_| broken("it holds a number that is out of range"))
    }

    pub(in crate::base) fn boolean(&mut self) -> Decoded<bool> {
        Ok(self.take(1)?[0] != 0)
    }

    #[inline]
    pub(in crate::base) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        match usize::try_from(self.long()?) {
            Ok(length) => self.take(length),
            Err(_) => broken("it holds a negative length"),
        }
    }

    pub(in crate::base) fn string(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes()?).or_else(|_| broken("it holds text that is not UTF-8"))
    }

    /// Calls `item` at every item of an array, or at every key of a map; it must read the item whole.
    #[inline]
    pub(in crate::base) fn each(&mut self, mut item: impl FnMut(&mut Self) -> Decoded<()>) -> Decoded<()> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                count = count.checked_neg().ok_or_else(|| Broken::new("it holds a wrong count"))?;
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
    pub(in crate::base) fn branch<'t>(&mut self, branches: &'t [AvroType]) -> Decoded<&'t AvroType> {
        let branch = usize::try_from(self.long()?).ok().and_then(|index| branches.get(index));
        branch.ok_or_else(|| Broken::new("it holds a value that its schema does not have"))
    }

    /// Steps over a value; `definitions` are those of the file.
    pub(in crate::base) fn skip(&mut self, ty: &AvroType, definitions: &[AvroType]) -> Decoded<()> {
        self.skip_at(ty, definitions, 0)
    }

    fn skip_at(&mut self, ty: &AvroType, definitions: &[AvroType], depth: usize) -> Decoded<()> {
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
            AvroType::Array(item) => {
                self.skip_items(takes_bytes(item), |c| c.skip_at(item, definitions, depth))?;
            }
            AvroType::Map(value) => self.skip_items(true, |c| {
                c.bytes()?;
                c.skip_at(value, definitions, depth)
            })?,
            AvroType::Record(fields) => {
                for field in fields {
                    self.skip_at(&field.ty, definitions, depth)?;
                }
            }
            AvroType::Union(branches) => {
                let branch = self.branch(branches)?;
                self.skip_at(branch, definitions, depth)?;
            }
            AvroType::Recursive(at) => match definitions.get(*at) {
                Some(ty) if depth < MAX_DEPTH => self.skip_at(ty, definitions, depth + 1)?,
                _ => return broken("it holds a value that is nested too deeply"),
            },
        }
        Ok(())
    }

    /// As [`Self::each`], but jumps over blocks that tell their size, and over items that take no bytes.
    fn skip_items(
        &mut self,
        take_bytes: bool,
        mut item: impl FnMut(&mut Self) -> Decoded<()>,
    ) -> Decoded<()> {
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
            if !take_bytes {
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

/// Whether a value of this type takes bytes. One that refers to itself does: else it had no end.
fn takes_bytes(ty: &AvroType) -> bool {
    match ty {
        AvroType::Null => false,
        AvroType::Fixed(size) => *size > 0,
        AvroType::Record(fields) => fields.iter().any(|field| takes_bytes(&field.ty)),
        _ => true,
    }
}
