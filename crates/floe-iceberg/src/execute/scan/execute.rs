//! Running a plan: files are opened ahead, each piece is decoded by a task of its own, and batches come through bounded
//! channels.

use std::sync::Arc;
use std::thread::available_parallelism;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Schema as ArrowSchema};
use floe_core::guard::Guard;
use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, future};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::NameMapping;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::columns;
use super::decode::Rows;
use super::deletes::Deletes;
use super::metrics::{ScanMetrics, add};
use super::open::{Context, ReadUnit, Unit, arrow_metadata, open};
use super::project::Projection;
use super::promise::Promise;
use super::request::{ScanPlan, ScanTask};
use super::rows;
use crate::data::BatchStream;

/// Batches that a task may be ahead of the reader.
const BATCHES_AHEAD: usize = 2;

/// Runs a plan. Nothing is read before the stream is polled, in a tokio runtime; dropping the stream stops the work. What
/// the scan did is counted in `metrics`, and is final when the stream has ended.
///
/// The Arrow schema of the batches is that of `plan.projection`, each field with its id as `PARQUET:field_id`.
///
/// The stream fails with `Corrupted`, `FileNotFound` or another kind of the storage for a data file that cannot be read
/// (named).
pub fn execute_scan(file_io: &FileIO, plan: &ScanPlan, metrics: &Arc<ScanMetrics>) -> Result<BatchStream> {
    let context = context(file_io, plan, metrics).map_err(|e| e.with_table(&plan.table))?;
    Ok(run(Arc::new(context), plan))
}

/// Runs a plan with a context made for it.
pub(super) fn run(context: Arc<Context>, plan: &ScanPlan) -> BatchStream {
    let schema = if context.rows { rows::with_places(&context.arrow) } else { context.arrow.clone() };
    let metrics = &context.metrics.clone();
    let workers = available_parallelism().map_or(2, usize::from) + 1;
    let room = Room::new(plan.memory_bytes / 4 * 3);
    // One after the other, so that what comes first never waits for what comes later.
    let started = units(context.clone(), plan.tasks.clone(), workers).and_then(move |unit| {
        let (context, room) = (context.clone(), room.clone());
        async move {
            let held = room.take(unit.bytes()).await;
            Ok(start(context, unit, held))
        }
    });
    let batches: BoxStream<'static, Result<RecordBatch>> = if plan.preserve_order {
        started.map(future::ready).buffered(workers).try_flatten().boxed()
    } else {
        started.try_flatten_unordered(workers).boxed()
    };
    let table = plan.table.clone();
    let end = End { batches, left: plan.limit, failed: false, metrics: metrics.clone() };
    let stream = futures::stream::unfold(end, |mut end| async {
        let item = end.next().await?;
        Some((item, end))
    });
    BatchStream::new(schema, stream.map_err(move |e| e.with_table(&table)).boxed())
}

/// The end of the pipe: stops at the limit and after an error.
struct End {
    batches: BoxStream<'static, Result<RecordBatch>>,
    left: Option<usize>,
    failed: bool,
    metrics: Arc<ScanMetrics>,
}

impl End {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if self.failed || self.left == Some(0) {
            return None;
        }
        loop {
            match self.batches.next().await? {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => {
                    let rows = self.left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
                    self.left = self.left.map(|left| left - rows);
                    add(&self.metrics.rows, rows as u64);
                    return Some(Ok(batch.slice(0, rows)));
                }
                Err(e) => {
                    self.failed = true;
                    return Some(Err(e));
                }
            }
        }
    }
}

pub(super) fn context(file_io: &FileIO, plan: &ScanPlan, metrics: &Arc<ScanMetrics>) -> Result<Context> {
    let filter = plan.filter.as_ref().map(|f| f.bind(&plan.schema, plan.case_sensitive)).transpose()?;
    let ids = filter.as_ref().map(|f| f.field_ids()).unwrap_or_default();
    let filter_columns = columns::holding(&plan.schema, &ids)?;
    let name_mapping =
        plan.name_mapping.as_deref().map(serde_json::from_str::<NameMapping>).transpose().map_err(|_| {
            Error::new(ErrorKind::Corrupted, "schema.name-mapping.default is no name mapping")
        })?;
    Ok(Context {
        file_io: file_io.clone(),
        schema: plan.schema.clone(),
        arrow: Arc::new(arrow_schema(&plan.projection)?),
        projection: plan.projection.clone(),
        filter,
        probe: None,
        selectivity: Arc::default(),
        filter_arrow: Arc::new(arrow_schema(&filter_columns)?),
        filter_columns,
        name_mapping,
        batch_size: plan.batch_size,
        batch_bytes: plan.batch_bytes(),
        deletes: Arc::new(Deletes::new(plan.delete_columns.clone())),
        rows: false,
        metrics: metrics.clone(),
    })
}

fn arrow_schema(schema: &iceberg::spec::Schema) -> Result<ArrowSchema> {
    Ok(schema_to_arrow_schema(schema)?)
}

/// The pieces of all files, in order; files are opened some ahead.
fn units(
    context: Arc<Context>,
    tasks: Vec<ScanTask>,
    workers: usize,
) -> impl Stream<Item = Result<Unit>> + Send + 'static {
    futures::stream::iter((0_u32..).zip(tasks))
        .map(move |(number, task)| {
            let guard = Guard::new("the Parquet reader", masked(&task.path));
            let context = context.clone();
            let opened = tokio::spawn(async move { guard.future(open(context, number, task)).await });
            async move {
                let units = opened.await.map_err(|e| {
                    Error::new(ErrorKind::Internal, "opening a data file failed").with_source(e)
                })??;
                Ok::<_, Error>(futures::stream::iter(units.into_iter().map(Ok)))
            }
        })
        .buffered(workers)
        .try_flatten()
}

