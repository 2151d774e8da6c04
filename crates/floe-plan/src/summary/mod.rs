//! Snapshot summaries.

pub mod input;

use std::collections::{BTreeMap, HashMap};

use floe_core::names::check_seen;
use floe_core::{Error, Result};
use iceberg::spec::{DataContentType, Struct, Summary, TableMetadata};

use crate::change::{ChangeSet, OperationKind, RemovedFile, TableFile, partition_type};
use crate::rows::path::partition_name;

/// The table property that says up to how many partitions a summary tells about each one (default 0).
pub const PARTITION_LIMIT: &str = "write.summary.partition-limit";
/// The summary key of the token that names the operation which made a snapshot.
pub const COMMIT_TOKEN: &str = "floe.commit-token";
/// The summary key of what that operation was, for operations that the caller named: its kind, and a hash of what it
/// aimed at.
pub const COMMIT_OPERATION: &str = "floe.commit-operation";
/// The summary key of what such an operation took as its input; see [`input::InputDigest`].
pub const COMMIT_INPUT: &str = "floe.commit-input";
/// The summary entry of snapshots that replace whole partitions: `true`.
pub const REPLACE_PARTITIONS: &str = "replace-partitions";
/// The summary key of the writer's name.
pub const ENGINE_NAME: &str = "engine-name";
/// The summary key of the writer's version.
pub const ENGINE_VERSION: &str = "engine-version";

const PARTITION_PREFIX: &str = "partitions.";
const PARTITIONS_INCLUDED: &str = "partition-summaries-included";
const CHANGED_PARTITIONS: &str = "changed-partition-count";

/// Stands for the specs without fields.
const NO_SPEC: i32 = -1;

/// Total, what is added to it, what is taken from it.
const TOTALS: [(&str, &str, &str); 6] = [
    ("total-data-files", "added-data-files", "deleted-data-files"),
    ("total-delete-files", "added-delete-files", "removed-delete-files"),
    ("total-records", "added-records", "deleted-records"),
    ("total-files-size", "added-files-size", "removed-files-size"),
    ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
    ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
];

/// Further keys that are counted, and so cannot be set by a user.
const COUNTED: [&str; 8] = [
    "added-position-delete-files",
    "added-equality-delete-files",
    "removed-position-delete-files",
    "removed-equality-delete-files",
    CHANGED_PARTITIONS,
    PARTITIONS_INCLUDED,
    "manifests-created",
    "manifests-kept",
];

/// The part of a snapshot summary that follows from the change alone: computed once for an operation, however
/// often its commit is tried (Iceberg spec, appendix F, "Snapshot summary").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSummary {
    operation: OperationKind,
    entries: HashMap<String, String>,
}

