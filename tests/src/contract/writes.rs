//! Rows written, changed, deleted and read back.

use std::collections::BTreeMap;

use floe::ErrorKind;
use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::execute::scan::ScanRequest;
use floe::model::{ChangeOptions, CommitStrategy, DeleteConfig, MergeConfig, WriteConfig, WriteMode};
use floe::plan::evolve::{SchemaChange, SchemaEvolution};
use floe::plan::expr::Expr;

use super::Target;
use super::rows::{append, batch, by_part, delete, from_batches, read, read_at, some, sorted, upsert, write};

/// Both strategies of committing keep every row, for other managers too.
pub async fn appends_of_both_strategies_are_read_back(target: &Target) {
    let table = target.partitioned("appended").await;
    let mut expected = Vec::new();
    for (n, strategy) in
        [CommitStrategy::FastAppend, CommitStrategy::MergeCommit].into_iter().cycle().take(6).enumerate()
    {
        let n = n as i64;
        let rows = sorted([some(n * 10..n * 10 + 5, "a", "x"), some(n * 10 + 5..n * 10 + 8, "b/c d", "y")]);
        let options = ChangeOptions { commit_strategy: Some(strategy), ..ChangeOptions::default() };
        let config = WriteConfig { options, ..WriteConfig::default() };
        let outcome = write(&target.manager, &table, &rows, &config).await.unwrap();
        assert_eq!((outcome.rows, outcome.files), (8, 2), "{strategy:?}");
        expected.extend(rows);
    }
    expected.sort();
    let other = target.another().await;
    assert_eq!(read(&other, &table).await, expected);
    let snapshots = other.list_snapshots(&table).await.unwrap();
    assert_eq!(snapshots.len(), 6);
    assert_eq!(snapshots[0].summary.get("total-records").map(String::as_str), Some("48"));
}

/// Filters, projections and limits do what they say, and prune.
pub async fn scans_filter_and_project(target: &Target) {
    let table = target.partitioned("scanned").await;
    for part in ["a", "b", "c"] {
        let first = i64::from(part.as_bytes()[0] - b'a') * 100;
        append(&target.manager, &table, &some(first..first + 50, part, "x")).await;
    }
    let filter = Some(Expr::parse("part = 'b' AND id < 110").unwrap());
    let request = ScanRequest { filter, ..ScanRequest::default() };
    let scan = target.manager.scan(&table, &request).await.unwrap();
    assert_eq!(from_batches(&scan.data.collect().await.unwrap()), some(100..110, "b", "x"));
    let plan = target.manager.plan_scan(&table, &request).await.unwrap();
    assert_eq!(plan.tasks.len(), 1, "the other partitions are not opened");

    let columns = Some(vec!["v".to_owned()]);
    let request = ScanRequest { columns, limit: Some(7), ..ScanRequest::default() };
    let batches = target.manager.scan(&table, &request).await.unwrap().data.collect().await.unwrap();
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 7);
    assert!(batches.iter().all(|b| b.num_columns() == 1));
}

/// A snapshot is read as it was by its id, its time, and a tag.
pub async fn time_travel_reads_what_was(target: &Target) {
    let table = target.table("travelled").await;
    let first = append(&target.manager, &table, &some(0..5, "a", "x")).await.snapshot_id.unwrap();
    target.manager.tag(&table, "start", None, None, false).await.unwrap();
    append(&target.manager, &table, &some(5..9, "a", "x")).await;
    let other = target.another().await;
    let snapshots = other.list_snapshots(&table).await.unwrap();
    let time = snapshots.iter().find(|s| s.snapshot_id == first).unwrap().timestamp.timestamp_millis();
    let selectors = [
        SnapshotSelector::SnapshotId(first),
        SnapshotSelector::Timestamp(time),
        SnapshotSelector::Ref("start".into()),
    ];
    for at in selectors {
        // Two commits of one millisecond: the later one was current at its end.
        if matches!(at, SnapshotSelector::Timestamp(_)) && snapshots[0].timestamp == snapshots[1].timestamp {
            continue;
        }
        assert_eq!(read_at(&other, &table, at.clone()).await.unwrap(), some(0..5, "a", "x"), "{at:?}");
    }
    let missing = read_at(&other, &table, SnapshotSelector::SnapshotId(1)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::SnapshotNotFound);
}

