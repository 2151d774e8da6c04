//! Measured by hand: `cargo test -p floe-iceberg --lib commit::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use floe_plan::requirements::refs;
use iceberg::spec::FormatVersion;

use super::world::World;
use crate::commit::operation::Operation;

#[tokio::test]
#[ignore = "prints timings and asserts none"]
#[allow(clippy::print_stdout)]
async fn commits_of_one_file() {
    let world = World::new(FormatVersion::V2, &[]);
    let mut started = Instant::now();
    for commit in 1..=1000 {
        world.append(&[&commit.to_string()]).await.unwrap();
        if commit % 250 == 0 {
            println!("up to {commit}: {:?} each", started.elapsed() / 250);
            started = Instant::now();
        }
    }
    let table = world.table();
    let manifests = world.manifests().await;
    let started = Instant::now();
    for _ in 0..20 {
        refs::branch(&table.metadata, "main").unwrap();
    }
    println!("branch: {:?}", started.elapsed() / 20);
    let started = Instant::now();
    for _ in 0..20 {
        crate::commit::list::measure(&table, &manifests).await;
    }
    println!("manifest list of {}: {:?}", manifests.len(), started.elapsed() / 20);
    let started = Instant::now();
    for _ in 0..20 {
        drop(manifests.clone());
    }
    println!("clone: {:?}", started.elapsed() / 20);
    let base = world.base();
    let started = Instant::now();
    for number in 0..20 {
        let request = world.request(&[&format!("x{number}")]);
        let mut operation = Operation::new(&base, request.retry, None, None);
        operation.add_snapshot(&base, &base, request, &world.env).unwrap();
        operation.propose(&base, &world.env).await.unwrap();
    }
    println!("all but the catalog: {:?}", started.elapsed() / 20);
    let started = Instant::now();
    for _ in 0..200 {
        crate::commit::manifest::measure(&table.metadata, &world.request(&["y"]).change.added[0].file);
    }
    println!("manifest of one file: {:?}", started.elapsed() / 200);
}

#[tokio::test]
#[ignore = "prints timings and asserts none"]
#[allow(clippy::print_stdout)]
async fn a_commit_of_fifty_thousand_files() {
    let world = World::new(FormatVersion::V2, &[]);
    let names: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = world.request(&names);
    let started = Instant::now();
    world.commit_on(world.base(), request).await.unwrap();
    println!("50,000 files: {:?}, {} manifests", started.elapsed(), world.manifests().await.len());
}
