use std::io::Write;

use proptest::prelude::*;

use super::*;

const SYNC: [u8; 16] = [7; 16];

fn long(file: &mut Vec<u8>, value: usize) {
    let mut rest = (value as u64) << 1;
    while rest > 0x7f {
        file.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    file.push(rest as u8);
}

fn text(file: &mut Vec<u8>, bytes: &[u8]) {
    long(file, bytes.len());
    file.extend_from_slice(bytes);
}

/// A file of longs, whose blocks hold so many records and these bytes.
fn container(codec: &str, blocks: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    long(&mut file, 2);
    text(&mut file, b"avro.schema");
    text(&mut file, br#"{"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}"#);
    text(&mut file, b"avro.codec");
    text(&mut file, codec.as_bytes());
    file.push(0);
    file.extend_from_slice(&SYNC);
    for (records, block) in blocks {
        long(&mut file, *records);
        text(&mut file, block);
        file.extend_from_slice(&SYNC);
    }
    file
}

fn packed(codec: &str, data: &[u8]) -> Vec<u8> {
    match codec {
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "snappy" => {
            let mut block = snap::raw::Encoder::new().compress_vec(data).unwrap();
            let mut crc = flate2::Crc::new();
            crc.update(data);
            block.extend_from_slice(&crc.sum().to_be_bytes());
            block
        }
        "zstandard" => zstd::stream::encode_all(data, 3).unwrap(),
        _ => data.to_vec(),
    }
}

const CODECS: [&str; 4] = ["null", "deflate", "snappy", "zstandard"];

fn read(file: &[u8], limits: &Limits) -> Decoded<Vec<i64>> {
    Container::read_within(file, limits)?.records(|cursor| cursor.long())
}

#[test]
fn blocks_unfold_within_the_limits_only() {
    // Zeros: each one a record. Several blocks count together.
    let data = vec![0_u8; 12 << 20];
    for codec in CODECS {
        let block = packed(codec, &data);
        let one = container(codec, &[(data.len(), block.clone())]);
        let three = container(
            codec,
            &[(data.len(), block.clone()), (data.len(), block.clone()), (data.len(), block)],
        );
        assert_eq!(read(&one, &Limits::default()).unwrap().len(), data.len(), "{codec}");
        let small = Limits { metadata_bytes: 15 << 20, ..Limits::default() };
        for (file, limits) in [(&three, &small), (&three, &Limits::default())] {
            // Snappy packs by less than the ratio, and null not at all.
            if matches!(codec, "snappy" | "null") && limits != &small {
                continue;
            }
            let error = read(file, limits).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupted);
            let setting =
                if limits == &small { "`limits.metadata-bytes`" } else { "`limits.metadata-ratio`" };
            assert!(error.why.contains(setting), "{codec}: {}", error.why);
            assert!(error.error("the manifest m").to_string().contains("the manifest m"));
        }
    }
}

#[test]
fn nothing_follows_the_records_of_a_block() {
    for codec in CODECS {
        let file = |blocks: &[(usize, &[u8])]| {
            let blocks: Vec<_> = blocks.iter().map(|(n, data)| (*n, packed(codec, data))).collect();
            container(codec, &blocks)
        };
        let limits = Limits::default();
        assert_eq!(read(&file(&[(2, &[2, 4]), (1, &[6])]), &limits).unwrap(), [1, 2, 3]);
        for (blocks, why) in [
            (&[(1, &[2, 4][..])][..], "more than its records"),
            // Made up for by the next block.
            (&[(1, &[2, 4]), (2, &[6])], "more than its records"),
            (&[(1, &[2, 4]), (0, &[])], "more than its records"),
            (&[(1, &[2]), (0, &[4])], "more than its records"),
            (&[(2, &[2]), (1, &[4, 6])], "middle of a record"),
        ] {
            let error = read(&file(blocks), &limits).unwrap_err();
            assert!(error.why.contains(why) && error.kind == ErrorKind::Corrupted, "{codec}: {error:?}");
        }
        // Behind the compressed data.
        let mut block = packed(codec, &[2, 4]);
        block.extend_from_slice(&[0; 20]);
        assert!(read(&container(codec, &[(2, block)]), &limits).is_err(), "{codec}");
    }
}

#[test]
fn records_that_take_more_memory_than_they_may_are_refused_unread() {
    let limits = Limits { metadata_bytes: 1 << 20, ..Limits::default() };
    let container =
        Container::read_within(&container("null", &[(50_000, vec![0; 50_000])]), &limits).unwrap();
    assert!(container.check_records(20).is_ok());
    let error = container.check_records(30).unwrap_err();
    assert!(error.why.contains("`limits.metadata-bytes`"), "{}", error.why);
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written_and_never_beyond_a_limit(
        blocks in prop::collection::vec(prop::collection::vec(0_u8..60, 0..200), 0..6),
        codec in prop::sample::select(CODECS.to_vec()),
        most in 0_u64..800,
    ) {
        let packed: Vec<_> = blocks.iter().map(|data| (data.len(), packed(codec, data))).collect();
        let file = container(codec, &packed);
        let all: usize = blocks.iter().map(Vec::len).sum();
        let limits = Limits { metadata_bytes: most, ..Limits::default() };
        match read(&file, &limits) {
            Ok(read) => {
                prop_assert!(all as u64 <= most);
                prop_assert_eq!(read.len(), all);
            }
            Err(error) => prop_assert!(all as u64 > most, "{:?}", error),
        }
    }
}

/// PyIceberg writes what zlib does without its header of two bytes and the last of the checksum's four.
#[test]
fn what_is_left_of_the_checksum_of_zlib_is_passed_over_and_nothing_else() {
    for length in [1, 100, 6000, 20_000] {
        let data: Vec<u8> = (0..length).map(|n| (n * 7 % 127) as u8).collect();
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&data).unwrap();
        let whole = encoder.finish().unwrap();
        let deflated = &whole[2..];
        for kept in 0..=4 {
            let block = deflated[..deflated.len() - 4 + kept].to_vec();
            let file = container("deflate", &[(data.len(), block.clone())]);
            assert_eq!(read(&file, &Limits::default()).unwrap().len(), data.len(), "{length}, {kept}");
            let mut other = block;
            match other.last_mut() {
                Some(last) if kept > 0 => *last ^= 1,
                _ => other.push(b'x'),
            }
            let error = read(&container("deflate", &[(data.len(), other)]), &Limits::default()).unwrap_err();
            assert!(error.why.contains("more than its compressed data"), "{length}, {kept}: {}", error.why);
        }
        let longer = container("deflate", &[(data.len(), [deflated, &[0][..]].concat())]);
        assert!(read(&longer, &Limits::default()).is_err());
    }
}
