//! Configuration of a new table.

use std::collections::BTreeMap;

use floe_core::{Result, location, names, text};
use iceberg::spec::FormatVersion;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::{PartitionSpec, TableSchema};

/// A table to create (FR-012 to FR-015).
///
/// ```
/// use floe_iceberg::model::TableConfig;
///
/// let config: TableConfig = serde_json::from_str(
///     r#"{
///         "namespace": "sales",
///         "table_name": "orders",
///         "table_schema": {"fields": [{"field_id": 1, "name": "id", "field_type": "long", "required": true}]}
///     }"#,
/// )?;
/// config.validate()?;
/// assert_eq!(config.identifier(), "sales.orders");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// The namespace; parts of a nested one are separated by dots, and a part that holds a dot stands in double
    /// quotes: `web."v1.2"`.
    pub namespace: String,
    /// The name of the table, as it is. Recommended: `^[a-zA-Z][a-zA-Z0-9_]*$`, which needs no quotes in any engine.
    #[schemars(length(min = 1, max = 255))]
    pub table_name: String,
    /// The columns.
    pub table_schema: TableSchema,
    /// The partitioning; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_spec: Option<PartitionSpec>,
    /// Where the table is kept; below the warehouse when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Table properties. `format-version` (1, 2 or 3) chooses the format version, 2 when absent.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl TableConfig {
    /// A table with default location and no partitioning.
    pub fn new(
        namespace: impl Into<String>,
        table_name: impl Into<String>,
        table_schema: TableSchema,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            table_name: table_name.into(),
            table_schema,
            partition_spec: None,
            location: None,
            properties: BTreeMap::new(),
        }
    }

    /// `namespace.table_name`, with quotes where [`names::render_table`] has them.
    pub fn identifier(&self) -> String {
        match self.ident() {
            Ok(ident) => names::render_table(&ident),
            Err(_) => format!("{}.{}", self.namespace, self.table_name),
        }
    }

    /// Checks everything; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        if let Err(e) = self.namespace_ident() {
            faults.check(false, || format!("the namespace: {}", e.message()));
        }
        // What the namespace is called is not asked: it may be there under any name.
        let unfit = names::unfit_for_new(&self.table_name);
        faults.check(unfit.is_none(), || {
            format!("'{}' cannot name a table: {}", text::escape(&self.table_name), unfit.unwrap_or_default())
        });
        let version = self.format_version().unwrap_or(FormatVersion::V3);
        self.table_schema.find_faults(version, &mut faults);
        if let Some(spec) = &self.partition_spec {
            let schema = self.table_schema.to_iceberg().ok();
            spec.find_faults(&self.table_schema, schema.as_ref(), &mut faults);
        }
        faults.check(self.location.as_ref().is_none_or(|l| !l.trim().is_empty()), || {
            "location is empty".into()
        });
        let paths = PATHS.iter().filter_map(|key| self.properties.get(*key));
        for place in self.location.iter().chain(paths) {
            if let Err(e) = location::check_new(place) {
                faults.check(false, || e.message().to_owned());
            }
        }
        faults.check(self.format_version().is_some(), || "format-version must be 1, 2 or 3".into());
        for key in self.properties.keys().filter(|k| k.as_str() != FORMAT_VERSION) {
            let reserved = iceberg::spec::TableProperties::RESERVED_PROPERTIES.contains(&key.as_str());
            faults.check(!reserved, || format!("the property '{key}' is reserved"));
            if let Err(e) = names::check_seen("a property", key) {
                faults.add(e.message());
            }
        }
        faults.into_result("the table configuration").map_err(|e| e.with_table(self.identifier()))
    }

    /// Namespace and name, for calls that take an identifier.
    pub fn ident(&self) -> Result<TableIdent> {
        Ok(TableIdent::new(self.namespace_ident()?, self.table_name.clone()))
    }

    pub(crate) fn namespace_ident(&self) -> Result<NamespaceIdent> {
        names::parse_namespace(&self.namespace)
    }

    /// What the catalog is asked for; `defaults` are properties that this configuration does not set.
    pub(crate) fn to_creation(&self, defaults: &BTreeMap<String, String>) -> Result<TableCreation> {
        self.validate()?;
        let mut properties = defaults.clone();
        properties.extend(self.properties.clone());
        properties.remove(FORMAT_VERSION);
        Ok(TableCreation::builder()
            .name(self.table_name.clone())
            .location_opt(self.location.as_ref().map(|l| l.trim_end_matches('/').to_owned()))
            .schema(self.table_schema.to_iceberg()?)
            .partition_spec_opt(self.partition_spec.as_ref().map(PartitionSpec::to_iceberg).transpose()?)
            .properties(properties)
            .format_version(self.format_version().unwrap_or(FormatVersion::V2))
            .build())
    }

    fn format_version(&self) -> Option<FormatVersion> {
        match self.properties.get(FORMAT_VERSION).map(String::as_str) {
            None | Some("2") => Some(FormatVersion::V2),
            Some("1") => Some(FormatVersion::V1),
            Some("3") => Some(FormatVersion::V3),
            Some(_) => None,
        }
    }
}

