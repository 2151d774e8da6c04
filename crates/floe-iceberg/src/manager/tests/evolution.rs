use floe_core::{ErrorKind, Result};
use floe_plan::evolve::SchemaEvolution;
use floe_plan::expr::Expr;
use floe_testkit::catalog::Fault;

use super::lake::{Lake, rows};
use crate::base::SnapshotSelector;
use crate::execute::scan::ScanRequest;
use crate::model::{DeleteConfig, WriteConfig, WriteMode};

pub(super) fn evolution(changes: &str) -> SchemaEvolution {
    serde_json::from_str(&format!(r#"{{"changes": [{changes}], "allow_incompatible_changes": true}}"#))
        .unwrap()
}

const ADD: &str = r#"{"add_column": {"column": "note", "type": "string"}}"#;

async fn evolve(lake: &Lake, changes: &str) -> Result<()> {
    lake.manager.evolve_schema(&lake.table, &evolution(changes)).await.map(drop)
}

async fn append(lake: &Lake, data: &[(i64, &str, i64)]) -> i64 {
    let done = lake.manager.write_data(&lake.table, rows(data), &WriteConfig::default()).await;
    done.unwrap().snapshot_id.unwrap()
}

async fn matching(lake: &Lake, filter: &str) -> (usize, u64) {
    let request = ScanRequest { filter: Some(Expr::parse(filter).unwrap()), ..ScanRequest::default() };
    let scan = lake.manager.scan(&lake.table, &request).await.unwrap();
    let batches = scan.data.collect().await.unwrap();
    (batches.iter().map(|batch| batch.num_rows()).sum(), scan.metrics.summary().files_read)
}

#[tokio::test]
async fn old_files_are_read_pruned_and_changed_through_every_kind_of_evolution() {
    let lake = Lake::new(&[]).await;
    let before = append(&lake, &[(1, "a", 10), (2, "a", 20), (3, "b", 30)]).await;
    let changes = format!(
        r#"{ADD}, {{"rename_column": {{"column": "id", "new_name": "key"}}}}, {{"widen_type": {{"column": "v", "to": "long"}}}}"#
    );
    evolve(&lake, &changes).await.unwrap();
    assert_eq!(lake.rows().await, ["1 a 10 NULL", "2 a 20 NULL", "3 b 30 NULL"]);
    assert_eq!(lake.rows_at(SnapshotSelector::SnapshotId(before)).await, ["1 a 10", "2 a 20", "3 b 30"]);
    // Bounds of ints prune longs, beyond the range of ints too.
    assert_eq!(matching(&lake, "v = 30").await, (1, 1));
    assert_eq!(matching(&lake, "v > 3000000000").await, (0, 0));
    assert_eq!(matching(&lake, "key = 2 AND note IS NULL").await, (1, 1));
    // Rows of old files are rewritten in the new schema.
    let filter = Expr::parse("key = 2").unwrap();
    lake.manager.delete_data(&lake.table, &filter, &DeleteConfig::default()).await.unwrap();
    assert_eq!(lake.rows().await, ["1 a 10 NULL", "3 b 30 NULL"]);
    evolve(&lake, r#"{"delete_column": {"column": "v"}}"#).await.unwrap();
    assert_eq!(lake.rows().await, ["1 a NULL", "3 b NULL"]);
    // A new column of an old name has nothing of the old one (iceberg-go #942).
    evolve(&lake, r#"{"add_column": {"column": "v", "type": "int"}}"#).await.unwrap();
    assert_eq!(lake.rows().await, ["1 a NULL NULL", "3 b NULL NULL"]);
    evolve(&lake, r#"{"rename_column": {"column": "key", "new_name": "id"}}"#).await.unwrap();
    let upsert =
        WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..WriteConfig::default() };
    lake.manager.write_data(&lake.table, rows(&[(3, "b", 33), (4, "b", 44)]), &upsert).await.unwrap();
    assert_eq!(lake.rows().await, ["1 a NULL NULL", "3 b NULL 33", "4 b NULL 44"]);
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_a_repeated_evolution_is_told() {
    let lake = Lake::new(&[]).await;
    let versions = lake.versions();
    for (changes, kind) in [
        (
            r#"{"add_column": {"column": "n", "type": "int", "required": true}}"#,
            ErrorKind::IncompatibleSchemaChange,
        ),
        (r#"{"delete_column": {"column": "part"}}"#, ErrorKind::IncompatibleSchemaChange),
        (r#"{"rename_column": {"column": "none", "new_name": "n"}}"#, ErrorKind::SchemaEvolution),
        // The partition field has this name.
        (r#"{"add_column": {"column": "p", "type": "int"}}"#, ErrorKind::Validation),
    ] {
        let error = evolve(&lake, changes).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("ns.t"), "{error}");
    }
    assert_eq!(lake.versions(), versions);
    evolve(&lake, ADD).await.unwrap();
    assert_eq!(evolve(&lake, ADD).await.unwrap_err().kind(), ErrorKind::SchemaEvolution);
}

#[tokio::test]
async fn evolutions_at_the_same_time_are_made_one_upon_the_other() {
    let lake = Lake::new(&[]).await;
    let (other, table) = (lake.another(), lake.table.clone());
    let (manager, _) = lake.after(async move {
        let change = r#"{"add_column": {"column": "theirs", "type": "int"}}"#;
        other.evolve_schema(&table, &evolution(change)).await.unwrap();
    });
    let evolved = manager.evolve_schema(&lake.table, &evolution(ADD)).await.unwrap();
    let schema = evolved.metadata.current_schema();
    assert_eq!((schema.field_id_by_name("theirs"), schema.field_id_by_name("note")), (Some(4), Some(5)));
}

#[tokio::test]
async fn a_lost_reply_of_an_evolution_is_seen_through() {
    for fault in [Fault::LostReply, Fault::LostRequest] {
        let lake = Lake::new(&[]).await;
        let evolved = lake.faulty(fault).evolve_schema(&lake.table, &evolution(ADD)).await.unwrap();
        assert_eq!(evolved.metadata.current_schema().field_id_by_name("note"), Some(4));
        assert_eq!(evolved.metadata.schemas_iter().count(), 2);
    }
}

#[tokio::test]
async fn properties_are_set_and_removed_in_one_step() {
    let lake = Lake::new(&[("a", "1")]).await;
    let set = [("b".to_owned(), "2".to_owned())].into();
    let done = lake.manager.update_properties(&lake.table, &set, &["a".to_owned()]).await.unwrap();
    assert_eq!((done.metadata.properties().get("a"), done.metadata.properties()["b"].as_str()), (None, "2"));
    let versions = lake.versions();
    lake.manager.update_properties(&lake.table, &set, &["a".to_owned()]).await.unwrap();
    assert_eq!(lake.versions(), versions, "it is so already");
}

#[tokio::test]
async fn old_metadata_files_go_only_if_the_table_says_so() {
    for (enabled, files) in [("true", 3), ("false", 7)] {
        let lake = Lake::new(&[
            ("write.metadata.previous-versions-max", "2"),
            ("write.metadata.delete-after-commit.enabled", enabled),
        ])
        .await;
        for id in 0..6 {
            append(&lake, &[(id, "a", 1)]).await;
        }
        assert_eq!(lake.versions(), files, "{enabled}");
        let table = lake.another().load_table(&lake.table).await.unwrap();
        assert_eq!(table.metadata.metadata_log().len(), 2);
        for log in table.metadata.metadata_log() {
            assert!(lake.storage.locations().contains(&log.metadata_file), "what the log names is there");
        }
        // A reply that is lost deletes nothing that may be needed.
        let config = WriteConfig::default();
        lake.faulty(Fault::LostReply).write_data(&lake.table, rows(&[(9, "a", 9)]), &config).await.unwrap();
        assert_eq!(lake.rows().await.len(), 7);
    }
}
