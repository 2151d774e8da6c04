//! Temporary keys, which MinIO gives as AWS does.

use std::time::Duration;

use floe::Properties;
use floe_testkit::services::S3Service;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpConnector, HttpRequest, ReqwestConnector};

/// Temporary keys.
#[derive(Debug, Clone)]
pub struct Session {
    /// The access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token that goes with both.
    pub session_token: String,
}

impl Session {
    /// The properties of a storage with these keys.
    pub fn lay_over(&self, properties: Properties) -> Properties {
        properties
            .with("s3.access-key-id", &self.access_key_id)
            .with("s3.secret-access-key", &self.secret_access_key)
            .with("s3.session-token", &self.session_token)
    }
}

/// A session of the server's root, confined to what `policy` (IAM, as JSON) allows, for a quarter of an hour (AWS STS
/// API, `AssumeRole`).
pub async fn assume_role(service: &S3Service, policy: &str) -> Session {
    let encoded = policy.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let body = format!("Action=AssumeRole&Version=2011-06-15&DurationSeconds=900&Policy={encoded}");
    let mut request = HttpRequest::new(body.into());
    *request.method_mut() = "POST".parse().unwrap();
    *request.uri_mut() = format!("{}/", service.endpoint).parse().unwrap();
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let root = AwsCredential {
        key_id: service.access_key_id.clone(),
        secret_key: service.secret_access_key.clone(),
        token: None,
    };
    AwsAuthorizer::new(&root, "sts", "us-east-1").authorize(&mut request, None);
    let options = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(60));
    let client = ReqwestConnector::default().connect(&options).unwrap();
    let answer = client.execute(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert!(status.is_success(), "{status}: {text}");
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
        rest.split_once("</").unwrap().0.to_owned()
    };
    Session {
        access_key_id: element("AccessKeyId"),
        secret_access_key: element("SecretAccessKey"),
        session_token: element("SessionToken"),
    }
}
