//! One actor at a time, chosen by a seed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::Environment;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::sync::{Notify, oneshot};

use crate::SeededEnvironment;

/// The longest time that passes between two events, in milliseconds.
const MAX_STEP_MS: i64 = 20;

/// Lets one actor at a time go on. Time is virtual. Clones share the actors.
#[derive(Clone)]
pub struct Scheduler {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

struct State {
    seed: u64,
    random: StdRng,
    clock_ms: i64,
    actors: BTreeMap<u32, Waits>,
    next_actor: u32,
    trace: Vec<String>,
}

/// Where an actor waits; nowhere while it runs.
type Waits = Vec<Wait>;

struct Wait {
    ready_ms: i64,
    go: oneshot::Sender<()>,
}

impl Scheduler {
    /// A scheduler whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            random: StdRng::seed_from_u64(seed),
            clock_ms: SeededEnvironment::START_MS,
            actors: BTreeMap::new(),
            next_actor: 0,
            trace: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    /// A new actor, which runs until its first gate.
    pub fn actor(&self, name: impl Into<String>) -> Actor {
        let mut state = self.lock();
        let id = state.next_actor;
        state.next_actor += 1;
        state.actors.insert(id, Vec::new());
        let random = StdRng::seed_from_u64(mix(state.seed, u64::from(id) + 1));
        Actor {
            shared: Arc::new(Shared {
                scheduler: self.clone(),
                id,
                name: name.into(),
                random: Mutex::new(random),
                crashed: AtomicBool::new(false),
                crash: Notify::new(),
            }),
        }
    }

    /// Lets actors go on, one at a time, until all have ended. Once no actor is ready, time passes.
    pub async fn run(&self) {
        loop {
            let changed = self.changed.notified();
            let step = self.lock().step();
            match step {
                Step::Ended => return,
                Step::Wait => changed.await,
                Step::Go(waits) => {
                    for wait in waits {
                        // Whoever has crashed meanwhile does not wait any more.
                        let _gone = wait.go.send(());
                    }
                }
            }
        }
    }

    /// Notes an event, so that a run can be read.
    pub fn note(&self, event: impl fmt::Display) {
        let mut state = self.lock();
        let time = state.clock_ms - SeededEnvironment::START_MS;
        let line = format!("{time:>7} {event}");
        state.trace.push(line);
    }

    /// The events so far.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

enum Step {
    /// Somebody runs.
    Wait,
    Go(Waits),
    Ended,
}

impl State {
    fn step(&mut self) -> Step {
        if self.actors.is_empty() {
            return Step::Ended;
        }
        if self.actors.values().any(Vec::is_empty) {
            return Step::Wait;
        }
        let ready_at = |waits: &Waits| waits.iter().map(|wait| wait.ready_ms).min().unwrap_or(0);
        self.clock_ms += self.random.random_range(1..=MAX_STEP_MS);
        let earliest = self.actors.values().map(ready_at).min().unwrap_or(0);
        self.clock_ms = self.clock_ms.max(earliest);
        let now = self.clock_ms;
        let ready: Vec<u32> =
            self.actors.iter().filter(|(_, waits)| ready_at(waits) <= now).map(|(id, _)| *id).collect();
        let chosen = ready[self.random.random_range(0..ready.len())];
        let waits = self.actors.get_mut(&chosen).map(std::mem::take).unwrap_or_default();
        Step::Go(waits)
    }
}

/// Something that goes on only when the scheduler says so. Clones are the same actor.
#[derive(Clone)]
pub struct Actor {
    shared: Arc<Shared>,
}

struct Shared {
    scheduler: Scheduler,
    id: u32,
    name: String,
    random: Mutex<StdRng>,
    crashed: AtomicBool,
    crash: Notify,
}

impl Actor {
    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The scheduler it belongs to.
    pub fn scheduler(&self) -> &Scheduler {
        &self.shared.scheduler
    }

    /// Waits for its turn. Never returns once the actor has crashed.
    pub async fn gate(&self) {
        self.wait(0).await;
    }

    /// Waits until the virtual clock has moved on by `duration`, and for its turn.
    pub async fn pause(&self, duration: Duration) {
        self.wait(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)).await;
    }

