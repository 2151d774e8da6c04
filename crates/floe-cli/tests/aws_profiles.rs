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

/// STS. MinIO leaves out the ARN of the session, which AWS tells and its SDK asks for.
async fn sts(service: &S3Service) -> FaultProxy {
    let session = "<Arn>arn:aws:sts::123456789012:assumed-role/writer/floe</Arn>";
    let after = move |_: &Request, reply: Reply| {
        let text = String::from_utf8_lossy(&reply.body).replace("<Arn></Arn>", session);
        Reply { body: text.into(), ..reply }
    };
    FaultProxy::between(&service.endpoint, |_| None, after).await
}

/// Runs what blocks beside the proxies.
async fn beside(work: impl FnOnce() + Send + 'static) {
    if let Err(e) = tokio::task::spawn_blocking(work).await {
        std::panic::resume_unwind(e.into_panic());
    }
}

/// A folder with the files of `~/.aws`, and a catalog `lake` with these properties.
struct Setting {
    floe: Floe,
    service: S3Service,
    sts: String,
}

impl Setting {
    fn new(service: &S3Service, sts: &str, endpoint: &str, properties: &str) -> Self {
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
        Self { floe, service: service.clone(), sts: sts.to_owned() }
    }

    /// Runs the binary with the files of `~/.aws`, and the service as STS.
    fn run(&self, line: &str, profile: &str) -> Run {
        let mut command = self.floe.command();
        command.args(["--catalog", "lake"]).args(line.split(' '));
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"] {
            command.env_remove(variable);
        }
        command
            // It takes secrets from files, as only a file that is trusted may.
            .env("FLOE_CONFIG", self.floe.path().join("floe.toml"))
            .env("AWS_CONFIG_FILE", self.floe.path().join("aws/config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.floe.path().join("aws/credentials"))
            .env("AWS_ENDPOINT_URL_STS", &self.sts)
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
    let new = |properties: &str| Setting::new(&service, "http://127.0.0.1:1", &service.endpoint, properties);
    new("").writes_and_reads("keys");
    new("s3.profile-name = 'keys'\n").writes_and_reads("wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_assumed_by_a_profile_and_by_every_spelling_of_the_configuration() {
    let Some(service) = S3Service::minio() else { return };
    let sts = sts(&service).await;
    let address = sts.uri();
    beside(move || {
        let new = |properties: &str| Setting::new(&service, &address, &service.endpoint, properties);
        new("").writes_and_reads("assumed");
        new(&format!("s3.role-arn = '{ROLE}'\ns3.role-session-name = 'me'\n")).writes_and_reads("keys");
        let java = format!("client.assume-role.arn = '{ROLE}'\nclient.assume-role.external-id = 'x'\n");
        new(&java).writes_and_reads("keys");
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), &service.secret_access_key).unwrap();
        let keys = format!(
            "client.role-arn = '{ROLE}'\ns3.access-key-id = '{}'\ns3.secret-access-key = 'file:{}'\n",
            service.access_key_id,
            secret.path().display()
        );
        new(&keys).writes_and_reads("wrong");
    })
    .await;
    let asked: Vec<String> = sts.requests().iter().map(|r| String::from_utf8_lossy(&r.body).into()).collect();
    let said = |words: &str| asked.iter().filter(|body| body.contains(words)).count();
    assert!(said("Action=AssumeRole") >= 12, "each command of four settings: {asked:?}");
    assert_eq!((said("RoleSessionName=me"), said("ExternalId=x")), (3, 3), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_profile_or_a_role_is_named() {
    let Some(service) = S3Service::minio() else { return };
    let sts = sts(&service).await;
    let address = sts.uri();
    beside(move || {
        let fails = |properties: &str, profile: &str, words: &[&str]| {
            let setting = Setting::new(&service, &address, &service.endpoint, properties);
            let run = setting.run("create t.rows --from rows.csv --json", profile);
            let text = run.fails("unauthenticated", 7).to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
        };
        fails("", "absent", &["'absent'", "s3.profile-name or AWS_PROFILE"]);
        fails("", "wrong", &["access key"]);
        fails(&format!("s3.role-arn = '{ROLE}'\n"), "wrong", &[ROLE, "cannot be assumed", "trust"]);
    })
    .await;
}

/// The session of a role that ends in the middle is replaced by a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_is_replaced() {
    let Some(service) = S3Service::minio() else { return };
    let sts = sts(&service).await;
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
    let store = FaultProxy::between(&service.endpoint, before, |_, reply| reply).await;
    let setting = Setting::new(&service, &sts.uri(), &store.uri(), "");
    beside(move || setting.writes_and_reads("assumed")).await;
    let sessions: BTreeSet<String> = seen.lock().unwrap().iter().cloned().collect();
    assert_eq!(sessions.len(), 4, "three commands, and one session more: {sessions:?}");
    assert_eq!(ended.lock().unwrap().len(), 1);
}
