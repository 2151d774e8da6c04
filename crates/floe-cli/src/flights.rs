//! The real data that the binary carries: flights that left New York City in 2013; see `data/README.md`.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use floe::data::BatchStream;
use floe::{Error, ErrorKind, Result};
use futures::StreamExt;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::input::{normal_schema, normalise};

/// Rows in both halves together.
pub(crate) const ROWS: u64 = 336_776;

static FLIGHTS: &[u8] = include_bytes!("../data/flights.parquet");

/// What messages call the file.
const NAME: &str = "flights.parquet";
/// The column that says when a flight was to leave.
const TIME: &str = "time_hour";
/// 2013-07-01T00:00:00Z in microseconds since 1970.
const JULY: i64 = 1_372_636_800_000_000;

/// A part of the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// Before July, in UTC.
    First,
    /// From July on, in UTC.
    Second,
}

/// The columns.
pub(crate) fn schema() -> Result<SchemaRef> {
    normal_schema(builder()?.schema(), NAME)
}

/// The flights of half a year, in order of time.
pub(crate) fn half(half: Half) -> Result<BatchStream> {
    let builder = builder()?;
    let schema = normal_schema(builder.schema(), NAME)?;
    let normal = schema.clone();
    let reader = builder.with_batch_size(16_384).build().map_err(damaged)?;
    let batches = reader.filter_map(move |batch| match batch {
        Ok(batch) => normalise(&batch, &normal, NAME).and_then(|batch| part(&batch, half)).transpose(),
        Err(e) => Some(Err(Error::new(ErrorKind::Internal, "the flights cannot be read").with_source(e))),
    });
    Ok(BatchStream::new(schema, futures::stream::iter(batches).boxed()))
}

/// The rows of `batch`, which is in order of time, that are in this half.
fn part(batch: &RecordBatch, half: Half) -> Result<Option<RecordBatch>> {
    let times = batch.column_by_name(TIME).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Error::new(ErrorKind::Internal, "the flights have no time"))?;
    let cut = times.values().partition_point(|time| *time < JULY);
    let part = match half {
        Half::First => batch.slice(0, cut),
        Half::Second => batch.slice(cut, batch.num_rows() - cut),
    };
    Ok((part.num_rows() > 0).then_some(part))
}

fn builder() -> Result<ParquetRecordBatchReaderBuilder<Bytes>> {
    let options = ArrowReaderOptions::new();
    ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from_static(FLIGHTS), options)
        .map_err(damaged)
}

fn damaged(error: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorKind::Internal, "the flights that this binary carries cannot be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_halves_are_the_whole_year() {
        let mut rows = 0;
        for part in [Half::First, Half::Second] {
            let batches = half(part).unwrap().collect().await.unwrap();
            for batch in &batches {
                let times = batch.column_by_name(TIME).unwrap().as_primitive::<TimestampMicrosecondType>();
                assert!(times.values().is_sorted());
                assert!(times.values().iter().all(|t| (*t < JULY) == (part == Half::First)));
                rows += batch.num_rows() as u64;
            }
        }
        assert_eq!(rows, ROWS);
    }
}
