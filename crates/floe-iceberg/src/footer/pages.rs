//! A look at the pages of a column chunk before the Parquet crate reads them.
//!
//! The crate makes room for as many bytes as the header of a page claims to unfold to, and for as many values as that of a
//! dictionary claims; with gzip and brotli, it takes whatever a page unfolds to. A few bytes then take gigabytes.

use std::io::Read;

use parquet::basic::Compression;

use super::thrift::{I32, STOP, STRUCT, Thrift};

/// A byte of gzip unfolds to no more than so many.
const GZIP_RATIO: u64 = 1032;
/// The page of the format's number 2 is a dictionary.
const DICTIONARY: u64 = 2;

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPage {
    /// It unfolds to so many bytes or more, which is more than there may be.
    TooLarge,
    /// It claims what cannot be.
    Damaged,
}

/// What a header says that the crate makes room for.
#[derive(Debug, Default)]
struct Header {
    kind: u64,
    unfolded: i64,
    stored: i64,
    dictionary_values: i64,
    level_bytes: i64,
    is_plain: bool,
}

/// Looks at all pages in `bytes`, which begin with the header of one. Headers that do not read are left to the Parquet crate, as
/// is what the pages hold.
pub(crate) fn check_pages(bytes: &[u8], codec: Compression, most: u64) -> Result<(), BadPage> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut thrift = Thrift::new(rest);
        let Some(header) = header(&mut thrift) else { return Ok(()) };
        rest = thrift.rest();
        let (Ok(unfolded), Ok(stored)) = (u64::try_from(header.unfolded), usize::try_from(header.stored))
        else {
            return Err(BadPage::Damaged);
        };
        if unfolded > most {
            return Err(BadPage::TooLarge);
        }
        // Each value of a dictionary takes a byte at least.
        if header.kind == DICTIONARY && u64::try_from(header.dictionary_values).is_ok_and(|n| n > unfolded) {
            return Err(BadPage::Damaged);
        }
        let Some(page) = rest.get(..stored) else { return Ok(()) };
        rest = &rest[stored..];
        let packed = usize::try_from(header.level_bytes).ok().and_then(|levels| page.get(levels..));
        if let Some(packed) = packed.filter(|_| !header.is_plain)
            && !unfolds_within(packed, codec, unfolded, most)
        {
            return Err(BadPage::Damaged);
        }
    }
    Ok(())
}

/// Whether what is packed unfolds to no more than the header claims. Only for codecs of which the crate takes more than that, and
/// only where it could be more than there may be.
fn unfolds_within(packed: &[u8], codec: Compression, claimed: u64, most: u64) -> bool {
    let count = |reader: &mut dyn Read| {
        // An error is for the crate to tell.
        std::io::copy(&mut reader.take(claimed + 1), &mut std::io::sink()).map_or(true, |n| n <= claimed)
    };
    match codec {
        Compression::GZIP(_) if (packed.len() as u64).saturating_mul(GZIP_RATIO) > most => {
            count(&mut flate2::read::MultiGzDecoder::new(packed))
        }
        Compression::BROTLI(_) => count(&mut brotli::Decompressor::new(packed, 64 << 10)),
        _ => true,
    }
}

fn header(thrift: &mut Thrift<'_>) -> Option<Header> {
    let mut header = Header::default();
    let mut id = 0;
    loop {
        let (next, kind) = thrift.field(id)?;
        if kind == STOP {
            return Some(header);
        }
        id = next;
        match (id, kind) {
            (1, I32) => header.kind = u64::try_from(thrift.integer()?).unwrap_or(u64::MAX),
            (2, I32) => header.unfolded = thrift.integer()?,
            (3, I32) => header.stored = thrift.integer()?,
            (7, STRUCT) => within(thrift, |id, number| {
                if id == 1 {
                    header.dictionary_values = number;
                }
            })?,
            (8, STRUCT) => {
                let mut plain = false;
                within(thrift, |id, number| match id {
                    5 | 6 => header.level_bytes = header.level_bytes.saturating_add(number),
                    7 => plain = number == 0,
                    _ => {}
                })?;
                header.is_plain = plain;
            }
            (_, kind) => thrift.skip(kind, 0)?,
        }
    }
}

