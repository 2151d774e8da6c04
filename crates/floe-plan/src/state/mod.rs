//! Names of states: which snapshot of a table a user means.
//!
//! One rule for every command and call: first a branch or tag of exactly that name, then a snapshot id, then a time. A bare
//! number is never a time, which is written `ms:N`; `id:N` is a snapshot id whatever branches and tags are called.
//!
//! ```
//! use floe_plan::state::{Reference, States};
//!
//! let mut states = States { snapshots: [7, 8].into(), log: vec![(1_000, 7), (2_000, 8)], ..States::default() };
//! states.references.insert("audit".into(), Reference { snapshot_id: 7, is_branch: true });
//! assert_eq!(states.resolve("audit")?.snapshot_id, Some(7));
//! assert_eq!(states.resolve("8")?.snapshot_id, Some(8));
//! assert_eq!(states.resolve("ms:1999")?.snapshot_id, Some(7));
//! assert!(states.resolve("1999").is_err(), "a number is no time");
//! # Ok::<(), floe_core::Error>(())
//! ```

mod names;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use floe_core::metadata_file::references;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{MAIN_BRANCH, TableMetadata};

pub use names::{check_new_name, confusing_name};
pub use text::{Reading, read, time_text};

/// What a table says about its states: branches, tags, snapshots, and the log of the main branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States {
    /// Branches and tags by name, exactly as they are written.
    pub references: BTreeMap<String, Reference>,
    /// The ids of the snapshots that the table has.
    pub snapshots: BTreeSet<i64>,
    /// Ids of snapshots that the table still mentions, as parents or in its log. Those that are not in `snapshots` are gone.
    pub mentioned: BTreeSet<i64>,
    /// Since when which snapshot was current on the main branch: milliseconds since 1970-01-01T00:00:00Z, and its id, in
    /// the order of the metadata, which need not be that of time.
    pub log: Vec<(i64, i64)>,
    /// The current snapshot; `None` for a table without one.
    pub current: Option<i64>,
}

/// Where a branch or tag points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The snapshot.
    pub snapshot_id: i64,
    /// A branch; otherwise a tag.
    pub is_branch: bool,
}

/// A state of a table that a user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The snapshot; `None` only for the main branch of a table without snapshots.
    pub snapshot_id: Option<i64>,
    /// What the name turned out to be.
    pub by: Reading,
    /// The name of a branch, whose rows are read in the table's current schema.
    pub is_branch: bool,
    /// What else the user could have meant, as a sentence without a final stop.
    pub note: Option<String>,
}

impl States {
    /// The states of a table.
    pub fn of(table: &TableMetadata) -> Result<Self> {
        let references = references(table)?
            .into_iter()
            .map(|(name, r)| (name, Reference { snapshot_id: r.snapshot_id, is_branch: r.is_branch() }))
            .collect();
        Ok(Self { references, ..Self::without_references(table) })
    }

    /// The same without branches and tags, which cost time in proportion to the number of snapshots: for ids and times.
    pub fn without_references(table: &TableMetadata) -> Self {
        let log: Vec<_> =
            table.history().iter().map(|entry| (entry.timestamp_ms, entry.snapshot_id)).collect();
        let parents = table.snapshots().filter_map(|s| s.parent_snapshot_id());
        Self {
            references: BTreeMap::new(),
            snapshots: table.snapshots().map(|s| s.snapshot_id()).collect(),
            mentioned: parents.chain(log.iter().map(|(_, id)| *id)).collect(),
            log,
            current: table.current_snapshot_id(),
        }
    }

    /// The state that `text` names: a branch or tag of that very name, else a snapshot id, else a time.
    ///
    /// Fails with `SnapshotNotFound`, which says whether the snapshot has expired and what else there is; `Validation` for
    /// `ms:` or `id:` without a number.
    pub fn resolve(&self, text: &str) -> Result<State> {
        let meaning = self.meaning(text)?;
        if matches!(&meaning, Reading::Name(_)) {
            let mut state = self.reference(text)?;
            state.note = match read(text) {
                Ok(Reading::Name(_)) | Err(_) => None,
                Ok(Reading::Snapshot(id)) => Some(format!(
                    "'{text}' is the {} of that name; the snapshot is id:{id}",
                    kind(state.is_branch)
                )),
                Ok(Reading::Time(ms)) => Some(format!(
                    "'{text}' is the {} of that name; the time is ms:{ms}",
                    kind(state.is_branch)
                )),
            };
            return Ok(state);
        }
        match meaning {
            Reading::Snapshot(id) => self.snapshot(id),
            Reading::Time(ms) => self.at_time(ms),
            Reading::Name(name) => self.reference(&name),
        }
    }

    /// What `text` is for this table, whether or not there is such a state: the name of a branch or tag, a snapshot id, or a
    /// time. Fails as [`read`] does.
    pub fn meaning(&self, text: &str) -> Result<Reading> {
        match self.references.contains_key(text) || text == MAIN_BRANCH {
            true => Ok(Reading::Name(text.to_owned())),
            false => read(text),
        }
    }

