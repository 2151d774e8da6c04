//! Statistics that lie, as old writers' do: no row may vanish from a filter, neither at once nor after a copy-on-write
//! delete that took row groups over as bytes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{Field, Schema as ArrowSchema};
use floe_plan::change::TableFile;
use floe_plan::expr::Expr;
use floe_testkit::SeededEnvironment;
use futures::StreamExt;
use iceberg::spec::{DataFile, DataFileBuilder, Datum, PrimitiveType, Type};
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::{Statistics, ValueStatistics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::data::BatchStream;
use crate::execute::delete::delete;
use crate::execute::rows::{RowMode, RowOptions};
use crate::execute::write::{WriteOptions, write_data_files};

const DECIMAL: PrimitiveType = PrimitiveType::Decimal { precision: 20, scale: 2 };
const TEXTS: [&str; 6] = ["", "a", "ab", "b", "é", "\u{10348}"];
const NUMBERS: [f64; 7] = [f64::NAN, -0.0, 0.0, -1.5, 1.0, 2.5, f64::INFINITY];
const UNSCALED: [i128; 6] = [-300, -1, 0, 1, 150, 40_000];

const FILTERS: [&str; 30] = [
    "s = 'a'",
    "s = 'é'",
    "s < 'b'",
    "s >= 'b'",
    "s IN ('', 'ab')",
    "s IS NULL",
    "s IS NOT NULL",
    "s <> 'a'",
    "s LIKE 'a%'",
    "d = -3.00",
    "d < 0.00",
    "d >= 0.01",
    "d > 1.50",
    "d IS NULL",
    "d <> 0.00",
    "x = 0.0",
    "x < 0.0",
    "x >= 1.0",
    "x > 2.0",
    "x IS NAN",
    "x IS NOT NULL",
    "x <> 1.0",
    "f = 0.0",
    "f <= 1.0",
    "f > 2.0",
    "l = 3",
    "l < 2",
    "l >= 4",
    "l IS NULL",
    "NOT (x > 1.0)",
];

/// A writer, and whether what it says of text, of decimals as bytes, and of fractions is proven.
const WRITERS: [(Option<&str>, bool, bool, bool); 14] = [
    (None, false, false, false),
    (Some(""), false, false, false),
    (Some("someone"), false, false, true),
    (Some("parquet-mr version 1.6.0 (build x)"), false, false, true),
    (Some("parquet-mr version 1.9.1"), false, false, true),
    (Some("parquet-mr version 1.12.3 (build y)"), true, true, true),
    (Some("impala version 2.9.0-RELEASE (build z)"), false, false, true),
    (Some("parquet-cpp version 1.2.0"), false, false, false),
    (Some("parquet-cpp version 1.3.2-SNAPSHOT"), true, false, false),
    (Some("parquet-cpp version 1.5.1-SNAPSHOT"), true, false, true),
    (Some("parquet-cpp-arrow version 14.0.0"), true, true, true),
    (Some("parquet-rs version 5.0.0"), false, false, true),
    (Some("DuckDB version v1.3.2 (build q)"), true, false, true),
    (Some("floe 0.1.0"), true, true, true),
];

fn columns() -> Vec<(i32, &'static str, Type)> {
    let ty = Type::Primitive;
    vec![
        (1, "id", ty(PrimitiveType::Long)),
        (2, "l", ty(PrimitiveType::Long)),
        (3, "x", ty(PrimitiveType::Double)),
        (4, "f", ty(PrimitiveType::Float)),
        (5, "s", ty(PrimitiveType::String)),
        (6, "d", ty(DECIMAL)),
        (7, "b", ty(PrimitiveType::Binary)),
    ]
}

fn rows(count: i64, random: &mut StdRng) -> RecordBatch {
    let mut pick =
        |of: usize| (0..count).map(|_| random.random_range(0..=of).checked_sub(1)).collect::<Vec<_>>();
    let texts = pick(TEXTS.len());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new((0..count).collect::<Int64Array>())),
        ("l", Arc::new(pick(6).into_iter().map(|l| l.map(|l| l as i64)).collect::<Int64Array>())),
        (
            "x",
            Arc::new(
                pick(NUMBERS.len()).into_iter().map(|x| x.map(|x| NUMBERS[x])).collect::<Float64Array>(),
            ),
        ),
        (
            "f",
            Arc::new(
                pick(NUMBERS.len())
                    .into_iter()
                    .map(|x| x.map(|x| NUMBERS[x] as f32))
                    .collect::<Float32Array>(),
            ),
        ),
        ("s", Arc::new(texts.iter().map(|s| s.map(|s| TEXTS[s])).collect::<StringArray>())),
        (
            "d",
            Arc::new(
                pick(UNSCALED.len())
                    .into_iter()
                    .map(|d| d.map(|d| UNSCALED[d]))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
        ),
        ("b", Arc::new(texts.iter().map(|s| s.map(|s| TEXTS[s].as_bytes())).collect::<BinaryArray>())),
    ];
    let fields = columns.iter().zip(1..).map(|((name, array), id)| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
        Field::new(*name, array.data_type().clone(), true).with_metadata(id)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// A table of one file as floe writes it, with row groups of five rows.
async fn written(seed: u64, batch: &RecordBatch) -> (Fixture, DataFile, Vec<u8>) {
    let mut fixture = table(columns());
    let small = [("write.parquet.row-group-limit", "5"), ("write.parquet.page-row-limit", "3")];
    let small = small.map(|(key, value)| (key.to_owned(), value.to_owned()));
    fixture.change(|builder| builder.set_properties(HashMap::from(small)).unwrap());
    let data = BatchStream::new(batch.schema(), futures::stream::iter([Ok(batch.clone())]).boxed());
    let env = SeededEnvironment::new(seed);
    let base = fixture.base();
    let written = write_data_files(&base.table, data, &WriteOptions::default(), &env).await.unwrap();
    let file = written.files.into_iter().next().unwrap();
    let bytes = fixture.file_io.new_input(file.file_path()).unwrap().read().await.unwrap().to_vec();
    (fixture, file, bytes)
}

/// Any statistics of the type, true or not.
fn garbage(of: &Statistics, old_fields: bool, random: &mut StdRng) -> Statistics {
    let nulls = of.null_count_opt();
    let old = old_fields;
    let mut number = || NUMBERS[random.random_range(0..NUMBERS.len())];
    match of {
        Statistics::Float(_) => {
            let (a, b) = (number() as f32, number() as f32);
            Statistics::float(Some(a), Some(b), None, nulls, old)
        }
        Statistics::Double(_) => {
            let (a, b) = (number(), number());
            Statistics::double(Some(a), Some(b), None, nulls, old)
        }
        Statistics::ByteArray(_) => {
            let mut text = || ByteArray::from(TEXTS[random.random_range(0..TEXTS.len())]);
            let (a, b) = (text(), text());
            Statistics::ByteArray(ValueStatistics::new(Some(a), Some(b), None, nulls, old))
        }
        Statistics::FixedLenByteArray(s) => {
            let size = s.min_opt().map_or(9, |min| min.len());
            let mut decimal = || {
                let unscaled = UNSCALED[random.random_range(0..UNSCALED.len())].to_be_bytes();
                FixedLenByteArray::from(unscaled[16 - size..].to_vec())
            };
            let (a, b) = (decimal(), decimal());
            Statistics::FixedLenByteArray(ValueStatistics::new(Some(a), Some(b), None, nulls, old))
        }
        other => other.clone(),
    }
}

/// The footer of a writer that may lie, lying wherever it may.
fn lying(metadata: ParquetMetaData, random: &mut StdRng) -> ParquetMetaData {
    let (created_by, text, decimals, fractions) = WRITERS[random.random_range(0..WRITERS.len())];
    let (orders, old_fields) = (random.random_bool(0.7), random.random_bool(0.3));
    let metadata = with_whole(metadata, |whole| {
        whole.created_by = created_by.map(str::to_owned);
        if !orders {
            whole.orders = None;
        }
    });
    with_chunks(metadata, |_, chunk| {
        let Some(statistics) = chunk.statistics().cloned() else { return chunk };
        let lie = match &statistics {
            Statistics::Float(_) | Statistics::Double(_) => !fractions,
            Statistics::ByteArray(_) => !text || !orders || old_fields,
            Statistics::FixedLenByteArray(_) => !decimals || !orders || old_fields,
            _ => false,
        };
        let nan = random.random_bool(0.2);
        let said = match &statistics {
            _ if lie => garbage(&statistics, old_fields, random),
            // One bound of NaN: the other may be anything, whoever wrote it.
            Statistics::Double(_) if nan => {
                Statistics::double(Some(f64::NAN), Some(-1.5), None, statistics.null_count_opt(), old_fields)
            }
            // The zero of the other sign.
            Statistics::Double(s) if s.min_opt() == Some(&0.0) => Statistics::double(
                Some(0.0),
                s.max_opt().copied(),
                None,
                statistics.null_count_opt(),
                old_fields,
            ),
            Statistics::Int64(s) if old_fields => {
                Statistics::int64(s.min_opt().copied(), s.max_opt().copied(), None, None, true)
            }
            other => other.clone(),
        };
        chunk.into_builder().set_statistics(said).build().unwrap()
    })
}

fn without_statistics(metadata: ParquetMetaData) -> ParquetMetaData {
    with_chunks(metadata, |_, chunk| chunk.into_builder().clear_statistics().build().unwrap())
}

/// What a footer says, for a test that fails.
fn described(bytes: &[u8]) -> String {
    let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::copy_from_slice(bytes)).unwrap();
    let file = footer.file_metadata();
    let mut said = format!("{:?}, orders: {}", file.created_by(), file.column_orders().is_some());
    for (number, group) in footer.row_groups().iter().enumerate() {
        for column in group.columns() {
            write!(said, "\n{number} {} {:?}", column.column_path(), column.statistics()).unwrap();
        }
    }
    said
}

/// The record of the file in another place, with what an old writer may have said of it in a manifest.
fn recorded(old: &DataFile, new: &DataFile, random: &mut StdRng) -> DataFile {
    let mut builder = DataFileBuilder::default();
    let (mut lower, mut upper) = (old.lower_bounds().clone(), old.upper_bounds().clone());
    match random.random_range(0..5) {
        0 => {
            lower.insert(3, Datum::double(f64::NAN));
            upper.insert(3, Datum::double(-1.5));
        }
        1 => {
            lower.insert(3, Datum::double(2.5));
            upper.insert(3, Datum::double(f64::NAN));
            upper.insert(4, Datum::float(f32::NAN));
        }
        2 => {
            lower.insert(5, Datum::string("b"));
            upper.insert(5, Datum::string("a"));
        }
        3 => {
            lower.clear();
            upper.clear();
        }
        _ => {}
    }
    let nans = if random.random_bool(0.5) { old.nan_value_counts().clone() } else { HashMap::new() };
    builder
        .content(old.content_type())
        .file_path(new.file_path().to_owned())
        .file_format(old.file_format())
        .partition(old.partition().clone())
        .partition_spec_id(0)
        .record_count(old.record_count())
        .file_size_in_bytes(new.file_size_in_bytes())
        .value_counts(old.value_counts().clone())
        .null_value_counts(old.null_value_counts().clone())
        .nan_value_counts(nans)
        .lower_bounds(lower)
        .upper_bounds(upper)
        .build()
        .unwrap()
}

async fn play(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let batch = rows(random.random_range(1..30), &mut random);
    let (_, old, bytes) = written(seed, &batch).await;
    let count = batch.num_rows() as u64;

    let mut plain = table(columns());
    let file = stored(&mut plain, forged(&bytes, without_statistics), count, None).await;
    plain.commit(vec![file]).await;

    let (mut lies, ..) = written(seed, &batch).await;
    let bytes = forged(&bytes, |metadata| lying(metadata, &mut random));
    let said = described(&bytes);
    let file = stored(&mut lies, bytes, count, None).await;
    let file = recorded(&old, &file, &mut random);
    lies.replace(&[], &[TableFile { spec_id: 0, file }]).await;

    let mut expected = Vec::new();
    for filter in FILTERS {
        let ids = longs(&plain, 0, Some(filter)).await.unwrap();
        let found = longs(&lies, 0, Some(filter)).await.unwrap();
        assert_eq!(found, ids, "seed {seed}: {filter}\n{said}");
        expected.push(ids);
    }
    // Two deletes: the second one copies what the first one copied.
    let mut gone: Vec<i64> = Vec::new();
    for _ in 0..2 {
        let id = random.random_range(0..count);
        let options = RowOptions { mode: Some(RowMode::CopyOnWrite), ..RowOptions::default() };
        let filter = Expr::parse(&format!("id = {id}")).unwrap();
        let env = SeededEnvironment::new(random.random());
        let change = delete(&lies.base(), "main", &filter, &options, &env).await.unwrap();
        lies.replace(&change.change.removed, &change.change.added).await;
        gone.push(id as i64);
        for (filter, ids) in FILTERS.iter().zip(&expected) {
            let left: Vec<i64> = ids.iter().copied().filter(|id| !gone.contains(id)).collect();
            assert_eq!(
                longs(&lies, 0, Some(filter)).await.unwrap(),
                left,
                "seed {seed}, without {gone:?}: {filter}"
            );
        }
    }
}

#[tokio::test]
async fn no_row_vanishes_by_the_statistics_of_old_writers() {
    for seed in 0..120 {
        Box::pin(play(seed)).await;
    }
}

/// What is proven is used: the care must not cost the pruning.
#[tokio::test]
async fn statistics_of_good_writers_still_prune_and_are_copied() {
    let ids: ArrayRef = Arc::new((0..20).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new((0..20).map(|n| Some(format!("t{n:02}"))).collect::<StringArray>());
    let field = |id: i32, name: &str, array: &ArrayRef| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
        Field::new(name, array.data_type().clone(), true).with_metadata(id)
    };
    let schema = ArrowSchema::new(vec![field(1, "id", &ids), field(2, "s", &texts)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![ids, texts]).unwrap();
    for (created_by, pruned) in [("parquet-mr version 1.13.1", 3), ("parquet-mr version 1.8.1", 0)] {
        let columns = vec![
            (1, "id", Type::Primitive(PrimitiveType::Long)),
            (2, "s", Type::Primitive(PrimitiveType::String)),
        ];
        let mut fixture = table(columns);
        let (path, _) = fixture.parquet(&batch, 5).await;
        let bytes = fixture.file_io.new_input(&path).unwrap().read().await.unwrap();
        let bytes = forged(&bytes, |metadata| {
            with_whole(metadata, |whole| whole.created_by = Some(created_by.to_owned()))
        });
        let file = stored(&mut fixture, bytes, 20, None).await;
        fixture.commit(vec![file]).await;
        let scan = async |filter: &str| {
            let request =
                ScanRequest { filter: Some(Expr::parse(filter).unwrap()), ..ScanRequest::default() };
            fixture.scan(&request).await.1
        };
        assert_eq!(scan("id = 7").await.row_groups_pruned, 3, "{created_by}");
        assert_eq!(scan("s = 't07'").await.row_groups_pruned, pruned, "{created_by}");
    }
}
