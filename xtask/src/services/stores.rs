//! The servers of files: versitygw, `MinIO`, fake-gcs-server and Azurite.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::containers::{self, Image};
use super::http;
use super::kind::Service;
use super::launch::{BUCKET, KEY, Launch, Place, REGION, SECRET, go_tool, local};
use crate::tools;

/// The account of Azurite, and its published key.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const VERSITYGW: &str = "v1.8.0";
const MINIO: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";
/// The last image that `MinIO` published.
const MINIO_IMAGE: &str = "RELEASE.2025-09-07T16-13-09Z";
const FAKE_GCS: &str = "1.56.1";
const AZURITE: &str = "3.37.0";

pub(super) fn versitygw() -> Result<PathBuf> {
    go_tool("versitygw", "github.com/versity/versitygw/cmd/versitygw", VERSITYGW)
}

pub(super) fn s3(place: &Place) -> Result<Launch> {
    // On a local folder, a bucket is a folder.
    fs::create_dir_all(place.folder.join(BUCKET))?;
    let mut command = Command::new(versitygw()?);
    command
        .args(["--port", &format!("127.0.0.1:{}", place.port), "--region", REGION, "posix"])
        .arg(&place.folder)
        .env("ROOT_ACCESS_KEY", KEY)
        .env("ROOT_SECRET_KEY", SECRET);
    let uri = local(place.port);
    let values = vec![uri.clone(), KEY.into(), SECRET.into(), BUCKET.into()];
    Ok(Launch::new(command, values, move || http::status(&uri).is_some()))
}

pub(super) fn minio() -> Result<PathBuf> {
    go_tool("minio", "github.com/minio/minio", MINIO)
}