/// Room for the row groups that are in memory as they are stored.
#[derive(Clone)]
struct Room {
    kibibytes: Arc<Semaphore>,
    all: u32,
}

impl Room {
    fn new(bytes: u64) -> Self {
        let all = (bytes / 1024).clamp(1, 1 << 28) as u32;
        Self { kibibytes: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits until there is room for so many bytes. More than there is at all is waited for until nothing else is there.
    async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kibibytes = (bytes / 1024).min(u64::from(self.all)) as u32;
        // Nobody closes it.
        self.kibibytes.clone().acquire_many_owned(kibibytes).await.ok()
    }
}

/// Starts a task that decodes the piece, and gives the stream of its batches. The piece is in memory as long as `held`.
fn start(
    context: Arc<Context>,
    unit: Unit,
    held: Option<OwnedSemaphorePermit>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let unit = match unit {
        Unit::Count(rows) => {
            let options = RecordBatchOptions::new().with_row_count(Some(rows as usize));
            let batch = RecordBatch::try_new_with_options(context.arrow.clone(), Vec::new(), &options);
            return futures::stream::iter([batch.map_err(|e| compute_error(&e))]).boxed();
        }
        Unit::Read(unit) => unit,
    };
    ahead(move || {
        let batches = read(&context, *unit)?;
        let decoded = batches.inspect(move |_| {
            let _until_the_end = &held;
        });
        Ok(decoded.boxed())
    })
}

/// The batches that `make` gives, decoded by a task of its own that is a few of them ahead. Must be called within a tokio
/// runtime; dropping the stream stops the task.
pub(super) fn ahead(
    make: impl FnOnce() -> Result<BoxStream<'static, Result<RecordBatch>>> + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (sender, mut receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::spawn(async move {
        let mut batches = match make() {
            Ok(batches) => batches,
            Err(e) => futures::stream::iter([Err(e)]).boxed(),
        };
        while let Some(batch) = batches.next().await {
            let failed = batch.is_err();
            if sender.send(Some(batch)).await.is_err() || failed {
                return;
            }
        }
        // Says that this is all. Without it, a task that died would look like one that is done. Nobody may be
        // listening any more.
        let _ = sender.send(None).await;
    });
    let mut ended = false;
    futures::stream::poll_fn(move |cx| {
        if ended {
            return std::task::Poll::Ready(None);
        }
        receiver.poll_recv(cx).map(|message| {
            let item = match message {
                Some(item) => item,
                None => Some(Err(Error::new(ErrorKind::Internal, "decoding a data file stopped short"))),
            };
            ended = !matches!(item, Some(Ok(_)));
            item
        })
    })
    .boxed()
}

/// The batches of a piece: decoded, without deleted rows, filtered, in the table's columns.
pub(super) fn read(context: &Context, unit: ReadUnit) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let ReadUnit {
        task,
        input,
        mut metadata,
        row_groups,
        positions,
        within,
        projection,
        filter,
        deleted,
        bytes: _,
    } = unit;
    let path: Arc<str> = input.path().into();
    let places = context.rows.then(|| rows::with_places(&context.arrow));
    if places.is_some() {
        metadata = arrow_metadata(&input, true)?;
    }
    let filter = filter.settle();
    // The first piece counts for all of a row group.
    let begun =
        positions.iter().filter(|group| within.as_ref().is_none_or(|within| within.start <= group.start));
    add(&context.metrics.row_groups_read, begun.count() as u64);
    let mut promise = Promise::within(&positions, within.as_ref());
    let selection = deleted.selection(&positions, within.as_ref()).map(|(selection, deleted_rows)| {
        add(&context.metrics.rows_deleted, deleted_rows);
        promise.without(deleted_rows);
        selection
    });
    let rows = Rows {
        input,
        metadata,
        numbers: places.is_some(),
        row_groups,
        leaves: projection.leaves.clone(),
        selection,
        deleted,
        filter: filter.clone(),
        batch_rows: rows_beside(&projection, context),
        batch_bytes: context.batch_bytes,
        promise,
        metrics: context.metrics.clone(),
    };
    let guard = Guard::new("the reader of data files", masked(&path));
    let batches = rows.decode();
    let batches = batches.map(move |batch| {
        let batch = batch?;
        let rows = match &places {
            Some(schema) => {
                projection.apply(&batch).and_then(|rows| rows::add_places(schema, &rows, task, &batch))
            }
            None => projection.apply(&batch),
        };
        let batch = rows.and_then(|batch| filter.apply(batch));
        batch.map_err(|e| {
            let why = compute_error(&e);
            let named = Error::new(
                why.kind(),
                format!("the data file {} cannot be read: {}", masked(&path), why.message()),
            );
            why.hint().into_iter().fold(named, Error::with_hint)
        })
    });
    Ok(guard.stream(batches.boxed()).boxed())
}

/// How many rows a batch may have for the columns that are not in the file, but one value for all rows.
fn rows_beside(projection: &Projection, context: &Context) -> usize {
    let fitting = context.batch_bytes / projection.constant_bytes().max(1);
    usize::try_from(fitting).unwrap_or(usize::MAX).clamp(1, context.batch_size)
}

/// An error of a computation over rows. Its text is kept only where it cannot quote a value.
pub(super) fn compute_error(error: &ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(source) => match source.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::new(ErrorKind::Internal, "a computation over its rows failed"),
        },
        ArrowError::InvalidArgumentError(why) => Error::new(ErrorKind::Corrupted, why.clone()),
        _ => Error::new(ErrorKind::Corrupted, "its values do not fit the types of the table's columns"),
    }
}