    async fn wait(&self, ms: i64) {
        let receiver = {
            let mut state = self.shared.scheduler.lock();
            let ready_ms = state.clock_ms.saturating_add(ms);
            let (go, receiver) = oneshot::channel();
            match state.actors.get_mut(&self.shared.id) {
                Some(waits) if !self.is_crashed() => {
                    waits.push(Wait { ready_ms, go });
                    Some(receiver)
                }
                _ => None,
            }
        };
        self.shared.scheduler.changed.notify_one();
        if let Some(receiver) = receiver
            && receiver.await.is_ok()
            && !self.is_crashed()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Stops the actor for good, as when its process is killed: no call of it returns any more.
    pub fn crash(&self) {
        if !self.shared.crashed.swap(true, Ordering::SeqCst) {
            self.note("crashes");
        }
        self.shared.crash.notify_one();
    }

    /// Whether it has crashed.
    pub fn is_crashed(&self) -> bool {
        self.shared.crashed.load(Ordering::SeqCst)
    }

    /// Waits until it has crashed.
    pub async fn crashed(&self) {
        let notified = self.shared.crash.notified();
        if !self.is_crashed() {
            notified.await;
        }
    }

    /// Ends the actor: nobody waits for it any more.
    pub fn end(&self) {
        self.shared.scheduler.lock().actors.remove(&self.shared.id);
        self.shared.scheduler.changed.notify_one();
    }

    /// A number below `bound`, from the seed.
    pub fn below(&self, bound: u64) -> u64 {
        self.random().random_range(0..bound)
    }

    /// Whether something of this probability happens.
    pub fn chance(&self, probability: f64) -> bool {
        self.random().random::<f64>() < probability
    }

    /// Notes an event of this actor.
    pub fn note(&self, event: impl fmt::Display) {
        self.shared.scheduler.note(format_args!("{:<6} {event}", self.shared.name));
    }

    /// A number that follows from the seed, the actor and `text` alone, at least 0.0 and below 1.0.
    pub fn fate(&self, text: &str) -> f64 {
        // FNV-1a: the same in every build.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let seed = self.shared.scheduler.lock().seed;
        let bits = mix(mix(seed, u64::from(self.shared.id)), hash);
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn random(&self) -> MutexGuard<'_, StdRng> {
        self.shared.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// The virtual time and the random numbers of one actor.
#[derive(Debug)]
pub struct SimEnvironment {
    actor: Actor,
    random: Mutex<StdRng>,
}

impl SimEnvironment {
    /// The environment of `actor`.
    pub fn new(actor: &Actor) -> Self {
        let seed = actor.below(u64::MAX);
        Self { actor: actor.clone(), random: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

#[async_trait]
impl Environment for SimEnvironment {
    fn now_ms(&self) -> i64 {
        self.actor.scheduler().lock().clock_ms
    }

    fn random_u64(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    async fn sleep(&self, duration: Duration) {
        self.actor.pause(duration).await;
    }
}

/// Spreads `value` over all bits (the finaliser of SplitMix64).
fn mix(seed: u64, value: u64) -> u64 {
    let mut bits = seed.wrapping_add(value.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three actors that note each of their steps.
    fn run(seed: u64) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scheduler = Scheduler::new(seed);
            for name in ["a", "b", "c"] {
                let actor = scheduler.actor(name);
                tokio::spawn(async move {
                    for step in 0..4 {
                        actor.gate().await;
                        actor.note(step);
                    }
                    actor.end();
                });
            }
            scheduler.run().await;
            scheduler.trace()
        })
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_seed_another() {
        assert_eq!(run(1), run(1));
        assert_eq!(run(1).len(), 12);
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_pause_passes_at_once_when_all_others_wait_longer() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scheduler = Scheduler::new(3);
            let actor = scheduler.actor("a");
            let environment = SimEnvironment::new(&actor);
            tokio::spawn(async move {
                let before = environment.now_ms();
                environment.sleep(Duration::from_hours(1)).await;
                assert!(environment.now_ms() - before >= 3_600_000);
                actor.end();
            });
            scheduler.run().await;
        });
    }

    #[test]
    fn a_crashed_actor_holds_nobody_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scheduler = Scheduler::new(4);
            let (a, b) = (scheduler.actor("a"), scheduler.actor("b"));
            tokio::spawn(async move {
                let work = async {
                    a.gate().await;
                    a.crash();
                    a.gate().await;
                    a.note("never");
                };
                tokio::select! {
                    () = work => {}
                    () = a.crashed() => {}
                }
                a.end();
            });
            tokio::spawn(async move {
                for _ in 0..3 {
                    b.gate().await;
                }
                b.end();
            });
            scheduler.run().await;
            assert!(!scheduler.trace().iter().any(|event| event.contains("never")));
        });
    }
}
