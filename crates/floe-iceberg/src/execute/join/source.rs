//! The source of a join: in memory, or in parts of temporary files.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::Result;
use floe_plan::rows::size::{batch_bytes, split};
use futures::StreamExt;

use super::spill::{Divide, Divider, Part};
use super::{KeyCodec, KeyTable, blocking};
use crate::data::BatchStream;
use crate::data::decoding::BATCH_BYTES;

/// Bytes that a row takes in a [`KeyTable`], with a key of two numbers.
const ROW_BYTES: u64 = 48;

/// How a source is held.
#[derive(Debug, Clone)]
pub(crate) struct SourceOptions {
    /// Bytes that its rows and their keys may take at once.
    pub(crate) memory_bytes: u64,
    /// Where temporary files go; the folder of the operating system if not set.
    pub(crate) spill_directory: Option<PathBuf>,
    /// Goes into the hashes of keys.
    pub(crate) seed: u64,
}

/// All rows of a source.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) rows: u64,
    /// Temporary files that were needed.
    pub(crate) spills: u64,
    codec: Arc<KeyCodec>,
    seed: u64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Memory(Vec<RecordBatch>),
    /// Parts that fit into memory together, pass by pass.
    Files(Vec<Arc<Vec<Part>>>),
}

impl Source {
    /// Takes all of `data`, whose fields carry field ids.
    pub(crate) async fn take(
        mut data: BatchStream,
        codec: Arc<KeyCodec>,
        options: &SourceOptions,
    ) -> Result<Self> {
        let schema = data.schema.clone();
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        let mut divider: Option<Divider> = None;
        while let Some(batch) = data.stream.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            rows += batch.num_rows() as u64;
            bytes += memory_of(&batch);
            batches.extend(split(batch, BATCH_BYTES));
            // Later rows are put into files in pieces of some size.
            let most = if divider.is_some() { options.memory_bytes / 4 } else { options.memory_bytes };
            if bytes > most {
                let to_file = std::mem::take(&mut batches);
                bytes = 0;
                let how = Divide {
                    codec: codec.clone(),
                    schema: schema.clone(),
                    seed: options.seed,
                    folder: options.spill_directory.clone(),
                };
                let open = divider.take();
                divider = Some(
                    blocking(move || {
                        let mut divider = open.map_or_else(|| Divider::new(how, 0), Ok)?;
                        for batch in &to_file {
                            divider.push(batch)?;
                        }
                        Ok(divider)
                    })
                    .await?,
                );
            }
        }
        let (held, spills) = match divider {
            None => (Held::Memory(batches), 0),
            Some(mut divider) => {
                let most = options.memory_bytes;
                let parts = blocking(move || {
                    for batch in &batches {
                        divider.push(batch)?;
                    }
                    divider.finish(most)
                })
                .await?;
                let spills = parts.len() as u64;
                (Held::Files(passes(parts, most)), spills)
            }
        };
        Ok(Self { rows, spills, codec, seed: options.seed, held })
    }

    /// In how many passes the source is looked at. Rows with one key are in one pass.
    pub(crate) fn passes(&self) -> usize {
        match &self.held {
            Held::Memory(batches) if batches.is_empty() => 0,
            Held::Memory(_) => 1,
            Held::Files(passes) => passes.len(),
        }
    }

    /// The rows of a pass. Those of files keep no order.
    pub(crate) async fn pass(&self, index: usize) -> Result<Vec<RecordBatch>> {
        match &self.held {
            Held::Memory(batches) => Ok(batches.clone()),
            Held::Files(passes) => {
                let parts = passes[index].clone();
                blocking(move || {
                    let mut batches = Vec::new();
                    for part in parts.iter() {
                        part.read(|batch| {
                            batches.push(batch);
                            Ok(())
                        })?;
                    }
                    Ok(batches)
                })
                .await
            }
        }
    }

    /// The keys of a pass.
    pub(crate) async fn table(&self, batches: &[RecordBatch]) -> Result<KeyTable> {
        let (codec, seed, batches) = (self.codec.clone(), self.seed, batches.to_vec());
        blocking(move || KeyTable::new(&codec, &batches, seed)).await
    }

    /// How many rows have a key that another row before them has.
    pub(crate) async fn duplicates(&self) -> Result<u64> {
        let mut duplicates = 0;
        for pass in 0..self.passes() {
            duplicates += self.table(&self.pass(pass).await?).await?.duplicates();
        }
        Ok(duplicates)
    }
}

