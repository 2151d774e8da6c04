//! `floe catalog check`.

use std::time::{Duration, Instant};

use floe::config::{STORAGE, TYPE, WAREHOUSE};
use floe::names::render_table;
use floe::text::escape;
use floe::{Error, ErrorKind, IcebergTableManager, Registry, Result};
use iceberg::TableIdent;
use serde_json::{Value, json};

use super::probe;
use super::shown::without_credentials;
use crate::args::{CatalogAction, CatalogArgs};
use crate::configuration::Origin;
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Steps, one after the other; what comes after a failed one is not tried when it needs it.
struct Steps {
    limit: Duration,
    done: Vec<Step>,
}

/// How a step ended.
struct Step {
    name: &'static str,
    seconds: f64,
    outcome: Outcome,
}

enum Outcome {
    Good(String),
    Bad(Error),
    /// The caller may not do this, which a reader, or the owner of one namespace, need not be able to.
    Denied(Error),
    Left(&'static str),
}

/// Connects to the catalog, looks into it, and checks its storage. Fails with the first fault. That a caller who can
/// read tables may not write files is told, and is no fault unless writing is what was to be checked.
pub(in super::super) async fn check(
    command: &str,
    args: CatalogArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let CatalogAction::Check(args) = args.action else { return Ok(()) };
    let mut steps = Steps { limit: Duration::from_secs(args.timeout), done: Vec::new() };
    let configured = steps.run("configuration", async { configuration(location) }).await;
    let manager = match configured {
        Some(()) => {
            let open = async {
                location.open().await.map(|m| (m, "both plugins accept the configuration".to_owned()))
            };
            steps.run("connect", open).await
        }
        None => None,
    };
    if let Some(manager) = &manager {
        let only = args.namespace.as_ref();
        let found = steps.run("list", probe::namespaces(manager, only)).await;
        let table = found.as_ref().and_then(|found| found.table.as_ref());
        let read = if let Some(table) = table {
            steps.run("read", probe::read(manager, table)).await.is_some()
        } else {
            let why = if found.is_some() { "there is no table to read" } else { "no table is known to read" };
            steps.leave("read", why);
            false
        };
        let places_tables = manager.storage().warehouse().is_empty();
        let stored = match (places_tables, table) {
            (true, None) => {
                steps.leave(
                    "storage",
                    "the server decides where tables go, and there is none yet: see --write",
                );
                Some(())
            }
            (true, Some(table)) => steps.run("storage", table_storage(manager, table)).await,
            (false, _) => steps.run("storage", storage(manager)).await,
        };
        if read && !args.write {
            steps.may_be_denied("storage");
        }
        let listed = found.is_some() || steps.is_denied("list");
        match (args.write, listed, stored) {
            (false, ..) => steps.leave("write", "--write makes a table, and removes it"),
            (true, true, Some(())) => {
                steps.run("write", probe::write(manager, only)).await;
            }
            _ => steps.leave("write", "something before it failed"),
        }
    }
    tell(command, location, steps, ui)
}

/// What can be seen without a connection: type and plugins; every secret is there.
fn configuration(location: &Location) -> Result<((), String)> {
    let properties = &location.properties;
    let secrets = properties.resolve()?.len();
    let registry = Registry::linked();
    let kind = properties.get(TYPE).ok_or_else(|| {
        Error::validation(format!("catalog '{}' has no type", location.name))
            .with_hint("set type to the name of a catalog plugin; `floe plugins` shows them")
    })?;
    registry.catalog(kind)?;
    if let Some(storage) = properties.get(STORAGE) {
        registry.storage(storage)?;
    }
    let warehouse = properties.get(WAREHOUSE).map(without_credentials).unwrap_or_default();
    let place = if warehouse.is_empty() { String::new() } else { format!(", warehouse {warehouse}") };
    Ok(((), format!("type {kind}{place}, {}", render::counted(secrets as u64, "setting"))))
}

/// One small file is written, read, listed and removed at the location of a table, with the credentials that the
/// catalog gives for it.
async fn table_storage(manager: &IcebergTableManager, table: &TableIdent) -> Result<((), String)> {
    let place = manager.check_table_storage(table).await?;
    let place = without_credentials(&place);
    Ok((
        (),
        format!(
            "a file was written, read, listed and removed below {place}, where {} is",
            render_table(table)
        ),
    ))
}

/// One small file is written, read, listed and removed.
async fn storage(manager: &IcebergTableManager) -> Result<((), String)> {
    manager.check_storage().await?;
    let place = without_credentials(manager.storage().warehouse());
    Ok(((), format!("a file was written, read, listed and removed below {place}")))
}

impl Steps {
    /// Runs a step within the limit; its value when it went well.
    async fn run<T>(
        &mut self,
        name: &'static str,
        step: impl Future<Output = Result<(T, String)>>,
    ) -> Option<T> {
        let start = Instant::now();
        let result = tokio::time::timeout(self.limit, step).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} s", self.limit.as_secs());
            Err(Error::new(ErrorKind::Timeout, message)
                .with_hint("check host, port and proxy; --timeout gives it longer"))
        });
        let seconds = start.elapsed().as_secs_f64();
        let (value, outcome) = match result {
            Ok((value, message)) => (Some(value), Outcome::Good(message)),
            Err(e) => (None, Outcome::Bad(e)),
        };
        self.done.push(Step { name, seconds, outcome });
        value
    }

    /// That a step was not allowed is no fault.
    fn may_be_denied(&mut self, name: &str) {
        for step in self.done.iter_mut().filter(|step| step.name == name) {
            if let Outcome::Bad(e) = &step.outcome
                && e.kind() == ErrorKind::PermissionDenied
            {
                step.outcome = Outcome::Denied(e.clone());
            }
        }
    }

    /// Whether a step failed because it was not allowed.
    fn is_denied(&self, name: &str) -> bool {
        let denied = |e: &Error| e.kind() == ErrorKind::PermissionDenied;
        self.done.iter().any(|step| {
            step.name == name && matches!(&step.outcome, Outcome::Bad(e) | Outcome::Denied(e) if denied(e))
        })
    }

    /// What the caller may do: `true`, `false`, or nothing where it was not tried or failed for another reason.
    fn allowed(&self) -> Value {
        let of = |names: &[&str]| -> Option<bool> {
            let mut seen = None;
            for step in self.done.iter().filter(|step| names.contains(&step.name)) {
                match &step.outcome {
                    Outcome::Good(_) => seen = seen.or(Some(true)),
                    _ if self.is_denied(step.name) => seen = Some(false),
                    _ => {}
                }
            }
            seen
        };
        json!({"list": of(&["list"]), "read": of(&["read"]), "write": of(&["storage", "write"])})
    }

    fn leave(&mut self, name: &'static str, why: &'static str) {
        self.done.push(Step { name, seconds: 0.0, outcome: Outcome::Left(why) });
    }
}

