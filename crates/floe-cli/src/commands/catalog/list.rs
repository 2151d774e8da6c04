//! `floe catalog list`.

use floe::config::{TYPE, WAREHOUSE};
use floe::{Properties, Result};
use serde_json::json;

use super::shown::without_credentials;
use crate::args::GlobalArgs;
use crate::configuration::{Configuration, Origin};
use crate::output::plain_table;
use crate::ui::{Report, Ui};
use crate::warehouse::environment;

/// Properties whose values are shown: of all others only the names are, since any may be a secret.
const SHOWN: &[&str] = &[TYPE, WAREHOUSE, "uri", "storage"];

/// Shows the configured catalogs.
pub(in super::super) fn list(command: &str, global: &GlobalArgs, ui: &Ui) -> Result<()> {
    let env = environment();
    let all = Configuration::load(&env, &std::env::current_dir()?, global.config(&env).as_deref())?;
    let default = all.config.catalog(None).ok().map(|(name, _)| name.to_owned());
    let mut table =
        plain_table(&["NAME", "TYPE", "WAREHOUSE", "URI", "OTHER PROPERTIES", "FROM"], ui.layout());
    let mut entries = Vec::new();
    for (name, properties) in &all.config.catalogs {
        let is_default = default.as_ref() == Some(name);
        let shown = |key: &str| properties.get(key).map(without_credentials).unwrap_or_default();
        let others: Vec<&str> = properties.keys().filter(|key| !SHOWN.contains(key)).collect();
        let origins: Vec<String> = all.origins_of(name).iter().map(Origin::to_string).collect();
        let marked = if is_default { format!("{name} (default)") } else { name.clone() };
        table.add_row([
            marked,
            shown(TYPE),
            shown(WAREHOUSE),
            shown("uri"),
            others.join(", "),
            origins.join(", "),
        ]);
        entries.push(json!({
            "name": name,
            "default": is_default,
            "properties": visible(properties),
            "other_properties": others,
            "ignored_properties": all.ignored.get(name).cloned().unwrap_or_default(),
            "from": origins,
        }));
    }
    let text = if entries.is_empty() {
        "No catalog is configured: tables live in ./warehouse.\nName catalogs in floe.toml:\n\n  \
         [catalogs.lake]\n  type = \"local\"\n  warehouse = \"/data/lake\""
            .to_owned()
    } else {
        table.trim_fmt()
    };
    let report = Report::new(command).with("catalogs", entries).lines(text);
    ui.print(&all.notes.into_iter().fold(report, Report::note))
}

fn visible(properties: &Properties) -> serde_json::Map<String, serde_json::Value> {
    let shown = SHOWN.iter().filter_map(|key| Some((*key, properties.get(key)?)));
    shown.map(|(key, value)| (key.to_owned(), without_credentials(value).into())).collect()
}
