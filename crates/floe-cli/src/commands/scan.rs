//! `floe scan`.

use std::path::Path;
use std::time::Instant;

use floe::execute::scan::{PlanStats, ScanRequest};
use floe::plan::expr::Expr;
use floe::{Error, Result};
use serde_json::{Map, json};

use super::at;
use crate::args::{OutputFormat, ScanArgs};
use crate::output::{ObjectFrame, SinkOptions, Target, Uuids, by_extension, write_rows};
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Reads a table and prints its rows, or writes them to a file.
pub(super) async fn run(command: &str, args: ScanArgs, location: &Location, ui: &Ui) -> Result<()> {
    let started = Instant::now();
    let format = output_format(&args, ui.json).map_err(|e| e.with_table(&args.table))?;
    let filter =
        args.filter.as_deref().map(Expr::parse).transpose().map_err(|e| e.with_table(&args.table))?;
    let manager = location.open().await?;
    let ident = args.table.ident();
    let table = manager.load_table(&ident).await?;
    let at::Chosen { selector, note, .. } = at::choose(args.at.as_deref(), &table)?;
    let request = ScanRequest {
        columns: args.columns.as_ref().map(|c| c.iter().map(|name| name.trim().to_owned()).collect()),
        filter,
        at: selector,
        limit: args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        preserve_order: true,
        memory_bytes: manager.config().write_memory_bytes,
        ..ScanRequest::default()
    };
    let scan = manager.scan(&ident, &request).await?;

    let target = Target::open(args.out.as_deref()).map_err(|e| e.with_table(&args.table))?;
    if target.is_terminal() && !ui.json && matches!(format, OutputFormat::Arrow | OutputFormat::Parquet) {
        return Err(Error::validation("this format is no text, and the output is a terminal")
            .with_hint("write it with --out FILE, or into a pipe")
            .with_table(&args.table));
    }
    let in_object = ui.json && args.out.is_none();
    let columns: Vec<&str> = scan.data.schema.fields().iter().map(|f| f.name().as_str()).collect();
    let frame = Report::new(command)
        .with("table", args.table.to_string())
        .id("snapshot_id", scan.snapshot_id)
        .with("columns", columns)
        .maybe_note(note.clone());
    let options = SinkOptions {
        csv_null: args.null.clone().unwrap_or_default(),
        uuids: Uuids::of(table.metadata.schemas_iter().map(AsRef::as_ref)),
        arrow_file: args.out.as_deref().is_some_and(is_arrow_file),
        layout: ui.layout_of(&target),
        object: in_object.then(|| ObjectFrame { before: frame.fields.clone() }),
    };
    // Rows on a terminal and a bar below them would tear each other apart.
    let bar = args.out.is_some().then(|| ui.progress("Scanning", None));
    let progress = |rows| {
        if let Some(bar) = &bar {
            bar.add(rows);
        }
    };
    let out = target.writer()?;
    let written = write_rows(scan.data, format, out, options, progress).await;
    if let Some(bar) = &bar {
        bar.done();
    }
    let (written, mut out) = written.map_err(|e| target.blame(e).with_table(&args.table))?;

    let elapsed = started.elapsed();
    let mut after = Map::new();
    after.insert("rows".into(), written.rows.into());
    after.insert("files".into(), scan.stats.files_planned.into());
    after.insert("bytes".into(), scan.stats.bytes_planned.into());
    after.insert("pruning".into(), json!(scan.stats));
    after.insert("elapsed_ms".into(), (elapsed.as_millis() as u64).into());
    if in_object {
        ObjectFrame::close(&mut out, &after).map_err(|e| target.blame(Error::from(e)))?;
    }
    let out_bytes = target.commit(out).map_err(|e| e.with_table(&args.table))?;
    if let Some(path) = args.out.as_deref() {
        let mut report = frame;
        report.fields.extend(after);
        let size = out_bytes.map(|b| format!(", {}", render::bytes(b))).unwrap_or_default();
        let text = format!("Wrote {} to {}{size}", render::counted(written.rows, "row"), path.display());
        ui.print(&report.with("out", path.display().to_string()).with("out_bytes", out_bytes).text(text))?;
    }
    if let (Some(note), None) = (&note, &args.out) {
        ui.tell(&format!("note: {note}"));
    }
    ui.note(&format!(
        "{} in {:.2} s; {}",
        render::counted(written.rows, "row"),
        elapsed.as_secs_f64(),
        pruning(&scan.stats)
    ));
    Ok(())
}

/// What a scan could leave out, in one line.
pub(super) fn pruning(stats: &PlanStats) -> String {
    let left_out = stats.files_total.saturating_sub(stats.files_planned);
    format!(
        "read {} of {}, {}; {} pruned by partition, {} by metrics",
        render::count(stats.files_planned),
        render::counted(stats.files_total, "file"),
        render::bytes(stats.bytes_planned),
        render::count(stats.files_pruned_by_partition.min(left_out)),
        render::count(stats.files_pruned_by_metrics),
    )
}

/// The format: as asked for, or else by the extension of the output file, or else a table.
fn output_format(args: &ScanArgs, json: bool) -> Result<OutputFormat> {
    let format = match (args.format, &args.out) {
        (Some(format), _) => format,
        (None, Some(out)) => by_extension(out).ok_or_else(|| {
            Error::validation(format!("{}: the extension stands for no format", out.display()))
                .with_hint("choose one with --format table, csv, json, arrow or parquet")
        })?,
        (None, None) => OutputFormat::Table,
    };
    let one_object = matches!((format, args.format), (OutputFormat::Json, _) | (_, None));
    if json && args.out.is_none() && !one_object {
        return Err(Error::validation("--json prints one JSON object, not rows of another --format")
            .with_hint("drop --json or --format, or write the rows with --out FILE"));
    }
    Ok(format)
}

/// Whether this file is to have the index of an Arrow file; `.arrows` is a stream.
fn is_arrow_file(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| !e.eq_ignore_ascii_case("arrows"))
}
