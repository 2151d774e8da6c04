//! Tables and namespaces under their names: lost replies are looked up, not repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use floe_core::{ErrorKind, Result};
use floe_testkit::catalog::{Fault, FaultPlan, FaultyCatalog, Method};
use iceberg::{NamespaceIdent, TableIdent};

use super::lake::Lake;
use crate::IcebergTableManager;

fn named(name: &str) -> TableIdent {
    TableIdent::from_strs(["ns", name]).unwrap()
}

fn space(name: &str) -> NamespaceIdent {
    NamespaceIdent::new(name.into())
}

fn pairs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A manager whose first call of `method` meets `fault`.
fn faulty(lake: &Lake, method: Method, fault: Fault) -> (IcebergTableManager, Arc<FaultyCatalog>) {
    lake.with_faults(FaultPlan::none().at(method, 1, fault), async {})
}

/// Ends as it should: done after a lost reply, unknown after a lost request; asked of the catalog once.
#[track_caller]
fn check<T>(done: Result<T>, fault: Fault, calls: u64) {
    assert_eq!(calls, 1, "{fault:?}: the change is not repeated");
    if fault == Fault::LostReply {
        assert!(done.is_ok(), "{:?}", done.err());
        return;
    }
    let error = done.err().expect("a request that got lost did nothing");
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown, "{error}");
    assert!(error.to_string().contains("may still"), "{error}");
}

const FAULTS: [Fault; 2] = [Fault::LostReply, Fault::LostRequest];

#[tokio::test]
async fn a_rename_whose_reply_is_lost_is_looked_up() {
    for fault in FAULTS {
        let lake = Lake::new(&[]).await;
        let (manager, catalog) = faulty(&lake, Method::RenameTable, fault);
        let done = manager.rename_table(&lake.table, &named("new")).await;
        check(done, fault, catalog.calls(Method::RenameTable));
        assert_eq!(lake.manager.table_exists(&named("new")).await.unwrap(), fault == Fault::LostReply);
    }
    let lake = Lake::new(&[]).await;
    let (manager, _) = faulty(&lake, Method::RenameTable, Fault::Error(ErrorKind::PermissionDenied));
    let denied = manager.rename_table(&lake.table, &named("new")).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    let same = lake.manager.rename_table(&lake.table, &lake.table).await.unwrap_err();
    assert_eq!(same.kind(), ErrorKind::Validation);
    let none = lake.manager.rename_table(&named("none"), &named("new")).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NoSuchTable);
}

#[tokio::test]
async fn a_rename_does_not_take_the_name_of_another_table() {
    let lake = Lake::new(&[]).await;
    lake.manager.rename_table(&lake.table, &named("other")).await.unwrap();
    let metadata = lake.manager.load_table(&named("other")).await.unwrap().metadata_location;
    lake.manager.register_table(&lake.table, &metadata).await.unwrap();
    let taken = lake.manager.rename_table(&lake.table, &named("other")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::TableAlreadyExists);
}

#[tokio::test]
async fn a_drop_tells_the_metadata_to_register_and_is_looked_up() {
    for fault in FAULTS {
        let lake = Lake::new(&[]).await;
        let before = lake.manager.load_table(&lake.table).await.unwrap();
        let (manager, catalog) = faulty(&lake, Method::DropTable, fault);
        let done = manager.drop_table(&lake.table).await;
        if let Ok(dropped) = &done {
            assert_eq!(dropped.metadata_location.as_ref(), Some(&before.metadata_location));
        }
        check(done, fault, catalog.calls(Method::DropTable));
        assert_eq!(lake.manager.table_exists(&lake.table).await.unwrap(), fault == Fault::LostRequest);
    }
}

