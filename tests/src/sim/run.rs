//! One run: a seed, writers, and what became of it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe::catalog::CatalogClient;
use floe::env::Environment;
use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{IcebergTableManagerConfig, TableConfig};
use floe::{IcebergTableManager, LoadedTable};
use floe_testkit::SeededEnvironment;
use floe_testkit::catalog::MemoryCatalog;
use floe_testkit::sim::{Actor, FaultRates, Ledger, Scheduler, SimCatalog, SimEnvironment, SimHook};
use floe_testkit::storage::{HookedStorage, MemoryStorage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Call, Op, Outcome, Record};
use super::perform::perform;
use super::{Mutant, checks, generate, row};

/// A run that takes longer than this, in real time, hangs.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// How a run differs from the usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What is broken on purpose.
    pub mutant: Option<Mutant>,
    /// Whether nothing goes wrong, but for what the writers do to each other.
    pub no_faults: bool,
}

/// What happened in a run that passed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The events, in order.
    pub trace: Vec<String>,
    /// Calls to managers.
    pub operations: usize,
    /// Commits that took effect.
    pub commits: usize,
    /// How often operations that succeeded were run again.
    pub reruns: u32,
    /// Faults that were injected.
    pub faults: u64,
}

/// What is wrong after a run.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed that gives it again.
    pub seed: u64,
    /// What does not hold.
    pub why: String,
    /// The events up to there.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.trace {
            writeln!(f, "{event}")?;
        }
        writeln!(f, "seed {} fails: {}", self.seed, self.why)?;
        write!(f, "again with: cargo xtask sim --seed {}", self.seed)
    }
}

/// What all writers of a run share.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) memory: MemoryStorage,
    pub(super) server: MemoryCatalog,
    pub(super) ledger: Ledger,
    pub(super) table: TableIdent,
    pub(super) records: Mutex<Vec<Record>>,
    options: Options,
}

/// Runs a seed.
///
/// # Errors
/// What does not hold after it.
pub fn run(seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let scheduler = Scheduler::new(seed);
    let (checked, world) = runtime.block_on(async {
        let world = Arc::new(World::new(seed, scheduler.clone(), options).await);
        let checked = match tokio::time::timeout(HANGS_AFTER, simulate(seed, &world)).await {
            Ok(checked) => checked,
            Err(_) => Err("it hangs".to_owned()),
        };
        (checked, world)
    });
    // What a crashed writer left running waits forever.
    runtime.shutdown_background();
    let trace = scheduler.trace();
    let records = world.records.lock().unwrap();
    match checked {
        Ok(()) => Ok(Report {
            trace,
            operations: records.len(),
            commits: world.ledger.commits().len() - 1,
            reruns: records.iter().map(|record| record.outcome.reruns()).sum(),
            faults: world.ledger.faults(),
        }),
        Err(why) => Err(Box::new(Failure { seed, why, trace })),
    }
}

impl World {
    async fn new(seed: u64, scheduler: Scheduler, options: Options) -> Self {
        let memory = MemoryStorage::new();
        let server = MemoryCatalog::new(&memory, Arc::new(SeededEnvironment::new(seed)));
        let manager = plain_manager(&memory, &server, Arc::new(SeededEnvironment::new(seed)));
        manager.ensure_namespace(&NamespaceIdent::new("s".into())).await.unwrap();
        let mut random = StdRng::seed_from_u64(seed);
        let config = TableConfig {
            partition_spec: generate::first_spec(&mut random),
            properties: generate::properties(&mut random),
            ..TableConfig::new("s", "t", row::schema())
        };
        let created = manager.create_table(&config, false).await.unwrap();
        let ledger = Ledger::default();
        ledger.committed(usize::MAX, &created);
        scheduler.note(format_args!("a table: {:?}, {:?}", config.partition_spec, config.properties));
        let table = created.ident;
        let world = Self { scheduler, memory, server, ledger, table, records: Mutex::default(), options };
        for _ in 0..random.random_range(0..3) {
            let number = world.records.lock().unwrap().len();
            let rows = (0..5).map(|row| row::random_row(&mut random, &format!("op{number}-{row}"))).collect();
            let outcome = world.alone(&manager, Call::append(rows)).await;
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        }
        world
    }

