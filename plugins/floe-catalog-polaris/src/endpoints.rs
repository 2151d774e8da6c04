//! Which calls a server answers.

use std::collections::BTreeSet;

use floe_core::{Error, ErrorKind, Result};

macro_rules! endpoints {
    ($($name:ident $method:literal $path:literal $default:literal;)*) => {
        /// A call of the protocol that a server may lack.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Endpoint { $($name,)* }

        impl Endpoint {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// As servers list it: method and path template.
            fn listed_as(self) -> &'static str {
                match self { $(Self::$name => concat!($method, " /v1/{prefix}", $path),)* }
            }

            /// Whether a server that lists nothing has it (Iceberg REST specification, `CatalogConfig.endpoints`).
            fn is_default(self) -> bool {
                match self { $(Self::$name => $default,)* }
            }
        }
    };
}

endpoints! {
    ListNamespaces "GET" "/namespaces" true;
    CreateNamespace "POST" "/namespaces" true;
    LoadNamespace "GET" "/namespaces/{namespace}" true;
    NamespaceExists "HEAD" "/namespaces/{namespace}" false;
    DropNamespace "DELETE" "/namespaces/{namespace}" true;
    UpdateProperties "POST" "/namespaces/{namespace}/properties" true;
    ListTables "GET" "/namespaces/{namespace}/tables" true;
    CreateTable "POST" "/namespaces/{namespace}/tables" true;
    LoadTable "GET" "/namespaces/{namespace}/tables/{table}" true;
    TableExists "HEAD" "/namespaces/{namespace}/tables/{table}" false;
    CommitTable "POST" "/namespaces/{namespace}/tables/{table}" true;
    DropTable "DELETE" "/namespaces/{namespace}/tables/{table}" true;
    Credentials "GET" "/namespaces/{namespace}/tables/{table}/credentials" false;
    RegisterTable "POST" "/namespaces/{namespace}/register" true;
    RenameTable "POST" "/tables/rename" true;
    CommitTransaction "POST" "/transactions/commit" true;
}

/// The calls that the server of a catalog answers.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints(Option<BTreeSet<String>>);

impl Endpoints {
    /// What a server lists; nothing means the default set.
    pub(crate) fn new(listed: Option<Vec<String>>) -> Self {
        let normal = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        Self(listed.filter(|l| !l.is_empty()).map(|l| l.into_iter().map(normal).collect()))
    }

    pub(crate) fn has(&self, endpoint: Endpoint) -> bool {
        match &self.0 {
            Some(listed) => listed.contains(endpoint.listed_as()),
            None => endpoint.is_default(),
        }
    }

    /// `Unsupported` for a call that the server does not list: it is not made.
    pub(crate) fn need(&self, endpoint: Endpoint) -> Result<()> {
        if self.has(endpoint) {
            return Ok(());
        }
        let call = endpoint.listed_as();
        Err(Error::new(ErrorKind::Unsupported, format!("the catalog's server does not offer '{call}'"))
            .with_hint("use the server's own tools for it"))
    }

    /// How many calls of the protocol that floe makes are answered.
    pub(crate) fn count(&self) -> usize {
        Endpoint::ALL.iter().filter(|endpoint| self.has(**endpoint)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_lists_nothing_has_the_default_set() {
        for endpoints in [Endpoints::new(None), Endpoints::new(Some(vec![]))] {
            assert!(endpoints.has(Endpoint::CommitTransaction));
            assert!(!endpoints.has(Endpoint::TableExists), "HEAD came later");
            assert!(!endpoints.has(Endpoint::Credentials));
            assert_eq!(endpoints.count(), Endpoint::ALL.len() - 3);
        }
    }

    #[test]
    fn a_listed_call_is_made_and_no_other() {
        let listed = vec!["GET  /v1/{prefix}/namespaces".into(), "POST /v1/{prefix}/new-thing".into()];
        let endpoints = Endpoints::new(Some(listed));
        assert_eq!(endpoints.count(), 1);
        endpoints.need(Endpoint::ListNamespaces).unwrap();
        let error = endpoints.need(Endpoint::RenameTable).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("/tables/rename"), "{error}");
    }
}
