//! Which files to read, and which deletes apply to each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use floe_core::guard::Guard;
use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::DroppedSources;
use floe_plan::prune::Verdict;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{
    DEFAULT_SCHEMA_NAME_MAPPING, ManifestContentType, ManifestFile, NestedFieldRef, PartitionSpec, Schema,
    SchemaRef, Struct, Transform,
};

use super::columns;
use super::delete_index::{DeleteIndex, PlannedDelete};
use super::filter::{FileFilter, ManifestFilter, RowsWanted};
use super::request::{PlanStats, ScanPlan, ScanRequest, ScanTask};
use crate::base::{Entry, LiveFile, MANIFESTS_AT_A_TIME, Manifest, READER, TableBase, bound};

/// Plans a scan: reads the manifests of the snapshot and leaves out the files that cannot hold a row that matches, first
/// by whole manifests, then by partition, then by column metrics.
///
/// Fails with `Validation` for a column or a filter that does not fit the schema, `SnapshotNotFound`, `Corrupted` or
/// `FileNotFound` for a damaged or missing manifest (named), `Unsupported` for data files that are no Parquet and for
/// deletion vectors.
pub async fn plan_scan(base: &TableBase, request: &ScanRequest) -> Result<ScanPlan> {
    let filter = request.filter.is_some();
    let planned = plan(base, request, None, false, filter).await;
    planned.map(|planned| planned.plan).map_err(|e| e.with_table(&base.table.ident))
}

/// A plan with what the manifests say about the file of each task.
#[derive(Debug)]
pub(crate) struct PlannedFiles {
    pub(crate) plan: ScanPlan,
    /// As many as there are tasks.
    pub(crate) files: Vec<LiveFile>,
}

/// Plans a scan for rows that are to be replaced. `wanted` decides about files in place of `request.filter`, if given.
pub(crate) async fn plan_files(
    base: &TableBase,
    request: &ScanRequest,
    wanted: Option<RowsWanted>,
) -> Result<PlannedFiles> {
    let filtered = request.filter.is_some() || wanted.is_some();
    plan(base, request, wanted, true, filtered).await.map_err(|e| e.with_table(&base.table.ident))
}

async fn plan(
    base: &TableBase,
    request: &ScanRequest,
    wanted: Option<RowsWanted>,
    keep_files: bool,
    filtered: bool,
) -> Result<PlannedFiles> {
    let resolved = base.resolve(&request.at)?;
    if request.batch_size == 0 {
        return Err(Error::validation("batch_size must be at least 1"));
    }
    let projection = columns::project(&resolved.schema, request.columns.as_deref(), request.case_sensitive)?;
    let filter = request.filter.as_ref().map(|f| f.bind(&resolved.schema, request.case_sensitive));
    let filter = filter.transpose()?;
    let filter = ManifestFilter::new(wanted.unwrap_or(RowsWanted::Filter(filter)));
    let mut files = Vec::new();

    let mut plan = ScanPlan {
        table: base.table.ident.to_string(),
        snapshot_id: resolved.snapshot.as_ref().map(|s| s.snapshot_id()),
        schema: resolved.schema.clone(),
        projection,
        filter: request.filter.clone(),
        case_sensitive: request.case_sensitive,
        limit: request.limit,
        batch_size: request.batch_size,
        memory_bytes: request.memory_bytes,
        preserve_order: request.preserve_order,
        name_mapping: base.metadata().properties().get(DEFAULT_SCHEMA_NAME_MAPPING).cloned(),
        delete_columns: None,
        tasks: Vec::new(),
        stats: PlanStats::default(),
    };
    let Some(snapshot) = resolved.snapshot else {
        return Ok(PlannedFiles { plan, files });
    };
    let list = base.manifest_files(&snapshot).await?;
    let (data, deletes): (Vec<_>, Vec<_>) = list
        .iter()
        .filter(|file| file.has_added_files() || file.has_existing_files())
        .partition(|file| file.content == ManifestContentType::Data);
    let deletes = read_deletes(base, &deletes).await?;

    // A list of futures, not a stream of closures: those would not be `Send` for every lifetime.
    let readings: Vec<_> = data
        .into_iter()
        .map(|file| {
            let (filter, deletes, schema) = (&filter, deletes.clone(), resolved.schema.clone());
            async move {
                let spec = base.metadata().partition_spec_by_id(file.partition_spec_id);
                if spec.is_some_and(|spec| !filter.may_match(spec, file)) {
                    return Ok(pruned(file));
                }
                let manifest = base.manifest(file).await?;
                let (file, filter) = (file.clone(), filter.for_files(manifest.partition_spec()));
                // Looking at thousands of files takes a while: not on a thread that serves IO.
                tokio::task::spawn_blocking(move || {
                    Guard::new(READER, file.manifest_path.as_str())
                        .call(|| plan_manifest(&manifest, &file, filter, &deletes, &schema, keep_files))
                })
                .await
                .map_err(|e| Error::new(ErrorKind::Internal, "planning a manifest failed").with_source(e))?
            }
        })
        .collect();
    let mut manifests = futures::stream::iter(readings).buffered(MANIFESTS_AT_A_TIME);
    // Without a filter and deletes, every row of a file counts towards the limit.
    let enough = request.limit.filter(|_| !filtered && deletes.is_empty());
    while let Some((tasks, live, stats)) = manifests.try_next().await? {
        plan.stats += stats;
        plan.tasks.extend(tasks);
        files.extend(live);
        if enough.is_some_and(|limit| plan.stats.rows_planned >= limit as u64) {
            break;
        }
    }
    drop(manifests);
    if let Some(limit) = enough {
        keep_enough(&mut plan, limit as u64);
    }
    let applied: HashSet<_> = plan.tasks.iter().flat_map(|task| &task.deletes).collect();
    plan.stats.delete_files = applied.len() as u64;
    let compared: HashSet<i32> =
        applied.iter().flat_map(|d| d.equality_ids.iter().flatten().copied()).collect();
    plan.delete_columns = delete_columns(base, &plan.schema, &compared)?;
    tracing::debug!(
        table = plan.table,
        files = plan.stats.files_planned,
        files_total = plan.stats.files_total,
        "planned a scan"
    );
    Ok(PlannedFiles { plan, files })
}

