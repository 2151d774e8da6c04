//! How a namespace looks in Glue: a database, as Iceberg's GlueCatalog for Java writes it.

use std::collections::HashMap;

use aws_sdk_glue::types::{Database, DatabaseInput};
use floe_core::Result;

use crate::input::incomplete;

/// The property that is the location of a database.
pub(crate) const LOCATION: &str = "location";
/// The property that is the description of a database.
const COMMENT: &str = "comment";
/// The kind of connection behind a database whose tables lie in S3 Tables.
const S3_TABLES: &str = "aws:s3tables";

/// The properties of a database.
pub(crate) fn properties(database: &Database) -> HashMap<String, String> {
    let mut properties = database.parameters.clone().unwrap_or_default();
    let fields = [(LOCATION, &database.location_uri), (COMMENT, &database.description)];
    for (key, value) in fields {
        if let Some(value) = value {
            properties.insert(key.to_owned(), value.clone());
        }
    }
    properties
}

/// A database with these properties; `before` is what Glue keeps now.
pub(crate) fn database_input(
    name: &str,
    mut properties: HashMap<String, String>,
    before: Option<&Database>,
) -> Result<DatabaseInput> {
    // UpdateDatabase replaces the whole database, so that what is not given is lost.
    DatabaseInput::builder()
        .name(name)
        .set_location_uri(properties.remove(LOCATION))
        .set_description(properties.remove(COMMENT))
        .set_parameters(Some(properties))
        .set_create_table_default_permissions(before.and_then(|d| d.create_table_default_permissions.clone()))
        .set_target_database(before.and_then(|d| d.target_database.clone()))
        .set_federated_database(before.and_then(|d| d.federated_database.clone()))
        .build()
        .map_err(incomplete)
}

/// Whether the tables of a database lie in S3 Tables, which places them itself.
pub(crate) fn is_s3_tables(database: &Database) -> bool {
    let federated = database.federated_database();
    federated.and_then(|of| of.connection_type()).is_some_and(|kind| kind.eq_ignore_ascii_case(S3_TABLES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_and_comment_are_fields_and_the_rest_parameters() {
        let given: HashMap<String, String> = [(LOCATION, "s3://lake/x"), (COMMENT, "ours"), ("owner", "ann")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let input = database_input("x", given.clone(), None).unwrap();
        assert_eq!((input.location_uri(), input.description()), (Some("s3://lake/x"), Some("ours")));
        assert_eq!(input.parameters().unwrap().len(), 1);
        let kept = Database::builder()
            .name("x")
            .set_location_uri(input.location_uri)
            .set_description(input.description)
            .set_parameters(input.parameters)
            .build()
            .unwrap();
        assert_eq!(properties(&kept), given);
    }
}