/// Puts parts together, in order, as long as they fit into `most` bytes.
fn passes(parts: Vec<Part>, most: u64) -> Vec<Arc<Vec<Part>>> {
    let mut passes: Vec<(u64, Vec<Part>)> = Vec::new();
    for part in parts {
        match passes.last_mut() {
            Some((bytes, parts)) if *bytes + part.bytes <= most => {
                *bytes += part.bytes;
                parts.push(part);
            }
            _ => passes.push((part.bytes, vec![part])),
        }
    }
    passes.into_iter().map(|(_, parts)| Arc::new(parts)).collect()
}

/// What the rows of a batch take in memory, with their keys.
pub(crate) fn memory_of(batch: &RecordBatch) -> u64 {
    batch_bytes(batch) + batch.num_rows() as u64 * ROW_BYTES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use floe_plan::merge::KeyColumn;
    use iceberg::arrow::schema_to_arrow_schema;
    use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};

    use super::*;

    fn data(rows: i64, each: usize) -> (BatchStream, Arc<KeyCodec>) {
        let optional = |id, name: &str, ty| NestedField::optional(id, name, Type::Primitive(ty)).into();
        let fields = [optional(1, "id", PrimitiveType::Long), optional(2, "v", PrimitiveType::String)];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let arrow = Arc::new(schema_to_arrow_schema(&schema).unwrap());
        let ids: Vec<i64> = (0..rows).collect();
        let batches = ids.chunks(each).map(|ids| {
            let values: ArrayRef =
                Arc::new(ids.iter().map(|v| Some(format!("value {v}"))).collect::<StringArray>());
            let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
            RecordBatch::try_new(arrow.clone(), vec![ids, values]).unwrap()
        });
        let codec = KeyCodec::new(KeyColumn::resolve(&schema, &["id".to_owned()]).unwrap()).unwrap();
        (BatchStream::from_batches(arrow.clone(), batches.collect()), Arc::new(codec))
    }

    fn options(memory_bytes: u64) -> SourceOptions {
        SourceOptions { memory_bytes, spill_directory: None, seed: 3 }
    }

    #[tokio::test]
    async fn every_row_comes_once_in_passes_that_keep_to_the_memory() {
        for memory in [1 << 30, 200_000, 4_000] {
            let (data, codec) = data(20_000, 700);
            let source = Source::take(data, codec, &options(memory)).await.unwrap();
            assert_eq!(source.spills > 0, memory < 1 << 30);
            let mut seen = HashSet::new();
            for pass in 0..source.passes() {
                let batches = source.pass(pass).await.unwrap();
                assert!(batches.iter().map(memory_of).sum::<u64>() <= memory);
                for batch in batches {
                    let ids = batch.column(0).as_primitive::<Int64Type>();
                    assert!(ids.values().iter().all(|id| seen.insert(*id)));
                }
            }
            assert_eq!((seen.len(), source.rows), (20_000, 20_000));
        }
    }

    #[tokio::test]
    async fn duplicates_are_counted_wherever_they_are() {
        for memory in [1 << 30, 50_000] {
            let (first, codec) = data(3_000, 500);
            let (second, _) = data(100, 30);
            let schema = first.schema.clone();
            let both = BatchStream::new(schema, first.stream.chain(second.stream).boxed());
            let source = Source::take(both, codec, &options(memory)).await.unwrap();
            assert_eq!(source.duplicates().await.unwrap(), 100);
        }
    }
}
