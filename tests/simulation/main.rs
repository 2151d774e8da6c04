//! Concurrent writers and faults, at random from seeds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod data_loss;
mod guards;
mod race;

use std::sync::atomic::{AtomicU64, Ordering};

use floe_tests::sim::{Failure, Mutant, Options, run};

/// Runs the seeds from `first` on two threads; the first failure.
fn seeds(first: u64, count: u64, options: Options) -> Option<Failure> {
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return None;
                }
                if let Err(failure) = run(seed, options) {
                    next.store(u64::MAX / 2, Ordering::Relaxed);
                    return Some(*failure);
                }
            }
        };
        let other = scope.spawn(work);
        work().or(other.join().unwrap())
    })
}

#[test]
fn committed_operations_equal_a_serial_order_whatever_goes_wrong() {
    if let Some(failure) = seeds(0, 1000, Options::default()) {
        panic!("{failure}");
    }
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    for seed in 0..25 {
        let (one, two) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!(one.unwrap().trace, two.unwrap().trace, "seed {seed}");
    }
}

fn caught(mutant: Mutant, within: u64) {
    let options = Options { mutant: Some(mutant), ..Options::default() };
    let failure = seeds(0, within, options).unwrap_or_else(|| panic!("{mutant:?} is not noticed"));
    println!("{mutant:?}, seed {}: {}", failure.seed, failure.why.lines().next().unwrap_or_default());
}

#[test]
fn the_simulation_catches_a_catalog_without_requirements() {
    caught(Mutant::NoRequirements, 100);
}

#[test]
fn the_simulation_catches_a_catalog_that_denies_its_successes() {
    caught(Mutant::DeniesSuccess, 100);
}

#[test]
fn the_simulation_catches_wrong_totals() {
    caught(Mutant::WrongTotals, 100);
}

#[test]
fn the_simulation_catches_guards_that_are_left_out() {
    caught(Mutant::WeakIsolation, 400);
}

#[test]
fn the_simulation_catches_forgotten_idempotency_keys() {
    caught(Mutant::ForgetsKeys, 400);
}
