//! What is particular to Glue: versions, lost replies, tables of others, renames, refusals.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_glue::types::{DatabaseInput, TableInput};
use floe_core::{CatalogClient, CommitOutcome, Error, ErrorKind, LoadedTable};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};
use support::{Fault, Lake, SECRET};
use tokio::sync::Barrier;

fn space() -> NamespaceIdent {
    NamespaceIdent::new("ns".into())
}

fn ident(name: &str) -> TableIdent {
    TableIdent::new(space(), name.into())
}

fn creation(name: &str) -> TableCreation {
    let field = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into();
    let schema = Schema::builder().with_fields(vec![field]).build().unwrap();
    TableCreation::builder().name(name.into()).schema(schema).build()
}

async fn make_table(catalog: &dyn CatalogClient) -> LoadedTable {
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    catalog.create_table(&space(), creation("t")).await.unwrap()
}

fn property(key: &str) -> [TableUpdate; 1] {
    [TableUpdate::SetProperties { updates: HashMap::from([(key.to_owned(), "x".to_owned())]) }]
}

fn metadata_files(table: &LoadedTable) -> usize {
    let folder = table.metadata.location().strip_prefix("file://").unwrap();
    std::fs::read_dir(std::path::Path::new(folder).join("metadata")).unwrap().count()
}

fn failed<T>(result: floe_core::Result<T>) -> Error {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_commit_names_the_version_it_replaces_and_keeps_no_archive() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    let made = make_table(catalog.as_ref()).await;
    catalog.commit(&made.ident, &[], &property("a")).await.unwrap();
    let archiving =
        lake.open_with(&[("glue.skip-archive", "false"), ("glue.id", "123456789012")]).await.unwrap();
    archiving.commit(&made.ident, &[], &property("b")).await.unwrap();

    let calls = lake.proxy.calls("UpdateTable");
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call["VersionId"].is_string()), "{calls:?}");
    assert_ne!(calls[0]["VersionId"], calls[1]["VersionId"]);
    assert_eq!((&calls[0]["SkipArchive"], &calls[1]["SkipArchive"]), (&true.into(), &false.into()));
    assert_eq!((calls[0].get("CatalogId"), &calls[1]["CatalogId"]), (None, &"123456789012".into()));
    let parameters = &calls[0]["TableInput"]["Parameters"];
    assert_eq!(parameters["previous_metadata_location"], *made.metadata_location);
    assert_eq!(parameters["table_type"], "ICEBERG");
}

#[tokio::test]
async fn each_lost_or_failed_reply_of_a_commit_is_found_out_or_left_open() {
    let cases = [
        (Fault::LoseReply, "committed"),
        (Fault::FailAfter(500, "InternalServiceException"), "committed"),
        (Fault::LoseRequest, "unknown"),
        (Fault::Answer(503, "", ""), "unknown"),
        (Fault::Answer(400, "OperationTimeoutException", ""), "unknown"),
        (Fault::Answer(400, "ConcurrentModificationException", ""), "conflict"),
        // Not taken, so it is sent again.
        (Fault::Answer(400, "ThrottlingException", "Rate exceeded"), "committed"),
        (Fault::Answer(400, "ResourceNotReadyException", ""), "unavailable"),
        (Fault::Answer(400, "AccessDeniedException", "User x may not glue:UpdateTable"), "permission_denied"),
        (Fault::Answer(400, "ExpiredTokenException", ""), "unauthenticated"),
        (Fault::Answer(400, "EntityNotFoundException", ""), "no_such_table"),
        (Fault::Answer(400, "ResourceNumberLimitExceededException", ""), "storage_full"),
    ];
    for (fault, expected) in cases {
        let Some(lake) = Lake::new().await else { return };
        let catalog = lake.open().await;
        let made = make_table(catalog.as_ref()).await;
        lake.proxy.next("UpdateTable", [fault.clone()]);
        let got = match catalog.commit(&made.ident, &[], &property("a")).await {
            Ok(CommitOutcome::Committed(_)) => "committed",
            Ok(CommitOutcome::Conflict(_)) => "conflict",
            Ok(CommitOutcome::Unknown(error)) => {
                assert_eq!(error.table(), Some("ns.t"));
                "unknown"
            }
            Err(error) => error.kind().as_str(),
        };
        assert_eq!(got, expected, "{fault:?}");
        let throttled = matches!(&fault, Fault::Answer(_, "ThrottlingException", _));
        let sent = if throttled { 2 } else { 1 };
        assert_eq!(lake.proxy.calls("UpdateTable").len(), sent, "{fault:?}: a commit is sent once");
        let now = catalog.load_table(&made.ident).await.unwrap();
        assert_eq!(now.metadata.properties().contains_key("a"), expected == "committed", "{fault:?}");
        // What may have been committed is not deleted; what certainly was not, is.
        let files = if ["committed", "unknown"].contains(&expected) { 2 } else { 1 };
        assert_eq!(metadata_files(&made), files, "{fault:?}");
    }
}

