//! `floe list`.

use floe::{ErrorKind, IcebergTableManager, Result};
use iceberg::NamespaceIdent;
use serde_json::json;

use crate::args::ListArgs;
use crate::output::plain_table;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Lists namespaces and their tables.
pub(super) async fn run(command: &str, args: ListArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let namespaces = match &args.namespace {
        Some(name) => vec![NamespaceIdent::from_strs(name.split('.'))?],
        None => all_namespaces(&manager).await?,
    };
    let mut table = plain_table(&["NAMESPACE", "TABLE"], ui.layout());
    let mut tables = Vec::new();
    for namespace in &namespaces {
        let name = namespace.as_ref().join(".");
        let found = match manager.list_tables(namespace).await {
            // Dropped since it was listed.
            Err(e) if e.kind() == ErrorKind::NoSuchNamespace && args.namespace.is_none() => continue,
            other => other?,
        };
        if found.is_empty() {
            table.add_row([name.as_str(), "-"]);
        }
        for ident in found {
            table.add_row([name.as_str(), ident.name()]);
            tables.push(json!(format!("{name}.{}", ident.name())));
        }
    }
    let names: Vec<String> = namespaces.iter().map(|n| n.as_ref().join(".")).collect();
    let text = if names.is_empty() { "No namespaces yet.".to_owned() } else { table.trim_fmt() };
    ui.print(&Report::new(command).with("namespaces", names).with("tables", tables).text(text))
}

/// Every namespace, each before those below it.
async fn all_namespaces(manager: &IcebergTableManager) -> Result<Vec<NamespaceIdent>> {
    let mut all = Vec::new();
    let mut open: Vec<NamespaceIdent> = manager.list_namespaces(None).await?;
    open.reverse();
    let nested = manager.catalog().capabilities().nested_namespaces;
    while let Some(namespace) = open.pop() {
        if nested {
            let mut below = manager.list_namespaces(Some(&namespace)).await?;
            below.reverse();
            open.extend(below);
        }
        all.push(namespace);
    }
    Ok(all)
}
