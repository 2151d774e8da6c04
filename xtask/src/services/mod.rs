//! The real servers that tests run against: brought, started, checked and stopped.
//!
//! Servers of a test run end with it, whatever ends it: each is in a process group of its own, which a small shell
//! ends when the pipe from this process closes, and what outlives even that is swept by the next run. Servers of
//! `cargo xtask services start` stay until `cargo xtask services stop`.

mod containers;
mod http;
mod kind;
mod launch;
mod postgres;
mod process;
mod run;
mod stores;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

pub(crate) use containers::engine_runs as containers_run;
pub(crate) use kind::Service;
use launch::{Launch, Place, Stores};
use process::Process;
use run::{Record, Run, Started};

/// How long a server may take until it answers, on a busy machine; an image may have to be fetched first.
const READY: Duration = Duration::from_secs(300);

/// Process groups that end when this process is interrupted.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Servers that run until this value is dropped.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    running: Vec<(Process, Started)>,
    variables: Vec<(String, String)>,
    run: Option<Run>,
}

impl Servers {
    /// Starts `chosen` (all when empty) and what they need, at the same time. One whose variables are set already
    /// is taken as it is.
    pub(crate) fn start(chosen: &[Service]) -> Result<Self> {
        let mut servers = Self::default();
        let wanted = Service::with_needs(chosen, containers::engine_runs());
        let (given, missing): (Vec<Service>, Vec<Service>) =
            wanted.into_iter().partition(|s| s.variables().iter().all(|v| std::env::var_os(v).is_some()));
        for service in given {
            eprintln!("{:<9} as the environment says", service.name());
        }
        if missing.is_empty() {
            return Ok(servers);
        }
        containers::say(&missing);
        end_when_interrupted();
        let run = Run::new()?;
        let endpoint = |service: Service| std::env::var(service.variables()[0]).ok();
        let stores = Stores { s3: endpoint(Service::S3), minio: endpoint(Service::Minio) };
        servers.running = launch_all(&missing, &run, true, stores)?;
        servers.variables = servers.running.iter().flat_map(|(_, s)| s.variables.clone()).collect();
        servers.run = Some(run);
        Ok(servers)
    }

    /// What tests are told of the servers that were started.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        stop_all(std::mem::take(&mut self.running));
        // A later run may now forget this one.
        drop(self.run.take());
    }
}

/// Brings what servers need (all when empty), and starts none.
pub(crate) fn bring(chosen: &[Service]) -> Result<()> {
    let wanted: Vec<_> =
        Service::with_needs(chosen, containers::engine_runs()).into_iter().map(|s| (s, ())).collect();
    let (_, faults) = at_once(wanted, |service, ()| service.bring());
    none(&faults)
}

/// `cargo xtask services start`: starts what does not run yet, and prints what a shell must be told.
pub(crate) fn start_lasting(chosen: &[Service]) -> Result<()> {
    let run = Run::lasting()?;
    let mut record = run.record();
    let (alive, dead): (Vec<Started>, Vec<Started>) =
        record.servers.into_iter().partition(|s| s.identity.is_alive());
    dead.iter().for_each(Started::remove_folders);
    record = Record { servers: alive };
    let runs = |service: Service| record.servers.iter().any(|s| s.name == service.name());
    let missing: Vec<Service> =
        Service::with_needs(chosen, containers::engine_runs()).into_iter().filter(|s| !runs(*s)).collect();
    containers::say(&missing);
    let endpoint = |service: Service| {
        let running = record.servers.iter().find(|s| s.name == service.name())?;
        running.variables.first().map(|(_, endpoint)| endpoint.clone())
    };
    let stores = Stores { s3: endpoint(Service::S3), minio: endpoint(Service::Minio) };
    let started = launch_all(&missing, &run, false, stores)?;
    record.servers.extend(started.into_iter().map(|(_, started)| started));
    run.keep(&record)?;
    for (name, value) in record.servers.iter().flat_map(|s| &s.variables) {
        println!("export {name}='{value}'");
    }
    Ok(())
}

/// `cargo xtask services status`. Fails when a server that was started does not run.
pub(crate) fn status() -> Result<()> {
    let record = Run::lasting()?.record();
    let mut dead = Vec::new();
    for service in Service::all() {
        let name = service.name();
        match record.servers.iter().find(|s| s.name == name) {
            Some(s) if s.identity.is_alive() => {
                let address = s.variables.first().map_or("", |(_, value)| value.as_str());
                println!(
                    "{name:<9}  runs         {address}  process {}  {}",
                    s.identity.group,
                    s.log.display()
                );
            }
            Some(s) => {
                println!("{name:<9}  has ended    {}", s.log.display());
                dead.push(name);
            }
            None => println!("{name:<9}  not started"),
        }
    }
    if dead.is_empty() { Ok(()) } else { bail!("no longer running: {}", dead.join(", ")) }
}

