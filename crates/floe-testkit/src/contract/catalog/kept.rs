//! What a commit leaves as it was.

use floe_core::metadata_file::references;
use iceberg::spec::{FormatVersion, SnapshotReference, SnapshotRetention};
use iceberg::{TableRequirement, TableUpdate};
use serde_json::{Value, json};

use super::{
    CatalogUnderTest, HashMap, TableCreation, TableIdent, append, committed, creation, namespace, property,
};

/// A tag and a branch stay through commits that do not name them, and are requirements, in every format version.
pub async fn references_stay_in_every_format_version(catalog: &CatalogUnderTest) {
    let space = namespace(&["refs"]);
    catalog.client.create_namespace(&space, HashMap::new()).await.unwrap();
    for (name, version) in [("v1", FormatVersion::V1), ("v2", FormatVersion::V2)] {
        let creation = TableCreation { format_version: version, ..creation(name) };
        let made = catalog.client.create_table(&space, creation).await.unwrap();
        let ident = made.ident.clone();
        let mut first = append(&made, 31);
        let tag = SnapshotRetention::Tag { max_ref_age_ms: Some(86_400_000) };
        let branch = SnapshotRetention::branch(Some(2), None, None);
        for (ref_name, retention) in [("kept", tag.clone()), ("audit", branch.clone())] {
            let reference = SnapshotReference::new(31, retention);
            first.push(TableUpdate::SetSnapshotRef { ref_name: ref_name.into(), reference });
        }
        committed(catalog.client.commit(&ident, &[], &first).await);
        let head = catalog.second.load_table(&ident).await.unwrap();
        committed(catalog.second.commit(&ident, &[], &append(&head, 32)).await);
        committed(catalog.client.commit(&ident, &[], &[property("a", "b")]).await);

        let now = catalog.client.load_table(&ident).await.unwrap();
        let mut refs = references(&now.metadata).unwrap();
        assert_eq!(refs.remove("kept"), Some(SnapshotReference::new(31, tag)), "{name}");
        assert_eq!(refs.remove("audit"), Some(SnapshotReference::new(31, branch)), "{name}");
        assert_eq!(refs.remove("main").map(|main| main.snapshot_id), Some(32), "{name}");
        assert_eq!(now.metadata.format_version(), version);

        let moved = TableRequirement::RefSnapshotIdMatch { r#ref: "audit".into(), snapshot_id: None };
        let outcome = catalog.second.commit(&ident, &[moved], &[property("a", "c")]).await.unwrap();
        assert!(matches!(outcome, floe_core::CommitOutcome::Conflict(_)), "{name}: {outcome:?}");
    }
}

/// A metadata file that another writer made keeps what floe does not know of it. For catalogs that write metadata
/// themselves and can register a table.
pub async fn fields_that_nobody_knows_stay(catalog: &CatalogUnderTest) {
    let capabilities = catalog.client.capabilities();
    if capabilities.server_side_metadata || !capabilities.register_table {
        return;
    }
    let space = namespace(&["odd"]);
    catalog.client.create_namespace(&space, HashMap::new()).await.unwrap();
    let made = catalog.client.create_table(&space, creation("made")).await.unwrap();
    let made = committed(catalog.client.commit(&made.ident, &[], &append(&made, 41)).await);
    let mut foreign = json(catalog, &made.metadata_location).await;
    let odd = json!({"deep": [1.5, null]});
    for place in ["", "/schemas/0", "/schemas/0/fields/1", "/snapshots/0", "/refs/main", "/partition-specs/0"]
    {
        foreign.pointer_mut(place).unwrap()["x-odd"] = odd.clone();
    }
    let location = format!("{}/metadata/90000-foreign.metadata.json", made.metadata.location());
    let output = catalog.storage.file_io().new_output(&location).unwrap();
    output.write(foreign.to_string().into()).await.unwrap();
    let ident = TableIdent::new(space, "foreign".into());
    catalog.client.register_table(&ident, &location).await.unwrap();

    let head = catalog.client.load_table(&ident).await.unwrap();
    committed(catalog.client.commit(&ident, &[], &append(&head, 42)).await);
    let updates = [
        property("a", "b"),
        TableUpdate::AddSchema { schema: super::wider_schema() },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
    ];
    let now = committed(catalog.second.commit(&ident, &[], &updates).await);
    let after = json(catalog, &now.metadata_location).await;
    for place in ["", "/schemas/0", "/schemas/0/fields/1", "/snapshots/0", "/refs/main", "/partition-specs/0"]
    {
        assert_eq!(after.pointer(place).unwrap()["x-odd"], odd, "{place}");
    }
    assert_eq!(after["schemas"][1]["fields"][1]["x-odd"], odd, "a new schema keeps what its columns had");
}

async fn json(catalog: &CatalogUnderTest, location: &str) -> Value {
    let text = catalog.storage.file_io().new_input(location).unwrap().read().await.unwrap();
    serde_json::from_slice(&text).unwrap()
}
