//! Bounds on what others wrote: files of tables and replies of servers may claim any size, and unfold to any size.
//!
//! The limits are those of the process, as its memory is: [`install`] sets them once, [`current`] gives them to whoever reads.
//! What goes beyond one is refused before the memory is taken; the message names the limit and its setting.

use std::io::Read;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::config::Properties;
use crate::{Error, ErrorKind, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// A setting of memory below this lowers no limit further: metadata of small tables takes as much.
const LEAST_BYTES: u64 = 64 * MIB;
/// What unfolds to no more than this may be packed as tightly as it likes.
const SMALL_BYTES: u64 = 16 * MIB;
/// The kinds of setting are told apart by this prefix in messages.
const PREFIX: &str = "limits.";

/// Environment variables `FLOE_LIMITS__<NAME>` set a limit; in `<NAME>`, `_` stands for a hyphen.
pub const ENV_PREFIX: &str = "FLOE_LIMITS__";

/// How much of what others wrote is taken. The defaults are above what sound tables have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one metadata file, manifest list, manifest or delete file that is read whole, as it is stored and as it
    /// unfolds.
    pub metadata_bytes: u64,
    /// How many times its stored size a metadata file or a block of a manifest may unfold to, where that is more than
    /// 16 MiB.
    pub metadata_ratio: u64,
    /// Bytes of one reply of a catalog's server.
    pub reply_bytes: u64,
    /// Seconds that one request to a catalog's server may take until the end of the reply, however steadily it comes.
    pub reply_seconds: u64,
    /// Pages of one listing.
    pub listing_pages: u64,
    /// Names in one listing.
    pub listing_names: u64,
    /// Bytes that one page of a Parquet file may unfold to.
    pub page_bytes: u64,
    /// Columns of a Parquet file, those within others counted.
    pub columns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata_bytes: 2 * GIB,
            metadata_ratio: 200,
            reply_bytes: GIB,
            reply_seconds: 300,
            listing_pages: 100_000,
            listing_names: 10_000_000,
            page_bytes: GIB,
            columns: 100_000,
        }
    }
}

impl Limits {
    /// The limits that `properties` set, without the prefix `limits.`, the others being the defaults. Fails with
    /// `Validation`, naming the setting, for what is no limit or no number above 0.
    ///
    /// ```
    /// use floe_core::Properties;
    /// use floe_core::limits::Limits;
    ///
    /// let set = Properties::default().with("reply-seconds", "20");
    /// assert_eq!(Limits::from_properties(&set)?.reply_seconds, 20);
    /// # Ok::<(), floe_core::Error>(())
    /// ```
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        let mut limits = Self::default();
        for key in properties.keys() {
            let Some(place) = limits.place(key) else {
                return Err(Error::validation(format!("there is no limit called '{PREFIX}{key}'"))
                    .with_hint("docs/configuration.md lists the limits"));
            };
            let number = properties.get(key).and_then(|text| text.trim().parse().ok());
            *place = number.filter(|number| *number > 0).ok_or_else(|| {
                Error::validation(format!("the limit '{PREFIX}{key}' must be a whole number above 0"))
            })?;
        }
        Ok(limits)
    }

    fn place(&mut self, key: &str) -> Option<&mut u64> {
        Some(match key {
            "metadata-bytes" => &mut self.metadata_bytes,
            "metadata-ratio" => &mut self.metadata_ratio,
            "reply-bytes" => &mut self.reply_bytes,
            "reply-seconds" => &mut self.reply_seconds,
            "listing-pages" => &mut self.listing_pages,
            "listing-names" => &mut self.listing_names,
            "page-bytes" => &mut self.page_bytes,
            "columns" => &mut self.columns,
            _ => return None,
        })
    }

    /// The same with the limits of bytes lowered to `memory`, but not below 64 MiB: for whoever says how much memory may be
    /// taken.
    #[must_use]
    pub fn within(self, memory: u64) -> Self {
        let memory = memory.max(LEAST_BYTES);
        Self {
            metadata_bytes: self.metadata_bytes.min(memory),
            reply_bytes: self.reply_bytes.min(memory),
            page_bytes: self.page_bytes.min(memory),
            ..self
        }
    }

    /// How many bytes `packed` bytes of metadata may unfold to.
    pub fn unfolded(&self, packed: usize) -> u64 {
        let by_ratio = (packed as u64).saturating_mul(self.metadata_ratio).max(SMALL_BYTES);
        by_ratio.min(self.metadata_bytes)
    }

    /// The setting that [`Limits::unfolded`] of `packed` bytes comes from.
    pub fn unfolded_by(&self, packed: usize) -> &'static str {
        if self.unfolded(packed) == self.metadata_bytes { "metadata-bytes" } else { "metadata-ratio" }
    }
}

