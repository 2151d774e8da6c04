//! Tables in S3 with the keys of a profile of `~/.aws`, and of a role that is assumed: MinIO has STS as AWS does.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use floe_testkit::http::{FaultProxy, Reply, Request};
use floe_testkit::services::S3Service;
use support::{Floe, Run};

const ROLE: &str = "arn:aws:iam::123456789012:role/writer";

/// A folder with the files of `~/.aws`, and a catalog `lake` with these properties.
struct Setting {
    floe: Floe,
    service: S3Service,
}

impl Setting {
    fn new(service: S3Service, endpoint: &str, properties: &str) -> Self {
        let floe = Floe::new();
        floe.file(
            "aws/credentials",
            format!(
                "[keys]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
                 [wrong]\naws_access_key_id = nobody\naws_secret_access_key = hunter2\n",
                service.access_key_id, service.secret_access_key
            ),
        );
        floe.file(
            "aws/config",
            format!("[profile assumed]\nrole_arn = {ROLE}\nsource_profile = keys\nregion = us-east-1\n"),
        );
        let warehouse = format!("s3://{}/{}", service.bucket, uuid());
        floe.file(
            "floe.toml",
            format!(
                "[catalogs.lake]\ntype = 'local'\nuri = 'catalog.db'\nwarehouse = '{warehouse}'\n\
                 s3.endpoint = '{endpoint}'\n{properties}"
            ),
        );
        floe.file("rows.csv", "id\n1\n2\n");
        Self { floe, service }
    }

    /// Runs the binary with the files of `~/.aws`, and the service as STS.
    fn run(&self, line: &str, profile: &str) -> Run {
        let mut command = self.floe.command();
        command.args(["--catalog", "lake"]).args(line.split(' '));
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"] {
            command.env_remove(variable);
        }
        command
            .env("AWS_CONFIG_FILE", self.floe.path().join("aws/config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.floe.path().join("aws/credentials"))
            .env("AWS_ENDPOINT_URL_STS", &self.service.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        match profile {
            "" => command.env_remove("AWS_PROFILE"),
            profile => command.env("AWS_PROFILE", profile),
        };
        let run = Run::of(command.output().unwrap(), &[line]);
        let shown = format!("{}{}", run.text(), run.stderr);
        assert!(!shown.contains("hunter2") && !shown.contains(&self.service.secret_access_key), "{shown}");
        run
    }

    fn writes_and_reads(&self, profile: &str) {
        self.run("create t.rows --from rows.csv", profile).ok();
        self.run("append t.rows rows.csv", profile).ok();
        assert_eq!(self.run("scan t.rows --json", profile).ok().json()["rows"], 2);
    }
}

fn uuid() -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("profiles-{nanos}-{}", std::process::id())
}

#[test]
fn a_profile_of_the_environment_and_one_of_the_configuration_give_their_keys() {
    let Some(service) = S3Service::minio() else { return };
    let endpoint = service.endpoint.clone();
    Setting::new(service.clone(), &endpoint, "").writes_and_reads("keys");
    Setting::new(service, &endpoint, "s3.profile-name = 'keys'\n").writes_and_reads("wrong");
}

#[test]
fn a_role_is_assumed_by_a_profile_and_by_every_spelling_of_the_configuration() {
    let Some(service) = S3Service::minio() else { return };
    let endpoint = service.endpoint.clone();
    Setting::new(service.clone(), &endpoint, "").writes_and_reads("assumed");
    for spelling in [
        format!("s3.role-arn = '{ROLE}'\ns3.role-session-name = 'me'\n"),
        format!("client.assume-role.arn = '{ROLE}'\nclient.assume-role.external-id = 'x'\n"),
    ] {
        Setting::new(service.clone(), &endpoint, &spelling).writes_and_reads("keys");
    }
    let keys = format!(
        "client.role-arn = '{ROLE}'\ns3.access-key-id = '{}'\ns3.secret-access-key = 'env:KEY'\n",
        service.access_key_id
    );
    let setting = Setting::new(service.clone(), &endpoint, &keys);
    // The secret is there under that name, and nowhere else.
    let mut command = setting.floe.command();
    command.args(["--catalog", "lake", "create", "t.rows", "--from", "rows.csv"]);
    command.env("KEY", &service.secret_access_key).env("AWS_ENDPOINT_URL_STS", &service.endpoint);
    Run::of(command.output().unwrap(), &["create"]).ok();
}

#[test]
fn what_is_wrong_with_a_profile_or_a_role_is_named() {
    let Some(service) = S3Service::minio() else { return };
    let endpoint = service.endpoint.clone();
    let setting = Setting::new(service.clone(), &endpoint, "");
    let fails = |setting: &Setting, profile: &str, words: &[&str]| {
        let error = setting.run("create t.rows --from rows.csv --json", profile).fails("unauthenticated", 7);
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    };
    fails(&setting, "absent", &["'absent'", "s3.profile-name or AWS_PROFILE"]);
    fails(&setting, "wrong", &["access key"]);
    let setting = Setting::new(service, &endpoint, &format!("s3.role-arn = '{ROLE}'\n"));
    fails(&setting, "wrong", &[ROLE, "cannot be assumed", "trust"]);
}

/// The session of a role that ends in the middle is replaced by a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_is_replaced() {
    let Some(service) = S3Service::minio() else { return };
    let (seen, ended) = (Arc::new(Mutex::new(Vec::<String>::new())), Arc::new(Mutex::new(BTreeSet::new())));
    let (keys, dead) = (seen.clone(), ended.clone());
    let before = move |request: &Request| {
        let signed = request.header("authorization")?;
        let key = signed.split_once("Credential=")?.1.split('/').next()?.to_owned();
        let mut keys = keys.lock().unwrap();
        keys.push(key.clone());
        // The first session ends with its fifth request.
        if keys.len() == 5 {
            dead.lock().unwrap().insert(key.clone());
        }
        let body = "<Error><Code>ExpiredToken</Code><Message>It has ended.</Message></Error>";
        let refusal = Reply { body: body.into(), ..Reply::status(400) };
        dead.lock().unwrap().contains(&key).then_some(refusal)
    };
    let proxy = FaultProxy::between(&service.endpoint, before, |_, reply| reply).await;
    let setting = Setting::new(service, &proxy.uri(), "");
    tokio::task::spawn_blocking(move || setting.writes_and_reads("assumed")).await.unwrap();
    let sessions: BTreeSet<String> = seen.lock().unwrap().iter().cloned().collect();
    assert!(sessions.len() >= 4, "three commands, and one session more: {sessions:?}");
    assert_eq!(ended.lock().unwrap().len(), 1);
}
