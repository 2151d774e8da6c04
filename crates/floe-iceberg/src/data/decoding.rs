//! How many rows of a Parquet file are decoded at a time, so that a batch stays small however wide they are.
//!
//! What a footer tells is not always enough: how often each value of a dictionary is repeated is known only where the writer
//! noted it (Parquet format, `SizeStatistics`). Where it did not, texts and binaries are decoded as views: rows then take no
//! more than the pages that they are in, and [`floe_plan::rows::size::split`] cuts them by what they show.

use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, Encoding, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::schema::types::SchemaDescriptor;

/// Bytes that a batch has at most, unless less is asked for: several are under way for each core.
pub const BATCH_BYTES: u64 = 4 << 20;

/// A batch this many times larger than it should be shows that the estimate does not hold for the rows that follow.
const TOO_LARGE: u64 = 4;
/// Each value may repeat most of the one before it (Parquet format, `DELTA_BYTE_ARRAY`), so that the footer bounds nothing.
const ROWS_OF_DELTAS: usize = 256;
/// A view takes so many bytes besides the value.
const VIEW_BYTES: u64 = 16;

/// How rows are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoding {
    /// So many rows at a time.
    pub rows: usize,
    /// Texts and binaries as views; see [`view_metadata`].
    pub views: bool,
    /// Some values are put together from others, so that views of them take what they show.
    deltas: bool,
}

impl Decoding {
    /// For some `leaves` of some `row_groups`: at most `rows` at a time, and as few as make about `bytes`.
    pub fn plan(
        footer: &ParquetMetaData,
        row_groups: &[usize],
        leaves: impl IntoIterator<Item = usize> + Clone,
        rows: usize,
        bytes: u64,
    ) -> Self {
        let bytes = bytes.max(1);
        let mut plan = Self { rows: rows.max(1), views: false, deltas: false };
        for group in row_groups {
            let group = footer.row_group(*group);
            let all_rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
            let chunks = leaves.clone().into_iter().filter_map(|leaf| group.columns().get(leaf));
            let (mut known, mut unknown) = (0_u64, false);
            for chunk in chunks {
                known = known.saturating_add(match decoded(chunk) {
                    // Numbers are widened to those of a decimal.
                    Decoded::Exactly(bytes) if is_decimal(chunk) => bytes.max(16 * values(chunk)),
                    Decoded::Exactly(bytes) | Decoded::AtMost(bytes) => bytes,
                    Decoded::Unknown(stored) => {
                        // As if every value were all of the dictionary.
                        let rows = all_rows.min(plan.rows as u64);
                        unknown |= stored.saturating_mul(rows) > bytes;
                        if has_deltas(chunk) {
                            plan.deltas = true;
                            plan.rows = plan.rows.min(ROWS_OF_DELTAS);
                        }
                        stored.saturating_add(values(chunk).saturating_mul(VIEW_BYTES))
                    }
                });
            }
            plan.views |= unknown;
            plan.rows = plan.rows.min(fitting(known / all_rows, bytes));
        }
        plan
    }

    /// How to go on after a batch of `rows` that take `taken` bytes; `None` when that is as it should be.
    ///
    /// The rows that were decoded are good: they only have to be cut.
    #[must_use]
    pub fn after_large(self, rows: usize, taken: u64, bytes: u64) -> Option<Self> {
        let bytes = bytes.max(1);
        // Views of a dictionary show more than they take.
        let shared = self.views && !self.deltas;
        (!shared && self.rows > 1 && taken / TOO_LARGE > bytes)
            .then(|| Self { rows: self.rows.min(fitting(taken / rows.max(1) as u64, bytes)), ..self })
    }

    /// How to try again after `error`; `None` when it is not for the number of rows.
    pub fn after_error(self, error: &ParquetError) -> Option<Self> {
        if !is_overflow(error) {
            return None;
        }
        match self {
            Self { views: false, .. } => Some(Self { rows: (self.rows / 4).max(1), views: true, ..self }),
            Self { rows: 2.., .. } => Some(Self { rows: self.rows / 2, ..self }),
            _ => None,
        }
    }
}

fn fitting(row_bytes: u64, bytes: u64) -> usize {
    usize::try_from(bytes / row_bytes.max(1)).unwrap_or(usize::MAX).max(1)
}

/// Whether an error says that the values of a batch are more than a column can hold.
pub fn is_overflow(error: &ParquetError) -> bool {
    let text = match error {
        ParquetError::General(text) | ParquetError::ArrowError(text) => text.to_ascii_lowercase(),
        ParquetError::External(inner) => match inner.downcast_ref::<ArrowError>() {
            Some(ArrowError::OffsetOverflowError(_)) => return true,
            Some(other) => other.to_string().to_ascii_lowercase(),
            None => match inner.downcast_ref::<ParquetError>() {
                Some(inner) => return is_overflow(inner),
                None => return false,
            },
        },
        _ => return false,
    };
    text.contains("index overflow") || text.contains("offset overflow")
}

/// What a column chunk takes when it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// So many bytes.
    Exactly(u64),
    /// So many bytes or less.
    AtMost(u64),
    /// That depends on how often each value is repeated; it is stored in so many bytes, before compression.
    Unknown(u64),
}

