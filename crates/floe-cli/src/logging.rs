//! Logs on standard error, when they are asked for.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The variable that holds a filter, such as `floe=debug` or `info,sqlx=warn`.
const VARIABLE: &str = "FLOE_LOG";

/// Starts logging: as `FLOE_LOG` says, or else as often as `-v` was given. Operations are logged as they end,
/// with the time they took.
pub(crate) fn start(verbose: u8) {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => filter,
        _ => match verbose {
            0 => return,
            1 => "floe=info,floe_iceberg=info,floe_core=info".to_owned(),
            2 => "info,floe=debug,floe_iceberg=debug,floe_plan=debug,floe_catalog_local=debug".to_owned(),
            _ => "debug".to_owned(),
        },
    };
    let filter = EnvFilter::builder().parse_lossy(filter);
    // A second subscriber cannot be set; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_span_events(FmtSpan::CLOSE)
        .try_init();
}
