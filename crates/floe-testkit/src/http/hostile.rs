//! Attackers: a port that nobody has any business with, and a catalog whose server says what it likes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use floe_core::metadata_file;
use iceberg::TableCreation;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, ManifestListWriter, ManifestWriterBuilder, NestedField,
    Operation, PrimitiveType, Schema, Snapshot, Struct, Summary, TableMetadata, Type,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::server::{HttpServer, Reply, Request};

/// A port on this machine that counts who connects to it, and answers nobody.
#[derive(Debug)]
pub struct Trap {
    address: SocketAddr,
    met: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Trap {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let met: Arc<AtomicUsize> = Arc::default();
        let counted = met.clone();
        let accepting = tokio::spawn(async move {
            // The connection is closed at once.
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, met, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A table `ns.t (id long)` made by hand, and the files that its metadata needs.
#[derive(Debug, Clone)]
pub struct HostileTable {
    metadata: TableMetadata,
    objects: Vec<(String, Bytes)>,
}

/// A data file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its location, whatever that is.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// How many rows it is said to have.
    pub rows: u64,
}

impl HostileTable {
    /// An empty table at `location`, with these properties.
    pub fn new(location: &str, properties: &[(&str, &str)]) -> Self {
        let fields = vec![NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()];
        let schema = Schema::builder().with_fields(fields).build().expect("a schema");
        let properties: HashMap<String, String> =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let creation = TableCreation::builder()
            .name("t".into())
            .schema(schema)
            .location(location.to_owned())
            .properties(properties)
            .build();
        Self { metadata: metadata_file::create(creation).expect("metadata"), objects: Vec::new() }
    }

    /// With a snapshot whose manifest list is at `list`, its manifest at `manifest`, which names `files`.
    pub async fn with_files(mut self, list: &str, manifest: &str, files: &[NamedFile]) -> Self {
        const SNAPSHOT: i64 = 1000;
        let io = FileIO::new_with_memory();
        let builder = ManifestWriterBuilder::new(
            io.new_output(manifest).expect("output"),
            Some(SNAPSHOT),
            self.metadata.current_schema().clone(),
            self.metadata.default_partition_spec().as_ref().clone(),
        );
        let mut writer = builder.build_v2_data();
        for file in files {
            let mut data = DataFileBuilder::default();
            data.content(DataContentType::Data)
                .file_path(file.path.clone())
                .file_format(DataFileFormat::Parquet)
                .partition(Struct::empty())
                .partition_spec_id(self.metadata.default_partition_spec_id())
                .record_count(file.rows)
                .file_size_in_bytes(file.size);
            writer.add_file(data.build().expect("a data file"), -1).expect("is added");
        }
        let written = writer.write_manifest_file().await.expect("a manifest");
        let output = io.new_output(list).expect("output").writer().await.expect("writer");
        let mut lists = ManifestListWriter::v2(output, SNAPSHOT, None, 1);
        lists.add_manifests(std::iter::once(written)).expect("is added");
        lists.close().await.expect("a manifest list");
        for location in [list, manifest] {
            let content = io.new_input(location).expect("input").read().await.expect("was written");
            self.objects.push((location.to_owned(), content));
        }
        let snapshot = Snapshot::builder()
            .with_snapshot_id(SNAPSHOT)
            .with_sequence_number(1)
            .with_timestamp_ms(self.metadata.last_updated_ms() + 1)
            .with_manifest_list(list)
            .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() })
            .with_schema_id(self.metadata.current_schema_id())
            .build();
        let builder = self.metadata.into_builder(Some("s3://bucket/before.metadata.json".into()));
        let built = builder.set_branch_snapshot(snapshot, "main").and_then(|builder| builder.build());
        self.metadata = built.expect("metadata").metadata;
        self
    }

    /// Manifest and manifest list, by location.
    pub fn objects(&self) -> &[(String, Bytes)] {
        &self.objects
    }
}

/// A REST catalog whose server tells of tables that it likes, and takes no change of them.
#[derive(Debug)]
pub struct HostileCatalog {
    server: HttpServer,
}

impl HostileCatalog {
    /// Starts a server that answers `/v1/config` with `config`, and loads of the table `ns.t` with its metadata and what
    /// `extra` holds: `config`, `storage-credentials`.
    pub async fn start(table: &HostileTable, config: Value, extra: Value) -> Self {
        Self::of([("t".to_owned(), table)].into(), config, extra).await
    }

    /// The same with several tables, `ns.NAME`.
    pub async fn of(tables: HashMap<String, &HostileTable>, config: Value, extra: Value) -> Self {
        let replies: HashMap<String, Value> = tables
            .into_iter()
            .map(|(name, table)| {
                let at = format!("{}/metadata/00001-a.metadata.json", table.metadata.location());
                let mut reply = json!({"metadata-location": at, "metadata": table.metadata});
                for (key, value) in extra.as_object().into_iter().flatten() {
                    reply[key] = value.clone();
                }
                (format!("/v1/namespaces/ns/tables/{name}"), reply)
            })
            .collect();
        let (replies, config) = (Arc::new(replies), Arc::new(config));
        let server = HttpServer::start(move |request: Request| {
            let reply = match (request.method.as_str(), request.path(), replies.get(request.path())) {
                (_, "/v1/config", _) => Reply::json(200, &*config),
                ("GET" | "HEAD", _, Some(table)) => Reply::json(200, table),
                ("POST", ..) => Reply::iceberg_error(400, "BadRequestException", "nothing is changed here"),
                _ => Reply::iceberg_error(404, "NoSuchTableException", "not there"),
            };
            async move { reply.into() }
        })
        .await;
        Self { server }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}