#[tokio::test]
async fn a_registration_whose_reply_is_lost_is_looked_up() {
    for fault in FAULTS {
        let lake = Lake::new(&[]).await;
        let before = lake.manager.load_table(&lake.table).await.unwrap();
        let metadata = lake.manager.drop_table(&lake.table).await.unwrap().metadata_location.unwrap();
        let (manager, catalog) = faulty(&lake, Method::RegisterTable, fault);
        let done = manager.register_table(&lake.table, &metadata).await;
        if let Ok(table) = &done {
            assert_eq!(table.metadata, before.metadata);
        }
        check(done, fault, catalog.calls(Method::RegisterTable));
    }
}

#[tokio::test]
async fn only_a_tables_metadata_is_registered_and_only_under_a_free_name() {
    let lake = Lake::new(&[]).await;
    let table = lake.manager.load_table(&lake.table).await.unwrap();
    let place = &table.metadata_location;
    let taken = lake.manager.register_table(&lake.table, place).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::TableAlreadyExists);
    let absent = lake.manager.register_table(&named("new"), &format!("{place}.not")).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::FileNotFound);
    for (name, text) in [("a", "{}"), ("b", "no json"), ("c", r#"{"format-version": 99}"#), ("d", "")] {
        let place = format!("{}/{name}.json", table.metadata.location());
        table.file_io.new_output(&place).unwrap().write(text.into()).await.unwrap();
        let error = lake.manager.register_table(&named("new"), &place).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Unsupported), "{text}: {error}");
        assert!(error.to_string().contains(&format!("{name}.json")), "{error}");
    }
    let nowhere = TableIdent::from_strs(["nowhere", "t"]).unwrap();
    let error = lake.manager.register_table(&nowhere, place).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchNamespace);
    assert!(!lake.manager.table_exists(&named("new")).await.unwrap());
}

#[tokio::test]
async fn changes_of_namespaces_whose_reply_is_lost_are_looked_up() {
    for fault in FAULTS {
        let lake = Lake::new(&[]).await;
        let (manager, catalog) = faulty(&lake, Method::CreateNamespace, fault);
        let done = manager.create_namespace(&space("new"), pairs(&[("a", "1")])).await;
        check(done, fault, catalog.calls(Method::CreateNamespace));

        let (manager, catalog) = faulty(&lake, Method::UpdateNamespace, fault);
        let done = manager.update_namespace(&space("ns"), &pairs(&[("a", "1")]), &["b".to_owned()]).await;
        check(done, fault, catalog.calls(Method::UpdateNamespace));

        lake.manager.create_namespace(&space("gone"), BTreeMap::new()).await.unwrap();
        let (manager, catalog) = faulty(&lake, Method::DropNamespace, fault);
        let done = manager.drop_namespace(&space("gone")).await;
        check(done, fault, catalog.calls(Method::DropNamespace));
    }
}

#[tokio::test]
async fn namespaces_are_made_changed_and_dropped() {
    let lake = Lake::new(&[]).await;
    let manager = &lake.manager;
    manager.create_namespace(&space("a"), pairs(&[("owner", "ann"), ("note", "x")])).await.unwrap();
    let again = manager.create_namespace(&space("a"), BTreeMap::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NamespaceAlreadyExists);
    manager.update_namespace(&space("a"), &pairs(&[("owner", "bob")]), &["note".to_owned()]).await.unwrap();
    assert_eq!(manager.load_namespace(&space("a")).await.unwrap(), pairs(&[("owner", "bob")]));
    let both = manager.update_namespace(&space("a"), &pairs(&[("k", "v")]), &["k".to_owned()]).await;
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Validation);
    for name in ["", " a", "a\n"] {
        let refused = manager.create_namespace(&space(name), BTreeMap::new()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Validation, "{name:?}");
    }
    let used = manager.drop_namespace(&space("ns")).await.unwrap_err();
    assert_eq!(used.kind(), ErrorKind::NamespaceNotEmpty);
    manager.drop_namespace(&space("a")).await.unwrap();
    assert!(!manager.namespace_exists(&space("a")).await.unwrap());
    let gone = manager.drop_namespace(&space("a")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSuchNamespace);
}
