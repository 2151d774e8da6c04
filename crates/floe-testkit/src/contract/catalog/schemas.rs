//! Which schemas a catalog takes.

use floe_core::ErrorKind;
use iceberg::spec::{
    FormatVersion, ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};
use iceberg::{TableCreation, TableRequirement, TableUpdate};

use super::{CatalogUnderTest, HashMap, assert_kind, creation, namespace, property};

/// A schema that no table can have is refused for a new table and as a new schema of one, wherever the type stands, and
/// leaves everything as it was. For catalogs that write metadata themselves.
pub async fn schemas_that_no_table_can_have_are_refused(catalog: &CatalogUnderTest) {
    if catalog.client.capabilities().server_side_metadata {
        return;
    }
    let space = namespace(&["types"]);
    catalog.client.create_namespace(&space, HashMap::new()).await.unwrap();
    let new = |name: &str| TableCreation { format_version: FormatVersion::V2, ..creation(name) };
    let made = catalog.client.create_table(&space, new("sound")).await.unwrap();
    for bad in impossible() {
        for column in places(&bad) {
            let mut fields = made.metadata.current_schema().as_struct().fields().to_vec();
            fields.push(column);
            let schema = Schema::builder().with_fields(fields).with_schema_id(1).build().unwrap();
            let bad = TableCreation { schema: schema.clone(), ..new("bad") };
            assert_kind(catalog.client.create_table(&space, bad).await, ErrorKind::Validation);
            let updates =
                [TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }];
            assert_kind(catalog.client.commit(&made.ident, &[], &updates).await, ErrorKind::Validation);
        }
    }
    assert_eq!(catalog.second.list_tables(&space).await.unwrap(), std::slice::from_ref(&made.ident));
    let now = catalog.second.load_table(&made.ident).await.unwrap();
    assert_eq!((&now.metadata_location, &now.metadata), (&made.metadata_location, &made.metadata));
    let still = TableRequirement::UuidMatch { uuid: made.metadata.uuid() };
    super::committed(catalog.client.commit(&made.ident, &[still], &[property("a", "b")]).await);
}

/// Types that are in no table of format version 2.
fn impossible() -> Vec<Type> {
    let decimal = |precision, scale| PrimitiveType::Decimal { precision, scale };
    let mut all: Vec<Type> = [
        decimal(40, 2),
        decimal(0, 0),
        decimal(5, 6),
        PrimitiveType::Fixed(0),
        PrimitiveType::Fixed(1 << 31),
        PrimitiveType::TimestampNs,
        PrimitiveType::TimestamptzNs,
    ]
    .map(Type::Primitive)
    .into();
    all.push(Type::Struct(StructType::new(Vec::new())));
    all
}

/// Columns of a type, alone and within others.
fn places(of: &Type) -> Vec<NestedFieldRef> {
    let inner = Type::Struct(StructType::new(vec![NestedField::optional(91, "x", of.clone()).into()]));
    let list = Type::List(ListType::new(NestedField::list_element(92, of.clone(), false).into()));
    let key = NestedField::map_key_element(93, Type::Primitive(PrimitiveType::String));
    let map =
        Type::Map(MapType::new(key.into(), NestedField::map_value_element(94, of.clone(), false).into()));
    [of.clone(), inner, list, map].map(|ty| NestedField::optional(90, "bad", ty).into()).into()
}
