//! What goes wrong, when, and where.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use floe_core::{Error, ErrorKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A kind of call to a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Asking whether a file is there.
    Exists,
    /// Asking for the size of a file.
    Metadata,
    /// Reading a whole file.
    Read,
    /// Reading a range of a file.
    ReadRange,
    /// Writing a whole file by one call.
    Write,
    /// Writing a piece through a writer.
    WritePiece,
    /// Closing a writer, which makes its file visible.
    Close,
    /// Deleting one file, alone or among many.
    Delete,
    /// Deleting all files of a prefix.
    DeletePrefix,
    /// Listing a prefix.
    List,
    /// The accessibility check.
    Check,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It fails and has no effect.
    ErrorBefore(ErrorKind),
    /// It takes effect, but reports an error, as when a reply is lost. A listing reports its files first.
    ErrorAfter(ErrorKind),
    /// It takes this many milliseconds longer, by the clock of the environment.
    Delay(u64),
    /// Once this rule has seen so many bytes written, each write that goes beyond fails with `StorageFull`.
    DiskFull {
        /// Bytes that still find room.
        after_bytes: u64,
    },
    /// A read gives at most this many bytes and no error.
    Truncate {
        /// Bytes that are left.
        to_bytes: usize,
    },
}

/// One fault, and the calls it happens to.
///
/// ```
/// use floe_core::ErrorKind;
/// use floe_testkit::storage::{Fault, FaultRule, Operation};
///
/// // The second write of a metadata file fails.
/// let rule = FaultRule::new(Operation::Write, "*.metadata.json", Fault::ErrorBefore(ErrorKind::Unavailable))
///     .from_call(2)
///     .times(1);
/// assert!(rule.matches(Operation::Write, "memory://w/00001-x.metadata.json"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The kind of call; any, when absent.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Pattern of the location, in which `*` stands for any text.
    #[serde(default = "any")]
    pub location: String,
    /// The first matching call it happens to, counted from 1.
    #[serde(default = "one")]
    pub from_call: u64,
    /// How many matching calls it happens to from there; all, when absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// How likely it happens to each of these calls, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// What happens.
    pub fault: Fault,
}

fn any() -> String {
    "*".to_owned()
}

fn one() -> u64 {
    1
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// A rule for every call of this kind to a matching location.
    pub fn new(operation: Operation, location: impl Into<String>, fault: Fault) -> Self {
        Self {
            operation: Some(operation),
            location: location.into(),
            from_call: 1,
            times: None,
            probability: 1.0,
            fault,
        }
    }

    /// Starts at this matching call, counted from 1.
    pub fn from_call(mut self, call: u64) -> Self {
        self.from_call = call;
        self
    }

    /// Ends after so many calls.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Happens by chance, from the plan's seed.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Whether the rule is about such a call.
    pub fn matches(&self, operation: Operation, location: &str) -> bool {
        self.operation.is_none_or(|o| o == operation) && glob(&self.location, location)
    }
}

/// All that goes wrong. The same plan and the same sequence of calls give the same faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed of what happens by chance.
    pub seed: u64,
    /// The rules; of those that match a call, the first that takes effect does, delays beside it.
    pub rules: Vec<FaultRule>,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// A plan of one rule.
    pub fn of(rule: FaultRule) -> Self {
        Self::none().with(rule)
    }

    /// Adds a rule.
    pub fn with(mut self, rule: FaultRule) -> Self {
        self.rules.push(rule);
        self
    }
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Its kind.
    pub operation: Operation,
    /// The location it was about.
    pub location: String,
}

/// What the rules say about one call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) delay_ms: u64,
    pub(super) before: Option<Error>,
    pub(super) after: Option<Error>,
    pub(super) truncate: Option<usize>,
}

