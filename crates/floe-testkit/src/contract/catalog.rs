//! The catalog contract.
//!
//! One async function for each property that a catalog must hold, and [`run_all`] for all of them. They panic
//! where the property is broken.

// A failed call is a broken property.
#![allow(clippy::unwrap_used)]

mod kept;
mod schemas;

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use self::kept::{fields_that_nobody_knows_stay, references_stay_in_every_format_version};
pub use self::schemas::schemas_that_no_table_can_have_are_refused;
use floe_core::{CatalogClient, CommitOutcome, Error, ErrorKind, LoadedTable, StorageClient};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{
    FormatVersion, NestedField, Operation, PrimitiveType, Schema, Snapshot, SnapshotReference,
    SnapshotRetention, Summary, Type,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

/// An empty catalog, as the suite takes it.
pub struct CatalogUnderTest {
    /// A client of the catalog.
    pub client: Arc<dyn CatalogClient>,
    /// Another client of the same catalog, which shares no memory with the first where that is possible.
    pub second: Arc<dyn CatalogClient>,
    /// The storage of the catalog's warehouse.
    pub storage: Arc<dyn StorageClient>,
    /// What must live as long as the catalog: a temporary folder, a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Checks every property, each on a catalog of its own.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = CatalogUnderTest>,
{
    run_undamaged(&make).await;
    damaged_metadata_is_named(&make().await).await;
}

/// Every property but [`damaged_metadata_is_named`]: servers try for minutes to read damaged metadata.
pub async fn run_undamaged<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = CatalogUnderTest>,
{
    namespaces_are_created_loaded_and_dropped(&make().await).await;
    namespace_properties_are_set_and_removed_in_one_step(&make().await).await;
    namespaces_nest_and_list_below_their_parent(&make().await).await;
    a_namespace_in_use_is_not_dropped(&make().await).await;
    a_created_table_loads_as_it_was_created(&make().await).await;
    what_is_missing_is_named_by_its_kind(&make().await).await;
    a_table_is_created_once(&make().await).await;
    racing_creators_have_one_winner(&make().await).await;
    tables_are_renamed_also_across_namespaces(&make().await).await;
    a_rename_does_not_replace_a_table(&make().await).await;
    a_dropped_table_is_gone_and_its_files_stay(&make().await).await;
    a_registered_table_is_the_one_of_its_file(&make().await).await;
    a_commit_applies_all_of_its_updates(&make().await).await;
    a_failed_requirement_is_a_conflict_and_changes_nothing(&make().await).await;
    an_update_that_does_not_fit_changes_nothing(&make().await).await;
    a_stale_writer_does_not_win(&make().await).await;
    concurrent_commits_lose_nothing(&make().await).await;
    odd_names_are_kept_as_they_are(&make().await).await;
    many_tables_are_listed_sorted(&make().await).await;
    two_clients_see_each_other(&make().await).await;
    references_stay_in_every_format_version(&make().await).await;
    fields_that_nobody_knows_stay(&make().await).await;
    schemas_that_no_table_can_have_are_refused(&make().await).await;
}

/// Create, exists, load, list, drop; a second create is refused.
pub async fn namespaces_are_created_loaded_and_dropped(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let (b, a) = (namespace(&["beta"]), namespace(&["alpha"]));
    assert!(!client.namespace_exists(&a).await.unwrap(), "nothing is there yet");
    for namespace in [&b, &a] {
        let made = client.create_namespace(namespace, HashMap::new()).await.unwrap();
        assert_eq!(made.name(), namespace);
    }
    assert!(client.namespace_exists(&a).await.unwrap());
    assert_eq!(client.list_namespaces(None).await.unwrap(), [a.clone(), b.clone()], "sorted");
    assert_eq!(client.load_namespace(&a).await.unwrap().name(), &a);
    let again = client.create_namespace(&a, HashMap::new()).await;
    assert_kind(again, ErrorKind::NamespaceAlreadyExists);

    client.drop_namespace(&a).await.unwrap();
    assert!(!client.namespace_exists(&a).await.unwrap());
    assert_eq!(client.list_namespaces(None).await.unwrap(), [b]);
    assert_kind(client.load_namespace(&a).await, ErrorKind::NoSuchNamespace);
    assert_kind(client.drop_namespace(&a).await, ErrorKind::NoSuchNamespace);
}

/// Properties are those that were given; an update sets and removes; a namespace without any stays.
pub async fn namespace_properties_are_set_and_removed_in_one_step(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    if !client.capabilities().namespace_properties {
        return;
    }
    let name = namespace(&["props"]);
    let given = pairs(&[("owner", "ann"), ("note", "it's 100% \"ours\"")]);
    let made = client.create_namespace(&name, given.clone()).await.unwrap();
    assert_eq!(given_to(&made), given);
    assert_eq!(given_to(&client.load_namespace(&name).await.unwrap()), given);

    let set = pairs(&[("owner", "bob"), ("tier", "gold")]);
    client.update_namespace(&name, set.clone(), vec!["note".into(), "never-set".into()]).await.unwrap();
    assert_eq!(given_to(&client.load_namespace(&name).await.unwrap()), set);

    client.update_namespace(&name, HashMap::new(), vec!["owner".into(), "tier".into()]).await.unwrap();
    assert!(given_to(&client.load_namespace(&name).await.unwrap()).is_empty());
    assert!(client.namespace_exists(&name).await.unwrap(), "it outlives its last property");

    let missing = client.update_namespace(&namespace(&["none"]), set, vec![]).await;
    assert_kind(missing, ErrorKind::NoSuchNamespace);
}

/// A listing gives direct children only, and a namespace is not taken for one with a similar name. A catalog without
/// nesting refuses it, and lists nothing below a namespace.
pub async fn namespaces_nest_and_list_below_their_parent(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    if !client.capabilities().nested_namespaces {
        let top = namespace(&["a"]);
        client.create_namespace(&top, HashMap::new()).await.unwrap();
        assert_kind(
            client.create_namespace(&namespace(&["a", "x"]), HashMap::new()).await,
            ErrorKind::Validation,
        );
        assert!(client.list_namespaces(Some(&top)).await.unwrap().is_empty());
        assert_kind(client.list_namespaces(Some(&namespace(&["nowhere"]))).await, ErrorKind::NoSuchNamespace);
        return;
    }
    for parts in [&["a"][..], &["a", "y"], &["a", "x"], &["a", "x", "deep"], &["a_"], &["ab"], &["A", "z"]] {
        client.create_namespace(&namespace(parts), HashMap::new()).await.unwrap();
    }
    let top = client.list_namespaces(None).await.unwrap();
    assert_eq!(top, [namespace(&["A"]), namespace(&["a"]), namespace(&["a_"]), namespace(&["ab"])]);
    let below = client.list_namespaces(Some(&namespace(&["a"]))).await.unwrap();
    assert_eq!(below, [namespace(&["a", "x"]), namespace(&["a", "y"])]);
    let deep = client.list_namespaces(Some(&namespace(&["a", "x"]))).await.unwrap();
    assert_eq!(deep, [namespace(&["a", "x", "deep"])]);
    assert!(client.list_namespaces(Some(&namespace(&["a_"]))).await.unwrap().is_empty());
    let missing = client.list_namespaces(Some(&namespace(&["nowhere"]))).await;
    assert_kind(missing, ErrorKind::NoSuchNamespace);
}

/// A namespace with a table or a namespace below it is not dropped.
pub async fn a_namespace_in_use_is_not_dropped(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let table = make_table(catalog, "used", "t").await.ident;
    let name = table.namespace().clone();
    assert_kind(client.drop_namespace(&name).await, ErrorKind::NamespaceNotEmpty);
    assert!(client.table_exists(&table).await.unwrap());
    client.drop_table(&table).await.unwrap();
    if client.capabilities().nested_namespaces {
        let child = namespace(&["used", "child"]);
        client.create_namespace(&child, HashMap::new()).await.unwrap();
        assert_kind(client.drop_namespace(&name).await, ErrorKind::NamespaceNotEmpty);
        client.drop_namespace(&child).await.unwrap();
    }
    client.drop_namespace(&name).await.unwrap();
}

/// Schema, properties and location survive; the location is in the warehouse; exists and list know the table.
pub async fn a_created_table_loads_as_it_was_created(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let name = namespace(&["made"]);
    client.create_namespace(&name, HashMap::new()).await.unwrap();
    let creation = TableCreation::builder()
        .name("t".into())
        .schema(schema())
        .properties([("owner".to_owned(), "ann".to_owned())])
        .build();
    let made = client.create_table(&name, creation).await.unwrap();
    let loaded = client.load_table(&made.ident).await.unwrap();
    assert_same(&made, &loaded);
    assert_eq!(made.ident, TableIdent::new(name.clone(), "t".into()));
    assert_eq!(loaded.metadata.properties().get("owner").map(String::as_str), Some("ann"));
    assert_eq!(loaded.metadata.current_schema().as_struct(), schema().as_struct());
    assert!(loaded.metadata.current_snapshot().is_none(), "a new table has no snapshot");
    let warehouse = catalog.storage.warehouse();
    assert!(loaded.metadata.location().starts_with(warehouse), "{} is outside", loaded.metadata.location());
    assert!(!loaded.metadata.location().ends_with('/'));
    assert!(client.table_exists(&made.ident).await.unwrap());
    assert_eq!(client.list_tables(&name).await.unwrap(), std::slice::from_ref(&made.ident));

    let place = format!("{warehouse}/elsewhere/t2");
    let creation =
        TableCreation::builder().name("t2".into()).schema(schema()).location(format!("{place}/")).build();
    let placed = client.create_table(&name, creation).await.unwrap();
    assert_eq!(placed.metadata.location(), place, "a given location is kept");
    assert!(placed.file_io.exists(&placed.metadata_location).await.unwrap(), "the metadata file is there");
}

/// Missing tables and namespaces fail with their own kind, everywhere.
pub async fn what_is_missing_is_named_by_its_kind(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let (here, nowhere) = (namespace(&["here"]), namespace(&["nowhere"]));
    client.create_namespace(&here, HashMap::new()).await.unwrap();
    let missing = TableIdent::new(here.clone(), "missing".into());
    let lost = TableIdent::new(nowhere.clone(), "t".into());
    assert!(!client.table_exists(&missing).await.unwrap());
    assert!(!client.table_exists(&lost).await.unwrap());
    let error = assert_kind(client.load_table(&missing).await, ErrorKind::NoSuchTable);
    assert!(names(&error, "here.missing"), "the error names the table: {error:?}");
    assert_kind(client.load_table(&lost).await, ErrorKind::NoSuchTable);
    assert_kind(client.drop_table(&missing).await, ErrorKind::NoSuchTable);
    assert_kind(client.commit(&missing, &[], &[property("a", "b")]).await, ErrorKind::NoSuchTable);
    assert_kind(client.list_tables(&nowhere).await, ErrorKind::NoSuchNamespace);
    assert_kind(client.create_table(&nowhere, creation("t")).await, ErrorKind::NoSuchNamespace);
    assert!(client.list_tables(&here).await.unwrap().is_empty(), "nothing was made on the way");
}

/// The second creation of a table is refused and leaves the first one alone.
pub async fn a_table_is_created_once(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "once", "t").await;
    let again = catalog.client.create_table(made.ident.namespace(), creation("t")).await;
    let error = assert_kind(again, ErrorKind::TableAlreadyExists);
    assert!(names(&error, "once.t"), "{error:?}");
    assert_same(&made, &catalog.client.load_table(&made.ident).await.unwrap());
}

/// Of several who create one table at once, one wins and the others are told.
pub async fn racing_creators_have_one_winner(catalog: &CatalogUnderTest) {
    let name = namespace(&["race"]);
    catalog.client.create_namespace(&name, HashMap::new()).await.unwrap();
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let (client, name) = (either(catalog, i), name.clone());
            tokio::spawn(async move { client.create_table(&name, creation("t")).await })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(table) => winners.push(table),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TableAlreadyExists, "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_same(&winners[0], &catalog.second.load_table(&winners[0].ident).await.unwrap());
}

/// A rename moves the table, its metadata as it was, also into another namespace.
pub async fn tables_are_renamed_also_across_namespaces(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    if !client.capabilities().rename_table {
        return;
    }
    let made = make_table(catalog, "one", "old").await;
    let other = namespace(&["two"]);
    client.create_namespace(&other, HashMap::new()).await.unwrap();
    for to in [
        TableIdent::new(made.ident.namespace().clone(), "new".into()),
        TableIdent::new(other, "moved".into()),
    ] {
        let from = client.list_tables(made.ident.namespace()).await.unwrap().remove(0);
        client.rename_table(&from, &to).await.unwrap();
        assert!(!client.table_exists(&from).await.unwrap());
        let loaded = client.load_table(&to).await.unwrap();
        assert_eq!(loaded.ident, to);
        assert_eq!(loaded.metadata.uuid(), made.metadata.uuid());
    }
    assert!(client.list_tables(made.ident.namespace()).await.unwrap().is_empty());
}

/// A rename onto a table, into a missing namespace, or of a missing table is refused and changes nothing.
pub async fn a_rename_does_not_replace_a_table(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    if !client.capabilities().rename_table {
        return;
    }
    let one = make_table(catalog, "keep", "one").await;
    let two = client.create_table(one.ident.namespace(), creation("two")).await.unwrap();
    let missing = TableIdent::new(one.ident.namespace().clone(), "missing".into());
    let nowhere = TableIdent::new(namespace(&["nowhere"]), "one".into());
    assert_kind(client.rename_table(&one.ident, &two.ident).await, ErrorKind::TableAlreadyExists);
    assert_kind(client.rename_table(&one.ident, &nowhere).await, ErrorKind::NoSuchNamespace);
    let free = TableIdent::new(one.ident.namespace().clone(), "free".into());
    assert_kind(client.rename_table(&missing, &free).await, ErrorKind::NoSuchTable);
    assert_same(&one, &client.load_table(&one.ident).await.unwrap());
    assert_same(&two, &client.load_table(&two.ident).await.unwrap());
    assert_eq!(client.list_tables(one.ident.namespace()).await.unwrap().len(), 2);
}

/// A dropped table is gone; its metadata stays, and its name is free.
pub async fn a_dropped_table_is_gone_and_its_files_stay(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let made = make_table(catalog, "gone", "t").await;
    client.drop_table(&made.ident).await.unwrap();
    assert!(!client.table_exists(&made.ident).await.unwrap());
    assert_kind(client.load_table(&made.ident).await, ErrorKind::NoSuchTable);
    assert_kind(client.drop_table(&made.ident).await, ErrorKind::NoSuchTable);
    assert!(made.file_io.exists(&made.metadata_location).await.unwrap(), "a drop deletes no file");
    let again = client.create_table(made.ident.namespace(), creation("t")).await.unwrap();
    assert_ne!(again.metadata.uuid(), made.metadata.uuid());
}

/// A registered table is the table of its metadata file; a file that is none is refused by name.
pub async fn a_registered_table_is_the_one_of_its_file(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    if !client.capabilities().register_table {
        return;
    }
    let made = make_table(catalog, "reg", "t").await;
    let place = &made.metadata_location;
    assert_kind(client.register_table(&made.ident, place).await, ErrorKind::TableAlreadyExists);
    client.drop_table(&made.ident).await.unwrap();
    let back = client.register_table(&made.ident, place).await.unwrap();
    assert_same(&made, &back);
    assert_same(&made, &client.load_table(&made.ident).await.unwrap());

    let other = TableIdent::new(made.ident.namespace().clone(), "other".into());
    let broken = format!("{}/broken.metadata.json", catalog.storage.warehouse());
    write(catalog, &broken, "{\"format-version\": 2, \"secret\": ").await;
    let error = client.register_table(&other, &broken).await.unwrap_err();
    assert!(error.to_string().contains("broken.metadata.json"), "{error}");
    let absent = format!("{}/absent.metadata.json", catalog.storage.warehouse());
    let missing = client.register_table(&other, &absent).await.unwrap_err();
    // What a server says of a file that it cannot read is its own affair.
    if !client.capabilities().server_side_metadata {
        assert_eq!((error.kind(), missing.kind()), (ErrorKind::Corrupted, ErrorKind::FileNotFound));
    }
    let nowhere = TableIdent::new(namespace(&["nowhere"]), "t".into());
    assert_kind(client.register_table(&nowhere, place).await, ErrorKind::NoSuchNamespace);
    assert!(!client.table_exists(&other).await.unwrap());
}

/// Every update of a commit is in the table after it, and each version has a metadata file of its own.
pub async fn a_commit_applies_all_of_its_updates(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "step", "t").await;
    let requirements = [
        TableRequirement::UuidMatch { uuid: made.metadata.uuid() },
        TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: None },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: 0 },
    ];
    let mut updates = vec![
        property("a", "1"),
        property("b", "2"),
        TableUpdate::RemoveProperties { removals: vec!["a".into()] },
        TableUpdate::AddSchema { schema: wider_schema() },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    updates.extend(append(&made, 11));
    let after = committed(catalog.client.commit(&made.ident, &requirements, &updates).await);
    assert_same(&after, &catalog.client.load_table(&made.ident).await.unwrap());
    assert_ne!(after.metadata_location, made.metadata_location);
    assert_eq!(after.metadata.uuid(), made.metadata.uuid());
    assert_eq!(after.metadata.properties().get("b").map(String::as_str), Some("2"));
    assert!(!after.metadata.properties().contains_key("a"));
    assert_eq!(after.metadata.current_schema().as_struct().fields().len(), 3);
    assert_eq!(after.metadata.current_snapshot_id(), Some(11));
    assert!(after.file_io.exists(&made.metadata_location).await.unwrap(), "the version before it stays");
}

