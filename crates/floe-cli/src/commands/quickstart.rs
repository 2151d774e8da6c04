//! `floe quickstart`: a table of real data, from its creation to travel in time.

use std::time::Instant;

use floe::base::SnapshotSelector;
use floe::execute::scan::{PlanStats, ScanRequest};
use floe::model::{TableConfig, WriteConfig, WriteOutcome};
use floe::plan::expr::Expr;
use floe::{Error, ErrorKind, IcebergTableManager, Result};
use futures::StreamExt;
use serde_json::json;

use super::create::{create, partition_spec};
use super::scan::pruning;
use crate::args::OutputFormat;
use crate::flights::{self, Half};
use crate::output::{SinkOptions, Target, plain_table, write_rows};
use crate::render;
use crate::schema_from::table_schema;
use crate::ui::{Report, Ui};
use crate::values::TableName;
use crate::warehouse::Location;

/// The namespace of the tables that this command makes.
const NAMESPACE: &str = "quickstart";
/// Names that are tried before giving up.
const MOST_TABLES: usize = 10_000;
/// Late flights at Christmas: one month of thirteen has to be read.
const FILTER: &str = "time_hour >= '2013-12-24T00:00:00Z' and dep_delay > 180";
const COLUMNS: [&str; 6] = ["time_hour", "carrier", "flight", "origin", "dest", "dep_delay"];

/// Makes a table of flights, appends to it twice, reads it with a filter, and reads it as it was.
pub(super) async fn run(command: &str, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open_to_create().await?;
    let guide = Guide { ui, started: Instant::now() };
    let warehouse = location.warehouse();
    guide.say(&format!("floe quickstart: {} real flights, in {warehouse}", render::count(flights::ROWS)))?;

    let table = make_table(&manager, &guide).await?;
    let mut outcomes = Vec::new();
    for (half, what) in [(Half::First, "January to June"), (Half::Second, "July to December")] {
        let outcome = append(&manager, &table, half, ui).await?;
        guide.done(&format!(
            "appended {what}: {}, {}, {}, snapshot {}",
            render::counted(outcome.rows, "row"),
            render::counted(outcome.files, "file"),
            render::bytes(outcome.bytes),
            outcome.snapshot_id.unwrap_or_default()
        ))?;
        outcomes.push(outcome);
    }
    let first = outcomes.first().and_then(|o| o.snapshot_id).unwrap_or_default();
    let last = outcomes.last().and_then(|o| o.snapshot_id);

    guide.step(
        "Read it, with a filter",
        &format!("scan {table} --filter \"{FILTER}\" --columns {} --limit 5", COLUMNS.join(",")),
    )?;
    let (late, stats) = show_late(&manager, &table, ui).await?;
    guide.done(&format!("{} late flights; {}", render::count(late), pruning(&stats)))?;

    guide.step("Read it as it was after the first append", &format!("scan {table} --at {first}"))?;
    let then = count(&manager, &table, SnapshotSelector::SnapshotId(first)).await?;
    let now = count(&manager, &table, SnapshotSelector::Current).await?;
    guide.done(&format!("{} then, {} now", render::counted(then, "row"), render::counted(now, "row")))?;

    guide.step("See its snapshots", &format!("snapshots {table}"))?;
    show_snapshots(&manager, &table, &guide).await?;
    let seconds = guide.started.elapsed().as_secs_f64();
    guide.say(&format!(
        "\nAll of it took {seconds:.1} s. Next:\n  \
         floe{option} describe {table}\n  \
         floe{option} scan {table} --at {first} --limit 10\n  \
         floe{option} scan {table} --filter \"origin = 'JFK'\" --out jfk.csv\n  \
         floe{option} create NAMESPACE.TABLE --from YOUR_FILE, then floe{option} append NAMESPACE.TABLE YOUR_FILE\n\
         PyIceberg opens the same tables: load_catalog(\"{name}\", type=\"sql\", uri=\"sqlite:///{warehouse}/catalog.db\")",
        option = location.option(),
        name = location.name,
    ))?;
    if ui.json {
        let sum = |field: fn(&WriteOutcome) -> u64| outcomes.iter().map(field).sum::<u64>();
        let report = Report::new(command)
            .with("table", table.to_string())
            .with("warehouse", warehouse)
            .id("snapshot_id", last)
            .with(
                "snapshots",
                outcomes.iter().map(|o| o.snapshot_id.map(|id| id.to_string())).collect::<Vec<_>>(),
            )
            .with("rows", sum(|o| o.rows))
            .with("files", sum(|o| o.files))
            .with("bytes", sum(|o| o.bytes))
            .with("filtered", json!({ "filter": FILTER, "rows": late, "pruning": stats }))
            .with("time_travel", json!({ "snapshot_id": first.to_string(), "rows": then, "rows_now": now }))
            .with("elapsed_ms", (seconds * 1000.0) as u64);
        ui.print(&report)?;
    }
    if now != flights::ROWS || outcomes.iter().map(|o| o.rows).sum::<u64>() != now {
        return Err(Error::new(ErrorKind::Internal, "the table does not hold all flights").with_table(&table));
    }
    Ok(())
}

