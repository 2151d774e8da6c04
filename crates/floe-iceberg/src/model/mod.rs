//! The data model: configuration of tables, writes and the manager, and what operations answer.
//!
//! Every type is plain data with serde and JSON Schema; unknown fields are refused. `validate` functions
//! report all faults at once, before anything is written (FR-015, FR-045).

mod change_options;
mod delete;
mod faults;
mod identifier;
mod manager_config;
mod merge;
mod partition;
mod rerun;
mod schema;
mod snapshot_info;
mod table_config;
mod write;

pub use crate::commit::CommitStrategy;
pub use change_options::ChangeOptions;
pub use delete::DeleteConfig;
pub use identifier::{is_identifier, parse_identifier};
pub use manager_config::IcebergTableManagerConfig;
pub use merge::MergeConfig;
pub use partition::{PartitionField, PartitionSpec, PartitionTransform};
pub use rerun::RerunOptions;
pub use schema::{FieldType, SchemaField, TableSchema};
pub use snapshot_info::SnapshotInfo;
pub use table_config::TableConfig;
pub use write::{WriteConfig, WriteMode, WriteOutcome};
