//! What an application gets that chooses its plugins by features.

use floe::Registry;
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
    assert_eq!(measurements.add(&[(1, 20.5), (2, 21.0), (1, 20.75)]).await.unwrap(), 3);
    let again = Measurements::open(folder.path()).await.unwrap();
    assert_eq!(again.add(&[(3, 19.0)]).await.unwrap(), 1);
    assert_eq!(again.count().await.unwrap(), 4);
}
