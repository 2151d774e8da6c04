//! One large file to a store that speaks S3 and back, beside the bare client.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use floe::config::PluginConfig;
use floe::iceberg::io::FileIO;
use floe::{Properties, Registry};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use crate::measure::{Stopwatch, Took};

/// Bytes of the file.
const SIZE: u64 = 1 << 30;
/// Bytes handed over at a time.
const PIECE: usize = 1 << 20;
/// Bytes of a part or a range.
const PART: u64 = 8 << 20;
/// Parts or ranges under way at once.
const AT_ONCE: usize = 8;

/// Where the server is.
struct Server {
    endpoint: String,
    key: String,
    secret: String,
    bucket: String,
}

impl Server {
    fn of_env() -> Result<Self> {
        let variable = |name: &str| {
            std::env::var(format!("FLOE_TEST_MINIO_{name}"))
                .with_context(|| format!("FLOE_TEST_MINIO_{name} is not set"))
        };
        Ok(Self {
            endpoint: variable("ENDPOINT")?,
            key: variable("ACCESS_KEY_ID")?,
            secret: variable("SECRET_ACCESS_KEY")?,
            bucket: variable("BUCKET")?,
        })
    }

    fn bare(&self) -> Result<Arc<dyn ObjectStore>> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_access_key_id(&self.key)
            .with_secret_access_key(&self.secret)
            .with_bucket_name(&self.bucket)
            .build()?;
        Ok(Arc::new(store))
    }

    async fn floe(&self) -> Result<FileIO> {
        let properties = Properties::default()
            .with("warehouse", format!("s3://{}/bench", self.bucket))
            .with("s3.endpoint", &self.endpoint)
            .with("s3.access-key-id", &self.key)
            .with("s3.secret-access-key", &self.secret);
        let plugin = Registry::linked().storage("s3")?;
        Ok(plugin.connect(&PluginConfig::new("bench", &properties)?).await?.file_io())
    }
}

/// One way, for one side.
pub(crate) fn run(case: &str, side: &str) -> Result<Took> {
    let server = Server::of_env()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        match (case, side) {
            ("upload", "bare") => upload_bare(&server).await,
            ("upload", _) => upload_floe(&server).await,
            (_, "bare") => download_bare(&server).await,
            _ => download_floe(&server).await,
        }
    })
}

/// A piece that does not compress, the same for every side.
fn piece() -> bytes::Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = (0..PIECE / 8).flat_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    });
    bytes.collect::<Vec<u8>>().into()
}

async fn upload_bare(server: &Server) -> Result<Took> {
    let (store, piece) = (server.bare()?, piece());
    let start = Stopwatch::start();
    let upload = store.put_multipart(&Path::from("bench/bare")).await?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART as usize);
    for _ in 0..SIZE / PIECE as u64 {
        writer.wait_for_capacity(AT_ONCE).await?;
        writer.put(piece.clone());
    }
    writer.finish().await?;
    start.stop()
}

async fn upload_floe(server: &Server) -> Result<Took> {
    let (io, piece) = (server.floe().await?, piece());
    let start = Stopwatch::start();
    let mut writer = io.new_output(format!("s3://{}/bench/floe", server.bucket))?.writer().await?;
    for _ in 0..SIZE / PIECE as u64 {
        writer.write(piece.clone()).await?;
    }
    writer.close().await?;
    start.stop()
}

async fn download_bare(server: &Server) -> Result<Took> {
    let store = server.bare()?;
    let start = Stopwatch::start();
    let path = Path::from("bench/bare");
    let ranges = (0..SIZE / PART).map(|i| i * PART..(i + 1) * PART);
    let sizes = futures::stream::iter(ranges).map(|range| store.get_range(&path, range));
    let total = sizes.buffered(AT_ONCE).try_fold(0, |sum, bytes| async move { Ok(sum + bytes.len() as u64) });
    ensure!(total.await? == SIZE, "a short file");
    start.stop()
}

async fn download_floe(server: &Server) -> Result<Took> {
    let io = server.floe().await?;
    let start = Stopwatch::start();
    let reader = io.new_input(format!("s3://{}/bench/floe", server.bucket))?.reader().await?;
    let ranges = (0..SIZE / PART).map(|i| i * PART..(i + 1) * PART);
    let sizes = futures::stream::iter(ranges).map(|range| reader.read(range));
    let total = sizes.buffered(AT_ONCE).try_fold(0, |sum, bytes| async move { Ok(sum + bytes.len() as u64) });
    ensure!(total.await? == SIZE, "a short file");
    start.stop()
}
