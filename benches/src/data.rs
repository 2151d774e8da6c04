//! The data set: id, timestamp, category, double, 40-character string, and a partition number.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{
    Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Partitions of the partitioned case.
pub(crate) const PARTITIONS: i32 = 512;
/// Rows of a batch.
pub(crate) const BATCH_ROWS: usize = 65_536;

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