/// What a column chunk takes when it is decoded, as its footer tells. Values count with four bytes each besides their own if
/// they are texts or binaries.
pub fn decoded(chunk: &ColumnChunkMetaData) -> Decoded {
    let width = match chunk.column_type() {
        PhysicalType::BOOLEAN => return Decoded::Exactly(values(chunk).div_ceil(8)),
        PhysicalType::INT32 | PhysicalType::FLOAT => 4,
        PhysicalType::INT64 | PhysicalType::DOUBLE => 8,
        PhysicalType::INT96 => 12,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).unwrap_or(0),
        PhysicalType::BYTE_ARRAY => {
            let stored = bytes(chunk.uncompressed_size());
            return match chunk.unencoded_byte_array_data_bytes() {
                Some(all) => Decoded::Exactly(values(chunk).saturating_mul(4).saturating_add(bytes(all))),
                None if has_dictionary(chunk) || has_deltas(chunk) => Decoded::Unknown(stored),
                None => Decoded::AtMost(stored),
            };
        }
    };
    Decoded::Exactly(values(chunk).saturating_mul(width))
}

fn is_decimal(chunk: &ColumnChunkMetaData) -> bool {
    let column = chunk.column_descr();
    column.converted_type() == ConvertedType::DECIMAL
        || matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }))
}

/// Values, without NULL where the footer counts those.
fn values(chunk: &ColumnChunkMetaData) -> u64 {
    let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt()).unwrap_or(0);
    bytes(chunk.num_values()).saturating_sub(nulls)
}

fn has_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    // Some writers leave the offset of the page out, or note an encoding that only older ones use for it.
    chunk.dictionary_page_offset().is_some()
        || chunk
            .encodings()
            .any(|encoding| matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY))
}

fn has_deltas(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}

fn bytes(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// `metadata` for reading texts and binaries as views. Columns that are not in the file, such as the numbers of rows, are
/// given by `options`.
pub fn view_metadata(
    metadata: &ArrowReaderMetadata,
    options: ArrowReaderOptions,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let stored = metadata.metadata().file_metadata().schema_descr().root_schema().get_fields().len();
    let own = metadata.schema().fields().iter().take(stored).cloned().collect::<Vec<_>>();
    let schema = arrow_schema::Schema::new_with_metadata(own, metadata.schema().metadata().clone());
    let schema = floe_plan::rows::size::with_views(&schema);
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options.with_schema(schema.into()))
}

/// Bytes that decoded columns of filters may be kept in, for each row group, to give them without decoding them again.
const CACHE_BYTES: usize = 16 << 20;

/// How much the Parquet crate may keep of the columns of filters that read `leaves`: nothing, where one of them is the only
/// one below a column that is a group. The crate takes such a column for a flat one, keeps its values without their levels,
/// and then stops the process for want of them.
pub fn cache_bytes(schema: &SchemaDescriptor, leaves: impl IntoIterator<Item = usize>) -> usize {
    let nested = leaves.into_iter().any(|leaf| {
        let root = schema.get_column_root(leaf);
        let info = root.get_basic_info();
        !root.is_primitive()
            || info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED
    });
    if nested { 0 } else { CACHE_BYTES }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overflows() -> Vec<ParquetError> {
        let arrow = || ArrowError::OffsetOverflowError(1 << 31);
        vec![
            ParquetError::General("index overflow decoding byte array".to_owned()),
            ParquetError::ArrowError(arrow().to_string()),
            ParquetError::External(Box::new(arrow())),
            ParquetError::External(Box::new(ParquetError::External(Box::new(arrow())))),
        ]
    }

    proptest! {
        #[test]
        fn what_does_not_fit_into_a_column_is_tried_again_with_fewer_rows_down_to_one(
            rows in 1_usize..100_000,
            views: bool,
            deltas: bool,
        ) {
            for error in overflows() {
                let mut plan = Decoding { rows, views, deltas };
                while let Some(next) = plan.after_error(&error) {
                    prop_assert!(next.rows < plan.rows || next.views && !plan.views, "{:?}", next);
                    prop_assert!(next.rows >= 1 && next.deltas == deltas);
                    plan = next;
                }
                prop_assert_eq!(plan, Decoding { rows: 1, views: true, deltas });
            }
            let other = ParquetError::General("the page is damaged".to_owned());
            prop_assert_eq!(Decoding { rows, views, deltas }.after_error(&other), None);
        }

        #[test]
        fn batches_that_are_too_large_are_followed_by_smaller_ones(
            rows in 2_usize..100_000,
            wide in 1_u64..10_000_000,
            bytes in 1_u64..10_000_000,
            views: bool,
        ) {
            let plan = Decoding { rows, views, deltas: false };
            let taken = wide * rows as u64;
            match plan.after_large(rows, taken, bytes) {
                Some(next) => {
                    prop_assert!(taken > TOO_LARGE * bytes && !views);
                    prop_assert!(next.rows < rows && (next.rows == 1 || next.rows as u64 * wide <= bytes));
                }
                None => prop_assert!(views || taken / TOO_LARGE <= bytes),
            }
        }
    }
}