/// Tells people what is done; silent when the result is JSON.
struct Guide<'a> {
    ui: &'a Ui,
    started: Instant,
}

impl Guide<'_> {
    fn say(&self, text: &str) -> Result<()> {
        if self.ui.json { Ok(()) } else { self.ui.print(&Report::default().lines(text)) }
    }

    /// A heading, and the command that does the same.
    fn step(&self, what: &str, command: &str) -> Result<()> {
        self.say(&format!("\n{what}\n  $ floe {command}"))
    }

    fn done(&self, what: &str) -> Result<()> {
        self.say(&format!("  → {what}"))
    }
}

/// Makes `quickstart.flights`, or a table with the next number when there is one already.
async fn make_table(manager: &IcebergTableManager, guide: &Guide<'_>) -> Result<TableName> {
    let schema = table_schema(flights::schema()?.as_ref())?;
    for number in 1..=MOST_TABLES {
        let name = if number == 1 { "flights".to_owned() } else { format!("flights_{number}") };
        let table = TableName { namespace: vec![NAMESPACE.to_owned()], name };
        let mut config = TableConfig::new(NAMESPACE, table.name.clone(), schema.clone());
        let month = "month(time_hour)".parse().map_err(Error::validation)?;
        config.partition_spec = partition_spec(&schema, &[month])?;
        match create(manager, &table, &config, false).await {
            Ok(_) => {
                if number > 1 {
                    guide.say(&format!(
                        "The tables of earlier runs stay as they are; this run makes {table}."
                    ))?;
                }
                guide.step(
                    "Make a table, partitioned by month, and append to it twice",
                    &format!("create {table} --from flights.parquet --partition 'month(time_hour)'"),
                )?;
                return Ok(table);
            }
            Err(e) if e.kind() == ErrorKind::TableAlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::new(ErrorKind::TableAlreadyExists, "there are too many quickstart tables")
        .with_hint("drop some of them with `floe drop`"))
}

async fn append(
    manager: &IcebergTableManager,
    table: &TableName,
    half: Half,
    ui: &Ui,
) -> Result<WriteOutcome> {
    let mut rows = flights::half(half)?;
    let bar = ui.progress("Appending", None);
    let counting = bar.clone();
    rows.stream = rows
        .stream
        .inspect(move |batch| counting.add(batch.as_ref().map_or(0, |b| b.num_rows() as u64)))
        .boxed();
    let outcome = Box::pin(manager.write_data(&table.ident(), rows, &WriteConfig::default())).await;
    bar.done();
    outcome
}

/// Shows a few flights that were late, and counts them all.
async fn show_late(manager: &IcebergTableManager, table: &TableName, ui: &Ui) -> Result<(u64, PlanStats)> {
    let request = ScanRequest {
        columns: Some(COLUMNS.map(str::to_owned).to_vec()),
        filter: Some(Expr::parse(FILTER)?),
        preserve_order: true,
        ..ScanRequest::default()
    };
    if !ui.json {
        let first = manager.scan(&table.ident(), &ScanRequest { limit: Some(5), ..request.clone() }).await?;
        let target = Target::open(None)?;
        let options = SinkOptions { layout: ui.layout_of(&target), ..SinkOptions::default() };
        let out = target.writer()?;
        let (_, out) = write_rows(first.data, OutputFormat::Table, out, options, |_| ())
            .await
            .map_err(|e| target.blame(e))?;
        target.commit(out)?;
    }
    let all = manager.scan(&table.ident(), &request).await?;
    let stats = all.stats;
    let rows = all.data.collect().await?.iter().map(|b| b.num_rows() as u64).sum();
    Ok((rows, stats))
}

/// Counts the rows of a snapshot.
async fn count(manager: &IcebergTableManager, table: &TableName, at: SnapshotSelector) -> Result<u64> {
    let request = ScanRequest { columns: Some(Vec::new()), at, ..ScanRequest::default() };
    let mut rows = manager.scan(&table.ident(), &request).await?.data;
    let mut count = 0;
    while let Some(batch) = rows.stream.next().await {
        count += batch?.num_rows() as u64;
    }
    Ok(count)
}

async fn show_snapshots(manager: &IcebergTableManager, table: &TableName, guide: &Guide<'_>) -> Result<()> {
    let mut list =
        plain_table(&["SNAPSHOT", "TIME", "OPERATION", "ROWS ADDED", "FILES ADDED"], guide.ui.layout());
    for snapshot in manager.list_snapshots(&table.ident()).await? {
        list.add_row([
            snapshot.snapshot_id.to_string(),
            render::time(snapshot.timestamp),
            snapshot.operation.clone(),
            render::count(snapshot.added_records),
            render::count(snapshot.added_files),
        ]);
    }
    list.right(&[3, 4]);
    guide.say(&list.trim_fmt())
}
