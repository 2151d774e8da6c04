//! The snapshots that led to a snapshot.

use std::collections::HashSet;

use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{SnapshotRef, TableMetadata};

/// The snapshot `start` and those that it comes from, newest first, as far as the table still has them: the one walk over parents.
///
/// Who writes a table's files may let parents go in a circle, which is no history: then the last item is an error, `Corrupted`,
/// and every snapshot came once.
pub fn ancestors(
    table: &TableMetadata,
    start: Option<i64>,
) -> impl Iterator<Item = Result<&SnapshotRef>> + use<'_> {
    let mut next = start;
    let mut seen = HashSet::new();
    std::iter::from_fn(move || {
        let snapshot = table.snapshot_by_id(next.take()?)?;
        let id = snapshot.snapshot_id();
        if !seen.insert(id) {
            let why = format!("the parents of its snapshots go in a circle: snapshot {id} comes from itself");
            return Some(Err(Error::new(ErrorKind::Corrupted, why).with_hint(
                "the metadata was damaged: register an earlier version of it, or move the branch to a snapshot outside of the \
                 circle",
            )));
        }
        next = snapshot.parent_snapshot_id();
        Some(Ok(snapshot))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_table::with_parents;

    proptest! {
        #[test]
        fn every_walk_ends_and_gives_each_snapshot_once(parents in prop::collection::vec(prop::option::of(0_i64..9), 1..8)) {
            // Snapshot n has the parent of place n, which may be itself, a later one, or one that is gone.
            let table = with_parents(&parents);
            for start in 0..parents.len() as i64 {
                let mut expected = vec![start];
                let mut circle = false;
                while let Some(parent) = parents[*expected.last().unwrap() as usize] {
                    if parent >= parents.len() as i64 {
                        break;
                    }
                    if expected.contains(&parent) {
                        circle = true;
                        break;
                    }
                    expected.push(parent);
                }
                let walked: Vec<_> = ancestors(&table, Some(start)).collect();
                let found: Vec<i64> = walked.iter().flatten().map(|s| s.snapshot_id()).collect();
                prop_assert_eq!(found, expected);
                let last = walked.last().unwrap();
                prop_assert_eq!(last.as_ref().err().map(Error::kind), circle.then_some(ErrorKind::Corrupted));
                prop_assert!(walked[..walked.len() - 1].iter().all(Result::is_ok));
            }
        }
    }

    #[test]
    fn a_table_without_snapshots_has_no_walk() {
        let table = with_parents(&[None]);
        assert_eq!(ancestors(&table, None).count(), 0);
        assert_eq!(ancestors(&table, Some(99)).count(), 0);
    }
}
