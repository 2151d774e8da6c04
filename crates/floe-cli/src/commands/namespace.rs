//! `floe namespace`.

use std::collections::BTreeMap;
use std::fmt::Write;

use floe::text::escape;
use floe::{Error, ErrorKind, Result};
use serde_json::json;

use crate::args::{NamespaceAction, NamespaceArgs};
use crate::render::counted;
use crate::ui::{Report, Ui};
use crate::undo::{Line, Undo, properties, property_changes};
use crate::values::{KeyValue, NamespaceName};
use crate::warehouse::Location;

/// Makes, lists, describes and drops namespaces, and changes their properties.
pub(super) async fn run(command: &str, args: NamespaceArgs, location: &Location, ui: &Ui) -> Result<()> {
    let report = match args.action {
        NamespaceAction::Create(args) => {
            let given = pairs(&args.property)?;
            create(&args.namespace, given, args.if_not_exists, location).await?
        }
        NamespaceAction::List(args) => list(args.parent.as_ref(), location).await?,
        NamespaceAction::Describe(args) => describe(&args.namespace, location).await?,
        NamespaceAction::Properties(args) => {
            let set = pairs(&args.set)?;
            change(&args.namespace, &set, &args.remove, location).await?
        }
        NamespaceAction::Drop(args) => drop(&args.namespace, args.if_exists, location).await?,
    };
    ui.print(&report.with("command", command))
}

async fn create(
    name: &NamespaceName,
    given: BTreeMap<String, String>,
    if_not_exists: bool,
    location: &Location,
) -> Result<Report> {
    let manager = location.open_to_create().await?;
    let created = match manager.create_namespace(&name.ident(), given).await {
        Ok(()) => true,
        Err(e) if if_not_exists && e.kind() == ErrorKind::NamespaceAlreadyExists => false,
        Err(e) => return Err(e),
    };
    let now = manager.load_namespace(&name.ident()).await?;
    let undo = if created { Undo::by(Line::new("namespace drop").name(name)) } else { Undo::Nothing };
    let text = if created {
        format!("Created namespace {name}")
    } else {
        format!("There already: namespace {name}")
    };
    Ok(report("create", name)
        .with("created", created)
        .with("properties", json!(now))
        .undo(&undo, location)
        .text(text))
}

async fn list(parent: Option<&NamespaceName>, location: &Location) -> Result<Report> {
    let manager = location.open().await?;
    let found = manager.list_namespaces(parent.map(NamespaceName::ident).as_ref()).await?;
    let names: Vec<String> = found.iter().map(|name| NamespaceName::from(name).to_string()).collect();
    let text = match (names.is_empty(), parent) {
        (false, _) => names.iter().map(|name| escape(name)).collect::<Vec<_>>().join("\n"),
        (true, None) => "No namespaces yet.".to_owned(),
        (true, Some(parent)) => format!("There is no namespace below {parent}."),
    };
    Ok(Report::default()
        .with("action", "list")
        .with("parent", parent.map(ToString::to_string))
        .with("namespaces", names)
        .lines(text))
}

async fn describe(name: &NamespaceName, location: &Location) -> Result<Report> {
    let manager = location.open().await?;
    let now = manager.load_namespace(&name.ident()).await?;
    let tables = manager.list_tables(&name.ident()).await?.len();
    let mut text = format!("{name}\n  tables  {}", counted(tables as u64, "table"));
    for (key, value) in &now {
        // A string takes everything.
        let _ = write!(text, "\n  {}={}", escape(key), escape(value));
    }
    Ok(report("describe", name).with("tables", tables).with("properties", json!(now)).lines(text))
}

async fn change(
    name: &NamespaceName,
    set: &BTreeMap<String, String>,
    remove: &[String],
    location: &Location,
) -> Result<Report> {
    let manager = location.open().await?;
    let before = manager.load_namespace(&name.ident()).await?;
    let mut undo = Undo::Nothing;
    let mut now = before.clone();
    if !set.is_empty() || !remove.is_empty() {
        manager.update_namespace(&name.ident(), set, remove).await?;
        now = manager.load_namespace(&name.ident()).await?;
        let changes = property_changes(&before, &now, set.keys().chain(remove));
        undo = properties(Line::new("namespace properties").name(name), changes);
    }
    let pair = |(key, value): (&String, &String)| format!("{}={}", escape(key), escape(value));
    let text = now.iter().map(pair).collect::<Vec<_>>().join("\n");
    Ok(report("properties", name).with("properties", json!(now)).undo(&undo, location).lines(text))
}

async fn drop(name: &NamespaceName, if_exists: bool, location: &Location) -> Result<Report> {
    let manager = location.open().await?;
    let absent = |e: &Error| matches!(e.kind(), ErrorKind::NoSuchNamespace | ErrorKind::FileNotFound);
    let before = match manager.load_namespace(&name.ident()).await {
        Err(e) if if_exists && absent(&e) => None,
        found => Some(found?),
    };
    let dropped = match &before {
        None => false,
        Some(_) => match manager.drop_namespace(&name.ident()).await {
            Err(e) if if_exists && absent(&e) => false,
            done => done.map(|()| true)?,
        },
    };
    let undo = match &before {
        Some(before) if dropped => again(name, before),
        _ => Undo::Nothing,
    };
    let text =
        if dropped { format!("Dropped namespace {name}") } else { format!("There is no namespace {name}.") };
    Ok(report("drop", name)
        .with("dropped", dropped)
        .with("properties", json!(before))
        .undo(&undo, location)
        .text(text))
}

/// Makes a namespace again.
fn again(name: &NamespaceName, properties: &BTreeMap<String, String>) -> Undo {
    let mut line = Line::new("namespace create").name(name);
    for (key, value) in properties {
        let pair = format!("{key}={value}");
        if pair.parse::<KeyValue>() != Ok(KeyValue { key: key.clone(), value: value.clone() }) {
            return Undo::Not(format!("the property '{key}' has a name that KEY=VALUE cannot carry"));
        }
        line = line.option("property", pair);
    }
    Undo::by(line)
}

fn report(action: &str, name: &NamespaceName) -> Report {
    Report::default().with("action", action).with("namespace", name.to_string())
}

/// Properties by their names. `Validation` for one that is given twice.
fn pairs(given: &[KeyValue]) -> Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    for pair in given {
        if pairs.insert(pair.key.clone(), pair.value.clone()).is_some() {
            return Err(Error::validation(format!("the property '{}' is given twice", pair.key)));
        }
    }
    Ok(pairs)
}
