//! Credentials that a catalog gives for one table: temporary keys of MinIO, confined to a prefix.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{
    CredentialProvider, Error, ErrorKind, PluginConfig, Result, SecretString, StorageClient, StoragePlugin,
    VendedCredentials,
};
use floe_storage_s3::S3StoragePlugin;
use floe_testkit::services::S3Service;
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};

/// Temporary keys from the server, good for the files below `folder` of its bucket.
async fn assume_role(service: &S3Service, folder: &str) -> VendedCredentials {
    let bucket = &service.bucket;
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload"],
              "Resource":["arn:aws:s3:::{bucket}/{folder}/*"]}},
            {{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::{bucket}"],
              "Condition":{{"StringLike":{{"s3:prefix":["{folder}/*"]}}}}}}]}}"#
    );
    let encoded = policy.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let body = format!("Action=AssumeRole&Version=2011-06-15&DurationSeconds=900&Policy={encoded}");
    let mut request = HttpRequest::new(body.into());
    *request.method_mut() = "POST".parse().expect("method");
    *request.uri_mut() = format!("{}/", service.endpoint).parse().expect("uri");
    let form = "application/x-www-form-urlencoded".parse().expect("header");
    request.headers_mut().insert("content-type", form);
    let root = AwsCredential {
        key_id: service.access_key_id.clone(),
        secret_key: service.secret_access_key.clone(),
        token: None,
    };
    AwsAuthorizer::new(&root, "sts", "us-east-1").authorize(&mut request, None);
    let options = ClientOptions::new().with_allow_http(true);
    let client = ReqwestConnector::default().connect(&options).expect("client");
    let answer = client.execute(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().bytes().await.expect("body");
    let text = String::from_utf8_lossy(&body);
    assert!(status.is_success(), "{status}: {text}");
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).expect("element");
        SecretString::new(rest.split_once("</").expect("end").0)
    };
    let properties = [
        ("s3.access-key-id", element("AccessKeyId")),
        ("s3.secret-access-key", element("SecretAccessKey")),
        ("s3.session-token", element("SessionToken")),
    ];
    VendedCredentials {
        prefix: format!("s3://{bucket}/{folder}/"),
        properties: properties.map(|(key, value)| (key.to_owned(), value)).into(),
        expires_at_ms: None,
    }
}

/// Keys that the server does not know, or not any more.
fn withdrawn(mut credentials: VendedCredentials) -> VendedCredentials {
    credentials.properties.insert("s3.access-key-id".into(), SecretString::new("WITHDRAWN"));
    credentials
}

/// A catalog: what it has given, and what it gives when it is asked for other credentials.
#[derive(Debug)]
struct Catalog {
    given: Mutex<Arc<[VendedCredentials]>>,
    next: Mutex<Option<VendedCredentials>>,
    renewals: AtomicUsize,
}

impl Catalog {
    fn giving(credentials: VendedCredentials) -> Arc<Self> {
        let given = Mutex::new(vec![credentials].into());
        Arc::new(Self { given, next: Mutex::default(), renewals: AtomicUsize::new(0) })
    }

    fn give(&self, credentials: VendedCredentials) {
        *self.given.lock().expect("lock") = vec![credentials].into();
    }
}

#[async_trait]
impl CredentialProvider for Catalog {
    fn current(&self) -> Arc<[VendedCredentials]> {
        self.given.lock().expect("lock").clone()
    }

    async fn credentials(&self) -> Result<Arc<[VendedCredentials]>> {
        Ok(self.current())
    }

    async fn renewed(&self) -> Result<Arc<[VendedCredentials]>> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        if let Some(next) = self.next.lock().expect("lock").take() {
            self.give(next);
        }
        Ok(self.current())
    }
}

/// A storage whose own credentials are none that the server knows.
async fn storage(service: &S3Service, folder: &str) -> Arc<dyn StorageClient> {
    let properties = service
        .properties()
        .with("warehouse", format!("s3://{}/{folder}", service.bucket))
        .with("s3.access-key-id", "nobody")
        .with("s3.secret-access-key", "nothing");
    let config = PluginConfig::new("test", &properties).expect("configuration");
    S3StoragePlugin::new().connect(&config).await.expect("connects")
}

