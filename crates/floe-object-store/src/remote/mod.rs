//! Stores over a network: how requests are sent, and what their errors mean.

mod answer;
#[cfg(feature = "cloud")]
mod body;
#[cfg(feature = "cloud")]
mod clock;
mod error;
#[cfg(feature = "cloud")]
mod failure;
#[cfg(feature = "cloud")]
mod listing;
#[cfg(feature = "cloud")]
mod network;
#[cfg(feature = "cloud")]
mod options;
#[cfg(feature = "cloud")]
mod xml;

pub(crate) use error::remote_error;
#[cfg(feature = "cloud")]
pub use network::{Network, Renewal};
#[cfg(feature = "cloud")]
pub use options::{NetworkOptions, seconds};
