//! Printing what was measured.

use crate::measure::Measurement;

/// A table of one case; the ratio is to the first side.
pub(crate) fn print(case: &str, results: &[(String, Measurement)]) {
    println!("\n{case}");
    println!("  {:<12}{:>10}{:>8}{:>10}{:>12}", "side", "seconds", "ratio", "CPU s", "peak MB");
    let Some((_, first)) = results.first() else { return };
    for (side, measured) in results {
        println!(
            "  {side:<12}{:>10.4}{:>8.2}{:>10.2}{:>12.0}",
            measured.took.seconds,
            measured.took.seconds / first.took.seconds,
            measured.took.cpu_seconds,
            measured.peak_rss_bytes as f64 / 1e6
        );
    }
}
