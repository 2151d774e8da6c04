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
    if let Some(failure) = seeds(0, 2000, Options::default()) {
        panic!("{failure}");
    }
}

#[test]
fn writers_that_only_meet_each_other_equal_a_serial_order() {
    let options = Options { no_faults: true, ..Options::default() };
    if let Some(failure) = seeds(1_000_000, 200, options) {
        panic!("{failure}");
    }
}

#[test]
fn operations_that_met_a_conflict_are_run_again() {
    let options = Options { no_faults: true, ..Options::default() };
    let reruns: u32 = (0..60).map(|seed| run(seed, options).unwrap().reruns).sum();
    assert!(reruns > 20, "only {reruns}: the simulation proves nothing about them");
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

#[test]
fn the_simulation_catches_forgotten_inputs() {
    caught(Mutant::ForgetsInputs, 400);
}

#[test]
fn the_simulation_catches_runs_with_half_of_the_input() {
    caught(Mutant::RerunsWithHalf, 400);
}

#[test]
fn the_simulation_catches_runs_after_an_unknown_outcome() {
    caught(Mutant::RerunsAfterUnknown, 400);
}

#[test]
fn the_simulation_catches_runs_on_an_old_state() {
    caught(Mutant::RerunsOnOldState, 800);
}
