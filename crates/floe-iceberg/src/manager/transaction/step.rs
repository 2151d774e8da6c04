//! The operations of a transaction.

use std::sync::Arc;

use floe_core::{Error, ErrorKind, LoadedTable, Result};
use floe_plan::expr::Expr;
use floe_plan::summary::input::InputDigest;
use iceberg::TableUpdate;
use iceberg::spec::TableMetadata;
use serde_json::{Value, json};

use super::StepOutcome;
use crate::commit::{CommitRequest, Pending, check_settings};
use crate::data::Input;
use crate::manager::IcebergTableManager;
use crate::manager::change::properties_of;
use crate::manager::fingerprint::write_target;
use crate::manager::work::reruns_by_default;
use crate::model::{ChangeOptions, DeleteConfig, MergeConfig, WriteConfig, WriteMode};
use crate::refs::{self, Pick};

pub(super) type Build = Arc<dyn Fn(&TableMetadata) -> Result<Vec<TableUpdate>> + Send + Sync>;
pub(super) type Make = Box<dyn Fn(&LoadedTable) -> Result<Input> + Send + Sync>;

pub(super) enum Step {
    /// Updates of the metadata, and what they are for.
    Metadata(&'static str, Value, Build),
    /// The same, at a snapshot that the caller chose.
    Pinned(&'static str, Value, Build),
    Write(Rows, WriteConfig),
    Merge(Rows, MergeConfig),
    Delete(Expr, DeleteConfig),
    /// The branch that a snapshot is applied to.
    Pick(String, Picked),
}

/// The rows of an operation.
pub(super) struct Rows {
    make: Option<Make>,
    /// Those that were made last, or were given.
    input: Option<Input>,
}

impl Rows {
    /// The rows for a table as it is then. Those of a stream that were kept are not made anew: it has ended.
    pub(super) fn made_for(&mut self, table: &LoadedTable) -> Result<&mut Input> {
        if let Some(make) = &self.make
            && !self.input.as_ref().is_some_and(Input::is_kept)
        {
            self.input = Some(make(table)?);
        }
        self.given()
    }

    /// The rows to compare with those of an earlier transaction, which need not be made anew.
    pub(super) fn of_replay(&mut self, table: &LoadedTable) -> Result<&mut Input> {
        if self.input.is_none() { self.made_for(table) } else { self.given() }
    }

    fn given(&mut self) -> Result<&mut Input> {
        self.input.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "an operation has no input"))
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.input.as_ref().is_some_and(Input::is_repeatable)
    }
}

/// Which snapshot is applied.
pub(super) enum Picked {
    Snapshot(i64),
    /// The staged one with this `wap.id`.
    Staged(String),
}

pub(super) fn given(rows: impl Into<Input>) -> Rows {
    Rows { make: None, input: Some(rows.into()) }
}

pub(super) fn made<I: Into<Input>>(rows: impl Fn(&LoadedTable) -> Result<I> + Send + Sync + 'static) -> Rows {
    Rows { make: Some(Box::new(move |table| rows(table).map(Into::into))), input: None }
}

