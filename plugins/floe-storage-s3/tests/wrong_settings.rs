//! What a user may get wrong: each is an error of its own that says what to check and shows no secret.

use floe_core::{Error, ErrorKind, PluginConfig, Properties, StoragePlugin};
use floe_storage_s3::S3StoragePlugin;
use floe_testkit::services::S3Service;

/// What checking the storage of these properties ends with.
async fn failure(properties: &Properties) -> Error {
    let config = PluginConfig::new("test", properties).expect("configuration");
    let storage = S3StoragePlugin::new().connect(&config).await.expect("connects");
    let error = storage.check().await.expect_err("the check must fail");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("testingsecret"), "{shown}");
    assert!(error.hint().is_some(), "{error}");
    error
}

fn unreachable(endpoint: &str) -> Properties {
    Properties::default()
        .with("warehouse", "s3://bucket/lake")
        .with("s3.endpoint", endpoint)
        .with("s3.access-key-id", "key")
        .with("s3.secret-access-key", "hunter2")
}

#[tokio::test]
async fn an_address_that_nobody_answers_at_is_unavailable() {
    let refused = failure(&unreachable("http://127.0.0.1:1")).await;
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(refused.to_string().contains("refused"), "{refused}");
    let unknown = failure(&unreachable("http://no-such-host.invalid:9000")).await;
    assert_eq!(unknown.kind(), ErrorKind::Unavailable, "{unknown}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_unavailable() {
    let properties =
        unreachable("http://127.0.0.1:1").with("s3.proxy-uri", "http://user:hunter2@127.0.0.1:2");
    let error = failure(&properties).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn an_endpoint_without_tls_is_told_apart() {
    let Some(service) = S3Service::versitygw() else { return };
    let endpoint = service.endpoint.replace("http://", "https://");
    let error = failure(&service.properties().with("s3.endpoint", endpoint)).await;
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.hint().unwrap_or_default().contains("https"), "{error}");
}

#[tokio::test]
async fn wrong_credentials_are_told_apart() {
    for service in [S3Service::versitygw(), S3Service::minio()].into_iter().flatten() {
        let unknown = failure(&service.properties().with("s3.access-key-id", "nobody")).await;
        assert_eq!(unknown.kind(), ErrorKind::Unauthenticated, "{unknown}");
        assert!(unknown.hint().unwrap_or_default().contains("access key"), "{unknown}");
        let wrong = failure(&service.properties().with("s3.secret-access-key", "hunter2")).await;
        assert_eq!(wrong.kind(), ErrorKind::Unauthenticated, "{wrong}");
        assert!(wrong.hint().unwrap_or_default().contains("secret"), "{wrong}");
    }
}

#[tokio::test]
async fn a_missing_bucket_is_no_missing_file() {
    for service in [S3Service::versitygw(), S3Service::minio()].into_iter().flatten() {
        let properties = service.properties().with("warehouse", "s3://no-such-bucket-here/lake");
        let error = failure(&properties).await;
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.hint().unwrap_or_default().contains("bucket"), "{error}");
    }
}

#[tokio::test]
async fn anonymous_access_to_private_data_is_refused() {
    let Some(service) = S3Service::minio() else { return };
    let error = failure(&service.properties().with("s3.anonymous", "true")).await;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}