/// Tells the numbers and booleans of a struct.
fn within(thrift: &mut Thrift<'_>, mut tell: impl FnMut(i16, i64)) -> Option<()> {
    let mut id = 0;
    loop {
        let (next, kind) = thrift.field(id)?;
        id = next;
        match kind {
            STOP => return Some(()),
            1 => tell(id, 1),
            2 => tell(id, 0),
            I32 => tell(id, thrift.integer()?),
            kind => thrift.skip(kind, 0)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, RecordBatch, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use proptest::prelude::*;

    use super::*;

    fn codecs() -> [Compression; 6] {
        [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
            Compression::LZ4_RAW,
        ]
    }

    /// The column chunks of a file with small pages.
    fn chunks(codec: Compression, version: WriterVersion) -> Vec<Vec<u8>> {
        let schema =
            Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("t", DataType::Utf8, true)]);
        let text = |i: i64| (i % 3 > 0).then(|| format!("text {}", i % 17).repeat(20));
        let columns = (Int64Array::from_iter_values(0..5000), StringArray::from_iter((0..5000).map(text)));
        let schema = Arc::new(schema);
        let rows =
            RecordBatch::try_new(schema.clone(), vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_writer_version(version)
            .set_data_page_row_count_limit(1000)
            .set_write_batch_size(100);
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, schema, Some(properties.build())).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let bytes = bytes::Bytes::from(file);
        let footer = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let ranges = footer.row_group(0).columns().iter().map(|column| column.byte_range());
        ranges.map(|(at, length)| bytes[at as usize..(at + length) as usize].to_vec()).collect()
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A page of bytes: of kind 0, data, or 2, a dictionary of so many values.
    fn page(kind: u8, unfolded: u64, packed: &[u8], values: u64) -> Vec<u8> {
        let mut page = vec![0x15, kind * 2, 0x15];
        page.extend(varint(unfolded * 2));
        page.push(0x15);
        page.extend(varint(packed.len() as u64 * 2));
        if kind == 2 {
            page.extend([0x4c, 0x15]);
            page.extend(varint(values * 2));
            page.push(0);
        }
        page.push(0);
        page.extend(packed);
        page
    }

    #[test]
    fn pages_of_sound_files_pass_whatever_their_codec() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for codec in codecs() {
                for chunk in chunks(codec, version) {
                    // Small enough that every page of gzip is looked into.
                    assert_eq!(check_pages(&chunk, codec, 50_000), Ok(()), "{codec:?}");
                    assert_eq!(check_pages(&chunk, codec, 100), Err(BadPage::TooLarge), "{codec:?}");
                }
            }
        }
    }

    #[test]
    fn absurd_claims_are_refused() {
        let most = 1 << 20;
        let plain = Compression::SNAPPY;
        assert_eq!(check_pages(&page(0, 2_000_000_000, b"x", 0), plain, most), Err(BadPage::TooLarge));
        assert_eq!(check_pages(&page(2, 1000, b"x", 2_000_000_000), plain, most), Err(BadPage::Damaged));
        assert_eq!(check_pages(&page(2, 1000, b"x", 250), plain, most), Ok(()));
        // A later page.
        let both = [page(0, 10, &[0; 10], 0), page(0, 2_000_000_000, b"x", 0)].concat();
        assert_eq!(check_pages(&both, plain, most), Err(BadPage::TooLarge));
    }

    #[test]
    fn pages_that_unfold_to_more_than_they_claim_are_refused() {
        let mut gzip =
            flate2::read::GzEncoder::new(std::io::repeat(0).take(8 << 20), flate2::Compression::best());
        let mut packed = Vec::new();
        gzip.read_to_end(&mut packed).unwrap();
        let codec = Compression::GZIP(GzipLevel::default());
        assert_eq!(check_pages(&page(0, 1000, &packed, 0), codec, 1 << 20), Err(BadPage::Damaged));
        assert_eq!(check_pages(&page(0, 8 << 20, &packed, 0), codec, 8 << 20), Ok(()));
        let mut packed = Vec::new();
        brotli::CompressorReader::new(std::io::repeat(0).take(8 << 20), 4096, 5, 22)
            .read_to_end(&mut packed)
            .unwrap();
        let codec = Compression::BROTLI(BrotliLevel::default());
        assert_eq!(check_pages(&page(0, 1000, &packed, 0), codec, 1 << 30), Err(BadPage::Damaged));
        assert_eq!(check_pages(&page(0, 8 << 20, &packed, 0), codec, 1 << 30), Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for codec in codecs() {
                let _ = check_pages(&bytes, codec, 1 << 20);
            }
        }
    }
}