impl Step {
    fn line(&self) -> String {
        let name = self.name;
        match &self.outcome {
            Outcome::Good(message) => {
                format!("  ✓ {name:<14} {} ({:.1} s)", escape(message), self.seconds)
            }
            Outcome::Left(why) => format!("  - {name:<14} not tried: {why}"),
            Outcome::Denied(e) => format!(
                "  - {name:<14} not allowed: tables can be read, and no files written ({}) ({:.1} s)",
                escape(e.message()),
                self.seconds
            ),
            Outcome::Bad(e) => {
                let table = e.table().map(|t| format!("{}: ", escape(t))).unwrap_or_default();
                let hint = e.hint().map(|h| format!("\n{:19}{}", "", escape(h))).unwrap_or_default();
                format!("  ✗ {name:<14} {table}{} ({:.1} s){hint}", escape(e.message()), self.seconds)
            }
        }
    }

    fn json(&self) -> Value {
        match &self.outcome {
            Outcome::Good(message) => {
                json!({"step": self.name, "status": "ok", "message": message, "seconds": self.seconds})
            }
            Outcome::Left(why) => json!({"step": self.name, "status": "not_tried", "message": why}),
            Outcome::Bad(e) | Outcome::Denied(e) => json!({
                "step": self.name,
                "status": if matches!(self.outcome, Outcome::Bad(_)) { "failed" } else { "not_allowed" },
                "kind": e.kind().as_str(),
                "message": e.message(),
                "hint": e.hint(),
                "seconds": self.seconds,
            }),
        }
    }
}

/// Prints the steps; the first fault is the command's own.
fn tell(command: &str, location: &Location, steps: Steps, ui: &Ui) -> Result<()> {
    let origins: Vec<String> = location.origins.iter().map(Origin::to_string).collect();
    let from = if origins.is_empty() { "the warehouse folder".to_owned() } else { origins.join(", ") };
    let lines: Vec<String> = steps.done.iter().map(Step::line).collect();
    let fault = steps.done.iter().find_map(|step| match &step.outcome {
        Outcome::Bad(e) => Some(e.clone().context(format!("catalog '{}', {}", location.name, step.name))),
        _ => None,
    });
    let report = Report::new(command)
        .with("catalog", location.name.as_str())
        .with("from", origins)
        .with("ok", fault.is_none())
        .with("allowed", steps.allowed())
        .with("steps", steps.done.iter().map(Step::json).collect::<Vec<_>>())
        .lines(format!("Catalog '{}', from {}\n{}", escape(&location.name), escape(&from), lines.join("\n")));
    ui.print(&report)?;
    fault.map_or(Ok(()), Err)
}
