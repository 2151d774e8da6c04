//! Names of new branches and tags.

use floe_core::text::is_unseen;
use floe_core::{Error, Result};

use super::{Reading, read};

/// Fails with `Validation` when nobody could mean `name` as the name of a branch or tag: when it is empty, begins or ends
/// with a space, or has control characters such as newlines, which commands, listings and other tools would show or cut
/// otherwise. Names that are there already are used as they are.
pub fn check_new_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::validation("a branch or tag needs a name"));
    }
    if name.trim() != name {
        return Err(Error::validation(format!("the name {name:?} begins or ends with a space"))
            .with_hint("leave the outer spaces away"));
    }
    if name.contains(|c| is_unseen(c) || matches!(c, '\u{200c}' | '\u{200d}')) {
        return Err(Error::validation(format!("the name {name:?} has characters that cannot be seen"))
            .with_hint("leave control characters, such as newlines, away"));
    }
    Ok(())
}

/// Why a name of a branch or tag may be mistaken for something else, as a sentence without a final stop. It wins over what
/// it looks like.
///
/// ```
/// use floe_plan::state::confusing_name;
///
/// assert!(confusing_name("2026-12-31").is_some());
/// assert!(confusing_name("20261231").is_some());
/// assert!(confusing_name("v1").is_none());
/// ```
pub fn confusing_name(name: &str) -> Option<String> {
    let (what, other) = match read(name) {
        Ok(Reading::Name(_)) => return None,
        Ok(Reading::Time(ms)) => ("a time", format!("; the time is then ms:{ms}")),
        Ok(Reading::Snapshot(id)) => ("a snapshot id", format!("; a snapshot of that id is then id:{id}")),
        Err(_) => ("a snapshot id or a time", String::new()),
    };
    Some(format!("'{name}' looks like {what}, and other tools may take it for one{other}"))
}