/// A commit's reply, or its request, is lost, and another commit comes before it is looked for.
async fn overtaken(fault: Fault) -> (CommitOutcome, LoadedTable) {
    let lake = Lake::new().await.expect("checked before");
    let (catalog, other) = (lake.open().await, lake.open().await);
    let made = make_table(catalog.as_ref()).await;
    let barrier = Arc::new(Barrier::new(2));
    lake.proxy.next("UpdateTable", [fault]);
    // The first is the commit's own; the second looks for the outcome.
    lake.proxy.next("GetTable", [Fault::Pass, Fault::Pause(barrier.clone())]);
    let (ident, first) = (made.ident.clone(), catalog.clone());
    let task = tokio::spawn(async move { first.commit(&ident, &[], &property("first")).await.unwrap() });
    barrier.wait().await;
    assert!(matches!(
        other.commit(&made.ident, &[], &property("second")).await,
        Ok(CommitOutcome::Committed(_))
    ));
    barrier.wait().await;
    let outcome = task.await.unwrap();
    (outcome, other.load_table(&made.ident).await.unwrap())
}

#[tokio::test]
async fn a_lost_reply_is_found_below_the_commit_of_another_writer() {
    if Lake::new().await.is_none() {
        return;
    }
    let (outcome, now) = overtaken(Fault::LoseReply).await;
    assert!(matches!(outcome, CommitOutcome::Committed(_)), "{outcome:?}");
    assert!(
        now.metadata.properties().contains_key("first") && now.metadata.properties().contains_key("second")
    );
}

#[tokio::test]
async fn a_lost_request_is_a_conflict_once_another_commit_made_it_impossible() {
    if Lake::new().await.is_none() {
        return;
    }
    let (outcome, now) = overtaken(Fault::LoseRequest).await;
    assert!(matches!(outcome, CommitOutcome::Conflict(_)), "{outcome:?}");
    assert!(!now.metadata.properties().contains_key("first"));
}

#[tokio::test]
async fn a_table_whose_creation_got_no_reply_is_found_and_nothing_is_made_twice() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    lake.proxy.next("CreateTable", [Fault::LoseReply, Fault::LoseRequest]);
    let made = catalog.create_table(&space(), creation("t")).await.unwrap();
    assert_eq!(catalog.load_table(&made.ident).await.unwrap().metadata, made.metadata);

    let error = failed(catalog.create_table(&space(), creation("lost")).await);
    assert_eq!((error.kind(), error.table()), (ErrorKind::CommitStateUnknown, Some("ns.lost")));
    assert!(!catalog.table_exists(&ident("lost")).await.unwrap());
    assert_eq!(lake.proxy.calls("CreateTable").len(), 2);
    // It may still be made: its metadata file stays.
    let folder = lake.folder.path().join("ns.db/lost/metadata");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}

#[tokio::test]
async fn a_change_is_repeated_where_glue_refused_it_unseen_and_nowhere_else() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    let throttled = Fault::Answer(400, "ThrottlingException", "Rate exceeded");
    lake.proxy.next("CreateDatabase", [throttled.clone()]);
    lake.proxy.next("DeleteTable", [Fault::LoseReply]);
    lake.proxy.next("GetTable", [Fault::Answer(500, "InternalServiceException", ""), throttled]);
    let made = make_table(catalog.as_ref()).await;
    assert_eq!(lake.proxy.calls("CreateDatabase").len(), 2);
    let error = failed(catalog.drop_table(&made.ident).await);
    assert_eq!(
        error.kind(),
        ErrorKind::CommitStateUnknown,
        "it happened, and is not reported as missing: {error}"
    );
    assert_eq!(lake.proxy.calls("DeleteTable").len(), 1);
    assert!(!catalog.table_exists(&made.ident).await.unwrap());
}

