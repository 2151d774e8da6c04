//! Partition specs as configuration (FR-013, FR-033).

use std::collections::HashSet;

use floe_core::names::check_seen;
use floe_core::{Error, Result};
use iceberg::spec::{Schema, Transform, UnboundPartitionField, UnboundPartitionSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TableSchema;
use super::faults::Faults;

/// How the rows of a table are laid out by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionSpec {
    /// The partition fields, in order; none means unpartitioned.
    pub fields: Vec<PartitionField>,
}

/// One partition field: a transform of a source column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionField {
    /// Field id of the source column, as in the schema of the same configuration.
    #[schemars(range(min = 1))]
    pub source_field_id: i32,
    /// Id of the partition field, 1000 or above, unique.
    #[schemars(range(min = 1000))]
    pub partition_field_id: i32,
    /// Name, unique; must not be the name of another column.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The transform.
    pub transform: PartitionTransform,
    /// Number of buckets; `bucket` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub num_buckets: Option<u32>,
    /// Width; `truncate` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub width: Option<u32>,
}

/// Partition transforms (Iceberg spec, "Partition Transforms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionTransform {
    /// The value itself.
    Identity,
    /// Years since 1970.
    Year,
    /// Months since 1970-01.
    Month,
    /// Days since 1970-01-01.
    Day,
    /// Hours since 1970-01-01T00.
    Hour,
    /// Hash modulo `num_buckets`.
    Bucket,
    /// Truncated to `width`.
    Truncate,
}

impl PartitionField {
    /// The Iceberg transform. Fails with `Validation` when a parameter is missing.
    pub fn to_transform(&self) -> Result<Transform> {
        let missing = |what: &str| Error::validation(format!("partition field '{}': {what}", self.name));
        Ok(match self.transform {
            PartitionTransform::Identity => Transform::Identity,
            PartitionTransform::Year => Transform::Year,
            PartitionTransform::Month => Transform::Month,
            PartitionTransform::Day => Transform::Day,
            PartitionTransform::Hour => Transform::Hour,
            PartitionTransform::Bucket => {
                Transform::Bucket(self.num_buckets.ok_or_else(|| missing("bucket needs num_buckets"))?)
            }
            PartitionTransform::Truncate => {
                Transform::Truncate(self.width.ok_or_else(|| missing("truncate needs a width"))?)
            }
        })
    }
}

impl PartitionSpec {
    /// The Iceberg spec, unbound. Fails with `Validation` when a parameter is missing.
    pub fn to_iceberg(&self) -> Result<UnboundPartitionSpec> {
        let fields = self.fields.iter().map(|field| {
            Ok(UnboundPartitionField {
                source_id: field.source_field_id,
                field_id: Some(field.partition_field_id),
                name: field.name.clone(),
                transform: field.to_transform()?,
            })
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        Ok(UnboundPartitionSpec::builder().with_spec_id(0).add_partition_fields(fields)?.build())
    }

    pub(super) fn find_faults(&self, schema: &TableSchema, iceberg: Option<&Schema>, faults: &mut Faults) {
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for field in &self.fields {
            let name = &field.name;
            faults.check((1..=255).contains(&name.chars().count()), || {
                format!("the name of partition field '{name}' must have 1 to 255 characters")
            });
            if let Err(e) = check_seen("a partition field", name) {
                faults.add(e.message());
            }
            faults.check(names.insert(name), || format!("two partition fields are called '{name}'"));
            faults.check(field.partition_field_id >= 1000, || {
                format!("partition field '{name}': partition_field_id must be 1000 or above")
            });
            faults.check(ids.insert(field.partition_field_id), || {
                format!("partition field '{name}': id {} is used twice", field.partition_field_id)
            });
            let column = schema.fields.iter().find(|f| &f.name == name);
            let own = |id| field.transform == PartitionTransform::Identity && id == field.source_field_id;
            faults.check(column.is_none_or(|c| own(c.field_id)), || {
                format!("partition field '{name}' has the name of a column")
            });
            let is_bucket = field.transform == PartitionTransform::Bucket;
            let is_truncate = field.transform == PartitionTransform::Truncate;
            faults.check(is_bucket == field.num_buckets.is_some_and(|n| n > 0), || {
                let what =
                    if is_bucket { "bucket needs num_buckets" } else { "num_buckets is for bucket only" };
                format!("partition field '{name}': {what}")
            });
            faults.check(is_truncate == field.width.is_some_and(|n| n > 0), || {
                let what = if is_truncate { "truncate needs a width" } else { "width is for truncate only" };
                format!("partition field '{name}': {what}")
            });
            let Some(iceberg) = iceberg else { continue };
            match (iceberg.field_by_id(field.source_field_id), field.to_transform()) {
                (None, _) => faults.add(format!(
                    "partition field '{name}': no column has the field id {}",
                    field.source_field_id
                )),
                (Some(source), Ok(transform)) => {
                    faults.check(transform.result_type(&source.field_type).is_ok(), || {
                        format!(
                            "partition field '{name}': {transform} does not work on {}",
                            source.field_type
                        )
                    });
                }
                (Some(_), Err(_)) => {}
            }
        }
    }
}
