//! Table properties that shape data files (`write.parquet.*`, `write.target-file-size-bytes`).

use std::collections::HashMap;
use std::str::FromStr;

use floe_core::{Error, ErrorKind, Result};
use floe_plan::rows::cut::CutLimits;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

const BLOOM_ENABLED: &str = "write.parquet.bloom-filter-enabled.column.";
const BLOOM_FPP: &str = "write.parquet.bloom-filter-fpp.column.";
const BLOOM_NDV: &str = "write.parquet.bloom-filter-ndv.column.";

type TableProperties = HashMap<String, String>;

/// The sizes of row groups and files.
pub(super) fn cut_limits(properties: &TableProperties) -> Result<CutLimits> {
    Ok(CutLimits {
        row_group_bytes: positive(properties, "write.parquet.row-group-size-bytes", 128 << 20)?,
        row_group_rows: positive(properties, "write.parquet.row-group-limit", 1 << 20)?,
        file_bytes: positive(properties, "write.target-file-size-bytes", 512 << 20)?,
    })
}

/// The format of new data files; floe writes Parquet.
pub(super) fn check_format(properties: &TableProperties) -> Result<()> {
    match properties.get("write.format.default").map(|format| format.to_ascii_lowercase()) {
        Some(format) if format != "parquet" => Err(Error::new(
            ErrorKind::Unsupported,
            format!("data files of format '{format}' cannot be written"),
        )
        .with_hint("set write.format.default to parquet")),
        _ => Ok(()),
    }
}

/// The writer properties of every file of a write.
pub(super) fn writer_properties(
    properties: &TableProperties,
    limits: &CutLimits,
    iceberg_schema: String,
) -> Result<WriterProperties> {
    let page_rows = positive(properties, "write.parquet.page-row-limit", 20_000)?;
    let page_bytes = positive(properties, "write.parquet.page-size-bytes", 1 << 20)?;
    let dictionary_bytes = positive(properties, "write.parquet.dict-size-bytes", 1 << 20)?;
    let builder = WriterProperties::builder()
        .set_created_by(concat!("floe ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression(properties)?)
        .set_data_page_size_limit(page_bytes as usize)
        .set_data_page_row_count_limit(page_rows as usize)
        .set_dictionary_page_size_limit(dictionary_bytes as usize)
        .set_key_value_metadata(Some(vec![KeyValue::new("iceberg.schema".to_owned(), iceberg_schema)]));
    Ok(bloom_filters(builder, properties, limits)?.build())
}

/// The writer properties of position delete files.
pub(super) fn delete_writer_properties(
    properties: &TableProperties,
    limits: &CutLimits,
) -> Result<WriterProperties> {
    let plain = properties.iter().filter(|(key, _)| !key.starts_with(BLOOM_ENABLED));
    let plain = plain.map(|(key, value)| (key.clone(), value.clone())).collect();
    let properties = writer_properties(&plain, limits, String::new())?;
    let kind = KeyValue::new("delete-type".to_owned(), "position".to_owned());
    Ok(properties.into_builder().set_key_value_metadata(Some(vec![kind])).build())
}

fn bloom_filters(
    mut builder: WriterPropertiesBuilder,
    properties: &TableProperties,
    limits: &CutLimits,
) -> Result<WriterPropertiesBuilder> {
    for (key, value) in properties {
        let Some(column) = key.strip_prefix(BLOOM_ENABLED) else { continue };
        if !value.trim().eq_ignore_ascii_case("true") {
            continue;
        }
        let path = ColumnPath::from(column.split('.').map(str::to_owned).collect::<Vec<_>>());
        let fpp = parsed(properties, &format!("{BLOOM_FPP}{column}"), 0.01)?;
        if !(fpp > 0.0 && fpp < 1.0) {
            return Err(Error::validation(format!("{BLOOM_FPP}{column} must lie between 0 and 1")));
        }
        let ndv =
            positive(properties, &format!("{BLOOM_NDV}{column}"), limits.row_group_rows.min(1_000_000))?;
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), fpp)
            .set_column_bloom_filter_ndv(path, ndv);
    }
    Ok(builder)
}

/// `write.parquet.compression-codec` (zstd) and `write.parquet.compression-level` (1 for zstd, as PyIceberg has it: 3 takes
/// nearly twice the time for files a few hundredths smaller).
fn compression(properties: &TableProperties) -> Result<Compression> {
    const CODEC: &str = "write.parquet.compression-codec";
    const LEVEL: &str = "write.parquet.compression-level";
    let refused = |e: parquet::errors::ParquetError| {
        Error::validation(format!("{LEVEL} is out of range")).with_source(e)
    };
    let codec = properties.get(CODEC).map_or("zstd", String::as_str).trim().to_ascii_lowercase();
    Ok(match codec.as_str() {
        "none" | "uncompressed" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "lz4" | "lz4_raw" => Compression::LZ4_RAW,
        "gzip" => Compression::GZIP(GzipLevel::try_new(parsed(properties, LEVEL, 6)?).map_err(refused)?),
        "brotli" => {
            Compression::BROTLI(BrotliLevel::try_new(parsed(properties, LEVEL, 1)?).map_err(refused)?)
        }
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(parsed(properties, LEVEL, 1)?).map_err(refused)?),
        other => {
            return Err(Error::validation(format!("{CODEC} cannot be '{other}'"))
                .with_hint("zstd, snappy, gzip, brotli, lz4 or uncompressed"));
        }
    })
}

fn positive(properties: &TableProperties, key: &str, default: u64) -> Result<u64> {
    match parsed(properties, key, default)? {
        0 => Err(Error::validation(format!("{key} must be above 0"))),
        value => Ok(value),
    }
}

fn parsed<T: FromStr>(properties: &TableProperties, key: &str, default: T) -> Result<T> {
    match properties.get(key) {
        Some(text) => text.trim().parse().map_err(|_| Error::validation(format!("{key} cannot be '{text}'"))),
        None => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> TableProperties {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let limits = cut_limits(&of(&[])).unwrap();
        assert_eq!(
            (limits.row_group_bytes, limits.row_group_rows, limits.file_bytes),
            (128 << 20, 1 << 20, 512 << 20)
        );
        assert_eq!(compression(&of(&[])).unwrap(), Compression::ZSTD(ZstdLevel::try_new(1).unwrap()));
    }

    #[test]
    fn bad_values_name_their_property() {
        let error = cut_limits(&of(&[("write.target-file-size-bytes", "big")])).unwrap_err();
        assert!(error.to_string().contains("write.target-file-size-bytes"), "{error}");
        assert!(cut_limits(&of(&[("write.parquet.row-group-limit", "0")])).is_err());
        assert!(compression(&of(&[("write.parquet.compression-codec", "rar")])).is_err());
        assert!(compression(&of(&[("write.parquet.compression-level", "99")])).is_err());
        assert_eq!(
            check_format(&of(&[("write.format.default", "orc")])).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn a_bloom_filter_is_asked_for_by_column() {
        let limits = cut_limits(&of(&[])).unwrap();
        let properties = of(&[("write.parquet.bloom-filter-enabled.column.a.b", "true")]);
        let built = writer_properties(&properties, &limits, String::new()).unwrap();
        assert!(built.bloom_filter_properties(&ColumnPath::from(vec!["a".into(), "b".into()])).is_some());
        assert!(built.bloom_filter_properties(&ColumnPath::from("a")).is_none());
    }
}
