//! Footers that lack what every reader can do without.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{Thrift, footer_of};

/// The footer of a file that ends with `end`, if it lacks no more than the size of row groups before compression, which is
/// a required field that early writers left out and nobody needs: the columns tell theirs.
pub fn completed(end: &[u8]) -> Option<ParquetMetaData> {
    let (rest, magic) = end.split_last_chunk::<4>()?;
    let footer = footer_of(rest).filter(|_| magic == b"PAR1")?;
    let whole = with_row_groups(footer, &|fields| {
        if !fields.iter().any(|field| field.id == TOTAL_BYTE_SIZE) {
            let after = fields.iter().take_while(|field| field.id < TOTAL_BYTE_SIZE).count();
            fields.insert(after, Field { id: TOTAL_BYTE_SIZE, kind: I64, value: vec![0] });
        }
    })?;
    ParquetMetaDataReader::decode_metadata(&whole).ok()
}

const ROW_GROUPS: i16 = 4;
const TOTAL_BYTE_SIZE: i16 = 2;
const I64: u8 = 6;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A field of a struct, as it is encoded.
struct Field {
    id: i16,
    kind: u8,
    value: Vec<u8>,
}

/// The footer with its row groups changed. `None` if it cannot be read.
fn with_row_groups(footer: &[u8], change: &dyn Fn(&mut Vec<Field>)) -> Option<Vec<u8>> {
    let mut thrift = Thrift::new(footer);
    let mut fields = fields(&mut thrift)?;
    for field in fields.iter_mut().filter(|field| field.id == ROW_GROUPS && field.kind == LIST) {
        let mut list = Thrift::new(&field.value);
        let head = list.byte()?;
        let count = if head >> 4 == 15 { list.varint()? } else { u64::from(head >> 4) };
        if head & 0x0f != STRUCT {
            return None;
        }
        let mut value = field.value[..field.value.len() - list.rest().len()].to_vec();
        for _ in 0..count {
            let mut group = self::fields(&mut list)?;
            change(&mut group);
            encode(&group, &mut value);
        }
        field.value = value;
    }
    let mut out = Vec::with_capacity(footer.len() + 16);
    encode(&fields, &mut out);
    Some(out)
}

fn fields(thrift: &mut Thrift<'_>) -> Option<Vec<Field>> {
    let (mut fields, mut last) = (Vec::new(), 0);
    while let Some((id, kind)) = thrift.field(last)? {
        let before = thrift.rest();
        thrift.skip(kind, 0)?;
        let value = before[..before.len() - thrift.rest().len()].to_vec();
        fields.push(Field { id, kind, value });
        last = id;
    }
    Some(fields)
}

fn encode(fields: &[Field], out: &mut Vec<u8>) {
    let mut last = 0_i16;
    for field in fields {
        match field.id.checked_sub(last).and_then(|delta| u8::try_from(delta).ok()) {
            Some(delta @ 1..=15) => out.push(delta << 4 | field.kind),
            _ => {
                out.push(field.kind);
                let mut zigzag = (i32::from(field.id) << 1 ^ i32::from(field.id) >> 31) as u32;
                while zigzag > 0x7f {
                    out.push(zigzag as u8 | 0x80);
                    zigzag >>= 7;
                }
                out.push(zigzag as u8);
            }
        }
        out.extend_from_slice(&field.value);
        last = field.id;
    }
    out.push(0);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn a_footer_without_the_size_of_its_row_groups_is_whole_otherwise() {
        for rows in [1, 20] {
            let numbers: ArrayRef = Arc::new((0..rows).collect::<Int64Array>());
            let texts: ArrayRef = Arc::new((0..rows).map(|n| Some(n.to_string())).collect::<StringArray>());
            let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
            let properties = parquet::file::properties::WriterProperties::builder()
                .set_max_row_group_row_count(Some(1))
                .build();
            let mut file = Vec::new();
            let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let expected = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.clone())).unwrap();

            let footer = footer_of(&file[..file.len() - 4]).unwrap();
            let lacking = with_row_groups(footer, &|fields| fields.retain(|field| field.id != 2)).unwrap();
            assert!(ParquetMetaDataReader::decode_metadata(&lacking).is_err());
            let end = [lacking.as_slice(), &(lacking.len() as u32).to_le_bytes(), b"PAR1"].concat();
            let found = completed(&end).unwrap();
            assert_eq!(found.file_metadata(), expected.file_metadata());
            assert_eq!(found.num_row_groups(), rows as usize);
            for (found, expected) in found.row_groups().iter().zip(expected.row_groups()) {
                assert_eq!((found.columns(), found.num_rows()), (expected.columns(), expected.num_rows()));
            }
            // What is damaged otherwise stays so.
            assert!(completed(&end[..end.len() - 1]).is_none() && completed(&end[9..]).is_none());
        }
    }
}
