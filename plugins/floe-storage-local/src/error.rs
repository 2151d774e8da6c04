//! Errors of the plugin.

use floe_core::Error;

/// Says which property an error of the configuration is about.
pub(crate) fn in_warehouse(error: Error) -> Error {
    error.context("property 'warehouse'").with_hint("give a path or a file: URI")
}
