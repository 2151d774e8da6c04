//! `floe catalog`.

mod check;
mod list;
mod probe;
mod shown;

pub(super) use check::check;
pub(super) use list::list;