#[tokio::test]
async fn a_thousand_tables_are_listed_page_by_page_and_others_left_out() {
    let Some(lake) = Lake::new().await else { return };
    let (catalog, glue) = (lake.open().await, lake.glue());
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    let make = |index: usize| {
        let input = TableInput::builder().name(format!("t{index:04}")).table_type("EXTERNAL_TABLE");
        let input = if index % 101 == 100 {
            input.parameters("classification", "parquet")
        } else {
            input.parameters("table_type", "iceberg").parameters("metadata_location", "file:///nowhere")
        };
        glue.create_table().database_name("ns").table_input(input.build().unwrap()).send()
    };
    stream::iter((0..1010).map(make)).buffer_unordered(16).try_collect::<Vec<_>>().await.unwrap();
    let expected: Vec<_> =
        (0..1010).filter(|index| index % 101 != 100).map(|index| ident(&format!("t{index:04}"))).collect();
    assert_eq!(expected.len(), 1000);
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), expected);
    assert!(lake.proxy.calls("GetTables").len() > 10, "one page after the other");

    let make = |index: usize| {
        let input = DatabaseInput::builder().name(format!("d{index:03}")).build().unwrap();
        glue.create_database().database_input(input).send()
    };
    stream::iter((0..250).map(make)).buffer_unordered(16).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(catalog.list_namespaces(None).await.unwrap().len(), 251);
}

#[tokio::test]
async fn a_table_that_is_none_of_icebergs_is_left_alone() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    let hive =
        TableInput::builder().name("hive").table_type("EXTERNAL_TABLE").parameters("classification", "csv");
    let lost = TableInput::builder().name("lost").parameters("table_type", "ICEBERG");
    for input in [hive, lost] {
        lake.glue()
            .create_table()
            .database_name("ns")
            .table_input(input.build().unwrap())
            .send()
            .await
            .unwrap();
    }
    let hive = ident("hive");
    let errors = [
        failed(catalog.load_table(&hive).await),
        failed(catalog.commit(&hive, &[], &property("a")).await),
        failed(catalog.drop_table(&hive).await),
        failed(catalog.rename_table(&hive, &ident("other")).await),
    ];
    for error in errors {
        assert_eq!((error.kind(), error.table()), (ErrorKind::Unsupported, Some("ns.hive")), "{error}");
        assert!(error.to_string().contains("no Iceberg table"), "{error}");
    }
    assert!(!catalog.table_exists(&hive).await.unwrap());
    assert_eq!(
        failed(catalog.create_table(&space(), creation("hive")).await).kind(),
        ErrorKind::TableAlreadyExists
    );
    assert_eq!(failed(catalog.load_table(&ident("lost")).await).kind(), ErrorKind::Corrupted);
    assert_eq!(failed(catalog.drop_namespace(&space()).await).kind(), ErrorKind::NamespaceNotEmpty);
    assert!(lake.glue().get_table().database_name("ns").name("hive").send().await.is_ok());
}

#[tokio::test]
async fn a_rename_that_cannot_be_finished_is_taken_back() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    let made = make_table(catalog.as_ref()).await;
    lake.proxy.next(
        "DeleteTable",
        [Fault::Answer(400, "AccessDeniedException", "User x may not glue:DeleteTable")],
    );
    let error = failed(catalog.rename_table(&made.ident, &ident("new")).await);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), std::slice::from_ref(&made.ident));

    let denied = Fault::Answer(400, "AccessDeniedException", "");
    lake.proxy.next("DeleteTable", [denied.clone(), denied]);
    let error = failed(catalog.rename_table(&made.ident, &ident("new")).await);
    assert!(error.to_string().contains("ns.new as well"), "{error}");
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), [ident("new"), made.ident.clone()]);
    catalog.drop_table(&ident("new")).await.unwrap();

    lake.proxy.next("DeleteTable", [Fault::LoseReply]);
    let error = failed(catalog.rename_table(&made.ident, &ident("new")).await);
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown, "{error}");
    assert_eq!(catalog.load_table(&ident("new")).await.unwrap().metadata.uuid(), made.metadata.uuid());
}

#[tokio::test]
async fn a_commit_during_a_rename_is_not_lost() {
    let Some(lake) = Lake::new().await else { return };
    let (catalog, other) = (lake.open().await, lake.open().await);
    let made = make_table(catalog.as_ref()).await;
    let barrier = Arc::new(Barrier::new(2));
    lake.proxy.next("CreateTable", [Fault::Pause(barrier.clone())]);
    let (from, first) = (made.ident.clone(), catalog.clone());
    let task = tokio::spawn(async move { first.rename_table(&from, &ident("new")).await });
    barrier.wait().await;
    assert!(matches!(other.commit(&made.ident, &[], &property("a")).await, Ok(CommitOutcome::Committed(_))));
    barrier.wait().await;
    assert_eq!(failed(task.await.unwrap()).kind(), ErrorKind::CommitConflict);
    assert_eq!(catalog.list_tables(&space()).await.unwrap(), std::slice::from_ref(&made.ident));
    assert!(catalog.load_table(&made.ident).await.unwrap().metadata.properties().contains_key("a"));
}

