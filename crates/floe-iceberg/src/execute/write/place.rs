//! Where data files go and what they are called.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_plan::rows::path::entropy_path;
use uuid::Uuid;

/// Gives every data file of a write a path of its own: `<location>/data/[partition/]NNNNN-0-<uuid>.parquet`,
/// or below `write.data.path`, or spread over an object store (`write.object-storage.enabled`).
pub(super) struct FilePlace {
    folder: String,
    object_storage: bool,
    partitioned_paths: bool,
    operation: Uuid,
    next: AtomicU64,
}

impl FilePlace {
    pub(super) fn new(location: &str, properties: &HashMap<String, String>, operation: Uuid) -> Self {
        let is = |key: &str, default: bool| {
            properties.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let object_storage = is("write.object-storage.enabled", false);
        let legacy = object_storage.then(|| properties.get("write.object-storage.path")).flatten();
        let folder =
            properties.get("write.data.path").or(legacy).or(properties.get("write.folder-storage.path"));
        let folder = folder.map_or_else(
            || format!("{}/data", location.trim_end_matches('/')),
            |folder| folder.trim_end_matches('/').to_owned(),
        );
        let partitioned_paths = is("write.object-storage.partitioned-paths", true);
        Self { folder, object_storage, partitioned_paths, operation, next: AtomicU64::new(0) }
    }

    /// The path of the next file of the partition with the folder `partition` (empty: none).
    pub(super) fn next(&self, partition: &str) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number:05}-0-{}.parquet", self.operation);
        let folder = &self.folder;
        let below = if partition.is_empty() { name.clone() } else { format!("{partition}/{name}") };
        match (self.object_storage, self.partitioned_paths) {
            (false, _) => format!("{folder}/{below}"),
            (true, true) => format!("{folder}/{}/{below}", entropy_path(&below)),
            (true, false) => format!("{folder}/{}-{name}", entropy_path(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(properties: &[(&str, &str)]) -> FilePlace {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        FilePlace::new("s3://b/t/", &properties, Uuid::nil())
    }

    #[test]
    fn files_are_numbered_below_their_partition() {
        let place = place(&[]);
        assert_eq!(place.next(""), "s3://b/t/data/00000-0-00000000-0000-0000-0000-000000000000.parquet");
        assert_eq!(
            place.next("p=1"),
            "s3://b/t/data/p=1/00001-0-00000000-0000-0000-0000-000000000000.parquet"
        );
    }

    #[test]
    fn the_data_path_may_be_elsewhere() {
        assert!(place(&[("write.data.path", "s3://other/d/")]).next("").starts_with("s3://other/d/00000-0-"));
    }

    #[test]
    fn object_storage_gets_entropy_before_the_partition() {
        let path = place(&[("write.object-storage.enabled", "true")]).next("p=1");
        let rest = path.strip_prefix("s3://b/t/data/").unwrap();
        let parts: Vec<&str> = rest.split('/').collect();
        assert_eq!(parts[..4].iter().map(|p| p.len()).collect::<Vec<_>>(), [4, 4, 4, 8]);
        assert_eq!(parts[4], "p=1");
        let flat = place(&[
            ("write.object-storage.enabled", "true"),
            ("write.object-storage.partitioned-paths", "false"),
        ]);
        let path = flat.next("p=1");
        assert!(!path.contains("p=1") && path.split('/').count() == 9, "{path}");
    }
}