impl ChangeSummary {
    /// Counts what `change` adds and removes, and what goes along with it (`also_removed`), and adds the user's `properties`, the writer's name and the commit token.
    ///
    /// Fails with `Validation` when a property has a key that is counted or set here.
    pub fn new(
        change: &ChangeSet,
        also_removed: &[RemovedFile],
        metadata: &TableMetadata,
        properties: &HashMap<String, String>,
        token: &str,
    ) -> Result<Self> {
        check_properties(properties)?;
        let mut total = Changes::default();
        let mut partitions: HashMap<(i32, &Struct), Changes> = HashMap::new();
        for TableFile { spec_id, file } in &change.added {
            let (content, rows, bytes) =
                (file.content_type(), file.record_count(), file.file_size_in_bytes());
            total.added.count(content, rows, bytes);
            partitions.entry(key(*spec_id, file.partition())).or_default().added.count(content, rows, bytes);
        }
        for file in change.removed.iter().chain(also_removed) {
            let (content, rows, bytes) = (file.content, file.record_count, file.file_size_in_bytes);
            total.removed.count(content, rows, bytes);
            let of = partitions.entry(key(file.spec_id, &file.partition)).or_default();
            of.removed.count(content, rows, bytes);
        }
        let mut entries = properties.clone();
        entries.extend(total.entries().map(|(key, value)| (key.to_owned(), value.to_string())));
        entries.extend(partition_entries(&partitions, metadata));
        if change.replaces_partitions {
            entries.insert(REPLACE_PARTITIONS.to_owned(), "true".to_owned());
        }
        entries.insert(ENGINE_NAME.to_owned(), "floe".to_owned());
        entries.insert(ENGINE_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        entries.insert(COMMIT_TOKEN.to_owned(), token.to_owned());
        Ok(Self { operation: change.operation, entries })
    }

    /// Notes what the operation is; see [`COMMIT_OPERATION`].
    pub fn with_operation(mut self, fingerprint: Option<&str>) -> Self {
        if let Some(fingerprint) = fingerprint {
            self.entries.insert(COMMIT_OPERATION.to_owned(), fingerprint.to_owned());
        }
        self
    }

    /// The summary of a snapshot on top of one with the summary `previous`.
    ///
    /// A total that the previous snapshot does not have, or that is no number, or that would fall below zero is
    /// left out: a wrong total is worse than none.
    pub fn on(&self, previous: Option<&Summary>) -> Summary {
        let mut entries = self.entries.clone();
        for (total, added, removed) in TOTALS {
            let before = match previous {
                None => Some(0),
                Some(summary) => summary.additional_properties.get(total).and_then(|t| t.parse::<u64>().ok()),
            };
            let count = |key| entries.get(key).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
            let after = before
                .and_then(|before| before.checked_add(count(added)))
                .and_then(|sum| sum.checked_sub(count(removed)));
            if let Some(after) = after {
                entries.insert(total.to_owned(), after.to_string());
            }
        }
        Summary { operation: self.operation.into(), additional_properties: entries }
    }
}

/// Whether all of `properties` may be set by a user.
///
/// Fails with `Validation`, naming the first key in alphabetical order that may not.
pub fn check_properties(properties: &HashMap<String, String>) -> Result<()> {
    let reserved = |key: &str| {
        key == "operation"
            || key == COMMIT_TOKEN
            || key == COMMIT_OPERATION
            || key == COMMIT_INPUT
            || key == REPLACE_PARTITIONS
            || key == ENGINE_NAME
            || key == ENGINE_VERSION
            || key.starts_with(PARTITION_PREFIX)
            || COUNTED.contains(&key)
            || TOTALS.iter().any(|(total, added, removed)| [total, added, removed].contains(&&key))
    };
    properties.keys().try_for_each(|key| check_seen("a snapshot property", key))?;
    match properties.keys().filter(|key| reserved(key)).min() {
        None => Ok(()),
        Some(key) => Err(Error::validation(format!("the snapshot property '{key}' is set by floe itself"))
            .with_hint("give the property another name")),
    }
}

/// What tells a partition from others. Files without partition values are of one partition, whatever their spec.
fn key(spec_id: i32, values: &Struct) -> (i32, &Struct) {
    (if values.fields().is_empty() { NO_SPEC } else { spec_id }, values)
}

fn partition_entries(
    partitions: &HashMap<(i32, &Struct), Changes>,
    metadata: &TableMetadata,
) -> Vec<(String, String)> {
    // Values are told apart, not their texts: two specs may give the same text for different partitions.
    let changed = partitions.len();
    let mut entries = Vec::new();
    if changed == 0 {
        return entries;
    }
    entries.push((CHANGED_PARTITIONS.to_owned(), changed.to_string()));
    let limit = metadata.properties().get(PARTITION_LIMIT).and_then(|t| t.trim().parse::<usize>().ok());
    if changed <= limit.unwrap_or(0) {
        entries.push((PARTITIONS_INCLUDED.to_owned(), "true".to_owned()));
        let mut by_path: BTreeMap<String, Changes> = BTreeMap::new();
        for ((spec_id, values), counts) in partitions {
            let Some(spec) = metadata.partition_spec_by_id(*spec_id) else { continue };
            let Ok(types) = partition_type(metadata, *spec_id) else { continue };
            by_path.entry(partition_name(spec, &types, values)).or_default().merge(counts);
        }
        for (path, counts) in by_path {
            let text: Vec<String> = counts.entries().map(|(key, value)| format!("{key}={value}")).collect();
            entries.push((format!("{PARTITION_PREFIX}{path}"), text.join(",")));
        }
    }
    entries
}

/// What is added, and what is removed.
#[derive(Debug, Default)]
struct Changes {
    added: Counts,
    removed: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: u64,
    data_files: u64,
    records: u64,
    position_delete_files: u64,
    position_deletes: u64,
    equality_delete_files: u64,
    equality_deletes: u64,
}

impl Counts {
    fn count(&mut self, content: DataContentType, rows: u64, bytes: u64) {
        // What manifests of others say: any number may stand there.
        self.bytes = self.bytes.saturating_add(bytes);
        let (files, all_rows) = match content {
            DataContentType::Data => (&mut self.data_files, &mut self.records),
            DataContentType::PositionDeletes => (&mut self.position_delete_files, &mut self.position_deletes),
            DataContentType::EqualityDeletes => (&mut self.equality_delete_files, &mut self.equality_deletes),
        };
        *files += 1;
        *all_rows = all_rows.saturating_add(rows);
    }

    fn merge(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.bytes, other.bytes),
            (&mut self.data_files, other.data_files),
            (&mut self.records, other.records),
            (&mut self.position_delete_files, other.position_delete_files),
            (&mut self.position_deletes, other.position_deletes),
            (&mut self.equality_delete_files, other.equality_delete_files),
            (&mut self.equality_deletes, other.equality_deletes),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

impl Changes {
    fn merge(&mut self, other: &Self) {
        self.added.merge(&other.added);
        self.removed.merge(&other.removed);
    }

