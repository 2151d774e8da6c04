//! `floe list`.

use std::fmt::Write;

use floe::names::{render_namespace, render_parts};
use floe::text::escape;
use floe::{Error, ErrorKind, NamespaceListing, Result, SkippedNamespace};
use iceberg::NamespaceIdent;
use serde_json::{Value, json};

use crate::args::ListArgs;
use crate::output::plain_table;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Lists namespaces and their tables.
pub(super) async fn run(command: &str, args: ListArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let NamespaceListing { mut namespaces, mut skipped } = match &args.namespace {
        Some(namespace) => NamespaceListing { namespaces: vec![namespace.clone()], skipped: Vec::new() },
        None => manager.list_all_namespaces().await.map_err(|e| match e.kind() {
            ErrorKind::PermissionDenied => Error::new(e.kind(), e.message())
                .with_hint("name a namespace that you may look into: `floe list NAMESPACE`"),
            _ => e,
        })?,
    };
    let mut table = plain_table(&["NAMESPACE", "TABLE"], ui.layout());
    let (mut tables, mut identifiers, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for namespace in &namespaces {
        let name = render_namespace(namespace);
        let found = match manager.list_tables(namespace).await {
            Err(e) if args.namespace.is_none() => {
                let passed = SkippedNamespace::pass_by(namespace, e)?;
                if passed.is_gone() {
                    gone.push(namespace.clone());
                } else {
                    table.add_row([name.as_str(), "(not allowed)"]);
                }
                if !skipped.iter().any(|one| one.namespace == *namespace) {
                    skipped.push(passed);
                }
                continue;
            }
            other => other?,
        };
        if found.is_empty() {
            table.add_row([name.as_str(), "-"]);
        }
        for ident in found {
            table.add_row([name.as_str(), &render_parts([ident.name()])]);
            tables.push(json!(floe::names::render_table(&ident)));
            identifiers.push(identifier(namespace, ident.name()));
        }
    }
    namespaces.retain(|namespace| !gone.contains(namespace));
    let names: Vec<String> = namespaces.iter().map(render_namespace).collect();
    let mut text = if names.is_empty() { "No namespaces yet.".to_owned() } else { table.trim_fmt() };
    for one in &skipped {
        let why =
            if one.is_gone() { "was dropped meanwhile" } else { "cannot be looked into whole: not allowed" };
        let _ = write!(text, "\nNote: {} {why}", escape(&render_namespace(&one.namespace)));
    }
    let levels: Vec<Value> = namespaces.iter().map(|n| json!(n.as_ref())).collect();
    let report = Report::new(command)
        .with("namespaces", names)
        .with("namespace_levels", levels)
        .with("tables", tables)
        .with("identifiers", identifiers)
        .with("skipped", skipped.iter().map(as_json).collect::<Vec<_>>());
    ui.print(&report.lines(text))
}

fn identifier(namespace: &NamespaceIdent, name: &str) -> Value {
    json!({"namespace": namespace.as_ref(), "name": name})
}

fn as_json(skipped: &SkippedNamespace) -> Value {
    json!({
        "namespace": render_namespace(&skipped.namespace),
        "kind": skipped.error.kind().as_str(),
        "message": skipped.error.message(),
    })
}