/// An overwrite replaces all rows, those of a filter, or those of the partitions in the data.
pub async fn overwrites_replace_all_a_filter_or_partitions(target: &Target) {
    let table = target.partitioned("replaced").await;
    let overwrite = || WriteConfig { mode: WriteMode::Overwrite, ..WriteConfig::default() };
    append(&target.manager, &table, &sorted([some(0..10, "a", "old"), some(10..20, "b", "old")])).await;

    let config = WriteConfig { overwrite_partitions: true, ..overwrite() };
    write(&target.manager, &table, &some(100..103, "b", "new"), &config).await.unwrap();
    let expected = sorted([some(0..10, "a", "old"), some(100..103, "b", "new")]);
    assert_eq!(read(&target.another().await, &table).await, expected);

    let config = WriteConfig { overwrite_filter: Some("id < 5".into()), ..overwrite() };
    write(&target.manager, &table, &some(0..2, "a", "new"), &config).await.unwrap();
    let expected = sorted([some(0..2, "a", "new"), some(5..10, "a", "old"), some(100..103, "b", "new")]);
    assert_eq!(read(&target.another().await, &table).await, expected);

    let all = WriteConfig { overwrite_all: true, ..overwrite() };
    write(&target.manager, &table, &some(0..1, "c", "all"), &all).await.unwrap();
    assert_eq!(read(&target.another().await, &table).await, some(0..1, "c", "all"));
}

/// Rows go away in both modes; a dry run counts them only.
pub async fn deletes_remove_rows_in_both_modes(target: &Target) {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
        let config = DeleteConfig { options: options.clone() };
        let name = mode.as_str().replace('-', "_");
        let table = target.partitioned(&name).await;
        append(&target.manager, &table, &sorted([some(0..20, "a", "x"), some(20..40, "b", "x")])).await;
        let dry = DeleteConfig { options: ChangeOptions { dry_run: true, ..options } };
        let counted = delete(&target.manager, &table, "id >= 5 AND id < 25", &dry).await.unwrap();
        assert_eq!(counted.changes.unwrap().rows_removed, 20);
        assert_eq!(target.manager.list_snapshots(&table).await.unwrap().len(), 1, "{mode:?}");
        let outcome = delete(&target.manager, &table, "id >= 5 AND id < 25", &config).await.unwrap();
        assert_eq!(outcome.changes.unwrap().rows_removed, 20, "{mode:?}");
        let expected = sorted([some(0..5, "a", "x"), some(25..40, "b", "x")]);
        assert_eq!(read(&target.another().await, &table).await, expected, "{mode:?}");
        delete(&target.manager, &table, "part = 'b'", &config).await.unwrap();
        assert_eq!(read(&target.another().await, &table).await, some(0..5, "a", "x"), "{mode:?}");
    }
}

/// An upsert is one snapshot that updates and inserts, in both modes.
pub async fn upserts_update_and_insert_in_one_snapshot(target: &Target) {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let name = format!("upserted_{}", mode.as_str().replace('-', "_"));
        let table = target.partitioned(&name).await;
        append(&target.manager, &table, &sorted([some(0..20, "a", "old"), some(20..40, "b", "old")])).await;
        let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
        let config = WriteConfig { options, ..upsert() };
        let source = sorted([some(10..20, "a", "new"), some(100..105, "c", "new")]);
        let merged = write(&target.manager, &table, &source, &config).await.unwrap().merged.unwrap();
        assert_eq!((merged.rows_updated, merged.rows_inserted), (10, 5), "{mode:?}");
        assert_eq!(target.manager.list_snapshots(&table).await.unwrap().len(), 2, "{mode:?}");
        let expected = sorted([some(0..10, "a", "old"), some(20..40, "b", "old"), source]);
        assert_eq!(read(&target.another().await, &table).await, expected, "{mode:?}");
    }
}

/// A merge updates, deletes and inserts in one snapshot, as its clauses say.
pub async fn a_merge_does_what_its_clauses_say(target: &Target) {
    let table = target.table("merged").await;
    append(&target.manager, &table, &some(0..6, "a", "old")).await;
    let source = sorted([some(0..2, "gone", "x"), some(2..4, "b", "new"), some(10..12, "b", "new")]);
    let name = table.to_string();
    let sql = format!(
        "MERGE INTO {name} t USING changes s ON t.id = s.id WHEN MATCHED AND s.part = 'gone' THEN DELETE \
         WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *"
    );
    let config = MergeConfig::from_sql(&sql, &table).unwrap();
    let data = batch(&source);
    let data = BatchStream::from_batches(data.schema(), vec![data]);
    target.manager.merge_data(&table, data, &config).await.unwrap();
    let expected = sorted([some(2..4, "a", "new"), some(4..6, "a", "old"), some(10..12, "b", "new")]);
    assert_eq!(read(&target.another().await, &table).await, expected);
    assert_eq!(target.manager.list_snapshots(&table).await.unwrap().len(), 2);
}

