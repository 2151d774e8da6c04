//! Damaged files in this process: no panic, no long run, and no more memory than the setting and 200 MB.
//!
//! `FLOE_TEST_ROUNDS=20000` runs so many cases in place of the usual ones. The counter of the heap knows no owner: one test.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code, unused_imports)]
#[path = "../fuzz/seeds.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floe::base::{ManifestCache, TableBase};
use floe::execute::scan::{DEFAULT_BATCH_SIZE, PlanStats, ScanMetrics, ScanPlan, ScanTask, execute_scan};
use floe::iceberg::TableIdent;
use floe::iceberg::io::FileIO;
use floe::limits::{Limits, install};
use floe::{Error, ErrorKind, LoadedTable, metadata_file};
use floe_testkit::fuzz::Corpus;
use futures::StreamExt;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
const FILE: &str = "memory:///t/file";
/// Cases of a usual test.
const USUAL: u64 = 3000;
const MIB: usize = 1 << 20;
const MEMORY: usize = 64 * MIB;
const MOST: usize = MEMORY + 200 * MIB;
const PATIENCE: Duration = Duration::from_secs(10);
/// The kinds of error whose exit codes a damaged file may have: 2, 3, 8 or 9.
const KINDS: [ErrorKind; 5] = [
    ErrorKind::Corrupted,
    ErrorKind::Unsupported,
    ErrorKind::SnapshotNotFound,
    ErrorKind::FileNotFound,
    ErrorKind::SchemaMismatch,
];

async fn stored(bytes: &[u8]) -> FileIO {
    let file_io = FileIO::new_with_memory();
    file_io.new_output(FILE).unwrap().write(bytes.to_vec().into()).await.unwrap();
    file_io
}

/// What a case is read by.
type Read = fn(Vec<u8>) -> futures::future::BoxFuture<'static, Result<u64, Error>>;

fn metadata(bytes: Vec<u8>) -> futures::future::BoxFuture<'static, Result<u64, Error>> {
    Box::pin(async move {
        let metadata = metadata_file::read(&stored(&bytes).await, FILE).await?;
        Ok(metadata.snapshots().count() as u64)
    })
}

fn manifest_list(bytes: Vec<u8>) -> futures::future::BoxFuture<'static, Result<u64, Error>> {
    Box::pin(async move {
        let list = ManifestCache::new(0).manifest_list(&stored(&bytes).await, FILE).await?;
        Ok(list.len() as u64)
    })
}

fn manifest(bytes: Vec<u8>) -> futures::future::BoxFuture<'static, Result<u64, Error>> {
    Box::pin(async move {
        let table = LoadedTable {
            ident: TableIdent::from_strs(["n", "t"]).unwrap(),
            metadata: Arc::new(seeds::metadata()),
            metadata_location: "memory:///t/metadata.json".to_owned(),
            file_io: stored(&bytes).await,
        };
        let base = TableBase::new(table, Arc::new(ManifestCache::new(0)));
        Ok(base.live_files(&seeds::manifest_file(FILE)).await?.len() as u64)
    })
}

fn parquet(bytes: Vec<u8>) -> futures::future::BoxFuture<'static, Result<u64, Error>> {
    Box::pin(async move {
        let schema = Arc::new(seeds::schema());
        let task = ScanTask {
            path: FILE.to_owned(),
            file_size: bytes.len() as u64,
            record_count: seeds::ROWS,
            spec_id: 0,
            sequence_number: 1,
            constants: BTreeMap::new(),
            all_rows_match: false,
            deletes: Vec::new(),
        };
        let plan = ScanPlan {
            table: "n.t".to_owned(),
            snapshot_id: Some(1),
            schema: schema.clone(),
            projection: schema,
            filter: None,
            case_sensitive: true,
            limit: None,
            batch_size: DEFAULT_BATCH_SIZE,
            memory_bytes: MEMORY as u64,
            preserve_order: true,
            name_mapping: None,
            delete_columns: None,
            tasks: vec![task],
            stats: PlanStats::default(),
        };
        let mut batches = execute_scan(&stored(&bytes).await, &plan, &Arc::new(ScanMetrics::default()))?;
        let mut rows = 0;
        while let Some(batch) = batches.stream.next().await {
            rows += batch?.num_rows() as u64;
        }
        Ok(rows)
    })
}

