//! Each operation is one span, which says how the operation ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use floe_core::Result;
use floe_plan::expr::Expr;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use iceberg::{NamespaceIdent, TableIdent};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::evolution::evolution;
use super::lake::{Lake, rows};
use crate::base::SnapshotSelector;
use crate::execute::scan::ScanRequest;
use crate::model::{ChangeOptions, DeleteConfig, MergeConfig, TableConfig, WriteConfig};

/// A span that ended, with its fields as text.
#[derive(Debug, Default, Clone)]
struct Ended {
    name: String,
    fields: BTreeMap<String, String>,
}

impl Visit for Ended {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// Keeps the spans of the manager.
#[derive(Debug, Default, Clone)]
struct Kept(Arc<Mutex<Vec<Ended>>>);

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut span = Ended { name: attributes.metadata().name().to_owned(), ..Ended::default() };
        attributes.record(&mut span);
        context.span(id).unwrap().extensions_mut().insert(span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Ended>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let ended = span.extensions().get::<Ended>().unwrap().clone();
        if ended.name.starts_with("IcebergTableManager.") {
            self.0.lock().unwrap().push(ended);
        }
    }
}

type Run = for<'l> fn(&'l Lake, &'l TableIdent) -> LocalBoxFuture<'l, Result<()>>;

/// Every operation of the manager, in an order in which each succeeds on the table of a [`Lake`].
fn operations() -> Vec<(&'static str, Run)> {
    vec![
        ("table_exists", |l, t| async { l.manager.table_exists(t).await.map(drop) }.boxed_local()),
        ("load_table", |l, t| async { l.manager.load_table(t).await.map(drop) }.boxed_local()),
        ("write_data", |l, t| {
            async { l.manager.write_data(t, rows(&[(1, "a", 1)]), &WriteConfig::default()).await.map(drop) }
                .boxed_local()
        }),
        ("merge_data", |l, t| {
            async {
                let clauses =
                    json!({"on": ["id"], "clauses": [{"when": "not_matched", "action": "insert_all"}]});
                let config: MergeConfig = serde_json::from_value(clauses).unwrap();
                l.manager.merge_data(t, rows(&[(2, "a", 2)]), &config).await.map(drop)
            }
            .boxed_local()
        }),
        ("delete_data", |l, t| {
            async {
                let filter = Expr::parse("id = 2").unwrap();
                l.manager.delete_data(t, &filter, &DeleteConfig::default()).await.map(drop)
            }
            .boxed_local()
        }),
        ("scan", |l, t| async { l.manager.scan(t, &ScanRequest::default()).await.map(drop) }.boxed_local()),
        ("plan_scan", |l, t| {
            async { l.manager.plan_scan(t, &ScanRequest::default()).await.map(drop) }.boxed_local()
        }),
        ("list_files", |l, t| {
            async { l.manager.list_files(t, &SnapshotSelector::Current).await.map(drop) }.boxed_local()
        }),
        ("list_snapshots", |l, t| async { l.manager.list_snapshots(t).await.map(drop) }.boxed_local()),
        ("update_refs", |l, t| l.manager.tag(t, "now", None, None, false).boxed_local()),
        ("list_refs", |l, t| async { l.manager.list_refs(t).await.map(drop) }.boxed_local()),
        ("publish", |l, t| {
            async {
                let options = ChangeOptions {
                    staged: true,
                    snapshot_properties: [("wap.id".to_owned(), "w".to_owned())].into(),
                    ..ChangeOptions::default()
                };
                let config = WriteConfig { options, ..WriteConfig::default() };
                l.manager.write_data(t, rows(&[(3, "a", 3)]), &config).await?;
                l.manager.publish(t, None, "w").await.map(drop)
            }
            .boxed_local()
        }),
        ("cherry_pick", |l, t| {
            async {
                let options = ChangeOptions { staged: true, ..ChangeOptions::default() };
                let config = WriteConfig { options, ..WriteConfig::default() };
                let staged = l.manager.write_data(t, rows(&[(4, "a", 4)]), &config).await?;
                l.manager.cherry_pick(t, None, staged.snapshot_id.unwrap()).await.map(drop)
            }
            .boxed_local()
        }),
        ("update_properties", |l, t| {
            async {
                let set = [("owner".to_owned(), "me".to_owned())].into();
                l.manager.update_properties(t, &set, &[]).await.map(drop)
            }
            .boxed_local()
        }),
        ("evolve_schema", |l, t| {
            async {
                let add = evolution(r#"{"add_column": {"column": "note", "type": "string"}}"#);
                l.manager.evolve_schema(t, &add).await.map(drop)
            }
            .boxed_local()
        }),
        ("transaction", |l, t| {
            async { l.manager.transaction(t).set_properties([("a", "b")]).commit().await.map(drop) }
                .boxed_local()
        }),
        ("create_namespace", |l, t| {
            async { l.manager.create_namespace(&other(t), BTreeMap::new()).await.map(drop) }.boxed_local()
        }),
        ("ensure_namespace", |l, t| {
            async { l.manager.ensure_namespace(&other(t)).await.map(drop) }.boxed_local()
        }),
        ("load_namespace", |l, t| {
            async { l.manager.load_namespace(&other(t)).await.map(drop) }.boxed_local()
        }),
        ("namespace_exists", |l, t| {
            async { l.manager.namespace_exists(&other(t)).await.map(drop) }.boxed_local()
        }),
        ("update_namespace", |l, t| {
            async {
                let set = [("owner".to_owned(), "me".to_owned())].into();
                l.manager.update_namespace(&other(t), &set, &[]).await.map(drop)
            }
            .boxed_local()
        }),
        ("list_namespaces", |l, _| async { l.manager.list_namespaces(None).await.map(drop) }.boxed_local()),
        ("list_all_namespaces", |l, _| {
            async { l.manager.list_all_namespaces().await.map(drop) }.boxed_local()
        }),
        ("list_tables", |l, t| async { l.manager.list_tables(t.namespace()).await.map(drop) }.boxed_local()),
        ("drop_namespace", |l, t| async { l.manager.drop_namespace(&other(t)).await }.boxed_local()),
        ("create_table", |l, t| {
            async {
                let config = json!({
                    "namespace": t.namespace().to_url_string(), "table_name": "second",
                    "table_schema": {"fields": [{"field_id": 1, "name": "id", "field_type": "long"}]},
                });
                let config: TableConfig = serde_json::from_value(config).unwrap();
                l.manager.create_table(&config, false).await.map(drop)
            }
            .boxed_local()
        }),
        ("rename_table", |l, t| {
            async {
                let to = TableIdent::new(t.namespace().clone(), "renamed".to_owned());
                l.manager.rename_table(t, &to).await?;
                l.manager.rename_table(&to, t).await
            }
            .boxed_local()
        }),
        ("drop_table", |l, t| async { l.manager.drop_table(t).await.map(drop) }.boxed_local()),
        ("register_table", |l, t| {
            async {
                let second = TableIdent::new(t.namespace().clone(), "second".to_owned());
                let at = l.manager.drop_table(&second).await?.metadata_location.unwrap();
                l.manager.register_table(&second, &at).await.map(drop)
            }
            .boxed_local()
        }),
    ]
}

fn other(table: &TableIdent) -> NamespaceIdent {
    NamespaceIdent::from_vec(vec![format!("{}_other", table.namespace().to_url_string())]).unwrap()
}

/// The names that the code of the manager gives to spans.
fn names_in_the_code() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manager");
    let mut names = BTreeSet::new();
    let mut folders = vec![folder.clone(), folder.join("transaction")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap() != "traced.rs" {
                let text = std::fs::read_to_string(path).unwrap();
                let calls = text.split("operation_span!(\"").skip(1);
                names.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
            }
        }
    }
    names
}