#[tokio::test]
async fn location_and_comment_of_a_namespace_are_those_of_the_database() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    let place = format!("file://{}/elsewhere/", lake.folder.path().display());
    let properties =
        HashMap::from([("location".to_owned(), place.clone()), ("comment".to_owned(), "ours".to_owned())]);
    catalog.create_namespace(&space(), properties.clone()).await.unwrap();
    let database = lake.glue().get_database().name("ns").send().await.unwrap().database.unwrap();
    assert_eq!((database.location_uri(), database.description()), (Some(place.as_str()), Some("ours")));
    assert_eq!(catalog.load_namespace(&space()).await.unwrap().properties(), &properties);
    let made = catalog.create_table(&space(), creation("t")).await.unwrap();
    assert_eq!(made.metadata.location(), format!("{place}t"));
}

#[tokio::test]
async fn a_database_of_s3_tables_is_refused_before_anything_is_made() {
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open().await;
    catalog.create_namespace(&space(), HashMap::new()).await.unwrap();
    lake.proxy.next(
        "GetDatabase",
        [Fault::Reply(
            r#"{"Database": {"Name": "ns", "FederatedDatabase": {"ConnectionType": "aws:s3tables"}}}"#,
        )],
    );
    let error = failed(catalog.create_table(&space(), creation("t")).await);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(lake.proxy.calls("CreateTable").is_empty());
    assert_eq!(std::fs::read_dir(lake.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn each_refusal_of_the_caller_has_an_error_of_its_own_without_a_secret() {
    let quoting = "The canonical string should have been 'x-amz-security-token: hunter2-hunter2'";
    let cases = [
        (
            "UnrecognizedClientException",
            "The security token is invalid",
            ErrorKind::Unauthenticated,
            "access key",
        ),
        ("InvalidSignatureException", quoting, ErrorKind::Unauthenticated, "secret"),
        (
            "InvalidSignatureException",
            "Signature expired: 2026 is now earlier than",
            ErrorKind::Unauthenticated,
            "clock",
        ),
        (
            "ExpiredTokenException",
            "The security token has expired",
            ErrorKind::Unauthenticated,
            "have expired",
        ),
        (
            "AccessDeniedException",
            "User: arn:x is not authorized to perform: glue:GetTables",
            ErrorKind::PermissionDenied,
            "glue:GetTables",
        ),
        ("ThrottlingException", "Rate exceeded", ErrorKind::Unavailable, "no more requests"),
        ("InternalServiceException", "", ErrorKind::Unavailable, "InternalServiceException"),
        ("OddException", "", ErrorKind::Internal, "OddException"),
    ];
    let Some(lake) = Lake::new().await else { return };
    let catalog = lake.open_with(&[("glue.max-retries", "1")]).await.unwrap();
    for (code, message, kind, said) in cases {
        lake.proxy.next("GetTables", [Fault::Answer(400, code, message)]);
        let error = failed(catalog.list_tables(&space()).await);
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(error.to_string().contains(said), "{code}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_named_with_its_cause() {
    let Some(lake) = Lake::new().await else { return };
    // Nothing listens on a port that was just given back.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unavailable = ErrorKind::Unavailable;
    let moto = std::env::var("FLOE_TEST_GLUE_ENDPOINT").unwrap();
    for (endpoint, kind, cause) in [
        (format!("http://{closed}"), unavailable, "nothing listens"),
        ("http://no-such-host.invalid".to_owned(), unavailable, "name"),
        // It speaks no TLS.
        (moto.replace("http://", "https://"), ErrorKind::Io, "TLS"),
    ] {
        let properties = [("glue.endpoint", &*endpoint), ("glue.allow-http", "true")];
        let catalog = lake.open_with(&properties).await.unwrap();
        let error = failed(catalog.list_namespaces(None).await);
        assert_eq!(error.kind(), kind, "{endpoint}: {error}");
        for said in [cause, "glue.endpoint", &endpoint] {
            assert!(error.to_string().contains(said), "{said}: {error}");
        }
        assert!(!format!("{error:?} {catalog:?}").contains(SECRET));
    }
    let error = failed(lake.open_with(&[("glue.lakeformation-enabled", "true")]).await);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