const FORMAT_VERSION: &str = "format-version";
/// Properties that say where files of a table go.
const PATHS: &[&str] =
    &["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];

#[cfg(test)]
mod tests {
    use super::super::{FieldType, PartitionField, PartitionTransform, SchemaField};
    use super::*;

    fn config() -> TableConfig {
        let fields = vec![
            SchemaField::new(1, "id", FieldType::Long, true),
            SchemaField::new(2, "ts", FieldType::Timestamp, false),
        ];
        TableConfig::new("sales", "orders", TableSchema { fields })
    }

    fn partitioned(transform: PartitionTransform, source_field_id: i32, name: &str) -> TableConfig {
        let field = PartitionField {
            source_field_id,
            partition_field_id: 1000,
            name: name.into(),
            transform,
            num_buckets: None,
            width: None,
        };
        TableConfig { partition_spec: Some(PartitionSpec { fields: vec![field] }), ..config() }
    }

    #[test]
    fn a_plain_table_is_valid() {
        config().validate().unwrap();
        partitioned(PartitionTransform::Day, 2, "ts_day").validate().unwrap();
        partitioned(PartitionTransform::Identity, 1, "id").validate().unwrap();
    }

    #[test]
    fn faults_of_every_part_are_named_at_once() {
        let mut config = partitioned(PartitionTransform::Bucket, 9, "id");
        config.table_name = "x\ny".into();
        config.namespace = "a..b".into();
        config.properties.insert("format-version".into(), "4".into());
        config.properties.insert("uuid".into(), "x".into());
        let message = config.validate().unwrap_err().to_string();
        for fault in [
            "'x\\ny'",
            "'a..b'",
            "num_buckets",
            "field id 9",
            "name of a column",
            "format-version",
            "reserved",
        ] {
            assert!(message.contains(fault), "{fault}: {message}");
        }
    }

    #[test]
    fn names_of_others_are_taken() {
        for (namespace, name) in [("1st-stage", "t"), ("web.\"v1.2\"", "a-b"), ("größe", "2024.orders")] {
            let config = TableConfig { namespace: namespace.into(), table_name: name.into(), ..config() };
            config.validate().unwrap();
            assert_eq!(config.ident().unwrap().name(), name);
            let text = config.identifier();
            assert_eq!(floe_core::names::parse_table(&text).unwrap(), config.ident().unwrap(), "{text}");
        }
    }

    #[test]
    fn a_transform_must_suit_its_column() {
        let message = partitioned(PartitionTransform::Day, 1, "id_day").validate().unwrap_err().to_string();
        assert!(message.contains("does not work on long"), "{message}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<TableConfig>(r#"{"namespace":"a","name":"b"}"#).is_err());
    }
}
