//! A look at a Parquet footer before the Parquet crate reads it.
//!
//! The crate asks for memory for as many elements as a list of the footer claims, and goes down as deep as its schema does: a
//! damaged footer then ends the process, which no guard prevents. Here lists are compared with what is left of the footer, and
//! depths are bounded. Nothing is decoded but that (Thrift compact protocol; Parquet format, `FileMetaData`).

/// Deeper structures than those of the format are refused.
const MOST_STRUCTS: u32 = 24;
/// Deeper schemas are refused, rather than overflow the stack.
const MOST_LEVELS: usize = 200;

/// The bytes that end a file: the length of the footer, and the magic number.
pub const TRAILER: usize = 8;

/// How many bytes before the [`TRAILER`] the footer has; `None` if this ends no Parquet file that is not encrypted.
pub fn footer_length(trailer: &[u8]) -> Option<u64> {
    let (length, magic) =
        trailer.split_last_chunk::<4>().map(|(rest, magic)| (rest.last_chunk::<4>(), magic))?;
    (magic == b"PAR1").then_some(u64::from(u32::from_le_bytes(*length?)))
}

/// Whether the footer claims nothing that it cannot hold. Whether it is a right one is for the Parquet crate to say.
///
/// ```
/// use floe_iceberg::data::footer::is_plausible;
///
/// // A list of two thousand million schema elements, and no more bytes.
/// assert!(!is_plausible(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]));
/// ```
pub fn is_plausible(footer: &[u8]) -> bool {
    let mut walk = Walk { rest: footer };
    let mut children = Vec::new();
    walk.structure(0, &mut Some(&mut children)).is_some() && depth(&children) <= MOST_LEVELS
}

/// How deep a schema is whose elements, in order, have so many children.
fn depth(children: &[i64]) -> usize {
    let mut open: Vec<i64> = Vec::new();
    let mut deepest = 0;
    for count in children {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if *count > 0 {
            open.push(*count);
            deepest = deepest.max(open.len());
        }
    }
    deepest
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Walks over a structure. With `schema`, it is the outermost one: its second field is the list of schema elements, whose
    /// numbers of children are noted there.
    fn structure(&mut self, depth: u32, schema: &mut Option<&mut Vec<i64>>) -> Option<()> {
        let mut id = 0;
        while let ty @ 1.. = self.field(&mut id)? {
            match schema {
                Some(children) if id == 2 && ty == 9 => self.list(depth + 1, &mut Some(&mut **children))?,
                _ => self.value(ty, depth, true)?,
            }
        }
        Some(())
    }

    /// The type of the next field, whose number goes to `id`; 0 at the end.
    fn field(&mut self, id: &mut i64) -> Option<u8> {
        let head = self.byte()?;
        let (ty, delta) = (head & 0x0f, head >> 4);
        if ty > 0 {
            *id = match delta {
                0 => self.signed()?,
                delta => id.checked_add(i64::from(delta))?,
            };
        }
        Some(ty)
    }

    fn element(&mut self, depth: u32, children: &mut Vec<i64>) -> Option<()> {
        let (mut id, mut count) = (0, 0);
        while let ty @ 1.. = self.field(&mut id)? {
            match (id, ty) {
                (5, 5) => count = self.signed()?,
                _ => self.value(ty, depth, true)?,
            }
        }
        children.push(count);
        Some(())
    }

    fn list(&mut self, depth: u32, schema: &mut Option<&mut Vec<i64>>) -> Option<()> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            count => u64::from(count),
        };
        // Every element takes a byte at least.
        if count > self.rest.len() as u64 || depth > MOST_STRUCTS {
            return None;
        }
        for _ in 0..count {
            match schema {
                Some(children) if head & 0x0f == 12 => self.element(depth + 1, children)?,
                _ => self.value(head & 0x0f, depth, false)?,
            }
        }
        Some(())
    }

    fn value(&mut self, ty: u8, depth: u32, in_field: bool) -> Option<()> {
        if depth > MOST_STRUCTS {
            return None;
        }
        match ty {
            // The value of a field is in its type.
            1 | 2 if in_field => Some(()),
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth + 1, &mut None),
            11 => {
                let count = self.number()?;
                if count == 0 {
                    return Some(());
                }
                let types = self.byte()?;
                if count > self.rest.len() as u64 {
                    return None;
                }
                for _ in 0..count {
                    self.value(types >> 4, depth + 1, false)?;
                    self.value(types & 0x0f, depth + 1, false)?;
                }
                Some(())
            }
            12 => self.structure(depth + 1, &mut None),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Fields, Schema};
    use parquet::arrow::ArrowWriter;
    use proptest::prelude::*;

    use super::*;

    fn footer_of(schema: Schema) -> Vec<u8> {
        let mut file = Vec::new();
        let writer = ArrowWriter::try_new(&mut file, Arc::new(schema), None).unwrap();
        writer.close().unwrap();
        let (rest, trailer) = file.split_at(file.len() - TRAILER);
        let length = usize::try_from(footer_length(trailer).unwrap()).unwrap();
        rest[rest.len() - length..].to_vec()
    }

    fn nested(levels: usize) -> Schema {
        let mut field = Field::new("leaf", DataType::Utf8, true);
        for level in 0..levels {
            let one = Field::new("one", DataType::Int32, true);
            field = Field::new(format!("l{level}"), DataType::Struct(Fields::from(vec![field, one])), true);
        }
        Schema::new(vec![field, Field::new("n", DataType::Int64, false)])
    }

    #[test]
    fn footers_that_are_right_pass_up_to_a_depth() {
        assert!(is_plausible(&footer_of(nested(0))));
        assert!(is_plausible(&footer_of(nested(100))));
        assert!(!is_plausible(&footer_of(nested(300))));
        assert_eq!(footer_length(b"\x05\0\0\0PAR1"), Some(5));
        assert_eq!((footer_length(b"\x05\0\0\0PARE"), footer_length(b"PAR1")), (None, None));
    }

    #[test]
    fn footers_that_claim_more_than_they_hold_do_not() {
        let footer = footer_of(nested(3));
        for end in 0..footer.len() {
            assert!(!is_plausible(&footer[..end]), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            is_plausible(&bytes);
        }

        #[test]
        fn a_list_that_is_longer_than_the_footer_is_refused(count in 1000_u32..) {
            let mut bytes = vec![0x29, 0xfc];
            let mut left = count;
            while left >= 0x80 {
                bytes.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
            bytes.extend([0; 100]);
            prop_assert!(!is_plausible(&bytes));
        }
    }
}