/// A file of zeros in a container of Avro, of so many bytes and with this codec.
fn avro_bomb(bytes: u64, records: u64) -> Vec<u8> {
    let long = |file: &mut Vec<u8>, value: u64| {
        let mut rest = value << 1;
        while rest > 0x7f {
            file.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        file.push(rest as u8);
    };
    let mut file = b"Obj\x01".to_vec();
    long(&mut file, 2);
    let schema = br#"{"type": "record", "name": "manifest_file", "fields": [
        {"name": "manifest_path", "type": "string", "field-id": 500}]}"#;
    for text in [&b"avro.schema"[..], schema, b"avro.codec", b"zstandard"] {
        long(&mut file, text.len() as u64);
        file.extend(text);
    }
    file.push(0);
    file.extend([7; 16]);
    let mut packed = Vec::new();
    let mut encoder = zstd::stream::write::Encoder::new(&mut packed, 1).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), bytes), &mut encoder).unwrap();
    encoder.finish().unwrap();
    long(&mut file, records);
    long(&mut file, packed.len() as u64);
    file.extend(packed);
    file.extend([7; 16]);
    file
}

fn gzip_bomb(bytes: u64) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), bytes), &mut encoder).unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

#[test]
fn damaged_files_take_neither_long_nor_much_memory() {
    install(Limits::default().within(MEMORY as u64));
    let rounds: u64 = std::env::var("FLOE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(USUAL);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut slowest, mut largest) = (Duration::ZERO, 0);
    let mut measured = |case: &str, bytes: Vec<u8>, read: Read| {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(read(bytes))));
        let (took, peak) = (begun.elapsed(), HEAP.peak_usage().saturating_sub(before));
        let outcome = outcome.unwrap_or_else(|_| panic!("{case}: a panic came out"));
        if let Err(error) = &outcome {
            assert!(KINDS.contains(&error.kind()), "{case}: {error:?}");
        }
        assert!(took < PATIENCE, "{case}: {took:?}");
        assert!(peak < MOST, "{case}: {} MiB", peak / MIB);
        (slowest, largest) = (slowest.max(took), largest.max(peak));
        outcome
    };
    let refused = |outcome: Result<u64, Error>| {
        let error = outcome.unwrap_err();
        assert!(error.kind() == ErrorKind::Corrupted && error.message().contains("`limits."), "{error}");
    };
    refused(measured("zstd of 1 GiB", avro_bomb(1 << 30, 1), manifest_list));
    // Less than the limit, and more than it as records.
    refused(measured("records", avro_bomb(16 << 20, 16 << 20), manifest_list));
    refused(measured("gzip of 512 MiB", gzip_bomb(512 << 20), metadata));

    let kinds: [(&str, Read); 4] = [
        ("metadata", metadata),
        ("manifest-list", manifest_list),
        ("manifest", manifest),
        ("parquet", parquet),
    ];
    let mut tally = BTreeMap::<(&str, bool), u64>::new();
    for (kind, read) in kinds {
        let corpus = Corpus::load(CORPUS, kind);
        for seed in 0..rounds / kinds.len() as u64 {
            let (name, bytes) = corpus.case(1_000_000 + seed);
            let outcome = measured(&format!("{kind}/{name}, seed {seed}"), bytes, read);
            *tally.entry((kind, outcome.is_ok())).or_default() += 1;
        }
    }
    println!("{tally:?}, slowest {slowest:?}, largest {} MiB", largest / MIB);
    assert!(rounds < 400 || tally.len() == 2 * kinds.len(), "some are read, and some refused: {tally:?}");
}
