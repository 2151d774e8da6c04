//! `floe plugins`.

use floe::{PluginKind, Registry, Result};
use serde_json::json;

use crate::output::plain_table;
use crate::ui::{Report, Ui};

/// Shows the plugins that are linked into this binary.
pub(super) fn run(command: &str, ui: &Ui) -> Result<()> {
    let plugins = Registry::linked().descriptors();
    let mut table = plain_table(&["KIND", "NAME", "SCHEMES", "VERSION", "SUMMARY"], ui.layout());
    let mut list = Vec::new();
    for plugin in &plugins {
        let kind = match plugin.kind {
            PluginKind::Catalog => "catalog",
            PluginKind::Storage => "storage",
        };
        table.add_row([kind, plugin.name, &plugin.schemes.join(", "), plugin.version, plugin.summary]);
        list.push(json!({
            "kind": kind,
            "name": plugin.name,
            "schemes": plugin.schemes,
            "version": plugin.version,
            "summary": plugin.summary,
            "config_schema": plugin.config_schema,
        }));
    }
    ui.print(&Report::new(command).with("plugins", list).lines(table.trim_fmt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_plugins_are_linked() {
        let registry = Registry::linked();
        assert!(registry.catalog("local").is_ok(), "{registry:?}");
        assert!(registry.storage("local").is_ok(), "{registry:?}");
        assert!(registry.storage_for_uri("file:///x").is_ok(), "{registry:?}");
    }
}
