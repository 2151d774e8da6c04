//! The servers that tests use, and the variables that tell a test where they are.

use clap::ValueEnum;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Service {
    /// Iceberg's REST reference catalog, its warehouse in a local folder.
    Rest,
    /// The same, its warehouse on the server `s3`.
    RestS3,
    /// The same, its warehouse on the server `minio`.
    RestMinio,
    /// versitygw: S3 over a local folder.
    S3,
    /// `MinIO`: S3 and STS.
    Minio,
    /// moto: Glue, S3 and STS, stale versions refused.
    Glue,
    /// fake-gcs-server: the JSON API of Google Cloud Storage.
    Gcs,
    /// Azurite: Azure blobs.
    Azure,
    /// PostgreSQL.
    Postgres,
    /// Apache Polaris, which no package registry has: as a container only.
    Polaris,
}

impl Service {
    /// Every server.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The variables that tell where it is. A server whose variables are all set is not started.
    pub(crate) fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Rest => &["FLOE_TEST_REST_URI", "FLOE_TEST_REST_WAREHOUSE"],
            Self::RestS3 => &["FLOE_TEST_REST_S3_URI"],
            Self::RestMinio => &["FLOE_TEST_REST_MINIO_URI"],
            Self::S3 => &[
                "FLOE_TEST_S3_ENDPOINT",
                "FLOE_TEST_S3_ACCESS_KEY_ID",
                "FLOE_TEST_S3_SECRET_ACCESS_KEY",
                "FLOE_TEST_S3_BUCKET",
            ],
            Self::Minio => &[
                "FLOE_TEST_MINIO_ENDPOINT",
                "FLOE_TEST_MINIO_ACCESS_KEY_ID",
                "FLOE_TEST_MINIO_SECRET_ACCESS_KEY",
                "FLOE_TEST_MINIO_BUCKET",
            ],
            Self::Glue => &["FLOE_TEST_GLUE_ENDPOINT"],
            Self::Gcs => &["FLOE_TEST_GCS_ENDPOINT", "FLOE_TEST_GCS_BUCKET"],
            Self::Azure => &[
                "FLOE_TEST_AZURE_ENDPOINT",
                "FLOE_TEST_AZURE_ACCOUNT",
                "FLOE_TEST_AZURE_KEY",
                "FLOE_TEST_AZURE_CONTAINER",
            ],
            Self::Postgres => &["FLOE_TEST_POSTGRES_URI"],
            Self::Polaris => &["FLOE_POLARIS_URL", "FLOE_POLARIS_CREDENTIAL", "FLOE_POLARIS_CATALOG"],
        }
    }

    /// The servers that it needs itself.
    pub(crate) fn needs(self) -> &'static [Self] {
        match self {
            Self::RestS3 => &[Self::S3],
            Self::RestMinio => &[Self::Minio],
            _ => &[],
        }
    }

    /// `chosen` (when empty, all that run here; `containers` says whether a Docker engine does) and what they need, in
    /// order.
    pub(crate) fn with_needs(chosen: &[Self], containers: bool) -> Vec<Self> {
        let here = |service: &&Self| containers || **service != Self::Polaris;
        let chosen = match chosen {
            [] => Self::all().iter().filter(here).copied().collect(),
            chosen => chosen.to_vec(),
        };
        let mut all: Vec<Self> = chosen.iter().flat_map(|s| [&[*s], s.needs()].concat()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_a_server_needs_comes_along_once() {
        for chosen in [&[Service::RestS3, Service::S3][..], &[Service::RestS3]] {
            assert_eq!(Service::with_needs(chosen, false), [Service::RestS3, Service::S3]);
        }
        assert_eq!(Service::with_needs(&[], true), Service::all());
        assert!(!Service::with_needs(&[], false).contains(&Service::Polaris));
    }

    #[test]
    fn no_two_servers_share_a_variable() {
        let all: Vec<&str> = Service::all().iter().flat_map(|s| s.variables()).copied().collect();
        let distinct: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
    }
}