/// A column is added, another renamed; properties are set and removed; a transaction does several things at once.
pub async fn schema_properties_and_rows_change_together(target: &Target) {
    let table = target.table("evolved").await;
    let manager = &target.manager;
    append(manager, &table, &some(0..3, "a", "x")).await;
    let evolution = SchemaEvolution {
        changes: vec![SchemaChange::RenameColumn { column: "v".into(), new_name: "w".into() }],
        allow_incompatible_changes: false,
    };
    manager.evolve_schema(&table, &evolution).await.unwrap();
    let back = SchemaEvolution {
        changes: vec![SchemaChange::RenameColumn { column: "w".into(), new_name: "v".into() }],
        allow_incompatible_changes: false,
    };
    let rows = batch(&some(3..5, "a", "x"));
    let other = target.another().await;
    let outcome = other
        .transaction(&table)
        .evolve_schema(back)
        .set_properties([("owner", "ann")])
        .write(BatchStream::from_batches(rows.schema(), vec![rows]), WriteConfig::default())
        .commit()
        .await
        .unwrap();
    assert_eq!(outcome.snapshot_ids.len(), 1);
    assert_eq!(read(manager, &table).await, some(0..5, "a", "x"));
    let loaded = manager.update_properties(&table, &BTreeMap::new(), &["owner".into()]).await.unwrap();
    assert!(!loaded.metadata.properties().contains_key("owner"));
    let versions = loaded.metadata.metadata_log().len();
    assert_eq!(
        versions, 4,
        "created, appended, renamed, the transaction as one version, then the properties"
    );
}

/// The same write with the same key, by another manager, changes nothing and finds the first one's snapshot.
pub async fn the_same_key_writes_once(target: &Target) {
    let table = target.table("keyed").await;
    append(&target.manager, &table, &some(0..10, "a", "old")).await;
    let key = |key: &str| ChangeOptions { idempotency_key: Some(key.into()), ..ChangeOptions::default() };
    let rows = some(5..15, "a", "new");
    let overwrite = WriteConfig {
        mode: WriteMode::Overwrite,
        overwrite_filter: Some("id = 0".into()),
        ..WriteConfig::default()
    };
    let configs = [("append", WriteConfig::default()), ("upsert", upsert()), ("overwrite", overwrite)];
    for (name, config) in configs {
        let config = WriteConfig { options: key(name), ..config };
        let first = write(&target.manager, &table, &rows, &config).await;
        // An append made the keys ambiguous: an upsert of those rows is another matter.
        if name == "append" {
            delete(&target.manager, &table, "v = 'new'", &DeleteConfig::default()).await.unwrap();
        }
        let first = first.unwrap();
        let before = read(&target.manager, &table).await;
        let again = write(&target.another().await, &table, &rows, &config).await.unwrap();
        assert!(again.replayed && !first.replayed, "{name}");
        assert_eq!(again.snapshot_id, first.snapshot_id, "{name}");
        assert_eq!(read(&target.another().await, &table).await, before, "{name}");
    }
    let config = DeleteConfig { options: key("delete") };
    let first = delete(&target.manager, &table, "id = 1", &config).await.unwrap();
    let again = delete(&target.another().await, &table, "id = 1", &config).await.unwrap();
    assert_eq!((again.snapshot_id, again.replayed), (first.snapshot_id, true));
}

/// A table of the former format version reads and writes as well; one of version 3 appends.
pub async fn every_format_version_appends(target: &Target) {
    for version in ["1", "2", "3"] {
        let mut config = target.config(&format!("version_{version}"), Some(by_part()));
        config.properties.insert("format-version".into(), version.into());
        let table = target.manager.create_table(&config, false).await.unwrap().ident;
        append(&target.manager, &table, &some(0..4, "a", "x")).await;
        append(&target.manager, &table, &some(4..6, "b", "x")).await;
        let expected = sorted([some(0..4, "a", "x"), some(4..6, "b", "x")]);
        assert_eq!(read(&target.another().await, &table).await, expected, "version {version}");
    }
}
