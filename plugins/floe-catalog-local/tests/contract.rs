//! The catalog contract, on the local catalog over local files.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_catalog_local::LocalCatalogPlugin;
use floe_core::{CatalogPlugin, PluginConfig, Properties, StoragePlugin};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::contract::catalog::{self, CatalogUnderTest};

async fn make() -> CatalogUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default().with("warehouse", folder.path().display().to_string());
    let config = PluginConfig::new("default", &properties).unwrap();
    let storage = LocalStoragePlugin::new().connect(&config).await.unwrap();
    CatalogUnderTest {
        client: LocalCatalogPlugin.connect(&config, storage.clone()).await.unwrap(),
        second: LocalCatalogPlugin.connect(&config, storage.clone()).await.unwrap(),
        storage,
        guard: Box::new(folder),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_catalog_holds_the_contract() {
    catalog::run_all(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn losers_leave_no_metadata_file() {
    catalog::losers_leave_no_metadata_file(&make().await).await;
}

mod in_memory {
    use std::collections::HashMap;
    use std::time::Duration;

    use floe_core::{CatalogClient, CommitOutcome, ErrorKind};
    use floe_testkit::SeededEnvironment;
    use floe_testkit::catalog::{Fault, FaultPlan, FaultyCatalog, MemoryCatalog, Method};
    use iceberg::{NamespaceIdent, TableCreation, TableIdent, TableUpdate};

    use super::*;

    async fn make_memory() -> CatalogUnderTest {
        let local = make().await;
        let catalog = MemoryCatalog::new(local.storage.as_ref(), Arc::new(SeededEnvironment::new(1)));
        CatalogUnderTest {
            second: Arc::new(catalog.another_client()),
            client: Arc::new(catalog),
            storage: local.storage,
            guard: local.guard,
        }
    }

    #[tokio::test]
    async fn the_memory_catalog_holds_the_contract() {
        catalog::run_all(make_memory).await;
        catalog::losers_leave_no_metadata_file(&make_memory().await).await;
    }

    #[tokio::test]
    async fn a_faulty_catalog_without_faults_holds_the_contract() {
        catalog::run_all(|| async {
            let memory = make_memory().await;
            let env = Arc::new(SeededEnvironment::new(1));
            CatalogUnderTest {
                client: Arc::new(FaultyCatalog::new(memory.client, FaultPlan::none(), env)),
                ..memory
            }
        })
        .await;
    }

    /// A faulty catalog with one table.
    async fn faulty(plan: FaultPlan, seed: u64) -> (CatalogUnderTest, Arc<FaultyCatalog>, TableIdent) {
        let memory = make_memory().await;
        let space = NamespaceIdent::new("ns".into());
        memory.client.create_namespace(&space, HashMap::new()).await.unwrap();
        let schema = iceberg::spec::Schema::builder().build().unwrap();
        let creation = TableCreation::builder().name("t".into()).schema(schema).build();
        let table = memory.client.create_table(&space, creation).await.unwrap().ident;
        let env = Arc::new(SeededEnvironment::new(seed));
        let faulty = Arc::new(FaultyCatalog::new(memory.client.clone(), plan, env));
        (memory, faulty, table)
    }

    async fn set(catalog: &FaultyCatalog, table: &TableIdent, key: &str) -> floe_core::Result<CommitOutcome> {
        let updates = HashMap::from([(key.to_owned(), "x".to_owned())]);
        catalog.commit(table, &[], &[TableUpdate::SetProperties { updates }]).await
    }

    #[tokio::test]
    async fn each_fault_of_a_commit_answers_and_takes_effect_as_it_says() {
        let cases = [
            (Fault::Error(ErrorKind::Unavailable), "unavailable", false),
            (Fault::ErrorAfter(ErrorKind::Timeout), "unknown", true),
            (Fault::LostRequest, "unknown", false),
            (Fault::LostReply, "unknown", true),
            (Fault::SpuriousConflict, "conflict", false),
            (Fault::Delay(Duration::from_millis(1500)), "committed", true),
        ];
        for (fault, answer, took_effect) in cases {
            let (memory, catalog, table) = faulty(FaultPlan::none().at(Method::Commit, 2, fault), 1).await;
            assert!(matches!(set(&catalog, &table, "before").await.unwrap(), CommitOutcome::Committed(_)));
            let got = match set(&catalog, &table, "faulty").await {
                Ok(CommitOutcome::Committed(_)) => "committed",
                Ok(CommitOutcome::Conflict(_)) => "conflict",
                Ok(CommitOutcome::Unknown(_)) => "unknown",
                Err(error) => error.kind().as_str(),
            };
            assert_eq!(got, answer, "{fault:?}");
            let now = memory.second.load_table(&table).await.unwrap();
            assert_eq!(now.metadata.properties().contains_key("faulty"), took_effect, "{fault:?}");
            assert_eq!(catalog.calls(Method::Commit), 2);
            assert_eq!(catalog.injected(), [(Method::Commit, 2, fault)]);
        }
    }

    #[tokio::test]
    async fn a_lost_reply_of_a_drop_drops_and_a_lost_request_does_not() {
        for (fault, there) in [(Fault::LostRequest, true), (Fault::LostReply, false)] {
            let (memory, catalog, table) = faulty(FaultPlan::none(), 1).await;
            catalog.fail_next(Method::DropTable, fault);
            let error = catalog.drop_table(&table).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
            assert_eq!(memory.client.table_exists(&table).await.unwrap(), there, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn chance_repeats_itself_with_its_seed() {
        let run = |seed| async move {
            let plan = FaultPlan::none().with_chance(Method::Commit, 0.5, Fault::SpuriousConflict);
            let (_memory, catalog, table) = faulty(plan, seed).await;
            for i in 0..40 {
                set(&catalog, &table, &i.to_string()).await.unwrap();
            }
            catalog.injected()
        };
        let faults = run(7).await;
        assert!((5..35).contains(&faults.len()), "{} of 40", faults.len());
        assert_eq!(faults, run(7).await);
        assert_ne!(faults, run(8).await);
    }

    #[tokio::test]
    async fn a_seeded_memory_catalog_names_its_metadata_files_alike() {
        let name = |seed: u64| async move {
            let local = make().await;
            let catalog = MemoryCatalog::new(local.storage.as_ref(), Arc::new(SeededEnvironment::new(seed)));
            let space = NamespaceIdent::new("ns".into());
            catalog.create_namespace(&space, HashMap::new()).await.unwrap();
            let schema = iceberg::spec::Schema::builder().build().unwrap();
            let creation = TableCreation::builder().name("t".into()).schema(schema).build();
            let made = catalog.create_table(&space, creation).await.unwrap();
            made.metadata_location.rsplit('/').next().unwrap().to_owned()
        };
        assert_eq!(name(3).await, name(3).await);
        assert_ne!(name(3).await, name(4).await);
    }
}
