//! Real servers that tests use; their addresses come from environment variables.

/// Set to `1`, tests that need a server pass without running, and say so.
pub const SKIP: &str = "FLOE_SKIP_SERVICES";

/// The values of these variables, or nothing when [`SKIP`] is set. Panics when one is missing: a test that did
/// not run must not look like one that passed.
#[allow(clippy::print_stdout)]
pub fn find<const N: usize>(names: [&str; N]) -> Option<[String; N]> {
    if std::env::var(SKIP).is_ok_and(|value| value == "1") {
        println!("NOT RUN: {SKIP}=1 leaves out the tests that need {}", names.join(", "));
        return None;
    }
    let missing: Vec<&str> = names.into_iter().filter(|name| std::env::var_os(name).is_none()).collect();
    assert!(
        missing.is_empty(),
        "{} not set: run `cargo xtask test` or `cargo xtask integration`, or set {SKIP}=1 to leave these tests out",
        missing.join(", ")
    );
    Some(names.map(|name| std::env::var(name).unwrap_or_default()))
}

/// An S3 server.
#[derive(Clone)]
pub struct S3Service {
    /// Its address.
    pub endpoint: String,
    /// The access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// A bucket that is there.
    pub bucket: String,
}

impl S3Service {
    /// versitygw: an S3 gateway over a local folder.
    pub fn versitygw() -> Option<Self> {
        Self::named("S3")
    }

    /// MinIO, which has temporary credentials too.
    pub fn minio() -> Option<Self> {
        Self::named("MINIO")
    }

    fn named(name: &str) -> Option<Self> {
        let variable = |what: &str| format!("FLOE_TEST_{name}_{what}");
        let names = ["ENDPOINT", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "BUCKET"].map(variable);
        let [endpoint, access_key_id, secret_access_key, bucket] =
            find(names.each_ref().map(String::as_str))?;
        Some(Self { endpoint, access_key_id, secret_access_key, bucket })
    }

    /// The properties that reach it, for a warehouse of its own below the bucket.
    pub fn properties(&self) -> floe_core::Properties {
        floe_core::Properties::default()
            .with("warehouse", format!("s3://{}/{}", self.bucket, uuid::Uuid::new_v4()))
            .with("s3.endpoint", &self.endpoint)
            .with("s3.region", "us-east-1")
            .with("s3.access-key-id", &self.access_key_id)
            .with("s3.secret-access-key", &self.secret_access_key)
    }
}

/// An Azure storage account.
#[derive(Clone)]
pub struct AzureService {
    /// The address of the account.
    pub endpoint: String,
    /// The account.
    pub account: String,
    /// Its shared key.
    pub key: String,
    /// A container that is there.
    pub container: String,
}

impl AzureService {
    /// Azurite, the emulator.
    pub fn azurite() -> Option<Self> {
        let [endpoint, account, key, container] = find([
            "FLOE_TEST_AZURE_ENDPOINT",
            "FLOE_TEST_AZURE_ACCOUNT",
            "FLOE_TEST_AZURE_KEY",
            "FLOE_TEST_AZURE_CONTAINER",
        ])?;
        Some(Self { endpoint, account, key, container })
    }

    /// The properties that reach it, for a warehouse of its own below the container.
    pub fn properties(&self) -> floe_core::Properties {
        let Self { endpoint, account, key, container } = self;
        let folder = uuid::Uuid::new_v4();
        floe_core::Properties::default()
            .with("warehouse", format!("abfss://{container}@{account}.dfs.core.windows.net/{folder}"))
            .with(
                "adls.connection-string",
                format!("AccountName={account};AccountKey={key};BlobEndpoint={endpoint}"),
            )
    }
}
