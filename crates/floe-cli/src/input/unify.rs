//! Inputs of different schemas as one stream.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};

use super::csv::unknown_column;
use super::stream::Adapt;
use super::{ReadOptions, Source};

/// One schema for inputs of `schemas`, each with its label: the columns of the table that any of them has, in
/// the order of the table. Inputs that are all alike keep the schema they have.
///
/// Fails with `SchemaMismatch` for a column that the table does not have, one that is required and missing, and
/// a type that does not fit.
pub(crate) fn unify(schemas: &[(&str, SchemaRef)], table: &Schema) -> Result<SchemaRef> {
    for (label, schema) in schemas {
        if let Some(field) = schema.fields().iter().find(|f| table.field_with_name(f.name()).is_err()) {
            return Err(unknown_column(label, field.name()));
        }
        for field in table.fields() {
            match schema.field_with_name(field.name()) {
                Err(_) if !field.is_nullable() => {
                    return Err(Error::new(
                        ErrorKind::SchemaMismatch,
                        format!("{label}: the required column '{}' is missing", field.name()),
                    ));
                }
                _ => {}
            }
        }
    }
    let Some((_, first)) = schemas.first() else { return Ok(Arc::new(Schema::empty())) };
    if schemas.iter().all(|(_, schema)| schema == first) {
        return Ok(first.clone());
    }
    let mut fields = Vec::new();
    for column in table.fields() {
        let mut having = schemas
            .iter()
            .filter_map(|(label, schema)| Some((label, schema.field_with_name(column.name()).ok()?)))
            .peekable();
        if having.peek().is_none() {
            continue;
        }
        for (label, field) in having {
            if !widens(field.data_type(), column.data_type()) {
                return Err(Error::new(
                    ErrorKind::SchemaMismatch,
                    format!(
                        "{label}: column '{}' is {}, the table's is {}",
                        column.name(),
                        crate::render::arrow_type(field.data_type()),
                        crate::render::arrow_type(column.data_type())
                    ),
                ));
            }
        }
        fields.push(Field::new(column.name(), column.data_type().clone(), true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns that any input has: with the types of the table where it has them, else as they are in the inputs. None is
/// required.
///
/// Fails with `SchemaMismatch` when inputs have a column that the table lacks with types that do not go together.
pub(crate) fn with_others(sources: &[Source], table: &Schema, options: &ReadOptions) -> Result<Schema> {
    let mut fields: Vec<Field> = Vec::new();
    for source in sources {
        for found in source.infer_schema(options)?.fields() {
            let name = found.name();
            let ty = match table.field_with_name(name) {
                Ok(known) => known.data_type().clone(),
                Err(_) => found.data_type().clone(),
            };
            match fields.iter_mut().find(|field| field.name() == name) {
                None => fields.push(Field::new(name, ty, true)),
                Some(field) if widens(&ty, field.data_type()) => {}
                Some(field) if widens(field.data_type(), &ty) => field.set_data_type(ty),
                Some(field) => {
                    return Err(Error::new(
                        ErrorKind::SchemaMismatch,
                        format!(
                            "{}: column '{name}' is {}, in another input it is {}",
                            source.label(),
                            crate::render::arrow_type(&ty),
                            crate::render::arrow_type(field.data_type())
                        ),
                    ));
                }
            }
        }
    }
    Ok(Schema::new(fields))
}

/// Turns batches of `from` into batches of `to`, which [`unify`] gave.
pub(crate) fn adapter(label: String, from: &SchemaRef, to: &SchemaRef) -> Adapt {
    if from == to {
        return Box::new(Ok);
    }
    let to = to.clone();
    Box::new(move |batch| {
        let columns = to.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => {
                let options = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(column, field.data_type(), &options).map_err(|_| {
                    Error::new(
                        ErrorKind::SchemaMismatch,
                        format!("{label}: column '{}' has values that do not fit the table", field.name()),
                    )
                })
            }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(to.clone(), columns.collect::<Result<_>>()?, &options)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("{label}: {e}")))
    })
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
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, Int32Array};

    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
    }

    fn table() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("x", DataType::Float64, true),
        ])
    }

    #[test]
    fn columns_of_all_inputs_come_together_in_the_order_of_the_table() {
        let a = schema(&[("name", DataType::Utf8), ("id", DataType::Int64)]);
        let b = schema(&[("id", DataType::Int32)]);
        let one = unify(&[("a", a), ("b", b.clone())], &table()).unwrap();
        let names: Vec<_> = one.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["id", "name"]);
        let batch = RecordBatch::try_new(b.clone(), vec![Arc::new(Int32Array::from(vec![7]))]).unwrap();
        let adapted = adapter("b".into(), &b, &one)(batch).unwrap();
        assert_eq!(adapted.column(0).as_primitive::<Int64Type>().value(0), 7);
        assert!(adapted.column(1).is_null(0));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_file() {
        let good = schema(&[("id", DataType::Int64)]);
        for (bad, fault) in [
            (schema(&[("id", DataType::Int64), ("nom", DataType::Utf8)]), "'nom'"),
            (schema(&[("name", DataType::Utf8)]), "'id' is missing"),
            (schema(&[("id", DataType::Utf8)]), "'id' is string, the table's is long"),
        ] {
            let error = unify(&[("a", good.clone()), ("b.csv", bad)], &table()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
            assert!(error.to_string().contains(fault) && error.to_string().contains("b.csv"), "{error}");
        }
    }
}