/// The top-level columns that hold the fields that equality deletes compare, from the schema that is read or, for a
/// column that was dropped since the delete was written, from the newest schema that has it.
pub(crate) fn delete_columns(
    base: &TableBase,
    schema: &SchemaRef,
    ids: &HashSet<i32>,
) -> Result<Option<SchemaRef>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let mut schemas: Vec<&SchemaRef> = base.metadata().schemas_iter().collect();
    schemas.sort_unstable_by_key(|s| std::cmp::Reverse(s.schema_id()));
    schemas.insert(0, schema);
    let mut fields: Vec<NestedFieldRef> = Vec::new();
    for id in ids {
        let Some(holder) = schemas.iter().find(|s| s.field_by_id(*id).is_some()) else { continue };
        for top in columns::holding(holder, &[*id])?.as_struct().fields() {
            if !fields.iter().any(|field| field.id == top.id) {
                let mut field = iceberg::spec::NestedField::clone(top);
                // Names may have been given again: only ids count here.
                field.name = format!("field_{}", top.id);
                fields.push(Arc::new(field));
            }
        }
    }
    Ok(Some(Arc::new(Schema::builder().with_fields(fields).build()?)))
}

/// Drops the files behind those that reach the limit.
fn keep_enough(plan: &mut ScanPlan, limit: u64) {
    let mut rows = 0;
    let needed = plan.tasks.iter().position(|task| {
        rows = task.record_count.saturating_add(rows);
        rows >= limit
    });
    if limit == 0 {
        plan.tasks.clear();
    } else if let Some(last) = needed {
        plan.tasks.truncate(last + 1);
    }
    plan.stats.files_planned = plan.tasks.len() as u64;
    // What manifests say: any number may stand there.
    plan.stats.bytes_planned = plan.tasks.iter().map(|task| task.file_size).fold(0, u64::saturating_add);
    plan.stats.rows_planned = plan.tasks.iter().map(|task| task.record_count).fold(0, u64::saturating_add);
}

async fn read_deletes(base: &TableBase, manifests: &[&ManifestFile]) -> Result<Arc<DeleteIndex>> {
    // Futures, not closures, as above.
    let readings: Vec<_> = manifests
        .iter()
        .map(|file| async move {
            let manifest = base.manifest(file).await?;
            let mut deletes = Vec::new();
            for entry in manifest.entries(file) {
                let entry = entry?;
                if entry.is_live() {
                    deletes.push(PlannedDelete::new(&manifest, &entry)?);
                }
            }
            Ok::<_, Error>(deletes)
        })
        .collect();
    let read: Vec<_> = futures::stream::iter(readings).buffered(MANIFESTS_AT_A_TIME).try_collect().await?;
    let dropped = DroppedSources::of(base.metadata());
    Ok(Arc::new(DeleteIndex::new(read.into_iter().flatten().collect(), dropped)))
}

type PlannedManifest = (Vec<ScanTask>, Vec<LiveFile>, PlanStats);

