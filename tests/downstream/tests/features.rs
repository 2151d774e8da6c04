//! What an application gets that chooses its plugins by features.

use floe::{ErrorKind, Properties, Registry};
use floe_downstream::Measurements;

#[test]
fn the_chosen_plugins_are_linked_and_no_others() {
    let names: Vec<_> =
        Registry::linked().descriptors().iter().map(|d| format!("{:?} {}", d.kind, d.name)).collect();
    assert_eq!(names, ["Catalog local", "Storage local"]);
}

#[tokio::test]
async fn a_table_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let measurements = Measurements::open(folder.path()).await.unwrap();
    assert_eq!(measurements.add(&[(1, 21.5), (2, 21.0), (1, 20.75)]).await.unwrap(), 3);
    // Another run of the application finds what the first one wrote.
    let again = Measurements::open(folder.path()).await.unwrap();
    assert_eq!(again.add(&[(1, 19.0), (3, 8.0)]).await.unwrap(), 2);
    assert_eq!(again.of_sensor(1).await.unwrap(), [19.0, 20.75, 21.5]);
    assert_eq!(again.of_sensor(2).await.unwrap(), [21.0]);
    assert_eq!(again.of_sensor(4).await.unwrap(), [0.0; 0]);
}

#[tokio::test]
async fn a_plugin_that_was_not_chosen_is_refused_with_its_feature() {
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().to_string_lossy().into_owned();
    for (kind, storage, warehouse, feature) in [
        ("glue", None, local.as_str(), "catalog-glue"),
        ("rest", None, &local, "catalog-polaris"),
        ("local", Some("gcs"), &local, "storage-gcs"),
        ("local", None, "s3://bucket/lake", "storage-s3"),
        ("local", None, "abfss://c@account.dfs.core.windows.net/lake", "storage-azure"),
    ] {
        let mut properties = Properties::default().with("type", kind).with("warehouse", warehouse);
        if let Some(storage) = storage {
            properties = properties.with("storage", storage);
        }
        let error = floe::connect("lake", &properties).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchPlugin, "{error}");
        let hint = format!("switch on the cargo feature `{feature}` of `floe`");
        assert!(error.to_string().contains(&hint), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was written");
}

#[tokio::test]
async fn a_database_that_was_not_chosen_is_refused_with_its_feature() {
    let properties = Properties::default()
        .with("type", "local")
        .with("uri", "postgresql://db.example/lake")
        .with("warehouse", "/lake");
    let error = floe::connect("lake", &properties).await.unwrap_err();
    assert!(error.to_string().contains("`catalog-postgres`"), "{error}");
}

#[tokio::test]
async fn an_unknown_plugin_is_refused_with_those_there_are() {
    let properties = Properties::default().with("type", "hive").with("warehouse", "/lake");
    let error = floe::connect("lake", &properties).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPlugin);
    assert!(error.to_string().contains("'hive'") && error.to_string().contains("linked: local"), "{error}");
}
