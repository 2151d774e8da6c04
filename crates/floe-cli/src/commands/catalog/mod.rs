//! `floe catalog`.

mod check;
mod list;
mod probe;

pub(super) use check::check;
pub(super) use list::list;
