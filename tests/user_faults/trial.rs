//! One try with something wrong.

use std::any::Any;
use std::time::{Duration, Instant};

use floe::iceberg::NamespaceIdent;
use floe::model::TableConfig;
use floe::{Error, ErrorKind, Properties, Result};
use floe_tests::contract::rows;

/// A user waits ten seconds by default; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A cell of the table.
pub(crate) enum Cell {
    /// The fault is tried, in one way or several.
    Tried(Vec<Trial>),
    /// It makes no sense here, and why.
    NotApplicable(&'static str),
}

/// What is done with the catalog or storage.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Connect, and list namespaces.
    List,
    /// Connect, and list the tables of a namespace.
    ListTables(&'static str),
    /// Connect, and check the warehouse.
    Check,
    /// Make a table in the warehouse, which must work, and one at this location.
    CreateAt(String),
}

/// A configuration with something wrong.
pub(crate) struct Trial {
    properties: Properties,
    act: Act,
    kind: ErrorKind,
    words: Vec<String>,
    secrets: Vec<String>,
    /// Servers and folders that end with the trial.
    guards: Vec<Box<dyn Any + Send>>,
}

impl Trial {
    /// What is done with `properties` must fail with an error of `kind`.
    pub(crate) fn new(properties: Properties, act: Act, kind: ErrorKind) -> Self {
        Self { properties, act, kind, words: Vec::new(), secrets: vec!["hunter2".into()], guards: Vec::new() }
    }

    /// The error must name each of these.
    pub(crate) fn names(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// The error must not show this.
    pub(crate) fn hides(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// Something that must last as long as the trial.
    pub(crate) fn keep(mut self, guard: impl Any + Send) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// The text of the error.
    pub(crate) async fn run(self, name: &str) -> String {
        let (mut error, mut elapsed) = self.once(name).await;
        if elapsed >= LIMIT {
            // The machine may have been held up; a fault that takes long takes long again.
            (error, elapsed) = self.once(name).await;
        }
        let text = error.to_string();
        println!("{name}: {} after {:.1} s: {text}", error.kind(), elapsed.as_secs_f64());
        assert_eq!(error.kind(), self.kind, "{name}: {error}");
        assert!(error.hint().is_some(), "{name}: the error must say what to check: {error}");
        for word in &self.words {
            assert!(text.contains(word), "{name}: the error must name '{word}': {error}");
        }
        for secret in &self.secrets {
            assert!(!format!("{text} {error:?}").contains(secret), "{name}: a secret is shown: {error:?}");
        }
        assert!(elapsed < LIMIT, "{name}: {elapsed:?} is too long");
        text
    }

    async fn once(&self, name: &str) -> (Error, Duration) {
        let start = Instant::now();
        let error = act(&self.properties, &self.act).await.expect_err(name);
        (error, start.elapsed())
    }
}

async fn act(properties: &Properties, act: &Act) -> Result<()> {
    let manager = floe::connect("faulty", properties).await?;
    match act {
        Act::List => manager.list_namespaces(None).await.map(drop),
        Act::ListTables(namespace) => {
            manager.list_tables(&NamespaceIdent::new((*namespace).into())).await.map(drop)
        }
        Act::Check => manager.check_storage().await,
        Act::CreateAt(location) => {
            let allowed = TableConfig::new("ns", "allowed", rows::schema());
            let made = async {
                manager.ensure_namespace(&NamespaceIdent::new("ns".into())).await?;
                manager.create_table(&allowed, true).await
            };
            made.await.expect("the rest of the warehouse can be used");
            let mut denied = TableConfig::new("ns", "denied", rows::schema());
            denied.location = Some(location.clone());
            manager.create_table(&denied, false).await.map(drop)
        }
    }
}