    /// What is not zero.
    fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self { added, removed } = self;
        [
            ("added-files-size", added.bytes),
            ("removed-files-size", removed.bytes),
            ("added-data-files", added.data_files),
            ("deleted-data-files", removed.data_files),
            ("added-equality-delete-files", added.equality_delete_files),
            ("removed-equality-delete-files", removed.equality_delete_files),
            ("added-position-delete-files", added.position_delete_files),
            ("removed-position-delete-files", removed.position_delete_files),
            ("added-delete-files", added.position_delete_files + added.equality_delete_files),
            ("removed-delete-files", removed.position_delete_files + removed.equality_delete_files),
            ("added-records", added.records),
            ("deleted-records", removed.records),
            ("added-position-deletes", added.position_deletes),
            ("removed-position-deletes", removed.position_deletes),
            ("added-equality-deletes", added.equality_deletes),
            ("removed-equality-deletes", removed.equality_deletes),
        ]
        .into_iter()
        .filter(|(_, value)| *value > 0)
    }
}

#[cfg(test)]
mod tests {
    use floe_core::ErrorKind;
    use iceberg::spec::{DataFile, DataFileBuilder, DataFileFormat, FormatVersion, Operation};
    use proptest::prelude::*;

    use super::*;
    use crate::test_table::{data_file, delete_file, file, metadata};

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn summary(pairs: &[(&str, &str)]) -> Summary {
        Summary { operation: Operation::Append, additional_properties: map(pairs) }
    }

    fn append(files: Vec<DataFile>) -> ChangeSummary {
        let change = ChangeSet::append(0, files);
        ChangeSummary::new(&change, &[], &metadata(FormatVersion::V2), &HashMap::new(), "tok").unwrap()
    }

    /// The expected values are those that PyIceberg 0.12 writes for the same two files.
    #[test]
    fn the_first_append_counts_as_pyiceberg_does() {
        let first = append(vec![data_file("a", Some("x")), data_file("b", None)]).on(None);
        let expected = map(&[
            ("added-files-size", "200"),
            ("added-data-files", "2"),
            ("added-records", "20"),
            ("changed-partition-count", "2"),
            ("total-data-files", "2"),
            ("total-delete-files", "0"),
            ("total-records", "20"),
            ("total-files-size", "200"),
            ("total-position-deletes", "0"),
            ("total-equality-deletes", "0"),
            ("engine-name", "floe"),
            ("engine-version", env!("CARGO_PKG_VERSION")),
            ("floe.commit-token", "tok"),
        ]);
        assert_eq!(first.operation, Operation::Append);
        assert_eq!(first.additional_properties, expected);
    }

    /// As Spark counts it; PyIceberg says nothing of partitions then.
    #[test]
    fn files_of_no_partition_are_of_one() {
        let file = |path: &str, spec_id| {
            let mut file = DataFileBuilder::default();
            file.content(DataContentType::Data)
                .file_path(path.to_owned())
                .file_format(DataFileFormat::Parquet);
            file.partition(Struct::empty()).record_count(1).file_size_in_bytes(1);
            TableFile { spec_id, file: file.build().unwrap() }
        };
        let change = ChangeSet { added: vec![file("a", 0), file("b", 7)], ..ChangeSet::default() };
        let table = metadata(FormatVersion::V2);
        let made = ChangeSummary::new(&change, &[], &table, &HashMap::new(), "t").unwrap();
        assert_eq!(made.on(None).additional_properties["changed-partition-count"], "1");
    }

    #[test]
    fn totals_that_other_writers_left_out_or_broke_stay_out() {
        let previous = summary(&[
            ("total-records", "many"),
            ("total-data-files", "-3"),
            ("total-files-size", "18446744073709551615"),
            ("total-delete-files", "4"),
        ]);
        let next = append(vec![data_file("a", None)]).on(Some(&previous)).additional_properties;
        for gone in ["total-records", "total-data-files", "total-files-size", "total-position-deletes"] {
            assert_eq!(next.get(gone), None, "{gone}");
        }
        assert_eq!(next["total-delete-files"], "4");
    }

    proptest! {
        /// Whatever numbers others wrote, counting ends, and totals that do not fit stay out.
        #[test]
        fn any_numbers_of_others_are_counted(
            numbers in proptest::collection::vec(
                (prop_oneof![any::<u64>(), Just(u64::MAX), Just(i64::MAX as u64), Just(0)],
                 prop_oneof![any::<u64>(), Just(u64::MAX), Just(1)]), 0..6),
        ) {
            let (mut one, mut other) = (Counts::default(), Counts::default());
            let mut expected = 0_u64;
            for (rows, bytes) in &numbers {
                for content in [DataContentType::Data, DataContentType::PositionDeletes, DataContentType::EqualityDeletes] {
                    one.count(content, *rows, *bytes);
                    other.count(content, *rows, *bytes);
                }
                expected = expected.saturating_add(*rows);
            }
            one.merge(&other);
            prop_assert_eq!(one.records, expected.saturating_add(expected));
        }
    }

