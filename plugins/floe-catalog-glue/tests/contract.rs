//! The catalog contract, on Glue over local files.

mod support;

use floe_testkit::contract::catalog;
use support::Lake;

/// Every name that Glue itself takes.
const ANY_NAMES: &[(&str, &str)] = &[("glue.skip-name-validation", "true")];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_glue_catalog_holds_the_contract() {
    if Lake::new().await.is_none() {
        return;
    }
    catalog::run_all(|| async { Lake::new().await.expect("as before").under_test(ANY_NAMES).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn losers_leave_no_metadata_file() {
    let Some(lake) = Lake::new().await else { return };
    catalog::losers_leave_no_metadata_file(&lake.under_test(ANY_NAMES).await).await;
}

#[tokio::test]
async fn new_names_are_those_that_athena_takes_unless_validation_is_skipped() {
    let Some(lake) = Lake::new().await else { return };
    catalog::odd_names_are_kept_as_they_are(&lake.under_test(&[]).await).await;
}
