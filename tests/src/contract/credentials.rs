//! Credentials that end in the middle of a job.

use std::collections::BTreeSet;

use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::iceberg::TableIdent;
use floe::model::WriteConfig;
use floe::{ErrorKind, IcebergTableManager};
use floe_testkit::http::{Canned, HttpFault, Rule};
use futures::{StreamExt, TryStreamExt, stream};

use super::Target;
use super::rows::{Row, append, batch, read, some, sorted, write};

/// Parts of a table, each with a file of its own, so that a job makes many requests.
const PARTS: i64 = 12;

/// A long write and a long scan whose credentials end in the middle go on with new ones, and nothing is there twice.
pub async fn a_long_job_outlives_the_credentials_of_its_storage(target: &Target) {
    if !target.vends_credentials() {
        println!("n/a: the catalog gives no temporary credentials here; configured ones are not renewed");
        return;
    }
    let sessions = target.sessions().await;
    let manager = target.with_sessions(&sessions).await.unwrap();
    let table = target.partitioned("outlived").await;
    for turn in 0..2 {
        sessions.end_after(4);
        append(&manager, &table, &many(turn * PARTS)).await;
    }
    assert!(sessions.refused() >= 2, "they ended in both writes");
    let expected = sorted([many(0), many(PARTS)]);
    assert_eq!(read(&target.another().await, &table).await, expected);
    assert_nothing_twice(target, &table, 2).await;

    let refused = sessions.refused();
    // Another one, without anything in its cache.
    let reader = target.with_sessions(&sessions).await.unwrap();
    sessions.end_after(8);
    assert_eq!(read(&reader, &table).await, expected);
    assert!(sessions.refused() > refused, "they ended in the scan");
}

/// Where there are no new ones the job fails, says that they have ended, and leaves the table as it was; with good ones
/// it can be done again.
pub async fn a_job_whose_credentials_end_for_good_leaves_the_table_as_it_was(target: &Target) {
    let sessions = target.sessions().await;
    let manager = match target.with_sessions(&sessions).await {
        Ok(manager) => manager,
        Err(reason) => return println!("n/a: {reason}"),
    };
    let table = target.partitioned("ended").await;
    append(&manager, &table, &many(0)).await;
    sessions.give_no_more();
    sessions.end_after(4);
    let error = write(&manager, &table, &many(PARTS), &WriteConfig::default()).await.unwrap_err();
    let (denied, text) = ([ErrorKind::Unauthenticated, ErrorKind::PermissionDenied], error.to_string());
    assert!(denied.contains(&error.kind()), "{}: {error}", error.kind());
    if target.vends_credentials() {
        assert!(text.contains("expired and could not be renewed"), "{error}");
    } else {
        assert!(text.contains("expired") || text.contains("ended"), "{error}");
    }
    assert!(!format!("{text} {error:?}").contains("testingsecret"), "{error:?}");
    assert!(sessions.refused() > 0);
    assert_eq!(read(&target.another().await, &table).await, many(0));
    assert_eq!(target.another().await.list_snapshots(&table).await.unwrap().len(), 1);

    sessions.hold_again();
    append(&manager, &table, &many(PARTS)).await;
    assert_eq!(read(&target.another().await, &table).await, sorted([many(0), many(PARTS)]));
}

/// A long write whose token for the catalog ends in the middle commits with a new one, once; where there is no new one
/// it fails, says so, and leaves nothing behind.
pub async fn a_long_job_outlives_the_token_of_its_catalog(target: &Target) {
    let (manager, proxy) = match target.with_token().await {
        Ok(made) => made,
        Err(reason) => return println!("n/a: {reason}"),
    };
    let table = target.partitioned("token").await;
    let (proxy, issued) = (std::sync::Arc::new(proxy), 1);
    // The token ends once the first half of the data was taken.
    let halves = |first: i64| {
        let proxy = proxy.clone();
        let pieces = [many(first), many(first + PARTS)].map(|rows| batch(&rows));
        let schema = pieces[0].schema();
        let data = stream::iter(pieces.into_iter().enumerate()).map(move |(turn, piece)| {
            if turn == 1 {
                proxy.revoke_tokens();
            }
            Ok(piece)
        });
        BatchStream::new(schema, data.boxed())
    };
    manager.write_data(&table, halves(0), &WriteConfig::default()).await.unwrap();
    assert_eq!(proxy.issued_tokens(), issued + 1, "one for the beginning, and one for the commit");
    let expected = sorted([many(0), many(PARTS)]);
    assert_eq!(read(&target.another().await, &table).await, expected);
    assert_nothing_twice(target, &table, 1).await;

    let refusal = Canned { status: 401, headers: &[], body: r#"{"error":"invalid_client"}"# };
    proxy.inject(Rule::next(HttpFault::Answer(refusal)).path("/oauth/tokens").always());
    let error = manager.write_data(&table, halves(2 * PARTS), &WriteConfig::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    let text = error.to_string();
    assert!(text.contains("refuses the token, and no other can be had"), "{error}");
    assert!(text.contains("`credential`") && !format!("{text} {error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(read(&target.another().await, &table).await, expected);
    assert_nothing_twice(target, &table, 1).await;
}

/// A row for each part.
fn many(first: i64) -> Vec<Row> {
    (first..first + PARTS).flat_map(|id| some([id], &format!("part {}", id % PARTS), "x")).collect()
}

/// There are so many snapshots, each file is in the last one once, and there is no other data file.
async fn assert_nothing_twice(target: &Target, table: &TableIdent, snapshots: usize) {
    let other: IcebergTableManager = target.another().await;
    assert_eq!(other.list_snapshots(table).await.unwrap().len(), snapshots);
    let files = other.list_files(table, &SnapshotSelector::Current).await.unwrap();
    let known: BTreeSet<String> = files.iter().map(|file| without_scheme(&file.path)).collect();
    assert_eq!(known.len(), files.len(), "a file is there once");
    let location = other.load_table(table).await.unwrap().metadata.location().to_owned();
    let listed: Vec<_> = other.storage().list(&format!("{location}/data")).try_collect().await.unwrap();
    let listed: BTreeSet<String> = listed.iter().map(|file| without_scheme(&file.location)).collect();
    assert_eq!(listed, known, "no data file is left that the table does not know");
}

/// `file:/a` and `file:///a` are one place.
fn without_scheme(location: &str) -> String {
    let path = location.split_once(':').map_or(location, |(_, path)| path);
    path.trim_start_matches('/').to_owned()
}