    /// The state of a branch or tag. Fails with `SnapshotNotFound`.
    pub fn reference(&self, name: &str) -> Result<State> {
        let by = Reading::Name(name.to_owned());
        match self.references.get(name) {
            Some(r) if self.snapshots.contains(&r.snapshot_id) => {
                Ok(State { snapshot_id: Some(r.snapshot_id), by, is_branch: r.is_branch, note: None })
            }
            Some(r) => Err(Error::new(
                ErrorKind::SnapshotNotFound,
                format!("the {} '{name}' is at snapshot {}, which the table does not have", kind(r.is_branch), r.snapshot_id),
            )
            .with_hint("move or drop it; `floe snapshots` lists those that are there")),
            None if name == MAIN_BRANCH => {
                Ok(State { snapshot_id: self.current, by, is_branch: true, note: None })
            }
            None => Err(Error::new(
                ErrorKind::SnapshotNotFound,
                format!("there is no tag or branch named '{name}'"),
            )
            .with_hint(
                "a state is a branch or tag, a snapshot id, or a time such as 2024-05-01T12:00:00Z or ms:1714564800000; \
                 list the table's tags and branches",
            )),
        }
    }

    /// The state of a snapshot. Fails with `SnapshotNotFound`.
    pub fn snapshot(&self, id: i64) -> Result<State> {
        if self.snapshots.contains(&id) {
            let by = Reading::Snapshot(id);
            return Ok(State { snapshot_id: Some(id), by, is_branch: false, note: None });
        }
        Err(self.no_snapshot(id))
    }

    /// The state of the main branch at a time, in milliseconds since 1970-01-01T00:00:00Z: that of the latest entry of the
    /// log that is not later; of two entries at one time, the one further back in the log.
    ///
    /// Fails with `SnapshotNotFound` when no entry is so early, or when the snapshot of the entry is gone: another snapshot
    /// is never given in its place.
    pub fn at_time(&self, ms: i64) -> Result<State> {
        let not_found =
            |why: String, hint: &str| Error::new(ErrorKind::SnapshotNotFound, why).with_hint(hint);
        let entries = self.log.iter().enumerate();
        let entry = entries.filter(|(_, (at, _))| *at <= ms).max_by_key(|(place, (at, _))| (*at, *place));
        let Some((_, (_, id))) = entry else {
            let first = self.log.iter().map(|(at, _)| *at).min();
            return Err(match first {
                Some(first) => not_found(
                    format!(
                        "what the table was at {} is not known: its log begins at {}",
                        time_text(ms),
                        time_text(first)
                    ),
                    "choose a later time, or a snapshot id; `floe snapshots` lists those that are there",
                ),
                None if self.snapshots.is_empty() => not_found(
                    format!("the table had no snapshot at {}: it has none yet", time_text(ms)),
                    "write to the table first",
                ),
                None => not_found(
                    format!(
                        "what the table was at {} is not known: it keeps no log of its states",
                        time_text(ms)
                    ),
                    "choose a snapshot id; `floe snapshots` lists them with their times",
                ),
            });
        };
        if !self.snapshots.contains(id) {
            return Err(not_found(
                format!("snapshot {id}, which was current at {}, has expired", time_text(ms)),
                "choose a later time; `floe snapshots` lists the snapshots that are there",
            ));
        }
        let newest = self.log.iter().all(|(at, _)| *at <= ms);
        let note = (newest && self.current.is_some_and(|current| current != *id)).then(|| {
            format!(
                "the table's log is not in the order of time: snapshot {id} is the latest by it, and the current one is {}",
                self.current.unwrap_or_default()
            )
        });
        Ok(State { snapshot_id: Some(*id), by: Reading::Time(ms), is_branch: false, note })
    }

    /// There is no such snapshot: it has expired, or never was.
    pub fn no_snapshot(&self, id: i64) -> Error {
        let why = if self.mentioned.contains(&id) {
            format!("snapshot {id} has expired: the table's history names it, and does not have it any more")
        } else {
            format!("there is no snapshot {id}; if there was one, it has expired")
        };
        Error::new(ErrorKind::SnapshotNotFound, why).with_hint(format!(
            "list the snapshots; a number is a snapshot id, a time in milliseconds is written ms:{id}"
        ))
    }

    /// How a command names this snapshot, so that [`States::resolve`] finds it again whatever branches and tags are called;
    /// `None` where branches or tags are called `N` and `id:N`.
    pub fn name_of(&self, id: i64) -> Option<String> {
        [id.to_string(), format!("id:{id}")].into_iter().find(|name| !self.references.contains_key(name))
    }
}

fn kind(is_branch: bool) -> &'static str {
    if is_branch { "branch" } else { "tag" }
}
