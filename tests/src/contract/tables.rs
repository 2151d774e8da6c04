//! Tables and namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use floe::ErrorKind;
use floe::iceberg::{NamespaceIdent, TableCreation, TableIdent};
use futures::{StreamExt, TryStreamExt, stream};

use super::Target;
use super::rows::{self, append, read, some};

/// A second creation is refused, or gives the table that is there.
pub async fn a_table_is_created_once_and_seen_by_others(target: &Target) {
    let config = target.config("orders", Some(rows::by_part()));
    let made = target.manager.create_table(&config, false).await.unwrap();
    let again = target.manager.create_table(&config, false).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::TableAlreadyExists, "{again}");
    let found = target.manager.create_table(&config, true).await.unwrap();
    assert_eq!(found.metadata.uuid(), made.metadata.uuid());

    let other = target.another().await;
    assert!(other.table_exists(&made.ident).await.unwrap());
    let loaded = other.load_table(&made.ident).await.unwrap();
    assert_eq!(loaded.metadata_location, made.metadata_location);
    assert_eq!(loaded.metadata.default_partition_spec().fields().len(), 1);
    assert_eq!(other.list_tables(&target.namespace).await.unwrap(), [made.ident]);
}

/// Table properties and the location are those that were asked for.
pub async fn properties_and_location_are_kept(target: &Target) {
    let beside = target.table("beside").await;
    let beside = target.manager.load_table(&beside).await.unwrap().metadata.location().to_owned();
    let place = format!("{}/elsewhere_{}", beside.rsplit_once('/').unwrap().0, super::unique());
    let mut config = target.config("placed", None);
    config.location = Some(place.clone());
    config.properties =
        BTreeMap::from([("owner".into(), "ann".into()), ("note".into(), "100% \"é\"".into())]);
    let table = target.manager.create_table(&config, false).await.unwrap().ident;
    let loaded = target.another().await.load_table(&table).await.unwrap();
    assert_eq!(loaded.metadata.location(), place);
    for (key, value) in &config.properties {
        assert_eq!(loaded.metadata.properties().get(key), Some(value), "{key}");
    }
    append(&target.manager, &table, &some(0..3, "a", "x")).await;
    let files = target.manager.list_files(&table, &floe::base::SnapshotSelector::Current).await.unwrap();
    assert!(files.iter().all(|f| f.path.starts_with(&place)), "data goes below the table's location");
}

/// A faulty configuration makes nothing.
pub async fn a_faulty_configuration_creates_nothing(target: &Target) {
    let mut config = target.config("faulty", None);
    config.table_schema.fields[2].field_id = 1;
    assert_eq!(target.manager.create_table(&config, false).await.unwrap_err().kind(), ErrorKind::Validation);
    assert!(!target.manager.table_exists(&config.ident().unwrap()).await.unwrap());

    let mut config = target.config("homeless", None);
    config.namespace = format!("nowhere_{}", super::unique());
    let error = target.manager.create_table(&config, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchNamespace, "{error}");
}