#[tokio::test]
async fn every_operation_has_one_span_that_says_how_it_ended() {
    let lake = Lake::new(&[]).await;
    let missing = TableIdent::from_strs(["nowhere", "t"]).unwrap();
    let mut seen = BTreeSet::new();
    let mut failed = 0;
    for (name, run) in operations() {
        for table in [&lake.table, &missing] {
            let kept = Kept::default();
            let result = {
                let _guard = subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
                run(&lake, table).await
            };
            assert!(result.is_ok() || table == &missing, "{name}: {result:?}");
            let spans = kept.0.lock().unwrap().clone();
            let own: Vec<_> =
                spans.iter().filter(|s| s.name == format!("IcebergTableManager.{name}")).collect();
            // What an operation needs before it may be another one, which fails in its place.
            let Some(span) = own.last().copied().or(spans.last().filter(|_| result.is_err())) else {
                panic!("{name} has no span")
            };
            let field = |name: &str| span.fields.get(name).map(String::as_str);
            if own.is_empty() {
                assert_eq!(field("status"), Some("error"), "{name}: {span:?}");
                continue;
            }
            assert_eq!(field("iceberg.operation"), Some(name), "{span:?}");
            match &result {
                Ok(()) => {
                    assert_eq!(field("status"), Some("ok"), "{span:?}");
                    assert_eq!(field("error.kind"), None, "{span:?}");
                    seen.insert(name.to_owned());
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(field("status"), Some("error"), "{span:?}");
                    assert_eq!(field("error.kind"), Some(error.kind().as_str()), "{span:?}");
                }
            }
            if let Some(text) = field("iceberg.table.identifier") {
                let namespace = format!("{}.", table.namespace().to_url_string());
                assert!(text.starts_with(&namespace), "{span:?}");
            }
        }
    }
    assert_eq!(seen, names_in_the_code());
    assert!(failed > 15, "{failed} operations failed on a table that is missing");
}
