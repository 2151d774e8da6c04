//! Footers with fields of their writer's own, under numbers that Parquet took for others since.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::thrift::{I32, I64, LIST, STOP, STRUCT, Thrift, footer_of};

/// The footer of a file that ends with `end`, without fields of column chunks that have another type than Parquet gives
/// them. Dremio kept page headers where Parquet has the length of a Bloom filter by now; the crate takes a field for what
/// its number says, and goes astray. `None` if that is not what is wrong.
pub fn completed(end: &[u8]) -> Option<ParquetMetaData> {
    let (rest, magic) = end.split_last_chunk::<4>()?;
    let footer = footer_of(rest).filter(|_| magic == b"PAR1")?;
    let plain = with_columns(footer, &|fields| {
        fields.retain(|field| KINDS.iter().all(|(id, kind)| *id != field.id || *kind == field.kind));
    })?;
    ParquetMetaDataReader::decode_metadata(&plain).ok()
}

/// The types of fields that `ColumnMetaData` got late: place and length of the Bloom filter, sizes, geometry.
const KINDS: [(i16, u8); 4] = [(14, I64), (15, I32), (16, STRUCT), (17, STRUCT)];

const ROW_GROUPS: i16 = 4;
const COLUMNS: i16 = 1;
const COLUMN_METADATA: i16 = 3;

/// A field of a struct, as it is encoded.
struct Field {
    id: i16,
    kind: u8,
    value: Vec<u8>,
}

/// The footer with the metadata of its column chunks changed. `None` if it cannot be read.
fn with_columns(footer: &[u8], change: &dyn Fn(&mut Vec<Field>)) -> Option<Vec<u8>> {
    let mut file = fields(&mut Thrift::new(footer))?;
    in_list(&mut file, ROW_GROUPS, &|group| {
        in_list(group, COLUMNS, &|chunk| {
            for field in chunk.iter_mut().filter(|field| field.id == COLUMN_METADATA && field.kind == STRUCT)
            {
                let mut column = fields(&mut Thrift::new(&field.value))?;
                change(&mut column);
                field.value.clear();
                encode(&column, &mut field.value);
            }
            Some(())
        })
    })?;
    let mut out = Vec::with_capacity(footer.len());
    encode(&file, &mut out);
    Some(out)
}

/// Changes every struct in the list that is field `id`.
fn in_list(of: &mut [Field], id: i16, change: &dyn Fn(&mut Vec<Field>) -> Option<()>) -> Option<()> {
    for field in of.iter_mut().filter(|field| field.id == id && field.kind == LIST) {
        let mut list = Thrift::new(&field.value);
        let (kind, count) = list.list()?;
        if kind != STRUCT {
            return None;
        }
        let mut value = field.value[..field.value.len() - list.rest().len()].to_vec();
        for _ in 0..count {
            let mut item = fields(&mut list)?;
            change(&mut item)?;
            encode(&item, &mut value);
        }
        field.value = value;
    }
    Some(())
}

fn fields(thrift: &mut Thrift<'_>) -> Option<Vec<Field>> {
    let (mut fields, mut last) = (Vec::new(), 0);
    loop {
        let (id, kind) = thrift.field(last)?;
        if kind == STOP {
            return Some(fields);
        }
        let before = thrift.rest();
        thrift.skip(kind, 0)?;
        let value = before[..before.len() - thrift.rest().len()].to_vec();
        fields.push(Field { id, kind, value });
        last = id;
    }
}

fn encode(fields: &[Field], out: &mut Vec<u8>) {
    let mut last = 0_i16;
    for field in fields {
        let delta = field.id.checked_sub(last).and_then(|delta| u8::try_from(delta).ok());
        if let Some(delta @ 1..=15) = delta {
            out.push((delta << 4) | field.kind);
        } else {
            out.push(field.kind);
            let mut zigzag = ((i32::from(field.id) << 1) ^ (i32::from(field.id) >> 31)) as u32;
            while zigzag > 0x7f {
                out.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            out.push(zigzag as u8);
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
    fn fields_of_the_writers_own_are_left_out() {
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
            // A list of one struct, as Dremio has it.
            let own = with_columns(footer, &|fields| {
                fields.retain(|field| field.id < 14);
                fields.push(Field { id: 15, kind: LIST, value: vec![0x1c, 0x15, 0, 0x15, 0x4e, 0] });
            });
            let own = own.unwrap();
            assert!(ParquetMetaDataReader::decode_metadata(&own).is_err());
            let end = [own.as_slice(), &(own.len() as u32).to_le_bytes(), b"PAR1"].concat();
            let found = completed(&end).unwrap();
            assert_eq!(found.file_metadata(), expected.file_metadata());
            assert_eq!(found.num_row_groups(), rows as usize);
            for (found, expected) in found.row_groups().iter().zip(expected.row_groups()) {
                assert_eq!(found.num_rows(), expected.num_rows());
                for (found, expected) in found.columns().iter().zip(expected.columns()) {
                    assert_eq!(found.byte_range(), expected.byte_range());
                    assert_eq!(found.statistics(), expected.statistics());
                }
            }
            // What is damaged otherwise stays so.
            assert!(completed(&end[..end.len() - 1]).is_none() && completed(&end[9..]).is_none());
        }
    }
}
