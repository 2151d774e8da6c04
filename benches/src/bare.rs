//! The bare Parquet writer and reader on two threads: what the hardware and the codec allow.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{RecordBatch, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::data::{PARTITIONS, batches, read_input, schema};
use crate::measure::{Stopwatch, Took};

const THREADS: usize = 2;

/// Two files, each half of the rows, each by its own thread.
pub(crate) fn append(folder: &Path) -> Result<Took> {
    let total = batches(folder)?;
    let start = Stopwatch::start();
    on_threads(|thread| {
        let (from, to) = (total * thread / THREADS, total * (thread + 1) / THREADS);
        let mut writer = writer(&folder.join(format!("bare-{thread}.parquet")))?;
        for batch in read_input(folder, from)?.take(to - from) {
            writer.write(&batch?)?;
        }
        writer.close()?;
        Ok(())
    })?;
    start.stop()
}

/// All rows in memory, sorted by partition, and every partition's file by one of the threads.
pub(crate) fn partitions(folder: &Path) -> Result<Took> {
    std::fs::create_dir_all(folder.join("bare-partitions"))?;
    let start = Stopwatch::start();
    let all = read_input(folder, 0)?.collect::<Result<Vec<_>, _>>()?;
    let all = concat_batches(&schema(), &all)?;
    let mut rows: Vec<Vec<u64>> = vec![Vec::new(); PARTITIONS as usize];
    let parts = all.column_by_name("part").context("part")?.as_primitive::<Int32Type>();
    for (row, part) in parts.values().iter().enumerate() {
        rows[*part as usize].push(row as u64);
    }
    on_threads(|thread| {
        for (part, rows) in rows.iter().enumerate().skip(thread).step_by(THREADS) {
            let batch: RecordBatch = take_record_batch(&all, &UInt64Array::from(rows.clone()))?;
            let mut writer = writer(&folder.join(format!("bare-partitions/{part}.parquet")))?;
            writer.write(&batch)?;
            writer.close()?;
        }
        Ok(())
    })?;
    start.stop()
}

/// Every file of the table that floe appended to, row groups shared between the threads.
pub(crate) fn scan(folder: &Path) -> Result<Took> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.join("warehouse/bench/plain/data"))? {
        files.push(entry?.path());
    }
    files.sort();
    let start = Stopwatch::start();
    let mut work = Vec::new();
    for file in &files {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?;
        work.extend((0..builder.metadata().num_row_groups()).map(|group| (file, group)));
    }
    let rows = std::sync::atomic::AtomicUsize::new(0);
    on_threads(|thread| {
        for (file, group) in work.iter().skip(thread).step_by(THREADS) {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?
                .with_row_groups(vec![*group])
                .with_batch_size(8192)
                .build()?;
            for batch in reader {
                rows.fetch_add(batch?.num_rows(), std::sync::atomic::Ordering::Relaxed);
            }
        }
        Ok(())
    })?;
    let took = start.stop()?;
    eprintln!("bare scan: {} rows, {} row groups", rows.into_inner(), work.len());
    Ok(took)
}

fn writer(path: &Path) -> Result<ArrowWriter<File>> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    Ok(ArrowWriter::try_new(File::create(path)?, schema(), Some(properties))?)
}

fn on_threads(work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let work = &work;
                    move || work(thread)
                })
            })
            .collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })
}
