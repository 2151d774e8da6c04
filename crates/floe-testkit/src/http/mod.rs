//! Small HTTP servers for tests of plugins that speak HTTP: one whose answers a closure gives ([`HttpServer`]), and
//! one that stands before a real server, checks tokens and makes requests go wrong ([`FaultProxy`]), and a store of
//! objects that keeps keys as they come ([`ObjectServer`]); and attackers ([`Trap`], [`HostileCatalog`]).

mod hostile;
mod objects;
mod proxy;
mod rules;
mod server;
mod tokens;

pub use hostile::{HostileCatalog, HostileTable, NamedFile, Trap};
pub use objects::ObjectServer;
pub use proxy::FaultProxy;
pub use rules::{Canned, HttpFault, Rule};
pub use server::{Answer, HttpServer, Reply, Request};
pub use tokens::TokenRules;
