//! floe through its public API.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::model::{
    FieldType, PartitionField, PartitionSpec, PartitionTransform, SchemaField, TableConfig, TableSchema,
    WriteConfig, WriteOutcome,
};
use floe::plan::expr::Expr;
use floe::{Error, IcebergTableManager};
use futures::{StreamExt, stream};
use iceberg::TableIdent;

use crate::data::{batch, read_input, schema};
use crate::measure::{Stopwatch, Took};

/// Commits of the case `commits`, and rows of each.
pub(crate) const COMMITS: usize = 100;
const COMMIT_ROWS: usize = 10;

/// Appends the data set to a new table.
pub(crate) fn append(folder: &Path, partitioned: bool) -> Result<Took> {
    runtime()?.block_on(async {
        let name = if partitioned { "partitioned" } else { "plain" };
        let (manager, table) = create(folder, name, partitioned).await?;
        let start = Stopwatch::start();
        let outcome = append_input(&manager, &table, folder).await?;
        let took = start.stop()?;
        eprintln!("floe {name}: {} rows, {} files, {} bytes", outcome.rows, outcome.files, outcome.bytes);
        Ok(took)
    })
}

/// Appends the data set to a table.
pub(crate) async fn append_input(
    manager: &IcebergTableManager,
    table: &TableIdent,
    folder: &Path,
) -> Result<WriteOutcome> {
    let input = read_input(folder, 0)?.map(|batch| batch.map_err(|e| Error::validation(e.to_string())));
    let data = BatchStream::new(schema(), stream::iter(input).boxed());
    Ok(manager.write_data(table, data, &WriteConfig::default()).await?)
}

/// Reads every row and column of the table that `append` made.
pub(crate) fn scan(folder: &Path) -> Result<Took> {
    runtime()?.block_on(async {
        let manager = floe::embedded(folder.join("warehouse")).await?;
        let start = Stopwatch::start();
        let mut scan = manager.scan(&ident("plain")?, &ScanRequest::default()).await?;
        let mut rows = 0;
        while let Some(batch) = scan.data.stream.next().await {
            rows += batch?.num_rows();
        }
        let took = start.stop()?;
        eprintln!("floe scan: {rows} rows");
        Ok(took)
    })
}

/// Small commits one after the other; what each took on average.
pub(crate) fn commits(folder: &Path) -> Result<Took> {
    runtime()?.block_on(async {
        let (manager, table) = create(folder, "commits", false).await?;
        small_commits(&manager, &table, 0..1).await?;
        let start = Stopwatch::start();
        small_commits(&manager, &table, 0..COMMITS).await?;
        let average = start.stop()?.each(COMMITS);
        small_commits(&manager, &table, COMMITS..950).await?;
        let start = Stopwatch::start();
        small_commits(&manager, &table, 0..50).await?;
        eprintln!("floe commits 951 to 1000: {:.4} s each", start.stop()?.seconds / 50.0);
        Ok(average)
    })
}

/// Appends of [`COMMIT_ROWS`] rows, one after the other.
pub(crate) async fn small_commits(
    manager: &IcebergTableManager,
    table: &TableIdent,
    numbers: Range<usize>,
) -> Result<()> {
    for number in numbers {
        let rows = BatchStream::from_batches(schema(), vec![batch(number * COMMIT_ROWS, COMMIT_ROWS)?]);
        manager.write_data(table, rows, &WriteConfig::default()).await?;
    }
    Ok(())
}

/// Plans a point query over the table that [`make_many_files`] made.
pub(crate) fn plan(folder: &Path) -> Result<Took> {
    runtime()?.block_on(async {
        let manager = floe::embedded(folder.join("warehouse")).await?;
        let filter = Expr::parse("id = 1234567")?;
        let request = ScanRequest { filter: Some(filter), ..ScanRequest::default() };
        let start = Stopwatch::start();
        let plan = manager.plan_scan(&ident("many_files")?, &request).await?;
        let took = start.stop()?;
        eprintln!("floe plan: {} of {} files", plan.tasks.len(), plan.stats.files_total);
        Ok(took)
    })
}

/// A table of 50,000 files, committed by metadata alone: the files themselves are not there.
pub(crate) fn make_many_files(folder: &Path) -> Result<()> {
    crate::many_files::make(folder)
}

/// A new table in the embedded warehouse, in the place of an old one.
pub(crate) async fn create(
    folder: &Path,
    name: &str,
    partitioned: bool,
) -> Result<(IcebergTableManager, TableIdent)> {
    let manager = floe::embedded(folder.join("warehouse")).await?;
    let table = ident(name)?;
    manager.ensure_namespace(table.namespace()).await?;
    if manager.table_exists(&table).await? {
        manager.drop_table(&table).await?;
        std::fs::remove_dir_all(folder.join("warehouse/bench").join(table.name())).context("old table")?;
    }
    let table = create_in(&manager, name, partitioned).await?;
    Ok((manager, table))
}

/// A new table of the data set, in the place of an old one, whose files stay.
pub(crate) async fn create_in(
    manager: &IcebergTableManager,
    name: &str,
    partitioned: bool,
) -> Result<TableIdent> {
    let types = [
        ("id", FieldType::Long),
        ("ts", FieldType::Timestamp),
        ("category", FieldType::String),
        ("value", FieldType::Double),
        ("text", FieldType::String),
        ("part", FieldType::Int),
    ];
    let fields = types.into_iter().zip(1..).map(|((n, t), id)| SchemaField::new(id, n, t, false)).collect();
    let name = &table_name(name);
    let mut config = TableConfig::new("bench", name, TableSchema { fields });
    if partitioned {
        let field = PartitionField {
            source_field_id: 6,
            partition_field_id: 1000,
            name: "part".into(),
            transform: PartitionTransform::Identity,
            num_buckets: None,
            width: None,
        };
        config.partition_spec = Some(PartitionSpec { fields: vec![field] });
    }
    let table = config.ident()?;
    manager.ensure_namespace(table.namespace()).await?;
    if manager.table_exists(&table).await? {
        manager.drop_table(&table).await?;
    }
    manager.create_table(&config, false).await?;
    Ok(table)
}

pub(crate) fn ident(name: &str) -> Result<TableIdent> {
    Ok(TableIdent::from_strs(["bench", &table_name(name)])?)
}

/// The table of a case.
fn table_name(case: &str) -> String {
    case.replace('-', "_")
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Runtime::new()?)
}