static CURRENT: RwLock<Option<Arc<Limits>>> = RwLock::new(None);

/// Sets the limits of this process.
pub fn install(limits: Limits) {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(limits));
}

/// The limits of this process: those that were installed last, or the defaults.
pub fn current() -> Arc<Limits> {
    let current = CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone();
    current.unwrap_or_default()
}

/// Reads `reader` to its end behind what `data` holds, and not beyond `most` bytes: `false` when there is more.
pub fn read_bounded(reader: impl Read, most: u64, data: &mut Vec<u8>) -> std::io::Result<bool> {
    let read = reader.take(most.saturating_add(1)).read_to_end(data)?;
    Ok(read as u64 <= most)
}

/// What is said of something that goes beyond a limit: `what` is larger than the limit called `setting`, which is `most`.
///
/// ```
/// let said = floe_core::limits::beyond("it unfolds to", "metadata-bytes", 5);
/// assert_eq!(said, "it unfolds to more than 5, the limit `limits.metadata-bytes`");
/// ```
pub fn beyond(what: &str, setting: &str, most: u64) -> String {
    format!("{what} more than {most}, the limit `{PREFIX}{setting}`")
}

/// What to do about something that goes beyond the limit called `setting`.
pub fn hint(setting: &str) -> String {
    let memory = if setting.ends_with("-bytes") { "; `--memory` lowers it too" } else { "" };
    format!("if it is meant to be so large, raise `{PREFIX}{setting}`{memory}")
}

/// The error for something that goes beyond a limit; see [`beyond`].
pub fn refusal(kind: ErrorKind, what: &str, setting: &str, most: u64) -> Error {
    Error::new(kind, beyond(what, setting, most)).with_hint(hint(setting))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_limit_can_be_set_by_its_name() {
        let Ok(serde_json::Value::Object(names)) = serde_json::to_value(Limits::default()) else {
            panic!("limits are a map")
        };
        for name in names.keys() {
            let set = Properties::default().with(name.as_str(), "7");
            let limits = serde_json::to_value(Limits::from_properties(&set).unwrap()).unwrap();
            assert_eq!(limits[name], 7, "{name}");
            for bad in ["0", "-1", "many", ""] {
                let set = Properties::default().with(name.as_str(), bad);
                let error = Limits::from_properties(&set).unwrap_err();
                assert!(error.message().contains(&format!("limits.{name}")), "{error}");
            }
        }
        let odd = Properties::default().with("size", "1");
        assert!(Limits::from_properties(&odd).unwrap_err().message().contains("'limits.size'"));
    }

    proptest! {
        #[test]
        fn what_unfolds_stays_within_both_limits(packed in 0_usize..1 << 40, memory in any::<u64>()) {
            let limits = Limits::default().within(memory);
            let most = limits.unfolded(packed);
            prop_assert!(most <= limits.metadata_bytes);
            prop_assert!(most <= (packed as u64 * limits.metadata_ratio).max(SMALL_BYTES));
            prop_assert!(limits.metadata_bytes >= LEAST_BYTES && limits.metadata_bytes <= memory.max(LEAST_BYTES));
        }

        #[test]
        fn reading_stops_one_byte_beyond(length in 0_usize..300, most in 0_u64..300) {
            let bytes = vec![1_u8; length];
            let mut data = vec![9];
            let fits = read_bounded(bytes.as_slice(), most, &mut data).unwrap();
            prop_assert_eq!(fits, length as u64 <= most);
            prop_assert_eq!(data.len() as u64 - 1, (length as u64).min(most + 1));
        }
    }
}