/// A requirement that does not hold answers `Conflict`, and the table is as it was.
pub async fn a_failed_requirement_is_a_conflict_and_changes_nothing(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "req", "t").await;
    let broken = [
        TableRequirement::UuidMatch { uuid: uuid::Uuid::from_u128(1) },
        TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: Some(1) },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: 7 },
        TableRequirement::LastAssignedFieldIdMatch { last_assigned_field_id: 99 },
        TableRequirement::DefaultSpecIdMatch { default_spec_id: 3 },
        TableRequirement::NotExist,
    ];
    for requirement in broken {
        // Servers take a commit that is to make the table for a malformed one when it asks for more.
        let uuid = TableRequirement::UuidMatch { uuid: made.metadata.uuid() };
        let requirements = match requirement {
            TableRequirement::NotExist => vec![requirement],
            _ => vec![uuid, requirement],
        };
        match catalog.client.commit(&made.ident, &requirements, &[property("a", "b")]).await.unwrap() {
            CommitOutcome::Conflict(error) => assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}"),
            other => panic!("{requirements:?} held: {other:?}"),
        }
        assert_same(&made, &catalog.second.load_table(&made.ident).await.unwrap());
    }
}

/// An update that does not fit fails the whole commit.
pub async fn an_update_that_does_not_fit_changes_nothing(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "fit", "t").await;
    let updates = [property("a", "b"), TableUpdate::SetCurrentSchema { schema_id: 42 }];
    let error = catalog.client.commit(&made.ident, &[], &updates).await.expect_err("there is no schema 42");
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert_same(&made, &catalog.second.load_table(&made.ident).await.unwrap());
}

