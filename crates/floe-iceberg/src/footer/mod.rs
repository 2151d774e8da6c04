//! Footers of Parquet files, as old and foreign writers leave them: what is wrong in a known way is mended, and statistics
//! that are not proven are left out, so that whoever reads a footer after this may rely on it.

mod calendar;
mod complete;
mod encrypted;
mod mend;
mod pages;
mod physical;
pub(crate) mod thrift;
mod trust;
mod writer;

pub use calendar::OldCalendar;
pub(crate) use calendar::{Calendar, check as check_calendar, is_marked as of_old_calendar};
pub use complete::completed;
pub use encrypted::encrypted;
pub use mend::mended;
pub(crate) use pages::{BadPage, check_pages};
pub use physical::arrow_metadata;
pub(crate) use physical::{is_int96, with_int96};
#[cfg(test)]
pub(crate) use thrift::fields;