pub(super) fn minio_server(place: &Place) -> Result<Launch> {
    let native = || {
        // A folder that is there before the first start becomes a bucket.
        fs::create_dir_all(place.folder.join(BUCKET))?;
        let mut command = Command::new(minio()?);
        command
            .arg("server")
            .arg(&place.folder)
            .args(["--address", &format!("127.0.0.1:{}", place.port), "--quiet"])
            .env("MINIO_ROOT_USER", KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off");
        Ok(command)
    };
    let image = Image { tag: MINIO_IMAGE, folder: None };
    Ok(minio_launch(place, containers::or(Service::Minio, place, &image, native)?))
}

/// What tests are told is the same, whoever runs it.
fn minio_launch(place: &Place, command: Command) -> Launch {
    let uri = local(place.port);
    let health = format!("{uri}/minio/health/ready");
    let values = vec![uri, KEY.into(), SECRET.into(), BUCKET.into()];
    Launch::new(command, values, move || http::status(&health) == Some(200))
}

pub(super) fn fake_gcs() -> Result<PathBuf> {
    go_tool("fake-gcs-server", "github.com/fsouza/fake-gcs-server", &format!("v{FAKE_GCS}"))
}

pub(super) fn gcs(place: &Place) -> Result<Launch> {
    let native = || {
        let mut command = Command::new(fake_gcs()?);
        command
            .args(["-scheme", "http", "-host", "127.0.0.1", "-port", &place.port.to_string()])
            .args(["-backend", "memory", "-external-url", &local(place.port)])
            .args(["-public-host", &format!("127.0.0.1:{}", place.port)]);
        Ok(command)
    };
    let image = Image { tag: FAKE_GCS, folder: None };
    Ok(gcs_launch(place, containers::or(Service::Gcs, place, &image, native)?))
}

fn gcs_launch(place: &Place, command: Command) -> Launch {
    let uri = local(place.port);
    let buckets = format!("{uri}/storage/v1/b?project=floe");
    let make = buckets.clone();
    let launch = Launch::new(command, vec![uri, BUCKET.into()], move || http::status(&buckets) == Some(200));
    let json = ("content-type".to_owned(), "application/json".to_owned());
    launch.after(move || http::send("POST", &make, &[json], Some(&format!(r#"{{"name":"{BUCKET}"}}"#))))
}

/// Azurite's folder, and the node that runs it.
pub(super) fn azurite() -> Result<(PathBuf, PathBuf)> {
    let node = tools::program("node", "nodejs", "Node.js 18 or later, which Azurite runs on")?;
    let folder = tools::cached(&format!("azurite-{AZURITE}"), |folder| {
        let npm = tools::program("npm", "npm", "npm, which brings Azurite")?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-fund", "--no-audit", &format!("azurite@{AZURITE}")])
                .current_dir(folder),
        )
    })?;
    Ok((folder, node))
}

pub(super) fn azure(place: &Place) -> Result<Launch> {
    let native = || {
        let (folder, node) = azurite()?;
        let mut command = Command::new(node);
        command
            .arg(folder.join("node_modules").join(".bin").join("azurite-blob"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", &place.port.to_string()])
            .args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"])
            .current_dir(&place.folder);
        Ok(command)
    };
    let image = Image { tag: AZURITE, folder: None };
    Ok(azure_launch(place, containers::or(Service::Azure, place, &image, native)?))
}

fn azure_launch(place: &Place, command: Command) -> Launch {
    let account = format!("{}/{AZURE_ACCOUNT}", local(place.port));
    let container = format!("{account}/{BUCKET}?restype=container");
    let values = vec![account.clone(), AZURE_ACCOUNT.into(), AZURE_KEY.into(), BUCKET.into()];
    let launch = Launch::new(command, values, move || http::status(&account).is_some());
    launch.after(move || http::send("PUT", &container, &azure_headers()?, None))
}

/// The headers, signed, of the request that makes the container (Azure "Authorize with Shared Key").
fn azure_headers() -> Result<Vec<(String, String)>> {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-08-06";
    let resource = format!("/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container");
    let text = format!("PUT{}x-ms-date:{date}\nx-ms-version:{version}\n{resource}", "\n".repeat(12));
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(AZURE_KEY)?)?;
    mac.update(text.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Ok(vec![
        ("x-ms-date".into(), date),
        ("x-ms-version".into(), version.into()),
        ("content-length".into(), "0".into()),
        ("authorization".into(), format!("SharedKey {AZURE_ACCOUNT}:{signature}")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::launch::Stores;

    /// What tests are told of a server, and what its container is told, are the same.
    #[test]
    fn the_variables_of_a_server_are_what_its_container_was_told() {
        let place = Place { folder: "/data".into(), port: 41234, stores: Stores::default() };
        let image = Image { tag: "1", folder: None };
        let told = containers::arguments(Service::Minio, &place, &image);
        let after = |name: &str| {
            told[told.iter().position(|a| a == name).unwrap() + 1].clone().into_string().unwrap()
        };
        let [key, secret, bucket] = ["--key", "--secret", "--bucket"].map(after);
        assert_eq!(after("--port"), "41234");
        let variables = |service: Service, launch: Launch| -> Vec<(&str, String)> {
            assert_eq!(service.variables().len(), launch.values.len());
            service.variables().iter().copied().zip(launch.values).collect()
        };
        let command = || Command::new("true");
        assert_eq!(
            variables(Service::Minio, minio_launch(&place, command())),
            [
                ("FLOE_TEST_MINIO_ENDPOINT", "http://127.0.0.1:41234".to_owned()),
                ("FLOE_TEST_MINIO_ACCESS_KEY_ID", key),
                ("FLOE_TEST_MINIO_SECRET_ACCESS_KEY", secret),
                ("FLOE_TEST_MINIO_BUCKET", bucket.clone()),
            ]
        );
        assert_eq!(
            variables(Service::Gcs, gcs_launch(&place, command())),
            [
                ("FLOE_TEST_GCS_ENDPOINT", "http://127.0.0.1:41234".to_owned()),
                ("FLOE_TEST_GCS_BUCKET", bucket.clone()),
            ]
        );
        assert_eq!(
            variables(Service::Azure, azure_launch(&place, command())),
            [
                ("FLOE_TEST_AZURE_ENDPOINT", "http://127.0.0.1:41234/devstoreaccount1".to_owned()),
                ("FLOE_TEST_AZURE_ACCOUNT", "devstoreaccount1".to_owned()),
                ("FLOE_TEST_AZURE_KEY", AZURE_KEY.to_owned()),
                ("FLOE_TEST_AZURE_CONTAINER", bucket),
            ]
        );
    }
}
