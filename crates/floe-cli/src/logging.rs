//! Logs on standard error, when they are asked for.

use std::io::{self, Write};

use floe::text::escape;
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
    // A second subscriber cannot be set; the first one stays. No colours: nothing but text is let through.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines(io::stderr()))
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .try_init();
}

/// Writes events, each of which comes whole, as one line of text without the values of partitions in paths: libraries below
/// floe log what they like.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = floe::location::mask_text(text.trim_end_matches('\n'));
        self.0.write_all(format!("{}\n", escape(&line)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_what_steers_a_terminal() {
        let mut out = Vec::new();
        let event = "INFO a\u{1b}[2J\nundo: x\u{202e} file=s3://b/t/data/name=Ann+Lee/f.parquet\n";
        assert_eq!(Lines(&mut out).write(event.as_bytes()).unwrap(), event.len());
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "INFO a\\u001b[2J\\nundo: x\\u202e file=s3://b/t/data/name=…/f.parquet\n");
    }
}
