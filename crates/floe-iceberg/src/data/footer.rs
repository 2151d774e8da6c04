//! A look at a Parquet footer before the Parquet crate reads it.
//!
//! The crate asks for memory for as many elements as a list of the footer claims, and goes down as deep as its schema does: a
//! damaged footer then ends the process, which no guard prevents. Here lists are compared with what is left of the footer, and
//! depths are bounded. Nothing is decoded but that (Thrift compact protocol; Parquet format, `FileMetaData`).

use crate::footer::thrift::{I32, LIST, STOP, STRUCT, Thrift};

/// The field `schema` of `FileMetaData`.
const SCHEMA: i16 = 2;
/// The field `num_children` of `SchemaElement`.
const CHILDREN: i16 = 5;
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
    children(footer).is_some_and(|children| depth(&children) <= MOST_LEVELS)
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

/// How many children each element of the schema has, which is the second field of a footer; `None` for a footer that claims
/// what it cannot hold.
fn children(footer: &[u8]) -> Option<Vec<i64>> {
    let (mut thrift, mut id, mut children) = (Thrift::new(footer), 0, Vec::new());
    loop {
        let (next, kind) = thrift.field(id)?;
        id = next;
        match (id, kind) {
            (_, STOP) => return Some(children),
            (SCHEMA, LIST) => {
                let (kind, count) = thrift.list()?;
                if kind != STRUCT {
                    return None;
                }
                for _ in 0..count {
                    children.push(children_of_one(&mut thrift)?);
                }
            }
            _ => thrift.skip(kind, 0)?,
        }
    }
}

/// Of one element of the schema, its number of children.
fn children_of_one(thrift: &mut Thrift<'_>) -> Option<i64> {
    let (mut id, mut count) = (0, 0);
    loop {
        let (next, kind) = thrift.field(id)?;
        id = next;
        match (id, kind) {
            (_, STOP) => return Some(count),
            (CHILDREN, I32) => count = thrift.integer()?,
            _ => thrift.skip(kind, 1)?,
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
