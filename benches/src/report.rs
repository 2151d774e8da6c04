//! Printing what was measured.

use crate::cases::Case;
use crate::measure::Measurement;

/// A table of one case; the ratio is to the first side.
pub(crate) fn print(case: &Case, results: &[(String, Measurement)]) {
    let rate = case.counts.map(|what| format!("{what}/s")).unwrap_or_default();
    println!("\n{}", case.name);
    println!("  {:<12}{:>10}{:>8}{:>10}{:>12}{rate:>12}", "side", "seconds", "ratio", "CPU s", "peak MB");
    let Some((_, first)) = results.first() else { return };
    for (side, measured) in results {
        let rate = case.counts.map(|_| format!("{:.1}", 1.0 / measured.took.seconds)).unwrap_or_default();
        println!(
            "  {side:<12}{:>10.4}{:>8.2}{:>10.4}{:>12.0}{rate:>12}",
            measured.took.seconds,
            measured.took.seconds / first.took.seconds,
            measured.took.cpu_seconds,
            measured.peak_rss_bytes as f64 / 1e6
        );
    }
}
