//! The storage of a simulated writer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, Result};

use super::{Actor, FaultRates, Ledger, StorageFault};
use crate::storage::{After, Call, Operation, StorageHook};

/// Lets calls of a writer to its storage wait, fail, or be its last ones.
#[derive(Debug)]
pub struct SimHook {
    actor: Actor,
    rates: FaultRates,
    ledger: Ledger,
    operation: Arc<AtomicUsize>,
    /// How often a call was made, so that a second try has a fate of its own.
    calls: Mutex<HashMap<(usize, Call), u64>>,
    /// The operation whose faults were noted last.
    noted: AtomicUsize,
}

impl SimHook {
    /// The hook of `actor`. `operation` is the number of the operation that it carries out at the time.
    pub fn new(actor: &Actor, rates: FaultRates, ledger: &Ledger, operation: Arc<AtomicUsize>) -> Self {
        Self {
            actor: actor.clone(),
            rates,
            ledger: ledger.clone(),
            operation,
            calls: Mutex::default(),
            noted: AtomicUsize::new(usize::MAX),
        }
    }

    /// A number that follows from the call and how often it was made, not from what happens beside it.
    fn fate(&self, operation: usize, call: &Call) -> f64 {
        let nth = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let count = calls.entry((operation, call.clone())).or_default();
            *count += 1;
            *count
        };
        self.actor.fate(&format!("{operation} {:?} {} {nth}", call.operation, call.location))
    }

    /// What goes wrong with calls of an operation. Of one kind, so that it does not matter which of several calls side
    /// by side comes first.
    fn fault(&self, operation: usize) -> Option<StorageFault> {
        let fate = self.actor.fate(&format!("faults of {operation}"));
        let mut from = 0.0;
        for (rate, fault) in [
            (self.rates.storage_error, StorageFault::Before),
            (self.rates.storage_error_after, StorageFault::After),
            (self.rates.storage_crash, StorageFault::Crash),
        ] {
            if (from..from + rate).contains(&fate) {
                return Some(fault);
            }
            from += rate;
        }
        None
    }
}

/// How many of the calls of an operation with faults go wrong.
const HIT: f64 = 0.15;

/// Calls that a writer makes one after the other.
fn is_gate(call: &Call) -> bool {
    let name = call.location.rsplit('/').next().unwrap_or_default();
    let sequential = name.starts_with("snap-") || name.ends_with(".metadata.json");
    sequential && matches!(call.operation, Operation::Read | Operation::Write)
}

/// What an event says of a location: its name without the parts that are drawn at random.
fn short(location: &str) -> &str {
    let name = location.rsplit('/').next().unwrap_or(location);
    match name {
        _ if name.starts_with("snap-") => "a manifest list",
        _ if name.ends_with(".metadata.json") => "a metadata file",
        _ if name.ends_with(".avro") => "a manifest",
        _ => "a data or delete file",
    }
}

fn injected(call: &Call) -> Error {
    let kind = match call.operation {
        Operation::Write | Operation::WritePiece | Operation::Close => ErrorKind::Io,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("a fault was injected: {:?} of {}", call.operation, short(&call.location)))
}

#[async_trait]
impl StorageHook for SimHook {
    async fn before(&self, call: &Call, _bytes: u64) -> Result<After> {
        if self.actor.is_crashed() {
            return Err(Error::new(ErrorKind::Unavailable, "the process is gone"));
        }
        if call.operation == Operation::Check {
            return Ok(After::default());
        }
        let operation = self.operation.load(Ordering::SeqCst);
        let fate = self.fate(operation, call);
        if is_gate(call) {
            let slow = self.actor.chance(self.rates.delay);
            self.actor.pause(if slow { Duration::from_millis(400) } else { Duration::ZERO }).await;
        }
        if matches!(call.operation, Operation::Write | Operation::Close) {
            self.ledger.written(operation, &call.location);
        }
        // How many files are cleared away, and when, is nobody's business but the writer's.
        let clears = matches!(call.operation, Operation::Delete | Operation::Exists);
        let hit = |fault: &StorageFault| fate < HIT && !(clears && *fault == StorageFault::Crash);
        let Some(fault) = self.fault(operation).filter(hit) else { return Ok(After::default()) };
        if clears || call.location.ends_with(".metadata.json") || fault == StorageFault::Crash {
            // Metadata files are the catalog's.
            self.ledger.excuse(operation);
        }
        if !clears && !self.noted.swap(operation, Ordering::SeqCst).eq(&operation) {
            self.ledger.fault();
            self.actor.note(format_args!("a storage call of operation {operation}: {fault:?}"));
        }
        match fault {
            StorageFault::Before => Err(injected(call)),
            StorageFault::After => Ok(After { error: Some(injected(call)), truncate: None }),
            StorageFault::Crash => {
                self.actor.crash();
                std::future::pending().await
            }
        }
    }
}