/// Two writers that read the same version: the first commits, the second is told of the conflict.
pub async fn a_stale_writer_does_not_win(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "stale", "t").await;
    let other = catalog.second.load_table(&made.ident).await.unwrap();
    let requirements = [TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: None }];
    let first = committed(catalog.client.commit(&made.ident, &requirements, &append(&made, 21)).await);
    match catalog.second.commit(&made.ident, &requirements, &append(&other, 22)).await.unwrap() {
        CommitOutcome::Conflict(_) => {}
        outcome => panic!("a stale commit was not refused: {outcome:?}"),
    }
    let now = catalog.second.load_table(&made.ident).await.unwrap();
    assert_same(&first, &now);
    assert_eq!(now.metadata.current_snapshot_id(), Some(21));

    // Having looked again, it may.
    let requirements = [TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: Some(21) }];
    let second = committed(catalog.second.commit(&made.ident, &requirements, &append(&now, 22)).await);
    assert_eq!(second.metadata.snapshots().count(), 2);
    assert_same(&second, &catalog.client.load_table(&made.ident).await.unwrap());
}

/// Many writers at once through both clients: what was answered as committed is there, once; nothing else is.
pub async fn concurrent_commits_lose_nothing(catalog: &CatalogUnderTest) {
    const WRITERS: usize = 8;
    const COMMITS: usize = 5;
    let made = make_table(catalog, "many", "t").await;
    let uuid = made.metadata.uuid();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, ident) = (either(catalog, writer), made.ident.clone());
            tokio::spawn(async move {
                let mut won = Vec::new();
                let mut attempts = 0;
                while won.len() < COMMITS {
                    attempts += 1;
                    // Each conflict means that another writer committed: there are so many only.
                    assert!(attempts <= WRITERS * COMMITS, "a conflict without another commit");
                    let head = client.load_table(&ident).await.unwrap();
                    let snapshot_id = head.metadata.current_snapshot_id();
                    let requirements = [
                        TableRequirement::UuidMatch { uuid },
                        TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id },
                    ];
                    let id = (writer * 1000 + attempts) as i64;
                    let mut updates = append(&head, id);
                    updates.push(property(&format!("writer-{id}"), "was here"));
                    match client.commit(&ident, &requirements, &updates).await.unwrap() {
                        CommitOutcome::Committed(_) => won.push(id),
                        CommitOutcome::Conflict(_) => {}
                        CommitOutcome::Unknown(error) => panic!("nothing was lost on the way: {error}"),
                    }
                }
                won
            })
        })
        .collect();
    let mut won = HashSet::new();
    for task in tasks {
        won.extend(task.await.unwrap());
    }
    let end = catalog.client.load_table(&made.ident).await.unwrap();
    let there: HashSet<i64> = end.metadata.snapshots().map(|s| s.snapshot_id()).collect();
    assert_eq!(there, won, "exactly the commits that were answered as such");
    assert_eq!(end.metadata.snapshots().count(), WRITERS * COMMITS);
    for id in &won {
        assert!(end.metadata.properties().contains_key(&format!("writer-{id}")), "half a commit: {id}");
    }
    assert_eq!(end.metadata.last_sequence_number(), (WRITERS * COMMITS) as i64);
}