    /// Does what the call asks for while nobody else is there, and takes down what happened.
    async fn alone(&self, manager: &IcebergTableManager, call: Call) -> Outcome {
        let number = self.record(call.clone());
        let before = self.server.load_table(&self.table).await.unwrap();
        self.ledger.saw(number, &before);
        let outcome = perform(manager, &self.table, &call, None).await;
        let after = self.server.load_table(&self.table).await.unwrap();
        if after.metadata_location != before.metadata_location {
            self.ledger.committed(number, &after);
        }
        self.scheduler.note(format_args!("operation {number}: {}; {}", describe(&call), ending(&outcome)));
        self.records.lock().unwrap()[number].outcome = outcome.clone();
        outcome
    }

    /// The newest version of the table.
    pub(super) fn newest(&self) -> LoadedTable {
        self.ledger.newest().unwrap()
    }

    /// A manager without faults, as a process that comes later has it.
    pub(super) fn fresh(&self, seed: u64) -> IcebergTableManager {
        plain_manager(&self.memory, &self.server.another_client(), Arc::new(SeededEnvironment::new(seed)))
    }

    fn record(&self, call: Call) -> usize {
        let mut records = self.records.lock().unwrap();
        records.push(Record { call, outcome: Outcome::Running });
        records.len() - 1
    }
}

fn plain_manager(
    memory: &MemoryStorage,
    server: &MemoryCatalog,
    environment: Arc<dyn Environment>,
) -> IcebergTableManager {
    let config = IcebergTableManagerConfig::default();
    let manager = IcebergTableManager::new(Arc::new(server.clone()), Arc::new(memory.clone()), config);
    manager.unwrap().with_environment(environment)
}

async fn simulate(seed: u64, world: &Arc<World>) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let rates = if world.options.no_faults { FaultRates::default() } else { rates(&mut random) };
    let writers = random.random_range(2..=5);
    world.scheduler.note(format_args!("{writers} writers, {rates:?}"));
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let random = StdRng::seed_from_u64(random.random());
            let actor = world.scheduler.actor(format!("w{writer}"));
            let writer = Writer { name: format!("w{writer}"), world: world.clone(), random, rates };
            tokio::spawn(writer.work(actor))
        })
        .collect();
    world.scheduler.run().await;
    for task in tasks {
        task.await.map_err(|e| format!("a writer panicked: {e}"))?;
    }
    heal(seed, world).await?;
    checks::check(world).await
}

fn rates(random: &mut StdRng) -> FaultRates {
    let mut rate = |often: f64| [0.0, often / 4.0, often][random.random_range(0..3)];
    FaultRates {
        catalog_error: rate(0.06),
        commit_unknown: rate(0.25),
        commit_conflict: rate(0.1),
        storage_error: rate(0.15),
        storage_error_after: rate(0.1),
        storage_crash: rate(0.1),
        delay: rate(0.2),
        crash: rate(0.01),
    }
}

/// One writer, through all its processes.
struct Writer {
    name: String,
    world: Arc<World>,
    random: StdRng,
    rates: FaultRates,
}

impl Writer {
    async fn work(mut self, mut actor: Actor) {
        let mut left = self.random.random_range(2..=4);
        let mut again: Option<Call> = None;
        let mut process = 0;
        let mut manager = self.manager(&actor);
        while left > 0 {
            actor.gate().await;
            left -= 1;
            let call = again.take().unwrap_or_else(|| {
                let records = self.world.records.lock().unwrap();
                generate::call(&mut self.random, records.len(), &self.world.newest().metadata, &records)
            });
            let number = self.world.record(call.clone());
            manager.1.store(number, Ordering::SeqCst);
            actor.note(format_args!("operation {number}: {}", describe(&call)));
            let mutant = self.world.options.mutant;
            let outcome = tokio::select! {
                biased;
                () = actor.crashed() => Outcome::Crashed,
                outcome = perform(&manager.0, &self.world.table, &call, mutant) => outcome,
            };
            actor.note(format_args!("operation {number} ends: {}", ending(&outcome)));
            let crashed = outcome == Outcome::Crashed;
            self.world.records.lock().unwrap()[number].outcome = outcome;
            if crashed {
                process += 1;
                if call.key.is_some() && self.random.random_range(0..4) > 0 {
                    again = Some(call);
                    left += 1;
                }
                let next = self.world.scheduler.actor(format!("{}.{process}", self.name));
                manager = self.manager(&next);
                actor.end();
                actor = next;
            }
        }
        actor.end();
    }