/// Missing things are named by their kind.
pub async fn what_is_missing_is_named(target: &Target) {
    let missing = TableIdent::new(target.namespace.clone(), "missing".into());
    let error = target.manager.load_table(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchTable, "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(target.manager.drop_table(&missing).await.unwrap_err().kind(), ErrorKind::NoSuchTable);
    let error = rows::write(&target.manager, &missing, &some(0..1, "a", "x"), &Default::default()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NoSuchTable);
    let nowhere = NamespaceIdent::new(format!("nowhere_{}", super::unique()));
    assert_eq!(target.manager.list_tables(&nowhere).await.unwrap_err().kind(), ErrorKind::NoSuchNamespace);
}

/// Namespaces are made with those above them, listed, and dropped when empty.
pub async fn namespaces_are_made_listed_and_dropped(target: &Target) {
    let catalog = target.manager.catalog();
    let top = target.manager.list_namespaces(None).await.unwrap();
    assert!(top.contains(&target.namespace), "{top:?}");
    let other = target.another().await;
    let table = target.table("held").await;
    let held = catalog.drop_namespace(&target.namespace).await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::NamespaceNotEmpty, "{held}");
    let nested =
        NamespaceIdent::from_vec([target.namespace.as_ref(), &["child".to_owned()][..]].concat()).unwrap();
    if target.capabilities().nested_namespaces {
        target.manager.ensure_namespace(&nested).await.unwrap();
        assert_eq!(
            other.list_namespaces(Some(&target.namespace)).await.unwrap(),
            std::slice::from_ref(&nested)
        );
        other.catalog().drop_namespace(&nested).await.unwrap();
    } else {
        let refused = target.manager.ensure_namespace(&nested).await.unwrap_err();
        let kinds = [ErrorKind::Validation, ErrorKind::Unsupported];
        assert!(kinds.contains(&refused.kind()), "a clear refusal: {refused}");
    }
    target.manager.drop_table(&table).await.unwrap();
    if target.capabilities().namespace_properties {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let set = pairs(&[("owner", "ann"), ("note", "100% \"é\"")]);
        target.manager.update_namespace(&target.namespace, &set, &[]).await.unwrap();
        let now = other.load_namespace(&target.namespace).await.unwrap();
        assert!(set.iter().all(|(key, value)| now.get(key) == Some(value)), "{now:?}");
        let removed = ["note".to_owned()];
        other.update_namespace(&target.namespace, &pairs(&[("owner", "bob")]), &removed).await.unwrap();
        let now = target.manager.load_namespace(&target.namespace).await.unwrap();
        assert_eq!((now.get("owner"), now.get("note")), (Some(&"bob".to_owned()), None));
    }
    let again = target.manager.create_namespace(&target.namespace, BTreeMap::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NamespaceAlreadyExists, "{again}");
    target.manager.drop_namespace(&target.namespace).await.unwrap();
    let gone = target.manager.drop_namespace(&target.namespace).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSuchNamespace, "{gone}");
    assert!(!other.catalog().namespace_exists(&target.namespace).await.unwrap());
}

/// A renamed table keeps its rows; a dropped one can be registered again.
pub async fn tables_are_renamed_dropped_and_registered_again(target: &Target) {
    let table = target.table("first").await;
    let rows = some(0..5, "a", "x");
    append(&target.manager, &table, &rows).await;
    let manager = &target.manager;
    let mut here = table.clone();
    let second = TableIdent::new(target.namespace.clone(), "second".into());
    if target.capabilities().rename_table {
        let taken = target.table("taken").await;
        let refused = manager.rename_table(&table, &taken).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TableAlreadyExists, "{refused}");
        let nowhere = NamespaceIdent::new(format!("nowhere_{}", super::unique()));
        let refused = manager.rename_table(&table, &TableIdent::new(nowhere, "t".into())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NoSuchNamespace, "{refused}");
        manager.rename_table(&table, &second).await.unwrap();
        let other = target.another().await;
        assert!(!other.table_exists(&table).await.unwrap());
        assert_eq!(read(&other, &second).await, rows);
        append(&other, &second, &some(5..6, "a", "x")).await;
        here = second;
    } else {
        let refused = manager.rename_table(&table, &second).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        append(&target.manager, &table, &some(5..6, "a", "x")).await;
    }
    let location = target.manager.load_table(&here).await.unwrap().metadata_location;
    let dropped = manager.drop_table(&here).await.unwrap();
    assert_eq!(dropped.metadata_location.as_ref(), Some(&location));
    assert!(!target.manager.table_exists(&here).await.unwrap());
    let back = TableIdent::new(target.namespace.clone(), "back".into());
    if target.capabilities().register_table {
        manager.register_table(&back, &location).await.unwrap();
        let again = manager.register_table(&back, &location).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::TableAlreadyExists, "{again}");
        assert_eq!(read(&target.manager, &back).await, some(0..6, "a", "x"));
        append(&target.manager, &back, &some(6..7, "a", "x")).await;
        assert_eq!(read(&target.another().await, &back).await, some(0..7, "a", "x"));
    } else {
        let refused = manager.register_table(&back, &location).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    }
}

