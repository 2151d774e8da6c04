//! The data set: id, timestamp, category, double, 40-character string, and a partition number.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter_record_batch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Partitions of the partitioned case.
pub(crate) const PARTITIONS: i32 = 512;
/// Rows of a batch.
pub(crate) const BATCH_ROWS: usize = 65_536;
/// The category that is rewritten.
pub(crate) const CATEGORY: &str = "category-03";
/// The partition that is rewritten.
pub(crate) const PARTITION: i32 = 7;
/// True for about 1 % of the rows, spread over all of them.
pub(crate) const ONE_PERCENT: &str = "value < 0.01";

/// The schema of the data set.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("category", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("part", DataType::Int32, true),
    ]))
}

/// `count` rows from `first` on.
pub(crate) fn batch(first: usize, count: usize) -> Result<RecordBatch> {
    let mut random = StdRng::seed_from_u64(first as u64);
    let ids = first as i64..(first + count) as i64;
    let text = |random: &mut StdRng| {
        (0..40).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect::<String>()
    };
    let ts = ids.clone().map(|i| 1_700_000_000_000_000 + i * 1_000);
    let category = (0..count).map(|_| format!("category-{:02}", random.random_range(0..20)));
    let category = StringArray::from_iter_values(category.collect::<Vec<_>>());
    let value = Float64Array::from_iter_values((0..count).map(|_| random.random::<f64>()));
    let text = StringArray::from_iter_values((0..count).map(|_| text(&mut random)));
    let part = Int32Array::from_iter_values((0..count).map(|_| random.random_range(0..PARTITIONS)));
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(ids)),
            Arc::new(TimestampMicrosecondArray::from_iter_values(ts)),
            Arc::new(category),
            Arc::new(value),
            Arc::new(text),
            Arc::new(part),
        ],
    )?)
}

/// `count` changes to a data set of `rows` rows: half are of keys that are there, spread over all of them, half are new.
pub(crate) fn changes(rows: usize, count: usize) -> Result<RecordBatch> {
    let old = count / 2;
    let step = (rows / old).max(1);
    let ids = (0..old).map(|i| (i * step) as i64).chain((0..count - old).map(|i| (rows + i) as i64));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let others = batch(rows, count)?;
    let columns = std::iter::once(ids).chain(others.columns()[1..].iter().cloned());
    Ok(RecordBatch::try_new(schema(), columns.collect())?)
}

/// The rows of [`CATEGORY`].
pub(crate) fn of_category(folder: &Path) -> Result<Vec<RecordBatch>> {
    filtered(folder, |batch| {
        let category = batch.column(2).as_string::<i32>();
        category.iter().map(|category| Some(category == Some(CATEGORY))).collect()
    })
}

/// The rows of [`PARTITION`].
pub(crate) fn of_partition(folder: &Path) -> Result<Vec<RecordBatch>> {
    filtered(folder, |batch| {
        let part = batch.column(5).as_primitive::<Int32Type>();
        part.iter().map(|part| Some(part == Some(PARTITION))).collect()
    })
}

fn filtered(folder: &Path, mask: impl Fn(&RecordBatch) -> BooleanArray) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for batch in read_input(folder, 0)? {
        let batch = batch?;
        batches.push(filter_record_batch(&batch, &mask(&batch))?);
    }
    Ok(batches)
}

/// Writes the sources of the cases as Arrow IPC files, so that every side reads the same rows.
pub(crate) fn write_sources(folder: &Path, rows: usize) -> Result<()> {
    let write = |name: &str, batches: Vec<RecordBatch>| -> Result<()> {
        let file = BufWriter::new(File::create(folder.join(format!("{name}.arrow")))?);
        let mut writer = FileWriter::try_new(file, &schema())?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        Ok(writer.finish()?)
    };
    for (name, count) in [("upsert-1k", 1_000), ("upsert-10k", 10_000), ("upsert-100k", 100_000)] {
        write(name, vec![changes(rows, count)?])?;
    }
    write("overwrite-category", of_category(folder)?)?;
    write("overwrite-partition", of_partition(folder)?)
}

/// Writes the data set as an Arrow IPC file, unless one is there.
pub(crate) fn write_input(path: &Path, rows: usize) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let mut writer = FileWriter::try_new(BufWriter::new(File::create(path)?), &schema())?;
    for first in (0..rows).step_by(BATCH_ROWS) {
        writer.write(&batch(first, BATCH_ROWS.min(rows - first))?)?;
    }
    Ok(writer.finish()?)
}

/// The batches of the data set, one after the other, from batch `skip` on.
pub(crate) fn read_input(folder: &Path, skip: usize) -> Result<FileReader<BufReader<File>>> {
    let file = BufReader::with_capacity(1 << 20, File::open(folder.join("input.arrow"))?);
    let mut reader = FileReader::try_new(file, None)?;
    reader.set_index(skip)?;
    Ok(reader)
}

/// How many batches the data set has.
pub(crate) fn batches(folder: &Path) -> Result<usize> {
    Ok(read_input(folder, 0)?.num_batches())
}
