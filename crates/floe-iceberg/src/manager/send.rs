//! Every operation can be spawned on a runtime of several threads: its future is `Send`.

use floe_plan::evolve::SchemaEvolution;
use floe_plan::expr::Expr;
use iceberg::TableIdent;

use super::IcebergTableManager;
use crate::base::SnapshotSelector;
use crate::data::BatchStream;
use crate::execute::scan::ScanRequest;
use crate::model::{DeleteConfig, TableConfig, WriteConfig};

fn send<T: Send>(future: T) -> T {
    future
}

/// Never run: that it compiles is the test.
#[allow(dead_code)]
fn futures_are_send(
    manager: &'static IcebergTableManager,
    table: &'static TableIdent,
    config: &'static TableConfig,
    data: BatchStream,
) {
    drop(send(manager.create_table(config, true)));
    drop(send(manager.load_table(table)));
    drop(send(manager.list_files(table, &SnapshotSelector::Current)));
    drop(send(manager.list_snapshots(table)));
    drop(send(manager.scan(table, &ScanRequest::default())));
    drop(send(manager.write_data(table, data, &WriteConfig::default())));
    drop(send(manager.delete_data(table, &Expr::True, &DeleteConfig::default())));
    drop(send(manager.tag(table, "t", None, None, false)));
    drop(send(manager.rollback_to_snapshot(table, None, 1)));
    drop(send(manager.cherry_pick(table, None, 1)));
    drop(send(manager.evolve_schema(table, &SchemaEvolution::default())));
    drop(send(manager.transaction(table).remove_properties(["a"]).commit()));
    drop(send(manager.publish(table, None, "w")));
}
