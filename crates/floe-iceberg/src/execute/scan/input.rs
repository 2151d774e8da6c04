//! A Parquet file as the `parquet` crate reads it, over the table's file IO.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use floe_core::guard::Guard;
use floe_core::limits::{self, Limits};
use floe_core::location::{mask_text, masked};
use floe_core::{Error, ErrorKind, Result};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::io::{FileIO, FileRead};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::metrics::{ScanMetrics, add};
use crate::data::footer::{TRAILER, footer_length, is_plausible};
use crate::footer::{BadPage, check_pages, completed, encrypted, mended};

/// How much of the end of a file is read to get its footer: enough for most, so that one request does.
const TAIL: u64 = 64 * 1024;
/// Two ranges this close are read as one: a request costs more than the bytes between.
const MAX_GAP: u64 = 256 * 1024;
/// Ranges are not joined beyond this size, so that a large read is split into requests that run side by side.
const MAX_JOINED: u64 = 8 * 1024 * 1024;
/// How many requests of one file run side by side.
const REQUESTS_AT_A_TIME: usize = 8;

/// A Parquet file of known size. Clones share what was read of it.
#[derive(Clone)]
pub(super) struct ParquetInput {
    path: Arc<str>,
    source: Source,
    metadata: Arc<ParquetMetaData>,
    /// How the column chunks are packed that begin there, if pages may unfold to more than they claim.
    codecs: Arc<BTreeMap<u64, Compression>>,
}

#[derive(Clone)]
struct Source {
    size: u64,
    file: Arc<dyn FileRead>,
    /// The end of the file, and where it begins.
    tail: Option<(u64, Bytes)>,
    metrics: Arc<ScanMetrics>,
}

impl ParquetInput {
    /// Opens a file and reads its footer, in one request for most files. `pages` asks for the page indexes too, if
    /// the file has them. The file may have another size than the one recorded: then the storage is asked.
    pub(super) async fn open(
        file_io: &FileIO,
        path: &str,
        size: u64,
        pages: bool,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self> {
        let input = file_io.new_input(path).map_err(|e| read_error(path, Error::from(e)))?;
        let file = input.reader().await.map_err(|e| read_error(path, Error::from(e)))?;
        let mut source = Source { size, file: file.into(), tail: None, metrics };
        let guard = Guard::new("the Parquet reader", masked(path));
        let recorded = source.guarded_footer(&guard, pages).await;
        let metadata = match recorded {
            Ok(metadata) => metadata,
            Err(error) => {
                // A file that is gone, or that the storage does not give, is told by the first error.
                let real = input.metadata().await.map(|metadata| metadata.size);
                match real {
                    Ok(real) if real != size => {
                        source = Source { size: real, tail: None, ..source };
                        source.guarded_footer(&guard, pages).await.map_err(|e| source.error(path, e))?
                    }
                    _ => return Err(source.error(path, error)),
                }
            }
        };
        let leaves = metadata.file_metadata().schema_descr().num_columns() as u64;
        let most = limits::current().columns;
        if leaves > most {
            let refused = limits::refusal(ErrorKind::Corrupted, "it has, in columns,", "columns", most);
            return Err(read_error(path, refused));
        }
        let codecs = Arc::new(doubtful(&metadata));
        Ok(Self { path: path.into(), source, metadata: Arc::new(metadata), codecs })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn metadata(&self) -> Arc<ParquetMetaData> {
        self.metadata.clone()
    }

    /// The size of the file, as the storage has it.
    pub(super) fn size(&self) -> u64 {
        self.source.size
    }

    /// Says why the file could not be read; see [`parquet_error`].
    pub(super) fn error(&self, error: ParquetError) -> Error {
        self.source.error(&self.path, error)
    }

    /// Refuses pages, which begin at `start`, that would take too much memory; see [`check_pages`].
    fn check_pages(&self, start: u64, bytes: &[u8], limits: &Limits) -> parquet::errors::Result<()> {
        let codec =
            self.codecs.range(..=start).next_back().map_or(Compression::UNCOMPRESSED, |(_, codec)| *codec);
        match check_pages(bytes, codec, limits.page_bytes) {
            Ok(()) => Ok(()),
            Err(BadPage::Damaged) => {
                Err(ParquetError::General("a page claims what it does not hold".to_owned()))
            }
            Err(BadPage::TooLarge) => {
                let what = "a page of it unfolds to";
                let refused = limits::refusal(ErrorKind::Corrupted, what, "page-bytes", limits.page_bytes);
                Err(ParquetError::External(Box::new(refused)))
            }
        }
    }

    /// Bytes of the file.
    pub(super) async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        self.source.get(range).await.map_err(|e| parquet_error(&self.path, e))
    }
}

impl Source {
    async fn guarded_footer(
        &mut self,
        guard: &Guard,
        pages: bool,
    ) -> parquet::errors::Result<ParquetMetaData> {
        let footer = guard.future(async { Ok(self.read_footer(pages).await) }).await;
        footer.unwrap_or_else(|panic| Err(ParquetError::External(Box::new(panic))))
    }