async fn write(storage: &dyn StorageClient, location: &str, content: &Bytes) -> Result<()> {
    Ok(storage.file_io().new_output(location)?.write(content.clone()).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_catalog_open_the_table_and_nothing_else() {
    let Some(service) = S3Service::minio() else { return };
    let folder = uuid::Uuid::new_v4().to_string();
    let catalog = Catalog::giving(assume_role(&service, &format!("{folder}/table")).await);
    let own = storage(&service, &folder).await;
    let vended = own.with_credentials(catalog).expect("S3 takes credentials from a catalog");
    let table = format!("{}/table", own.warehouse());
    let content = Bytes::from_static(b"rows");

    write(&*vended, &format!("{table}/data/1"), &content).await.expect("the table's own folder");
    let alias = format!("{table}/data/1").replace("s3://", "s3a://");
    let read = vended.file_io().new_input(&alias).expect("input").read().await.expect("reads by an alias");
    assert_eq!(read, content);
    let listed: Vec<_> = vended.list(&table).map(|found| found.expect("list").location).collect().await;
    assert_eq!(listed, [format!("{table}/data/1")]);
    vended.file_io().delete(format!("{table}/data/1")).await.expect("deletes");

    let beside = write(&*vended, &format!("{}/other/1", own.warehouse()), &content).await;
    let kind = beside.expect_err("another table").kind();
    assert_eq!(kind, ErrorKind::Validation, "outside of the prefix, no other keys are used");
    let plain = write(&*own, &format!("{table}/data/2"), &content).await.expect_err("without the catalog");
    assert_eq!(plain.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_give_too_little_are_not_renewed() {
    let Some(service) = S3Service::minio() else { return };
    let folder = uuid::Uuid::new_v4().to_string();
    let mut credentials = assume_role(&service, &format!("{folder}/table")).await;
    credentials.prefix = String::new();
    let catalog = Catalog::giving(credentials);
    let vended =
        storage(&service, &folder).await.with_credentials(catalog.clone()).expect("takes credentials");
    let beside = write(&*vended, &format!("{}/other/1", vended.warehouse()), &Bytes::from_static(b"x")).await;
    let error = beside.expect_err("the keys are confined to the table");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(catalog.renewals.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_under_way_survives_the_end_of_its_keys() {
    let Some(service) = S3Service::minio() else { return };
    let folder = uuid::Uuid::new_v4().to_string();
    let first = assume_role(&service, &format!("{folder}/table")).await;
    let second = assume_role(&service, &format!("{folder}/table")).await;
    let catalog = Catalog::giving(first.clone());
    let vended =
        storage(&service, &folder).await.with_credentials(catalog.clone()).expect("takes credentials");
    let location = format!("{}/table/data/large", vended.warehouse());
    let piece = Bytes::from(vec![7_u8; 10 << 20]);

    let mut writer = vended.file_io().new_output(&location).expect("output").writer().await.expect("writer");
    writer.write(piece.clone()).await.expect("with the first keys");
    catalog.give(withdrawn(first));
    *catalog.next.lock().expect("lock") = Some(second.clone());
    writer.write(piece.clone()).await.expect("with the second keys");
    writer.write(piece.clone()).await.expect("with the second keys");
    writer.close().await.expect("completes");
    assert!(catalog.renewals.load(Ordering::SeqCst) >= 1, "the store refused the first keys");

    catalog.give(withdrawn(second.clone()));
    *catalog.next.lock().expect("lock") = Some(second);
    let input = vended.file_io().new_input(&location).expect("input");
    assert_eq!(input.read().await.expect("reads").len(), 3 * piece.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_renewed_are_an_error_that_shows_none() {
    let Some(service) = S3Service::minio() else { return };
    let folder = uuid::Uuid::new_v4().to_string();
    let credentials = assume_role(&service, &folder).await;
    let secrets: Vec<String> = credentials.properties.values().map(|v| v.expose().to_owned()).collect();
    let catalog = Catalog::giving(withdrawn(credentials));
    let vended = storage(&service, &folder).await.with_credentials(catalog).expect("takes credentials");
    let location = format!("{}/data/1", vended.warehouse());
    let error: Error = write(&*vended, &location, &Bytes::from_static(b"x")).await.expect_err("withdrawn");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    let shown = format!("{error} {error:?} {vended:?}");
    assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{error}");
}
