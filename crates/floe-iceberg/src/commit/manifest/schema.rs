//! The Avro schemas of manifests (Iceberg spec, "Manifests" and "Appendix A: Format-specific Requirements").

use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{FormatVersion, PrimitiveType, StructType, Type};
use serde_json::{Value, json};

/// The schema of the entries of a manifest, as JSON.
pub(super) fn entries(version: FormatVersion, partition: &StructType) -> Result<String> {
    let mut fields = vec![required("status", 0, json!("int"))];
    if version == FormatVersion::V1 {
        fields.push(required("snapshot_id", 1, json!("long")));
    } else {
        fields.push(optional("snapshot_id", 1, json!("long")));
        fields.push(optional("sequence_number", 3, json!("long")));
        fields.push(optional("file_sequence_number", 4, json!("long")));
    }
    fields.push(required("data_file", 2, record("r2", data_file(version, partition)?)));
    Ok(record("manifest_entry", fields).to_string())
}

fn data_file(version: FormatVersion, partition: &StructType) -> Result<Vec<Value>> {
    let mut fields = Vec::with_capacity(20);
    if version != FormatVersion::V1 {
        fields.push(required("content", 134, json!("int")));
    }
    fields.push(required("file_path", 100, json!("string")));
    fields.push(required("file_format", 101, json!("string")));
    fields.push(required("partition", 102, record("r102", partition_fields(partition)?)));
    fields.push(required("record_count", 103, json!("long")));
    fields.push(required("file_size_in_bytes", 104, json!("long")));
    if version == FormatVersion::V1 {
        fields.push(required("block_size_in_bytes", 105, json!("long")));
    }
    fields.push(optional("column_sizes", 108, map(117, "long")));
    fields.push(optional("value_counts", 109, map(119, "long")));
    fields.push(optional("null_value_counts", 110, map(121, "long")));
    fields.push(optional("nan_value_counts", 137, map(138, "long")));
    fields.push(optional("lower_bounds", 125, map(126, "bytes")));
    fields.push(optional("upper_bounds", 128, map(129, "bytes")));
    fields.push(optional("key_metadata", 131, json!("bytes")));
    fields.push(optional("split_offsets", 132, list(133, "long")));
    if version != FormatVersion::V1 {
        fields.push(optional("equality_ids", 135, list(136, "int")));
    }
    fields.push(optional("sort_order_id", 140, json!("int")));
    if version == FormatVersion::V3 {
        fields.push(optional("first_row_id", 142, json!("long")));
    }
    if version != FormatVersion::V1 {
        fields.push(optional("referenced_data_file", 143, json!("string")));
    }
    if version == FormatVersion::V3 {
        fields.push(optional("content_offset", 144, json!("long")));
        fields.push(optional("content_size_in_bytes", 145, json!("long")));
    }
    Ok(fields)
}

/// Partition fields are optional in every version: transforms of NULL are NULL.
fn partition_fields(partition: &StructType) -> Result<Vec<Value>> {
    let mut names: Vec<String> = Vec::new();
    let fields = partition.fields().iter().map(|field| {
        let Type::Primitive(kind) = &*field.field_type else {
            return Err(Error::new(ErrorKind::Internal, "a partition value is not primitive"));
        };
        let mut avro = primitive(kind)?;
        // A named type may be defined once.
        if let Some(name) = avro.get("name").and_then(Value::as_str).map(str::to_owned) {
            if names.contains(&name) {
                avro["name"] = format!("{name}_{}", field.id).into();
            }
            names.push(name);
        }
        let name = avro_name(&field.name);
        let mut made = optional(&name, field.id, avro);
        if name != field.name {
            made["iceberg-field-name"] = field.name.clone().into();
        }
        Ok(made)
    });
    fields.collect()
}