/// After [`concurrent_commits_lose_nothing`] and [`racing_creators_have_one_winner`] no metadata file is there
/// but those of the table's versions. For catalogs that write metadata themselves; not part of [`run_all`].
pub async fn losers_leave_no_metadata_file(catalog: &CatalogUnderTest) {
    racing_creators_have_one_winner(catalog).await;
    concurrent_commits_lose_nothing(catalog).await;
    let mut found = 0;
    let mut versions = 0;
    for name in ["race", "many"] {
        let table = TableIdent::new(namespace(&[name]), "t".into());
        let table = catalog.client.load_table(&table).await.unwrap();
        let folder = format!("{}/metadata/", table.metadata.location());
        let files: Vec<_> = catalog.storage.list(&folder).try_collect().await.unwrap();
        found += files.iter().filter(|f| f.location.ends_with(".metadata.json")).count();
        versions += table.metadata.metadata_log().len() + 1;
    }
    assert_eq!(found, versions);
}

/// A name that the catalog takes is kept as it is: spaces, quotes, wildcards, case, other scripts. One that it does
/// not take is refused, and nothing is made.
pub async fn odd_names_are_kept_as_they_are(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let odd = ["%", "_", "it's", "semi;colon--", "UPPER", "upper", "two words", "größe", "表", "a%20b"];
    let rules = client.capabilities().names;
    let (mut kept, refused): (Vec<_>, Vec<_>) = odd.into_iter().partition(|name| rules.takes(name));
    kept.sort_unstable();
    for name in &kept {
        let space = namespace(&[name]);
        client.create_namespace(&space, HashMap::new()).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let made =
            client.create_table(&space, creation(name)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let after = committed(client.commit(&made.ident, &[], &[property("name", name)]).await);
        assert_same(&after, &catalog.second.load_table(&made.ident).await.unwrap());
        assert_eq!(client.list_tables(&space).await.unwrap(), [made.ident]);
    }
    let plain = namespace(&[kept.last().expect("'upper' is a name everywhere")]);
    for name in refused {
        let error = assert_kind(
            client.create_namespace(&namespace(&[name]), HashMap::new()).await,
            ErrorKind::Validation,
        );
        assert!(error.to_string().contains(name), "{error}");
        assert_kind(client.create_table(&plain, creation(name)).await, ErrorKind::Validation);
    }
    let expected: Vec<_> = kept.iter().map(|name| namespace(&[name])).collect();
    assert_eq!(client.list_namespaces(None).await.unwrap(), expected);
    for name in &kept {
        let space = namespace(&[name]);
        client.drop_table(&TableIdent::new(space.clone(), (*name).into())).await.unwrap();
        client.drop_namespace(&space).await.unwrap();
    }
    assert!(client.list_namespaces(None).await.unwrap().is_empty());
}

/// A namespace of more than 200 tables is listed whole and sorted.
pub async fn many_tables_are_listed_sorted(catalog: &CatalogUnderTest) {
    let client = &catalog.client;
    let name = namespace(&["crowd"]);
    client.create_namespace(&name, HashMap::new()).await.unwrap();
    let made: Vec<LoadedTable> = stream::iter(0..205)
        .map(|i| client.create_table(&name, creation(&format!("t{i}"))))
        .buffer_unordered(8)
        .try_collect()
        .await
        .unwrap();
    let mut expected: Vec<_> = made.into_iter().map(|table| table.ident).collect();
    expected.sort();
    assert_eq!(client.list_tables(&name).await.unwrap(), expected);
}

/// A damaged or missing metadata file is `Corrupted`, and the error names the file and no content of it.
pub async fn damaged_metadata_is_named(catalog: &CatalogUnderTest) {
    let made = make_table(catalog, "bad", "t").await;
    let file = made.metadata_location.rsplit('/').next().unwrap_or_default();
    write(catalog, &made.metadata_location, "{\"format-version\": \"hunter2\"}").await;
    let error = catalog.second.load_table(&made.ident).await.unwrap_err();
    let commit = catalog.second.commit(&made.ident, &[], &[property("a", "b")]).await;
    assert!(!matches!(commit, Ok(CommitOutcome::Committed(_))), "committed to a damaged table");
    catalog.storage.file_io().delete(&made.metadata_location).await.unwrap();
    let missing = catalog.second.load_table(&made.ident).await.unwrap_err();
    // What a server says of a file that it cannot read is its own affair.
    if !catalog.client.capabilities().server_side_metadata {
        assert_eq!(commit.unwrap_err().kind(), ErrorKind::Corrupted);
        for error in [error, missing] {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
            assert!(error.to_string().contains(file), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}

/// What one client does, the other sees at once.
pub async fn two_clients_see_each_other(catalog: &CatalogUnderTest) {
    let (one, two) = (&catalog.client, &catalog.second);
    let made = make_table(catalog, "shared", "t").await;
    assert_same(&made, &two.load_table(&made.ident).await.unwrap());
    let after = committed(two.commit(&made.ident, &[], &[property("a", "b")]).await);
    assert_same(&after, &one.load_table(&made.ident).await.unwrap());
    let after = committed(one.commit(&made.ident, &[], &[property("c", "d")]).await);
    assert_same(&after, &two.load_table(&made.ident).await.unwrap());
    one.drop_table(&made.ident).await.unwrap();
    assert_kind(two.load_table(&made.ident).await, ErrorKind::NoSuchTable);
    two.drop_namespace(made.ident.namespace()).await.unwrap();
    assert!(!one.namespace_exists(made.ident.namespace()).await.unwrap());
}

async fn make_table(catalog: &CatalogUnderTest, space: &str, name: &str) -> LoadedTable {
    let space = namespace(&[space]);
    catalog.client.create_namespace(&space, HashMap::new()).await.expect("namespace is made");
    catalog.client.create_table(&space, creation(name)).await.expect("table is made")
}

async fn write(catalog: &CatalogUnderTest, location: &str, text: &'static str) {
    let output = catalog.storage.file_io().new_output(location).expect("location is served");
    output.write(text.into()).await.expect("file is written");
}

/// The properties of a namespace, without the location that a server may add by itself.
fn given_to(namespace: &Namespace) -> HashMap<String, String> {
    let given = namespace.properties().iter().filter(|(key, _)| *key != "location");
    given.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether an error names the table; its namespace may be below another one.
fn names(error: &Error, table: &str) -> bool {
    error.table().is_some_and(|named| named.ends_with(table))
}

fn either(catalog: &CatalogUnderTest, i: usize) -> Arc<dyn CatalogClient> {
    if i.is_multiple_of(2) { catalog.client.clone() } else { catalog.second.clone() }
}

fn namespace(parts: &[&str]) -> NamespaceIdent {
    NamespaceIdent::from_strs(parts).expect("parts are given")
}

fn creation(name: &str) -> TableCreation {
    TableCreation::builder().name(name.into()).schema(schema()).build()
}

fn schema() -> Schema {
    let fields = vec![
        NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into(),
        NestedField::optional(2, "name", Type::Primitive(PrimitiveType::String)).into(),
    ];
    Schema::builder().with_fields(fields).build().expect("schema is valid")
}

fn wider_schema() -> Schema {
    let added = NestedField::optional(3, "added", Type::Primitive(PrimitiveType::Double)).into();
    let narrow = schema();
    let fields = narrow.as_struct().fields().iter().cloned().chain([added]);
    Schema::builder().with_fields(fields).with_schema_id(1).build().expect("schema is valid")
}

/// The updates of an append; its manifest list is never read here.
fn append(head: &LoadedTable, snapshot_id: i64) -> Vec<TableUpdate> {
    let summary = Summary { operation: Operation::Append, additional_properties: HashMap::new() };
    let metadata = &head.metadata;
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(match metadata.format_version() {
            FormatVersion::V1 => 0,
            _ => metadata.last_sequence_number() + 1,
        })
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_schema_id(metadata.current_schema_id())
        .with_manifest_list(format!("{}/metadata/snap-{snapshot_id}.avro", metadata.location()))
        .with_summary(summary)
        .build();
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(snapshot_id, retention);
    vec![
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef { ref_name: "main".into(), reference },
    ]
}

fn property(key: &str, value: &str) -> TableUpdate {
    TableUpdate::SetProperties { updates: pairs(&[(key, value)]) }
}

fn pairs(of: &[(&str, &str)]) -> HashMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn committed(outcome: floe_core::Result<CommitOutcome>) -> LoadedTable {
    match outcome {
        Ok(CommitOutcome::Committed(table)) => table,
        other => panic!("not committed: {other:?}"),
    }
}

#[track_caller]
fn assert_same(a: &LoadedTable, b: &LoadedTable) {
    assert_eq!(a.ident, b.ident);
    assert_eq!(a.metadata_location, b.metadata_location);
    assert_eq!(a.metadata, b.metadata);
}

#[track_caller]
fn assert_kind<T>(result: floe_core::Result<T>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("succeeded, where {kind} was due"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
    }
}