    /// The manager of a new process, and the number of the operation it is at.
    fn manager(&self, actor: &Actor) -> (IcebergTableManager, Arc<AtomicUsize>) {
        let world = &self.world;
        let operation = Arc::new(AtomicUsize::new(0));
        let environment = Arc::new(SimEnvironment::new(actor));
        let hook = SimHook::new(actor, self.rates, &world.ledger, operation.clone());
        let storage = HookedStorage::new(Arc::new(world.memory.clone()), Arc::new(hook));
        let inner = world.server.client_over(&storage, environment.clone());
        let server = world.server.another_client();
        let catalog = SimCatalog::new(inner, server, actor, self.rates, &world.ledger, operation.clone())
            .with_tampering(world.options.mutant.and_then(Mutant::tampering));
        let config = IcebergTableManagerConfig::default();
        let manager = IcebergTableManager::new(Arc::new(catalog), Arc::new(storage), config).unwrap();
        (manager.with_environment(environment), operation)
    }
}

/// Whoever does not know how a call with a key ended repeats it: it has to end well, and to have been done once.
async fn heal(seed: u64, world: &World) -> Result<(), String> {
    let manager = world.fresh(seed ^ 0x6ea1);
    let records = world.records.lock().unwrap().clone();
    for (number, Record { call, outcome }) in records.iter().enumerate() {
        let open = matches!(outcome, Outcome::Unknown | Outcome::Crashed);
        if !open || call.key.is_none() || call.wap.is_some() || world.options.mutant.is_some() {
            continue;
        }
        world.scheduler.note(format_args!("operation {number} is repeated"));
        let branch = call.branch.as_deref().unwrap_or("main");
        // Another call took its key, with another input: whichever was first, the other one is refused.
        let contested =
            records.iter().any(|other| other.call.key == call.key && !other.call.op.is_same(&call.op));
        let is_there = call.branch.is_none() || world.newest().metadata.snapshot_for_ref(branch).is_some();
        if let Outcome::Failed(why) = world.alone(&manager, call.clone()).await
            && is_there
            && !contested
        {
            return Err(format!("operation {number} cannot be repeated: {why}"));
        }
    }
    Ok(())
}

fn describe(call: &Call) -> String {
    let op = match &call.op {
        Op::Append { rows } => format!("append {} rows", rows.len()),
        Op::OverwriteAll { rows } => format!("overwrite all with {} rows", rows.len()),
        Op::OverwriteWhere { filter, rows } => {
            format!("overwrite where {} with {} rows", filter.text(), rows.len())
        }
        Op::OverwritePartitions { rows } => format!("overwrite partitions with {} rows", rows.len()),
        Op::Delete { filter } => format!("delete where {}", filter.text()),
        Op::Upsert { rows, how } => format!("upsert {} rows, {how:?}", rows.len()),
        Op::Transaction { column, rows, filter, with } => format!(
            "transaction: column {column:?}, append {} rows, overwrite where {} with {} rows",
            rows.len(),
            filter.text(),
            with.len()
        ),
        Op::Merge { rows, on, clauses } => format!("merge {} rows on {on:?}, {clauses:?}", rows.len()),
        Op::Tag { name, .. } => format!("tag {name}"),
        Op::Branch { name, .. } => format!("branch {name}"),
        Op::Rollback { .. } => "roll back".into(),
        Op::SetCurrent { .. } => "set current".into(),
        Op::CherryPick { .. } => "cherry-pick".into(),
        other => format!("{other:?}"),
    };
    let Call { branch, key, isolation, mode, strategy, wap, .. } = call;
    if call.op.changes_rows() {
        format!("{op}; branch {branch:?}, key {key:?}, {isolation:?}, {mode:?}, {strategy:?}, staged {wap:?}")
    } else {
        format!("{op}; branch {branch:?}")
    }
}

/// How a call ended, without what is drawn at random.
fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { snapshot, attempts, replayed, reruns } => {
            let snapshot = if snapshot.is_some() { "a snapshot" } else { "no snapshot" };
            let replayed = if *replayed { ", replayed" } else { "" };
            format!("done, {snapshot}, attempts {attempts}, run again {reruns} times{replayed}")
        }
        Outcome::Failed(why) => format!("failed, {}", why.split(':').next().unwrap_or_default()),
        other => format!("{other:?}").to_lowercase(),
    }
}
