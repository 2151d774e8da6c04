//! The catalog contract.