fn pruned(file: &ManifestFile) -> PlannedManifest {
    let files =
        u64::from(file.added_files_count.unwrap_or(0)) + u64::from(file.existing_files_count.unwrap_or(0));
    let stats = PlanStats {
        manifests_total: 1,
        manifests_pruned: 1,
        files_total: files,
        files_pruned_by_partition: files,
        ..PlanStats::default()
    };
    (Vec::new(), Vec::new(), stats)
}

fn plan_manifest(
    manifest: &Manifest,
    file: &ManifestFile,
    mut filter: FileFilter,
    deletes: &DeleteIndex,
    schema: &Schema,
    keep_files: bool,
) -> Result<PlannedManifest> {
    let mut stats = PlanStats { manifests_total: 1, ..PlanStats::default() };
    let (mut tasks, mut files) = (Vec::new(), Vec::new());
    for entry in manifest.entries(file) {
        let entry = entry?;
        if !entry.is_live() {
            continue;
        }
        stats.files_total += 1;
        stats.bytes_total = stats.bytes_total.saturating_add(entry.file_size());
        let partition = entry.partition()?;
        let all_rows_match = match filter.verdict(&partition, &entry) {
            Verdict::NoneByPartition => {
                stats.files_pruned_by_partition += 1;
                continue;
            }
            Verdict::NoneByMetrics => {
                stats.files_pruned_by_metrics += 1;
                continue;
            }
            Verdict::Some => false,
            Verdict::All => true,
        };
        let task = task(manifest, &entry, &partition, all_rows_match, deletes, schema)?;
        stats.files_planned += 1;
        stats.bytes_planned = stats.bytes_planned.saturating_add(task.file_size);
        stats.rows_planned = stats.rows_planned.saturating_add(task.record_count);
        tasks.push(task);
        if keep_files {
            files.push(LiveFile::new(&entry)?);
        }
    }
    Ok((tasks, files, stats))
}

fn task(
    manifest: &Manifest,
    entry: &Entry<'_>,
    partition: &Struct,
    all_rows_match: bool,
    deletes: &DeleteIndex,
    schema: &Schema,
) -> Result<ScanTask> {
    let path = entry.path()?;
    let format = entry.format()?;
    if format != iceberg::spec::DataFileFormat::Parquet {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the data file {} is {format}; floe reads Parquet data files only", masked(path)),
        )
        .with_hint("rewrite the table's data files as Parquet with the engine that wrote them"));
    }
    let spec = manifest.partition_spec();
    Ok(ScanTask {
        path: path.to_owned(),
        file_size: entry.file_size(),
        record_count: entry.record_count(),
        spec_id: spec.spec_id(),
        sequence_number: entry.sequence_number,
        constants: constants(spec, partition, schema),
        all_rows_match,
        deletes: deletes.for_file(path, entry.sequence_number, spec, partition)?,
    })
}

fn constants(spec: &PartitionSpec, partition: &Struct, schema: &Schema) -> BTreeMap<i32, Option<Vec<u8>>> {
    let fields = spec.fields().iter().zip(partition.iter());
    let identity = fields.filter(|(field, _)| {
        field.transform == Transform::Identity && schema.field_by_id(field.source_id).is_some()
    });
    identity
        .filter_map(|(field, value)| match value {
            None => Some((field.source_id, None)),
            Some(value) => Some((field.source_id, Some(bound::encode(&value.as_primitive_literal()?)?))),
        })
        .collect()
}

impl std::ops::AddAssign for PlanStats {
    fn add_assign(&mut self, other: Self) {
        self.manifests_total += other.manifests_total;
        self.manifests_pruned += other.manifests_pruned;
        self.files_total += other.files_total;
        self.bytes_total += other.bytes_total;
        self.files_pruned_by_partition += other.files_pruned_by_partition;
        self.files_pruned_by_metrics += other.files_pruned_by_metrics;
        self.files_planned += other.files_planned;
        self.bytes_planned += other.bytes_planned;
        self.rows_planned += other.rows_planned;
        self.delete_files += other.delete_files;
    }
}

/// The values of a task's constants, as values of the columns' present types.
pub(super) fn constant_values(
    task: &ScanTask,
    schema: &Schema,
) -> HashMap<i32, Option<iceberg::spec::Datum>> {
    let values = task.constants.iter().filter_map(|(id, bytes)| {
        let ty = schema.field_by_id(*id)?.field_type.as_primitive_type()?;
        match bytes {
            None => Some((*id, None)),
            Some(bytes) => Some((*id, Some(bound::decode(bytes, ty)?))),
        }
    });
    values.collect()
}