/// The warehouse, and the location of a table with the credentials that the catalog gives for it, can be checked; no
/// file is left behind.
pub async fn the_storage_of_a_table_is_checked_and_nothing_left(target: &Target) {
    let table = target.table("checked").await;
    append(&target.manager, &table, &some(0..3, "a", "x")).await;
    let other = target.another().await;
    let location = other.load_table(&table).await.unwrap().metadata.location().to_owned();
    let below = || async {
        let storage = other.catalog().table_storage(&table).await.unwrap();
        let storage = storage.unwrap_or_else(|| other.storage().clone());
        let files: Vec<_> = storage.list(&location).map_ok(|file| file.location).try_collect().await.unwrap();
        files.into_iter().collect::<BTreeSet<String>>()
    };
    let before = below().await;
    assert!(before.len() >= 3, "a data file, a manifest, and the metadata: {before:?}");
    assert_eq!(other.check_table_storage(&table).await.unwrap(), location);
    other.check_storage().await.unwrap();
    assert_eq!(below().await, before);
    let missing = TableIdent::new(target.namespace.clone(), "missing".into());
    let error = other.check_table_storage(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchTable, "{error}");
}

/// Names that need care in paths and URLs are kept, or refused before anything is made.
pub async fn odd_names_are_kept_or_clearly_refused(target: &Target) {
    let catalog = target.manager.catalog();
    for name in
        ["UPPER", "with-hyphen", "dot.ted", "sp ace", "é_日本", "per%cent", "plus+and&amp", "a/b", "'quote\""]
    {
        let table = TableIdent::new(target.namespace.clone(), name.into());
        let creation =
            TableCreation::builder().name(name.into()).schema(rows::schema().to_iceberg().unwrap()).build();
        match catalog.create_table(&target.namespace, creation).await {
            Ok(made) => {
                assert_eq!(made.ident, table);
                append(&target.manager, &table, &some(0..3, name, "x")).await;
                let other = target.another().await;
                assert!(other.list_tables(&target.namespace).await.unwrap().contains(&table), "{name}");
                assert_eq!(read(&other, &table).await, some(0..3, name, "x"), "{name}");
                other.drop_table(&table).await.unwrap();
            }
            Err(e) => {
                let kinds = [ErrorKind::Validation, ErrorKind::Unsupported];
                assert!(kinds.contains(&e.kind()), "{name}: a clear refusal, not {}: {e}", e.kind());
                println!("{name}: refused: {e}");
            }
        }
    }
    assert!(target.manager.list_tables(&target.namespace).await.unwrap().is_empty());
}

/// A listing has every table, however many pages it takes, and in order.
pub async fn a_thousand_tables_are_listed(target: &Target) {
    const COUNT: usize = 1_001;
    let catalog = target.manager.catalog();
    if !target.capabilities().register_table {
        println!("declared: {} does not register tables, and making 1,001 would take long", catalog.name());
        return;
    }
    let space = NamespaceIdent::new(format!("many_{}", super::unique()));
    catalog.create_namespace(&space, HashMap::new()).await.unwrap();
    let table = target.table("original").await;
    let location = target.manager.load_table(&table).await.unwrap().metadata_location;
    let names: Vec<TableIdent> =
        (0..COUNT).map(|n| TableIdent::new(space.clone(), format!("t{n:05}"))).collect();
    stream::iter(names.clone())
        .map(|name| {
            let (catalog, location) = (catalog.clone(), location.clone());
            async move { catalog.register_table(&name, &location).await.map(|_| ()) }
        })
        .buffer_unordered(8)
        .try_collect::<Vec<()>>()
        .await
        .unwrap();
    assert_eq!(target.another().await.list_tables(&space).await.unwrap(), names);
}