    async fn read_footer(&mut self, pages: bool) -> parquet::errors::Result<ParquetMetaData> {
        let start = self.size.saturating_sub(TAIL);
        let tail = self.fetch(start..self.size).await?;
        self.tail = Some((start, tail));
        self.look_at_footer().await?;
        let policy = if pages { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let size = self.size;
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(policy)
            .with_prefetch_hint(Some(TAIL as usize))
            .load_and_finish(&*self, size)
            .await;
        let tail = self.tail.as_ref().map_or(&[][..], |(_, tail)| tail);
        let metadata = metadata.or_else(|error| completed(tail).ok_or(error))?;
        mended(metadata, self.footer_start())
    }

    /// Where the footer begins, and with that, where data ends at the latest.
    fn footer_start(&self) -> u64 {
        let tail = self.tail.as_ref().map_or(&[][..], |(_, tail)| tail);
        let length = tail.len().checked_sub(8).and_then(|at| tail[at..].first_chunk::<4>());
        let length = length.map_or(0, |length| u64::from(u32::from_le_bytes(*length)));
        self.size.saturating_sub(8 + length)
    }

    /// Says why the file could not be read: that it is encrypted, if it is.
    fn error(&self, path: &str, error: ParquetError) -> Error {
        match self.tail.as_ref().and_then(|(_, tail)| encrypted(tail)) {
            Some(why) => Error::new(
                ErrorKind::Unsupported,
                format!("the data file {} cannot be read: {why}", masked(path)),
            )
            .with_source(error),
            None => parquet_error(path, error),
        }
    }

    /// Reads the rest of a footer that is longer than the tail, and refuses one that cannot be; see [`crate::data::footer`].
    async fn look_at_footer(&mut self) -> parquet::errors::Result<()> {
        let Some((start, tail)) = self.tail.as_ref() else { return Ok(()) };
        let end = tail.len().saturating_sub(TRAILER);
        let Some(length) = footer_length(&tail[end..]) else { return Ok(()) };
        let Some(from) = (start + end as u64).checked_sub(length) else { return Ok(()) };
        if from < *start {
            let longer = self.fetch(from..self.size).await?;
            self.tail = Some((from, longer));
        }
        let footer = self.get(from..from + length).await?;
        match is_plausible(&footer) {
            true => Ok(()),
            false => Err(ParquetError::General("its footer is damaged".to_owned())),
        }
    }

    async fn fetch(&self, range: Range<u64>) -> parquet::errors::Result<Bytes> {
        let length = range.end.saturating_sub(range.start);
        if range.start > range.end || range.end > self.size {
            return Err(ParquetError::EOF("a range lies behind the end of the file".to_owned()));
        }
        let bytes =
            self.file.read(range).await.map_err(|e| ParquetError::External(Box::new(Error::from(e))))?;
        if bytes.len() as u64 != length {
            return Err(ParquetError::EOF("the file is shorter than it should be".to_owned()));
        }
        add(&self.metrics.bytes_read, length);
        Ok(bytes)
    }

    async fn get(&self, range: Range<u64>) -> parquet::errors::Result<Bytes> {
        match self.in_tail(&range) {
            Some(bytes) => Ok(bytes),
            None => self.fetch(range).await,
        }
    }

    fn in_tail(&self, range: &Range<u64>) -> Option<Bytes> {
        let (start, tail) = self.tail.as_ref()?;
        let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
        (from <= to && to <= tail.len()).then(|| tail.slice(from..to))
    }
}

impl MetadataFetch for &Source {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.get(range).boxed()
    }
}

impl AsyncFileReader for ParquetInput {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.source.get(range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let joined = join_ranges(&ranges);
            let source = &self.source;
            let fetched: Vec<Bytes> = futures::stream::iter(joined.clone())
                .map(|range| source.get(range))
                .buffered(REQUESTS_AT_A_TIME)
                .try_collect()
                .await?;
            let limits = limits::current();
            let cut = ranges.into_iter().map(|range| {
                let at = joined.partition_point(|joined| joined.start <= range.start) - 1;
                let from = (range.start - joined[at].start) as usize;
                let bytes = fetched[at].slice(from..from + (range.end - range.start) as usize);
                self.check_pages(range.start, &bytes, &limits).map(|()| bytes)
            });
            cut.collect()
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        futures::future::ready(Ok(self.metadata.clone())).boxed()
    }
}

/// Where each column chunk begins, and how it is packed, if the Parquet crate takes whatever pages of one unfold to.
fn doubtful(metadata: &ParquetMetaData) -> BTreeMap<u64, Compression> {
    let chunks = || metadata.row_groups().iter().flat_map(|group| group.columns());
    if !chunks().any(|c| matches!(c.compression(), Compression::GZIP(_) | Compression::BROTLI(_))) {
        return BTreeMap::new();
    }
    chunks().map(|chunk| (start_of(chunk), chunk.compression())).collect()
}

/// Where a column chunk begins. Not by `byte_range`, which panics for what cannot be.
fn start_of(chunk: &ColumnChunkMetaData) -> u64 {
    let data = chunk.data_page_offset();
    u64::try_from(chunk.dictionary_page_offset().map_or(data, |dictionary| dictionary.min(data))).unwrap_or(0)
}

/// The ranges to read so that every one of `ranges` lies within one of them; in order, each start once.
fn join_ranges(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            // What overlaps must be joined, whatever its size; what is near, up to a size.
            Some(last)
                if range.start <= last.start
                    || range.start < last.end
                    || (range.start - last.end <= MAX_GAP && range.end - last.start <= MAX_JOINED) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Says which file could not be read; keeps the kind of an error of the storage.
pub(super) fn parquet_error(path: &str, error: ParquetError) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = source {
        if let Some(floe) = e.downcast_ref::<Error>() {
            return read_error(path, floe.clone());
        }
        source = e.source();
    }
    let text = error.to_string();
    let missing = ["not supported", "not yet supported", "not implemented", "Disabled feature"];
    let kind = match &error {
        ParquetError::NYI(_) => ErrorKind::Unsupported,
        _ if missing.iter().any(|words| text.contains(words)) => ErrorKind::Unsupported,
        _ => ErrorKind::Corrupted,
    };
    Error::new(kind, format!("the data file {} cannot be read: {}", masked(path), mask_text(&text)))
        .with_source(error)
}

fn read_error(path: &str, source: Error) -> Error {
    let message = format!("the data file {} cannot be read: {}", masked(path), mask_text(source.message()));
    let error = Error::new(source.kind(), message);
    let error = match source.hint() {
        Some(hint) => error.with_hint(hint.to_owned()),
        None => error,
    };
    error.with_source(source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_range_lies_within_the_joined_range_that_is_looked_up(
            ranges in prop::collection::vec((0_u64..40_000_000, 0_u64..3_000_000), 0..20)
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let joined = join_ranges(&ranges);
            prop_assert!(joined.windows(2).all(|w| w[0].end <= w[1].start && w[0].start < w[1].start));
            for range in &ranges {
                let at = joined.partition_point(|joined| joined.start <= range.start) - 1;
                prop_assert!(joined[at].start <= range.start && range.end <= joined[at].end);
            }
        }
    }

    #[test]
    fn neighbours_are_joined_and_far_ranges_are_not() {
        assert_eq!(join_ranges(&[10..20, 0..10, 30..40]), vec![0..40]);
        let far = 10 * 1024 * 1024;
        assert_eq!(join_ranges(&[0..10, far..far + 10]), vec![0..10, far..far + 10]);
    }
}