/// The plan at work: counts calls and decides.
#[derive(Debug)]
pub(super) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    random: StdRng,
    seen: Vec<Seen>,
    calls: Vec<Call>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    calls: u64,
    bytes: u64,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self { state: Mutex::new(State::new(plan, Vec::new())) }
    }

    /// Puts another plan in force. Calls stay on record; rules count anew.
    pub(super) fn set_plan(&self, plan: FaultPlan) {
        let mut state = self.lock();
        let calls = std::mem::take(&mut state.calls);
        *state = State::new(plan, calls);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(super) fn counts(&self) -> BTreeMap<Operation, u64> {
        let mut counts = BTreeMap::new();
        for call in &self.lock().calls {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }

    /// Records a call that writes so many bytes, and decides about it.
    pub(super) fn decide(&self, operation: Operation, location: &str, bytes: u64) -> Verdict {
        let mut state = self.lock();
        state.calls.push(Call { operation, location: location.to_owned() });
        let mut verdict = Verdict::default();
        let State { plan, random, seen, .. } = &mut *state;
        let mut settled = false;
        for (rule, seen) in plan.rules.iter().zip(seen) {
            if !rule.matches(operation, location) {
                continue;
            }
            seen.calls += 1;
            let last = rule.times.map_or(u64::MAX, |times| rule.from_call.saturating_add(times));
            let due = seen.calls >= rule.from_call && seen.calls < last;
            // Draw for each due call, so that one rule's outcome does not shift another's.
            let happens = due && (rule.probability >= 1.0 || random.random::<f64>() < rule.probability);
            if !happens {
                continue;
            }
            let error = |kind| Error::new(kind, format!("injected fault: {operation:?} {location}"));
            match rule.fault {
                Fault::Delay(ms) => verdict.delay_ms += ms,
                _ if settled => {}
                Fault::ErrorBefore(kind) => {
                    verdict.before = Some(error(kind));
                    settled = true;
                }
                Fault::ErrorAfter(kind) => {
                    verdict.after = Some(error(kind));
                    settled = true;
                }
                Fault::DiskFull { after_bytes } => {
                    seen.bytes += bytes;
                    if bytes > 0 && seen.bytes > after_bytes {
                        verdict.before = Some(error(ErrorKind::StorageFull));
                        settled = true;
                    }
                }
                Fault::Truncate { to_bytes } => {
                    verdict.truncate = Some(to_bytes);
                    settled = true;
                }
            }
        }
        verdict
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(plan: FaultPlan, calls: Vec<Call>) -> Self {
        let random = StdRng::seed_from_u64(plan.seed);
        let seen = vec![Seen::default(); plan.rules.len()];
        Self { plan, random, seen, calls }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    rest.char_indices().map(|(i, _)| i).chain([rest.len()]).any(|i| glob(tail, &rest[i..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*.json", "a/b.json", true),
            ("*.json", "a/b.json.gz", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("*é*", "x/é/y", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_starts_and_ends_where_it_says() {
        let rule = FaultRule::new(Operation::Read, "*", Fault::ErrorBefore(ErrorKind::Timeout));
        let faults = Faults::new(FaultPlan::of(rule.from_call(2).times(2)));
        let failed: Vec<bool> =
            (0..5).map(|_| faults.decide(Operation::Read, "x", 0).before.is_some()).collect();
        assert_eq!(failed, [false, true, true, false, false]);
        assert_eq!(faults.counts()[&Operation::Read], 5);
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let run = |seed| {
            let rule = FaultRule::new(Operation::Read, "*", Fault::ErrorBefore(ErrorKind::Timeout));
            let plan = FaultPlan { seed, rules: vec![rule.with_probability(0.5)] };
            let faults = Faults::new(plan);
            (0..64).map(|_| faults.decide(Operation::Read, "x", 0).before.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
        assert!(run(3).contains(&true) && run(3).contains(&false));
    }

    #[test]
    fn the_disk_is_full_after_its_bytes() {
        let rule = FaultRule::new(Operation::Write, "*", Fault::DiskFull { after_bytes: 10 });
        let faults = Faults::new(FaultPlan::of(rule));
        assert!(faults.decide(Operation::Write, "x", 10).before.is_none());
        let error = faults.decide(Operation::Write, "x", 1).before.unwrap();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn a_plan_survives_json() {
        let rule = FaultRule::new(Operation::Close, "*.parquet", Fault::DiskFull { after_bytes: 3 });
        let plan = FaultPlan::of(rule.with_probability(0.25));
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<FaultPlan>(&json).unwrap(), plan);
    }
}
