//! Progress bars on long work.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Counts rows. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar where the total is known, a counter where it is not; nothing at all without a place to draw.
    pub(crate) fn rows(what: &str, total: Option<u64>, place: Option<&MultiProgress>) -> Self {
        let Some(place) = place else { return Self(ProgressBar::hidden()) };
        let bar = place.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        let template = match total {
            Some(_) => "{msg} [{bar:30}] {human_pos}/{human_len} rows, {per_sec}, {eta} left",
            None => "{msg} {spinner} {human_pos} rows, {per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(floe::text::escape(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Counts `rows` more.
    pub(crate) fn add(&self, rows: u64) {
        self.0.inc(rows);
    }

    /// Counts from 0 again.
    pub(crate) fn restart(&self) {
        self.0.set_position(0);
    }

    /// Removes the bar.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
