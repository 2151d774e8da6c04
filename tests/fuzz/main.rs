//! Damaged files: a panic reaches nobody, errors are of few kinds, nothing takes long, and no rows come from nowhere.
//!
//! `floe_testkit::fuzz` says how to run more cases, or one again. Inputs of the command are damaged beside their readers, by
//! files of the same corpus.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod seeds;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use floe::base::{ManifestCache, SnapshotSelector, TableBase};
use floe::execute::scan::{
    DEFAULT_BATCH_SIZE, DEFAULT_MEMORY_BYTES, PlanStats, ScanMetrics, ScanPlan, ScanTask, execute_scan,
};
use floe::iceberg::TableIdent;
use floe::iceberg::io::FileIO;
use floe::iceberg::spec::TableMetadata;
use floe::plan::expr::Expr;
use floe::plan::merge::{MergeSpec, bind};
use floe::{Error, ErrorKind, LoadedTable, metadata_file};
use floe_testkit::fuzz::{Corpus, Tally};
use futures::StreamExt;
use tokio::runtime::Runtime;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
const FILE: &str = "memory:///t/file";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Some cases were read and some refused: the generator neither spoils everything nor nothing.
fn both(tally: Tally) {
    println!("{tally:?}");
    let one = std::env::var_os("FLOE_TEST_SEED").is_some();
    assert!(one || tally.read > 0 && tally.refused > 0, "{tally:?}");
}

async fn stored(bytes: &[u8]) -> FileIO {
    let file_io = FileIO::new_with_memory();
    file_io.new_output(FILE).unwrap().write(bytes.to_vec().into()).await.unwrap();
    file_io
}

fn plan(size: u64, filter: Option<&str>, deletes: Vec<floe::execute::scan::DeleteFile>) -> ScanPlan {
    let schema = Arc::new(seeds::schema());
    let task = ScanTask {
        path: FILE.to_owned(),
        file_size: size,
        record_count: seeds::ROWS,
        spec_id: 0,
        sequence_number: 1,
        constants: BTreeMap::new(),
        all_rows_match: false,
        deletes,
    };
    ScanPlan {
        table: "n.t".to_owned(),
        snapshot_id: Some(1),
        schema: schema.clone(),
        projection: schema,
        filter: filter.map(|filter| Expr::parse(filter).unwrap()),
        case_sensitive: true,
        limit: None,
        batch_size: DEFAULT_BATCH_SIZE,
        memory_bytes: DEFAULT_MEMORY_BYTES,
        preserve_order: true,
        name_mapping: None,
        delete_columns: None,
        tasks: vec![task],
        stats: PlanStats::default(),
    }
}

async fn scan(file_io: &FileIO, plan: &ScanPlan) -> Result<u64, Error> {
    let mut batches = execute_scan(file_io, plan, &Arc::new(ScanMetrics::default()))?;
    let mut rows = 0;
    while let Some(batch) = batches.stream.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

#[test]
fn data_files() {
    let runtime = runtime();
    let tally =
        Corpus::load(CORPUS, "parquet").run(1500, &[ErrorKind::Corrupted, ErrorKind::Unsupported], |bytes| {
            runtime.block_on(async {
                let file_io = stored(bytes).await;
                let all = scan(&file_io, &plan(bytes.len() as u64, None, Vec::new())).await;
                let filter = Some("only.leaf is not null and text starts with 't' or number < 3");
                let some = scan(&file_io, &plan(bytes.len() as u64, filter, Vec::new())).await;
                // The manifest says how many rows the file has.
                for rows in all.iter().chain(&some) {
                    assert!(*rows <= seeds::ROWS, "{rows} rows of {}", seeds::ROWS);
                }
                all
            })
        });
    both(tally);
}

#[test]
fn manifests() {
    let (runtime, metadata) = (runtime(), metadata());
    let manifest_file = seeds::manifest_file(FILE);
    let tally = Corpus::load(CORPUS, "manifest").run(
        4000,
        &[ErrorKind::Corrupted, ErrorKind::Unsupported],
        |bytes| {
            runtime.block_on(async {
                let base = base(stored(bytes).await, metadata.clone());
                Ok(base.live_files(&manifest_file).await?.len() as u64)
            })
        },
    );
    both(tally);
}

#[test]
fn manifest_lists() {
    let runtime = runtime();
    let tally = Corpus::load(CORPUS, "manifest-list").run(
        4000,
        &[ErrorKind::Corrupted, ErrorKind::Unsupported],
        |bytes| {
            runtime.block_on(async {
                let file_io = stored(bytes).await;
                Ok(ManifestCache::new(0).manifest_list(&file_io, FILE).await?.len() as u64)
            })
        },
    );
    both(tally);
}

#[test]
fn table_metadata() {
    let runtime = runtime();
    let kinds = [ErrorKind::Corrupted, ErrorKind::Unsupported, ErrorKind::SnapshotNotFound];
    let words =
        ["null", "-1", "9223372036854775807", "1e400", "{}", "[]", "\"\"", "[[[[[[[[[[[[[[[[", "\"void\""];
    let corpus = Corpus::load(CORPUS, "metadata").with_words(&words);
    let tally = corpus.run(4000, &kinds, |bytes| {
        runtime.block_on(async {
            let file_io = stored(bytes).await;
            let metadata = metadata_file::read(&file_io, FILE).await?;
            let snapshots = metadata.snapshots().count() as u64;
            let base = base(file_io, metadata);
            base.resolve(&SnapshotSelector::Current)?;
            Ok(snapshots)
        })
    });
    both(tally);
}

fn metadata() -> TableMetadata {
    seeds::metadata()
}

fn base(file_io: FileIO, metadata: TableMetadata) -> TableBase {
    let table = LoadedTable {
        ident: TableIdent::from_strs(["n", "t"]).unwrap(),
        metadata: Arc::new(metadata),
        metadata_location: "memory:///t/metadata.json".to_owned(),
        file_io,
    };
    TableBase::new(table, Arc::new(ManifestCache::new(0)))
}

#[test]
fn filters() {
    let words = [
        "(",
        ")",
        " NOT ",
        " AND ",
        " IN (",
        "'",
        " IS NULL",
        "((((((((((",
        "-",
        "1e999",
        "`",
        "\u{feff}",
        "\0",
    ];
    let tally = Corpus::load(CORPUS, "expression").with_words(&words).run(
        20_000,
        &[ErrorKind::Validation],
        |bytes| {
            let expr = Expr::parse(&String::from_utf8_lossy(bytes))?;
            // What is written reads as the same.
            let again = Expr::parse(&expr.to_string()).unwrap();
            assert_eq!(again.to_string(), expr.to_string());
            let _ = expr.bind(&seeds::schema(), true)?;
            Ok(1)
        },
    );
    both(tally);
}

#[test]
fn merge_statements() {
    let words = [
        "(",
        ")",
        " WHEN MATCHED THEN DELETE ",
        " AND ",
        "'",
        "CASE WHEN ",
        " END",
        "*",
        ",",
        "((((((((((((",
        "\0",
    ];
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let source = ArrowSchema::new(vec![
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("at", micros, true),
    ]);
    let kinds = [ErrorKind::Validation, ErrorKind::SchemaMismatch, ErrorKind::Unsupported];
    let tally = Corpus::load(CORPUS, "merge").with_words(&words).run(8000, &kinds, |bytes| {
        let (_, spec) = MergeSpec::parse(&String::from_utf8_lossy(bytes))?;
        bind(&spec, &source, &seeds::schema(), 0)?;
        Ok(spec.clauses.len() as u64)
    });
    both(tally);
}
