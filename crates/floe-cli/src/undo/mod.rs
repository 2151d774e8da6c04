//! `undo:` lines: the command that takes a change back.
//!
//! A line is printed only when it is certain to parse and to do what it says; else the report says why there is none.

mod line;
mod refs;
mod rows;
mod schema;
mod version;

pub(crate) use line::{Line, quoted};
pub(crate) use refs::reference;
pub(crate) use rows::{moved, written};
pub(crate) use schema::{properties, property_changes, schema};
pub(crate) use version::version;

/// How a change is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    /// By these commands, one after the other.
    By(Vec<Line>),
    /// Not by any command: why, as a sentence without a final stop.
    Not(String),
    /// Nothing was changed.
    Nothing,
}

impl Undo {
    /// By one command.
    pub(crate) fn by(line: Line) -> Self {
        Self::By(vec![line])
    }

    /// This, and then the other: what cannot be taken back in part cannot be taken back.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Not(why), _) | (_, Self::Not(why)) => Self::Not(why),
            (Self::By(mut lines), Self::By(more)) => {
                lines.extend(more);
                Self::By(lines)
            }
        }
    }
}
