//! Operations on a table, as values.

use floe_core::Result;
use floe_plan::expr::Expr;
use iceberg::TableIdent;

use super::lake::rows;
use crate::IcebergTableManager;
use crate::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode, WriteOutcome};

/// What a manager does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Append(i64, &'static str),
    Upsert(i64, &'static str),
    Delete(&'static str),
    Overwrite(&'static str, i64, &'static str),
    Dynamic(i64, &'static str),
}

impl Act {
    pub(super) async fn run(
        self,
        manager: &IcebergTableManager,
        table: &TableIdent,
        options: ChangeOptions,
    ) -> Result<WriteOutcome> {
        let (config, row) = match self {
            Self::Delete(filter) => {
                let filter = Expr::parse(filter).unwrap();
                return manager.delete_data(table, &filter, &DeleteConfig { options }).await;
            }
            Self::Append(id, part) => (WriteConfig::default(), (id, part)),
            Self::Upsert(id, part) => {
                let join_columns = vec!["id".into()];
                (WriteConfig { mode: WriteMode::Upsert, join_columns, ..WriteConfig::default() }, (id, part))
            }
            Self::Overwrite(filter, id, part) => {
                let overwrite_filter = Some(filter.into());
                (
                    WriteConfig { mode: WriteMode::Overwrite, overwrite_filter, ..WriteConfig::default() },
                    (id, part),
                )
            }
            Self::Dynamic(id, part) => {
                let config = WriteConfig {
                    mode: WriteMode::Overwrite,
                    overwrite_partitions: true,
                    ..WriteConfig::default()
                };
                (config, (id, part))
            }
        };
        let data = rows(&[(row.0, row.1, 99)]);
        manager.write_data(table, data, &WriteConfig { options, ..config }).await
    }
}
