//! Inputs of different schemas as one stream.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use floe::plan::schema_match::{apply_from, infer, match_schema_with};
use floe::{Error, ErrorKind, Result};
use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, Schema, StructType, Type};

use super::csv::unknown_column;
use super::stream::Adapt;
use super::{Absent, ReadOptions, Source, Target};

/// One schema for inputs of `schemas`, each with its label: the columns of the target that any of them has, in its order.
///
/// Fails with `SchemaMismatch` for a column that the target does not have, and one that is missing where it is required, or
/// where rows that lack it cannot take the place of others.
pub(crate) fn unify(schemas: &[(&str, SchemaRef)], target: &Target) -> Result<Schema> {
    for (label, schema) in schemas {
        if let Some(field) = schema.fields().iter().find(|f| target.arrow.field_with_name(f.name()).is_err())
        {
            return Err(unknown_column(label, field.name()));
        }
    }
    let has = |schema: &SchemaRef, field: &NestedField| schema.field_with_name(&field.name).is_ok();
    let mut fields: Vec<NestedFieldRef> = Vec::new();
    for field in target.schema.as_struct().fields() {
        let any = schemas.iter().any(|(_, schema)| has(schema, field));
        let lacking = schemas.iter().find(|(_, schema)| !has(schema, field));
        let mismatch = |what| Err(Error::new(ErrorKind::SchemaMismatch, what));
        match (target.absent, lacking) {
            (Absent::Default, Some((label, _))) if field.required && field.write_default.is_none() => {
                return mismatch(format!("{label}: the required column '{}' is missing", field.name));
            }
            (Absent::Refused, Some((label, _))) if any => {
                let what = format!("{label}: column '{}' is missing, and other inputs have it", field.name);
                return mismatch(what).map_err(|e| e.with_hint("upsert inputs with other columns apart"));
            }
            _ => {}
        }
        if any {
            fields.push(field.clone());
        }
    }
    Ok(Schema::builder().with_schema_id(target.schema.schema_id()).with_fields(fields).build()?)
}

/// The columns of a source that need not be those of the table: with the types of the table where it has them, else as they
/// are in the inputs. None is required, none has a default.
///
/// Fails with `SchemaMismatch` when inputs have a column that the table lacks with types that do not go together.
pub(crate) fn with_others(sources: &[Source], table: &Schema, options: &ReadOptions) -> Result<Target> {
    let mut seen = BTreeSet::new();
    let mut others: Vec<Field> = Vec::new();
    let mut order = Vec::new();
    for source in sources {
        for (position, found) in source.infer_schema(options)?.fields().iter().enumerate() {
            let (name, ty) = (found.name(), found.data_type().clone());
            if seen.insert(name.clone()) {
                order.push(name.clone());
            }
            if table.as_struct().fields().iter().any(|field| field.name == *name) {
                continue;
            }
            match others.iter_mut().find(|field| field.name() == name) {
                None => others.push(Field::new(name, ty, true)),
                Some(field) if widens(&ty, field.data_type()) => {}
                Some(field) if widens(field.data_type(), &ty) => field.set_data_type(ty),
                Some(field) => {
                    return Err(Error::new(
                        ErrorKind::SchemaMismatch,
                        format!(
                            "{}: column {} is {}, in another input a column of that name is {}",
                            source.label(),
                            position + 1,
                            crate::render::arrow_type(&ty),
                            crate::render::arrow_type(field.data_type())
                        ),
                    ));
                }
            }
        }
    }
    let others = infer(&ArrowSchema::new(others))?;
    let fields = order.iter().filter_map(|name| {
        let of =
            |schema: &Schema| schema.as_struct().fields().iter().find(|field| field.name == *name).cloned();
        match of(table) {
            Some(field) => {
                let field = NestedField::clone(&field);
                Some(Arc::new(NestedField { required: false, write_default: None, ..field }))
            }
            None => of(&others).map(|field| moved(&field, table.highest_field_id())),
        }
    });
    Target::new(Schema::builder().with_fields(fields).build()?, Absent::Null)
}

/// A field whose ids are not those of the table.
fn moved(field: &NestedField, by: i32) -> NestedFieldRef {
    let ty = match &*field.field_type {
        Type::Primitive(_) => (*field.field_type).clone(),
        Type::Struct(ty) => {
            Type::Struct(StructType::new(ty.fields().iter().map(|field| moved(field, by)).collect()))
        }
        Type::List(ty) => Type::List(ListType { element_field: moved(&ty.element_field, by) }),
        Type::Map(ty) => Type::Map(MapType {
            key_field: moved(&ty.key_field, by),
            value_field: moved(&ty.value_field, by),
        }),
    };
    Arc::new(NestedField { id: field.id + by, field_type: Box::new(ty), ..field.clone() })
}

