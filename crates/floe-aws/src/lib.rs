//! Credentials and settings of AWS, by its own SDK: keys, profiles of `~/.aws` (with SSO, processes and roles in them),
//! web identities, containers, instances, and a role that is assumed with any of these.
//!
//! Shared by the plugins that speak to AWS. It brings the SDK's configuration, and no service but STS and SSO.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod settings;

pub use error::no_credentials;
pub use settings::{AwsKeys, AwsRole, AwsSettings};
