//! `floe init`.

use std::collections::HashMap;

use floe::text::escape;
use floe::{ErrorKind, IcebergTableManager, Result};
use iceberg::NamespaceIdent;

use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Sets up a warehouse, and proves that its storage and its catalog can be written.
pub(super) async fn run(command: &str, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    manager.check_storage().await?;
    let created = match manager.list_namespaces(None).await {
        Ok(_) => false,
        Err(e) if e.kind() == ErrorKind::FileNotFound => true,
        Err(e) => return Err(e),
    };
    prove_catalog(&manager).await?;
    let state = if created { "set up" } else { "ready" };
    let text = format!(
        "Warehouse {} is {state}; its catalog is called '{}'.\nNext: floe create NAMESPACE.TABLE --from FILE, or floe quickstart",
        escape(location.warehouse()),
        escape(&location.name)
    );
    let report = Report::new(command)
        .with("warehouse", location.warehouse())
        .with("catalog", location.name.as_str())
        .with("created", created)
        .lines(text);
    ui.print(&report)
}

/// Makes a namespace and drops it again: the first write sets a catalog up.
async fn prove_catalog(manager: &IcebergTableManager) -> Result<()> {
    let probe = NamespaceIdent::new(format!("floe_init_{}", std::process::id()));
    let catalog = manager.catalog();
    match catalog.create_namespace(&probe, HashMap::new()).await {
        Err(e) if e.kind() != ErrorKind::NamespaceAlreadyExists => return Err(e),
        _ => {}
    }
    match catalog.drop_namespace(&probe).await {
        Err(e) if e.kind() != ErrorKind::NoSuchNamespace => Err(e),
        _ => Ok(()),
    }
}