    #[test]
    fn delete_files_are_counted_by_their_kind() {
        let mut change = ChangeSet::append(0, vec![delete_file("d", Some("x"))]);
        change
            .added
            .push(TableFile { spec_id: 0, file: file("e", Some("x"), DataContentType::EqualityDeletes, 7) });
        change.operation = OperationKind::Delete;
        let made =
            ChangeSummary::new(&change, &[], &metadata(FormatVersion::V2), &HashMap::new(), "t").unwrap();
        let entries = made.on(None).additional_properties;
        assert_eq!(entries["added-delete-files"], "2");
        assert_eq!(entries["added-position-deletes"], "2");
        assert_eq!(entries["added-equality-deletes"], "7");
        assert_eq!(entries["total-equality-deletes"], "7");
        assert_eq!(entries["changed-partition-count"], "1");
        assert_eq!(entries.get("added-data-files"), None);
    }

    #[test]
    fn removed_files_are_counted_and_taken_from_the_totals() {
        let gone = |name| RemovedFile::new(0, &data_file(name, Some("x")), 1);
        let deletes = RemovedFile::new(0, &delete_file("d", Some("y")), 1);
        let change = ChangeSet {
            operation: OperationKind::Overwrite,
            removed: vec![gone("a"), gone("b")],
            ..ChangeSet::append(0, vec![data_file("c", Some("x"))])
        };
        let also = [deletes];
        let table = metadata(FormatVersion::V2);
        let made = ChangeSummary::new(&change, &also, &table, &HashMap::new(), "t").unwrap();
        let before = summary(&[
            ("total-records", "50"),
            ("total-data-files", "5"),
            ("total-delete-files", "1"),
            ("total-position-deletes", "2"),
            ("total-files-size", "600"),
            ("total-equality-deletes", "0"),
        ]);
        let entries = made.on(Some(&before)).additional_properties;
        for (key, value) in [
            ("deleted-data-files", "2"),
            ("deleted-records", "20"),
            ("removed-files-size", "300"),
            ("removed-delete-files", "1"),
            ("removed-position-delete-files", "1"),
            ("removed-position-deletes", "2"),
            ("changed-partition-count", "2"),
            ("total-records", "40"),
            ("total-data-files", "4"),
            ("total-delete-files", "0"),
            ("total-position-deletes", "0"),
            ("total-files-size", "400"),
        ] {
            assert_eq!(entries[key], value, "{key}");
        }
    }

    #[test]
    fn partitions_are_told_up_to_the_limit() {
        let limited = |limit: &str| {
            let table = metadata(FormatVersion::V2)
                .into_builder(None)
                .set_properties(map(&[(PARTITION_LIMIT, limit)]))
                .unwrap()
                .build()
                .unwrap()
                .metadata;
            let change = ChangeSet::append(0, vec![data_file("a", Some("x")), data_file("b", None)]);
            ChangeSummary::new(&change, &[], &table, &HashMap::new(), "t")
                .unwrap()
                .on(None)
                .additional_properties
        };
        let told = limited("2");
        assert_eq!(told["partitions.category=x"], "added-files-size=100,added-data-files=1,added-records=10");
        assert!(told.contains_key("partitions.category=null"));
        assert_eq!(told["partition-summaries-included"], "true");
        assert!(!limited("1").keys().any(|key| key.starts_with("partition")));
    }

    #[test]
    fn keys_that_are_counted_cannot_be_set() {
        for key in ["operation", "total-records", "added-data-files", "partitions.a=b", COMMIT_TOKEN] {
            let error = check_properties(&map(&[(key, "1"), ("mine", "2")])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation);
            assert!(error.to_string().contains(key));
        }
        check_properties(&map(&[("dagster.run_id", "7")])).unwrap();
    }

    proptest! {
        #[test]
        fn totals_are_the_sums_over_all_appends(counts in proptest::collection::vec(1_usize..6, 1..12)) {
            let mut previous = None;
            for (number, count) in counts.iter().enumerate() {
                let files = (0..*count).map(|i| data_file(&format!("{number}-{i}"), None)).collect();
                previous = Some(append(files).on(previous.as_ref()));
            }
            let files: usize = counts.iter().sum();
            let last = previous.unwrap().additional_properties;
            prop_assert_eq!(&last["total-data-files"], &files.to_string());
            prop_assert_eq!(&last["total-records"], &(files * 10).to_string());
            prop_assert_eq!(&last["total-files-size"], &(files * 100).to_string());
        }
    }
}