/// Turns batches of `from` into batches of `to`, which [`unify`] gave, and the schema of these. Columns that are missing
/// have their write default, else NULL. Errors name the input, the column and the row.
pub(crate) fn adapter(
    label: String,
    from: &SchemaRef,
    to: &Schema,
    options: &ReadOptions,
) -> Result<(Adapt, SchemaRef)> {
    let mapping = match_schema_with(from, to, &options.convert).map_err(|e| e.context(&label))?;
    let schema = mapping.target.clone();
    let rows = AtomicU64::new(0);
    let adapt: Adapt = Box::new(move |batch| {
        let before = rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        apply_from(&mapping, &batch, before).map_err(|e| e.context(&label))
    });
    Ok((adapt, schema))
}

/// Whether every value of `from` is one of `to` (Iceberg spec, "Schema Evolution": type promotion).
fn widens(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Int32, DataType::Int64) | (DataType::Float32, DataType::Float64) => true,
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) => s == t && p <= q,
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.name() == b.name() && widens(a.data_type(), b.data_type()))
        }
        (DataType::List(a), DataType::List(b)) => widens(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => match (a.data_type(), b.data_type()) {
            (DataType::Struct(a), DataType::Struct(b)) => {
                a.len() == 2 && a.iter().zip(b).all(|(a, b)| widens(a.data_type(), b.data_type()))
            }
            _ => false,
        },
        _ => from == to,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use arrow_array::{Array, Int32Array, RecordBatch};
    use iceberg::spec::{Literal, PrimitiveType};

    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        let fields = fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true));
        Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
    }

    fn target(absent: Absent) -> Target {
        let field = |id, name: &str, ty| NestedField::optional(id, name, Type::Primitive(ty));
        let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long));
        let x = field(3, "x", PrimitiveType::Double).with_write_default(Literal::double(0.5));
        let fields = [id, field(2, "name", PrimitiveType::String), x].map(Arc::new);
        Target::new(Schema::builder().with_fields(fields).build().unwrap(), absent).unwrap()
    }

    #[test]
    fn columns_of_all_inputs_come_together_in_the_order_of_the_table() {
        let a = schema(&[("x", DataType::Float64), ("name", DataType::Utf8), ("id", DataType::Int64)]);
        let b = schema(&[("id", DataType::Int32)]);
        let one = unify(&[("a", a), ("b", b.clone())], &target(Absent::Default)).unwrap();
        let batch = RecordBatch::try_new(b.clone(), vec![Arc::new(Int32Array::from(vec![7]))]).unwrap();
        let (adapt, to) = adapter("b".into(), &b, &one, &ReadOptions::default()).unwrap();
        let names: Vec<_> = to.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["id", "name", "x"]);
        let adapted = adapt(batch).unwrap();
        assert_eq!(adapted.column(0).as_primitive::<Int64Type>().value(0), 7);
        assert!(adapted.column(1).is_null(0));
        assert_eq!(adapted.column(2).as_primitive::<Float64Type>().value(0), 0.5, "the write default");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_file() {
        let good = schema(&[("id", DataType::Int64)]);
        let target = target(Absent::Default);
        for (bad, fault) in [
            (schema(&[("id", DataType::Int64), ("nom", DataType::Utf8)]), "'nom'"),
            (schema(&[("name", DataType::Utf8)]), "'id' is missing"),
            (schema(&[("id", DataType::Utf8)]), "id: Utf8 does not fit long"),
        ] {
            let error = unify(&[("a", good.clone()), ("b.csv", bad.clone())], &target)
                .and_then(|one| adapter("b.csv".into(), &bad, &one, &ReadOptions::default()).map(|_| ()))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
            assert!(error.to_string().contains(fault) && error.to_string().contains("b.csv"), "{error}");
        }
    }

    #[test]
    fn rows_that_replace_others_have_the_same_columns_in_all_inputs() {
        let (a, b) = (
            schema(&[("id", DataType::Int64), ("name", DataType::Utf8)]),
            schema(&[("id", DataType::Int64)]),
        );
        let target = target(Absent::Refused);
        let error = unify(&[("a.csv", a), ("b.csv", b.clone())], &target).unwrap_err();
        assert!(error.to_string().contains("b.csv: column 'name' is missing"), "{error}");
        let alone = unify(&[("b.csv", b)], &target).unwrap();
        assert_eq!(alone.as_struct().fields().len(), 1);
    }
}