/// `cargo xtask services stop`.
pub(crate) fn stop_lasting() -> Result<()> {
    let run = Run::lasting()?;
    let record = run.record();
    thread::scope(|scope| {
        for server in &record.servers {
            scope.spawn(|| server.stop());
        }
    });
    run.keep(&Record::default())?;
    eprintln!("{} servers stopped", record.servers.len());
    Ok(())
}

/// Starts servers at the same time, all or none. `stores` are those that run already.
fn launch_all(
    services: &[Service],
    run: &Run,
    watched: bool,
    stores: Stores,
) -> Result<Vec<(Process, Started)>> {
    // Bound until the server starts, so that no other takes it.
    let bind = |s: &Service| Ok((*s, TcpListener::bind("127.0.0.1:0").context("no port is free")?));
    let ports: Vec<(Service, TcpListener)> = services.iter().map(bind).collect::<Result<_>>()?;
    let own = |service: Service| {
        let (_, listener) = ports.iter().find(|(s, _)| *s == service)?;
        listener.local_addr().ok().map(|address| format!("http://{address}"))
    };
    let stores = Stores { s3: own(Service::S3).or(stores.s3), minio: own(Service::Minio).or(stores.minio) };
    let (running, faults) =
        at_once(ports, |service, port| launch_one(service, port, stores.clone(), run, watched));
    if !faults.is_empty() {
        stop_all(running);
        none(&faults)?;
        return Ok(Vec::new());
    }
    if watched {
        run.keep(&Record { servers: running.iter().map(|(_, s)| s.clone()).collect() })?;
    }
    Ok(running)
}

fn launch_one(
    service: Service,
    port: TcpListener,
    stores: Stores,
    run: &Run,
    watched: bool,
) -> Result<(Process, Started)> {
    service.bring()?;
    let begin = Instant::now();
    let (folder, log) = run.place_of(&service.name())?;
    let place = Place { folder: folder.clone(), port: port.local_addr()?.port(), stores };
    let Launch { command, user, ready, after, mut folders, values } = service.launch(&place)?;
    drop(port);
    let mut process = Process::start(&command, user, &log, watched)?;
    hold(process.group());
    folders.push(folder);
    let started = process.wait(READY, &*ready).and_then(|()| after()).and_then(|()| {
        let names = service.variables().iter().map(|name| (*name).to_owned());
        let variables = names.zip(values).collect();
        Ok(Started {
            name: service.name(),
            identity: process.identity()?,
            log,
            folders: folders.clone(),
            variables,
        })
    });
    match started {
        Ok(started) => {
            eprintln!(
                "{:<9} port {} after {:.1} s",
                service.name(),
                place.port,
                begin.elapsed().as_secs_f64()
            );
            if !watched {
                release(process.group());
            }
            Ok((process, started))
        }
        Err(e) => {
            release(process.group());
            process.stop();
            for folder in folders {
                let _ = std::fs::remove_dir_all(folder);
            }
            Err(e)
        }
    }
}

/// Does something for every server at the same time; the results, and what failed.
fn at_once<A: Send, T: Send>(
    services: Vec<(Service, A)>,
    work: impl Fn(Service, A) -> Result<T> + Sync,
) -> (Vec<T>, Vec<String>) {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = services
            .into_iter()
            .map(|(service, argument)| (service, scope.spawn(move || work(service, argument))))
            .collect();
        let (mut done, mut faults) = (Vec::new(), Vec::new());
        for (service, thread) in threads {
            match thread.join().unwrap_or_else(|_| Err(anyhow!("its thread panicked"))) {
                Ok(value) => done.push(value),
                Err(e) => faults.push(format!("server {}: {e:#}", service.name())),
            }
        }
        (done, faults)
    })
}

fn none(faults: &[String]) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n\n")) }
}

fn stop_all(running: Vec<(Process, Started)>) {
    thread::scope(|scope| {
        for (process, started) in running {
            scope.spawn(move || {
                release(process.group());
                process.stop();
                started.remove_folders();
            });
        }
    });
}

fn hold(group: i32) {
    if let Ok(mut groups) = GROUPS.lock() {
        groups.insert(group);
    }
}

fn release(group: i32) {
    if let Ok(mut groups) = GROUPS.lock() {
        groups.remove(&group);
    }
}

/// Ctrl-C reaches only the terminal's own process group: the servers are ended by hand.
fn end_when_interrupted() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let set = ctrlc::set_handler(|| {
            // Held to the end: no server is started, and none ended twice, while these end.
            let groups = GROUPS.lock();
            if let Ok(groups) = &groups {
                process::end(groups.iter().copied());
            }
            std::process::exit(130);
        });
        if let Err(e) = set {
            eprintln!("servers will not be ended by ctrl-C: {e}");
        }
    });
}
