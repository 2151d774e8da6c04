//! Which columns are worth a dictionary, learned from row groups that were written.
//!
//! The encoder builds a dictionary for each column until it grows too large, and throws the work away then, row group
//! after row group. What became of a column in one row group tells what to do in the next.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use floe_core::Result;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use super::errors::parquet_error;
use crate::data::decoding::{Decoded, decoded};

/// A dictionary has to save one byte in so many.
const SAVES_ONE_IN: u64 = 8;

/// Makes the encoders of row groups, without dictionaries where these did not pay.
pub(super) struct ColumnWriters {
    arrow: SchemaRef,
    parquet: TypePtr,
    current: Mutex<Current>,
}

struct Current {
    properties: WriterPropertiesPtr,
    factory: Arc<ArrowRowGroupWriterFactory>,
    /// By leaf column.
    plain: Vec<bool>,
}

impl ColumnWriters {
    pub(super) fn new(arrow: SchemaRef, parquet: TypePtr, properties: WriterPropertiesPtr) -> Result<Self> {
        let factory = Arc::new(factory(&arrow, &parquet, &properties)?);
        let current = Mutex::new(Current { properties, factory, plain: Vec::new() });
        Ok(Self { arrow, parquet, current })
    }

    /// The encoders of the leaf columns of a new row group.
    pub(super) fn row_group(&self) -> Result<Vec<ArrowColumnWriter>> {
        let factory = self.current.lock().unwrap_or_else(PoisonError::into_inner).factory.clone();
        factory.create_column_writers(0).map_err(parquet_error)
    }

    /// Learns from column chunks of a row group with the same schema, each with the number of its leaf column. Chunks that
    /// would fit a dictionary tell nothing: it may pay in larger ones.
    pub(super) fn learn<'a>(
        &self,
        chunks: impl Iterator<Item = (usize, &'a ColumnChunkMetaData)>,
    ) -> Result<()> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = current.properties.dictionary_page_size_limit() as u64;
        let plain: Vec<_> = chunks.filter(|(_, chunk)| is_better_plain(chunk, limit)).collect();
        let mut changed: Option<WriterProperties> = None;
        for (leaf, chunk) in plain {
            if current.plain.len() <= leaf {
                current.plain.resize(leaf + 1, false);
            }
            if !std::mem::replace(&mut current.plain[leaf], true) {
                let properties = changed.take().unwrap_or_else(|| current.properties.as_ref().clone());
                let builder = properties.into_builder();
                let path = chunk.column_path().clone();
                changed = Some(builder.set_column_dictionary_enabled(path, false).build());
            }
        }
        if let Some(properties) = changed {
            current.properties = Arc::new(properties);
            current.factory = Arc::new(factory(&self.arrow, &self.parquet, &current.properties)?);
        }
        Ok(())
    }
}

fn factory(
    arrow: &SchemaRef,
    parquet: &TypePtr,
    properties: &WriterPropertiesPtr,
) -> Result<ArrowRowGroupWriterFactory> {
    let file = SerializedFileWriter::new(std::io::sink(), parquet.clone(), properties.clone());
    Ok(ArrowRowGroupWriterFactory::new(&file.map_err(parquet_error)?, arrow.clone()))
}

/// Whether the dictionary of a column chunk outgrew its `limit` in bytes without saving enough before compression. A chunk
/// that has none, and could, tells that it would.
fn is_better_plain(chunk: &ColumnChunkMetaData, limit: u64) -> bool {
    if chunk.column_type() == PhysicalType::BOOLEAN {
        return false;
    }
    let Decoded::Exactly(plain) = decoded(chunk) else { return false };
    let saved = plain.saturating_sub(u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
    plain > limit && (chunk.dictionary_page_offset().is_none() || saved < plain / SAVES_ONE_IN)
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::arrow::arrow_writer::{ArrowColumnChunk, compute_leaves};

    use super::*;

    fn encode(writers: &ColumnWriters, columns: &[ArrayRef]) -> Vec<ArrowColumnChunk> {
        let fields = writers.arrow.fields().iter();
        let encoders = writers.row_group().unwrap().into_iter().zip(columns).zip(fields);
        let chunks = encoders.map(|((mut encoder, column), field)| {
            compute_leaves(field, column).unwrap().iter().for_each(|leaf| encoder.write(leaf).unwrap());
            encoder.close().unwrap()
        });
        chunks.collect()
    }

    fn dictionaries(chunks: &[ArrowColumnChunk]) -> Vec<bool> {
        chunks.iter().map(|chunk| chunk.close().metadata.dictionary_page_offset().is_some()).collect()
    }

    #[test]
    fn a_column_whose_dictionary_saved_nothing_gets_none_in_the_next_row_group() {
        let arrow = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("few", DataType::Int64, false),
            Field::new("text", DataType::Utf8, true),
            Field::new("word", DataType::Utf8, true),
        ]));
        let parquet = ArrowSchemaConverter::new().convert(&arrow).unwrap().root_schema_ptr();
        let writers = ColumnWriters::new(arrow, parquet, Arc::default()).unwrap();
        let rows = 200_000;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..rows)),
            Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i % 100))),
            Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("number {i}")))),
            Arc::new(StringArray::from_iter(
                (0..rows).map(|i| (i % 3 > 0).then(|| format!("word {}", i % 50))),
            )),
        ];
        let first = encode(&writers, &columns);
        assert_eq!(dictionaries(&first), [true; 4]);
        let metadata = |chunks: &[ArrowColumnChunk]| -> Vec<_> {
            chunks.iter().map(|chunk| chunk.close().metadata.clone()).collect()
        };
        writers.learn(metadata(&first).iter().enumerate()).unwrap();
        let second = encode(&writers, &columns);
        assert_eq!(dictionaries(&second), [false, true, false, true]);
        // What has none goes on without.
        writers.learn(metadata(&second).iter().enumerate()).unwrap();
        assert_eq!(dictionaries(&encode(&writers, &columns)), [false, true, false, true]);
    }

    #[test]
    fn few_values_tell_nothing() {
        let arrow = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let parquet = ArrowSchemaConverter::new().convert(&arrow).unwrap().root_schema_ptr();
        let writers = ColumnWriters::new(arrow, parquet, Arc::default()).unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..100))];
        let chunks = encode(&writers, &columns);
        writers.learn(chunks.iter().map(|chunk| &chunk.close().metadata).enumerate()).unwrap();
        assert_eq!(dictionaries(&encode(&writers, &columns)), [true]);
    }
}
