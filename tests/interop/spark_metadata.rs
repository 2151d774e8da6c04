//! What floe tells about a table beside what Spark's metadata tables tell.

use std::collections::BTreeMap;

use floe::base::{SnapshotSelector, TableFile};
use floe::execute::rows::RowMode;
use floe_tests::data::{portable_batch, portable_schema};
use floe_tests::spark::{Rows, Spark, SparkWarehouse};
use floe_tests::warehouse::Warehouse;

use crate::specs;

fn number(rows: &Rows, row: usize, column: usize) -> u64 {
    rows[row][column].as_deref().unwrap_or("0").parse().unwrap()
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort();
    rows
}

/// A table with files of every kind: appended, rewritten, replaced, and position deletes.
async fn table(warehouse: &Warehouse, name: &str, mode: RowMode) -> floe::iceberg::TableIdent {
    let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
    let table = warehouse
        .create(&format!("{name}_{}", mode.as_str().replace('-', "_")), portable_schema(), spec)
        .await;
    warehouse.append(&table, vec![portable_batch(1, 0, 120)]).await;
    warehouse.append(&table, vec![portable_batch(2, 200, 50)]).await;
    warehouse.delete(&table, "id >= 10 AND id < 30", mode).await;
    warehouse.overwrite(&table, &portable_batch(3, 300, 20), "id >= 50 AND id < 60", mode).await;
    warehouse.upsert(&table, &portable_batch(4, 200, 30), mode).await;
    table
}

async fn assert_alike(warehouse: &Warehouse, spark: &SparkWarehouse, table: &floe::iceberg::TableIdent) {
    let files = warehouse.manager.list_files(table, &SnapshotSelector::Current).await.unwrap();
    let content = |file: &TableFile| match file.content.as_str() {
        "data" => "0",
        "position_deletes" => "1",
        other => panic!("{other}"),
    };
    let own: Rows = files
        .iter()
        .map(|f| {
            let texts =
                [&f.path, content(f), &f.spec_id.to_string(), &f.rows.to_string(), &f.bytes.to_string()];
            texts.iter().map(|text| Some((*text).to_owned())).collect()
        })
        .collect();
    let columns = "file_path, content, spec_id, record_count, file_size_in_bytes";
    let theirs = spark.query(&format!("SELECT {columns} FROM {table}.files"));
    assert_eq!(sorted(own), sorted(theirs), "the files of {table}");

    let count = |kind: &str| files.iter().filter(|f| f.content == kind).count() as u64;
    let rows = |kind: &str| files.iter().filter(|f| f.content == kind).map(|f| f.rows).sum::<u64>();
    let sums = spark.query(&format!(
        "SELECT sum(file_count), sum(record_count), sum(position_delete_file_count), sum(position_delete_record_count)
         FROM {table}.partitions"
    ));
    let theirs: Vec<u64> = (0..4).map(|column| number(&sums, 0, column)).collect();
    let own = [count("data"), rows("data"), count("position_deletes"), rows("position_deletes")];
    assert_eq!(theirs, own, "the partitions of {table}");

    // Every position that is deleted lies in a live data file.
    let deleted = spark.query(&format!(
        "SELECT count(*), count(DISTINCT file_path, pos), count_if(file_path NOT IN (SELECT file_path FROM {table}.data_files))
         FROM {table}.position_deletes"
    ));
    let (all, different, dangling) = (number(&deleted, 0, 0), number(&deleted, 0, 1), number(&deleted, 0, 2));
    assert_eq!(
        (all, different, dangling),
        (rows("position_deletes"), all, 0),
        "the position deletes of {table}"
    );

    let manifests = spark.query(&format!(
        "SELECT sum(added_data_files_count + existing_data_files_count), sum(added_delete_files_count + existing_delete_files_count)
         FROM {table}.manifests"
    ));
    let live = (number(&manifests, 0, 0), number(&manifests, 0, 1));
    assert_eq!(live, (count("data"), count("position_deletes")), "the manifests of {table}");

    let snapshots = warehouse.manager.list_snapshots(table).await.unwrap();
    let theirs = spark.query(&format!(
        "SELECT snapshot_id, parent_id, operation, to_json(summary) FROM {table}.snapshots ORDER BY committed_at DESC, snapshot_id"
    ));
    assert_eq!(theirs.len(), snapshots.len());
    for own in &snapshots {
        let id = own.snapshot_id.to_string();
        let row = theirs.iter().find(|row| row[0].as_deref() == Some(&id)).unwrap();
        assert_eq!(row[1], own.parent_snapshot_id.map(|id| id.to_string()));
        assert_eq!(row[2].as_deref(), Some(own.operation.as_str()));
        let summary: BTreeMap<String, String> = serde_json::from_str(row[3].as_deref().unwrap()).unwrap();
        let own: BTreeMap<String, String> =
            own.summary.clone().into_iter().filter(|(key, _)| key != "operation").collect();
        assert_eq!(summary, own, "the summary of {id} of {table}");
    }
    // The totals of the newest summary are what is there.
    let newest = &snapshots[0].summary;
    let total = |key: &str| newest[key].parse::<u64>().unwrap();
    assert_eq!(total("total-data-files"), count("data"));
    assert_eq!(total("total-records"), rows("data"));
    assert_eq!(total("total-delete-files"), count("position_deletes"));
    assert_eq!(total("total-position-deletes"), rows("position_deletes"));
    assert_eq!(total("total-files-size"), files.iter().map(|f| f.bytes).sum::<u64>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_partitions_deletes_and_snapshots_are_the_same_for_floe_and_spark() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for name in ["unpartitioned", "bucket_long", "identity_date"] {
            tables.push(table(&warehouse, name, mode).await);
        }
    }
    let spark = spark.on(&warehouse);
    for table in tables {
        assert_alike(&warehouse, &spark, &table).await;
    }
}
