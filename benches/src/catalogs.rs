//! Small commits one after the other on each catalog, its tables on local files.

use std::path::Path;

use anyhow::{Context, Result, bail};
use floe::Properties;

use crate::floe_side::{create_in, runtime, small_commits};
use crate::measure::{Stopwatch, Took};

/// Commits that are measured.
const COMMITS: usize = 50;

/// Commits to a new table of the catalog that `case` names; what each took on average.
pub(crate) fn run(case: &str, folder: &Path) -> Result<Took> {
    let catalog = case.strip_prefix("catalogs-").context("not a case of catalogs")?;
    let properties = properties(catalog, &folder.join("catalogs/floe"))?;
    runtime()?.block_on(async {
        let manager = floe::connect("bench", &properties).await?;
        let table = create_in(&manager, "commits_floe", false).await?;
        // The first one opens connections.
        small_commits(&manager, &table, 0..1).await?;
        let start = Stopwatch::start();
        small_commits(&manager, &table, 1..COMMITS + 1).await?;
        let took = start.stop()?;
        eprintln!("floe on {catalog}: {:.1} commits a second", COMMITS as f64 / took.seconds);
        Ok(took.each(COMMITS))
    })
}

/// How floe reaches a catalog whose server the environment names as the tests do.
fn properties(catalog: &str, warehouse: &Path) -> Result<Properties> {
    std::fs::create_dir_all(warehouse)?;
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let local = Properties::default().with("warehouse", warehouse.to_string_lossy());
    Ok(match catalog {
        "sqlite" => local.with("type", "local"),
        "postgres" => local.with("type", "local").with("uri", variable("FLOE_TEST_POSTGRES_URI")?),
        // The server decides where tables go.
        "rest" => Properties::default()
            .with("type", "rest")
            .with("storage", "local")
            .with("uri", variable("FLOE_TEST_REST_URI")?),
        "glue" => local
            .with("type", "glue")
            .with("storage", "local")
            .with("glue.endpoint", variable("FLOE_TEST_GLUE_ENDPOINT")?)
            .with("glue.region", "us-east-1")
            .with("glue.access-key-id", "testing")
            .with("glue.secret-access-key", "testing"),
        other => bail!("there is no catalog '{other}'"),
    })
}