impl Step {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Metadata(what, ..) | Self::Pinned(what, ..) => what,
            Self::Write(_, config) => config.mode.as_str(),
            Self::Merge(..) => "merge",
            Self::Delete(..) => "delete",
            Self::Pick(_, Picked::Snapshot(_)) => "cherry_pick",
            Self::Pick(_, Picked::Staged(_)) => "publish",
        }
    }

    /// The branch it writes to, and whether its snapshot is staged.
    pub(super) fn place(&self) -> Option<(&str, bool)> {
        match self {
            Self::Pick(branch, _) => Some((branch, false)),
            other => other.options().map(|options| (options.branch(), options.staged)),
        }
    }

    pub(super) fn options(&self) -> Option<&ChangeOptions> {
        match self {
            Self::Metadata(..) | Self::Pinned(..) | Self::Pick(..) => None,
            Self::Write(_, config) => Some(&config.options),
            Self::Merge(_, config) => Some(&config.options),
            Self::Delete(_, config) => Some(&config.options),
        }
    }

    pub(super) fn rows(&self) -> Option<&Rows> {
        match self {
            Self::Write(rows, _) | Self::Merge(rows, _) => Some(rows),
            _ => None,
        }
    }

    pub(super) fn rows_mut(&mut self) -> Option<&mut Rows> {
        match self {
            Self::Write(rows, _) | Self::Merge(rows, _) => Some(rows),
            _ => None,
        }
    }

    /// Whether it is run again by default; `None` if it does not read rows of the table.
    pub(super) fn reruns_by_default(&self) -> Option<bool> {
        match self {
            Self::Write(_, config) if config.mode == WriteMode::Append => None,
            Self::Write(_, config) => Some(reruns_by_default(config)),
            Self::Merge(..) | Self::Delete(..) => Some(true),
            Self::Metadata(..) | Self::Pinned(..) | Self::Pick(..) => None,
        }
    }

    pub(super) fn target(&self) -> Result<Value> {
        let target = match self {
            Self::Metadata(_, target, _) | Self::Pinned(_, target, _) => target.clone(),
            Self::Write(_, config) => json!(write_target(config)?),
            Self::Merge(_, config) => json!(config.spec()),
            Self::Delete(filter, _) => json!(filter.to_string()),
            Self::Pick(_, Picked::Snapshot(id)) => json!(id),
            Self::Pick(_, Picked::Staged(wap_id)) => json!(wap_id),
        };
        Ok(json!([self.name(), target, self.place()]))
    }

    pub(super) async fn run(
        &mut self,
        manager: &IcebergTableManager,
        pending: &mut Pending,
        builds: &mut Vec<Build>,
        digests: &mut Option<Vec<InputDigest>>,
        may_rerun: bool,
    ) -> Result<StepOutcome> {
        let operation = self.name();
        let env = &*manager.environment;
        if let Some(options) = self.options() {
            check_settings(pending.now().metadata(), &properties_of(options))?;
        }
        let (executed, options) = match self {
            Self::Metadata(_, _, build) | Self::Pinned(_, _, build) => {
                let updates = build(pending.now().metadata())?;
                let unchanged = updates.is_empty();
                if !unchanged {
                    pending.update(updates, env).await?;
                }
                builds.push(build.clone());
                return Ok(StepOutcome { operation, unchanged, write: None });
            }
            Self::Pick(branch, picked) => {
                let now = pending.now();
                let metadata = now.table.metadata.clone();
                let id = match picked {
                    Picked::Snapshot(id) => *id,
                    Picked::Staged(wap_id) => refs::staged(&metadata, wap_id)?.snapshot_id(),
                };
                let (updates, unchanged) = match refs::pick(now, branch, id).await? {
                    Pick::Commit(request) => {
                        pending.picked(*request, env).await?;
                        return Ok(StepOutcome { operation, unchanged: false, write: None });
                    }
                    Pick::Done(_) => (Vec::new(), true),
                    Pick::FastForward(updates) => (updates, false),
                };
                builds.push(Arc::new(refs::move_for_pick(metadata, branch, id, updates.clone())));
                if !unchanged {
                    pending.update(updates, env).await?;
                }
                return Ok(StepOutcome { operation, unchanged, write: None });
            }
            Self::Write(rows, config) => {
                let now = pending.now();
                let input = rows.made_for(&now.table)?;
                let data = manager.open(input, digests.is_some(), may_rerun)?;
                let executed = manager.execute_write(now, data, None, config, None).await?;
                read(input, digests);
                (executed, &config.options)
            }
            Self::Merge(rows, config) => {
                let now = pending.now();
                let input = rows.made_for(&now.table)?;
                let data = manager.open(input, digests.is_some(), may_rerun)?;
                let executed = manager.execute_merge(now, data, None, config).await?;
                read(input, digests);
                (executed, &config.options)
            }
            Self::Delete(filter, config) => {
                (manager.execute_delete(pending.now(), filter, config).await?, &config.options)
            }
        };
        let mut write = executed.outcome.clone();
        let unchanged = executed.change.is_empty();
        if !unchanged {
            let digests = digests.as_ref().filter(|digests| !digests.is_empty());
            let input = digests.map(|digests| InputDigest::join(digests));
            let request = CommitRequest { input, ..manager.request(executed, options) };
            pending.snapshot(request, env).await?;
            write.snapshot_id = pending.snapshot_ids().last().copied();
        }
        Ok(StepOutcome { operation, unchanged, write: Some(write) })
    }
}

/// Notes what an input was that has been read.
fn read(input: &Input, digests: &mut Option<Vec<InputDigest>>) {
    if let Some(digests) = digests {
        digests.extend(input.digest());
    }
}