/// Iceberg spec, appendix A, "Avro".
fn primitive(kind: &PrimitiveType) -> Result<Value> {
    let time =
        |logical: &str, utc: bool| json!({"type": "long", "logicalType": logical, "adjust-to-utc": utc});
    Ok(match kind {
        PrimitiveType::Boolean => json!("boolean"),
        PrimitiveType::Int => json!("int"),
        PrimitiveType::Long => json!("long"),
        PrimitiveType::Float => json!("float"),
        PrimitiveType::Double => json!("double"),
        PrimitiveType::String => json!("string"),
        PrimitiveType::Binary => json!("bytes"),
        PrimitiveType::Date => json!({"type": "int", "logicalType": "date"}),
        PrimitiveType::Time => json!({"type": "long", "logicalType": "time-micros"}),
        PrimitiveType::Timestamp => time("timestamp-micros", false),
        PrimitiveType::Timestamptz => time("timestamp-micros", true),
        PrimitiveType::TimestampNs => time("timestamp-nanos", false),
        PrimitiveType::TimestamptzNs => time("timestamp-nanos", true),
        PrimitiveType::Uuid => json!({
            "type": "fixed", "name": "uuid_fixed", "size": 16, "logicalType": "uuid",
        }),
        PrimitiveType::Fixed(size) => json!({"type": "fixed", "name": format!("fixed_{size}"), "size": size}),
        PrimitiveType::Decimal { precision, scale } => json!({
            "type": "fixed",
            "name": format!("decimal_{precision}_{scale}"),
            "size": Type::decimal_required_bytes(*precision)?,
            "logicalType": "decimal",
            "precision": precision,
            "scale": scale,
        }),
    })
}

/// Avro takes letters, digits and underscores in names; other characters are written as their code, as other
/// writers of Iceberg do.
fn avro_name(name: &str) -> String {
    let mut made = String::with_capacity(name.len());
    for (index, letter) in name.chars().enumerate() {
        match letter {
            '_' | 'a'..='z' | 'A'..='Z' => made.push(letter),
            '0'..='9' if index > 0 => made.push(letter),
            '0'..='9' => made.extend(['_', letter]),
            _ => made.extend(["_x", &format!("{:X}", u32::from(letter))]),
        }
    }
    made
}

fn required(name: &str, id: i32, kind: Value) -> Value {
    json!({"name": name, "type": kind, "field-id": id})
}

fn optional(name: &str, id: i32, kind: Value) -> Value {
    json!({"name": name, "type": ["null", kind], "default": null, "field-id": id})
}

fn record(name: &str, fields: Vec<Value>) -> Value {
    json!({"type": "record", "name": name, "fields": fields})
}

fn list(element_id: i32, items: &str) -> Value {
    json!({"type": "array", "items": items, "element-id": element_id})
}

/// A map whose keys are no strings is an array of records.
fn map(key_id: i32, value: &str) -> Value {
    let value_id = key_id + 1;
    let item = record(
        &format!("k{key_id}_v{value_id}"),
        vec![required("key", key_id, json!("int")), required("value", value_id, json!(value))],
    );
    json!({"type": "array", "items": item, "logicalType": "map"})
}

#[cfg(test)]
mod tests {
    use iceberg::spec::NestedField;

    use super::*;

    #[test]
    fn names_that_avro_cannot_take_are_written_as_codes_and_kept_beside() {
        assert_eq!(avro_name("a_1"), "a_1");
        assert_eq!(avro_name("1 b.ä"), "_1_x20b_x2E_xE4");
        let field = NestedField::optional(1000, "my day", Type::Primitive(PrimitiveType::Date));
        let schema = entries(FormatVersion::V2, &StructType::new(vec![field.into()])).unwrap();
        assert!(schema.contains(r#""iceberg-field-name":"my day""#), "{schema}");
        assert!(schema.contains(r#""name":"my_x20day""#), "{schema}");
    }

    #[test]
    fn no_name_is_defined_twice() {
        let field =
            |id| NestedField::optional(id, format!("p{id}"), Type::Primitive(PrimitiveType::Uuid)).into();
        let of = StructType::new(vec![field(1000), field(1001), field(1002)]);
        let schema = entries(FormatVersion::V2, &of).unwrap();
        for name in ["uuid_fixed", "uuid_fixed_1001", "uuid_fixed_1002"] {
            assert_eq!(schema.matches(&format!(r#""name":"{name}""#)).count(), 1, "{name}");
        }
    }
}
