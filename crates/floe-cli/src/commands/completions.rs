//! `floe completions`.

use std::io::Write;

use clap::CommandFactory;
use floe::Result;

use crate::args::{Cli, CompletionsArgs};
use crate::output::stdout;
use crate::ui::{Report, Ui};

/// Prints a completion script.
pub(super) fn run(args: &CompletionsArgs, ui: &Ui) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "floe", &mut script);
    if ui.json {
        let script = String::from_utf8_lossy(&script).into_owned();
        let report = Report::new("completions").with("shell", args.shell.to_string()).with("script", script);
        return ui.print(&report);
    }
    // The generator itself would panic when the reader goes away.
    let mut out = stdout();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
