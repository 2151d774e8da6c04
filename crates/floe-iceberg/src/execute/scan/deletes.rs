//! Rows that delete files take away (Iceberg spec, "Row-level Deletes").

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::Fields;
use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{MappedField, NameMapping, NestedField, PrimitiveType, Schema, SchemaRef, Type};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use tokio::sync::OnceCell;

use super::columns;
use super::decode::Rows;
use super::equality::{EqualityDeletes, EqualitySet};
use super::execute::compute_error;
use super::filter::RowsFilter;
use super::ids::contains_id;
use super::input::ParquetInput;
use super::open::{Context, arrow_metadata, columns as file_columns};
use super::project::{Constants, Projection};
use super::promise::Promise;
use super::request::{DeleteFile, ScanTask};
use crate::base::bound::{DELETE_FILE_PATH, DELETE_POSITION};

/// Deleted positions by data file, each list sorted and without repeats.
type Positions = HashMap<String, Vec<u64>>;
type Once<T> = Arc<OnceCell<Arc<T>>>;

/// The delete files of a scan. Each is read once, when the first data file needs it.
#[derive(Debug, Default)]
pub(super) struct Deletes {
    /// The columns that equality deletes compare, dropped ones too.
    columns: Option<SchemaRef>,
    positions: Mutex<HashMap<String, Once<Positions>>>,
    equality: Mutex<HashMap<Vec<DeleteFile>, Once<EqualitySet>>>,
}

/// Which rows of a data file are deleted.
#[derive(Debug, Clone, Default)]
pub(super) struct DeletedRows {
    /// Positions, sorted and without repeats.
    positions: Arc<Vec<u64>>,
    pub(super) equality: Vec<EqualityDeletes>,
    /// An equality delete holds for every row.
    pub(super) all: bool,
}

impl Deletes {
    pub(super) fn new(columns: Option<SchemaRef>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Reads the delete files that apply to a data file with these `fields`.
    pub(super) async fn for_task(
        &self,
        context: &Context,
        task: &ScanTask,
        fields: &Fields,
        constants: &Constants,
    ) -> Result<DeletedRows> {
        let mut deleted = DeletedRows::default();
        let mut positions = Vec::new();
        let mut by_columns: BTreeMap<&[i32], Vec<DeleteFile>> = BTreeMap::new();
        for delete in &task.deletes {
            if let Some(ids) = &delete.equality_ids {
                by_columns.entry(ids).or_default().push(delete.clone());
            } else {
                let file = self.position_deletes(context, delete).await?;
                positions.extend_from_slice(file.get(&task.path).map_or(&[][..], Vec::as_slice));
            }
        }
        positions.sort_unstable();
        positions.dedup();
        deleted.positions = Arc::new(positions);
        for (ids, mut files) in by_columns {
            files.sort_unstable();
            let set = self.equality_deletes(context, ids, files).await?;
            let deletes = EqualityDeletes::new(set, fields, constants, context.metrics.clone())?;
            match deletes.same_for_all_rows()? {
                Some(true) => deleted.all = true,
                Some(false) => {}
                None => deleted.equality.push(deletes),
            }
        }
        Ok(deleted)
    }

    async fn position_deletes(&self, context: &Context, delete: &DeleteFile) -> Result<Arc<Positions>> {
        let once = once(&self.positions, &delete.path);
        once.get_or_try_init(|| read_positions(context, delete)).await.cloned()
    }

    async fn equality_deletes(
        &self,
        context: &Context,
        ids: &[i32],
        files: Vec<DeleteFile>,
    ) -> Result<Arc<EqualitySet>> {
        let once = once(&self.equality, &files);
        let read = async || {
            let schema = self.columns.as_ref().unwrap_or(&context.schema);
            let columns = columns::holding(schema, ids)?;
            if let Some(id) = ids.iter().find(|id| columns.field_by_id(**id).is_none()) {
                return Err(Error::new(
                    ErrorKind::Corrupted,
                    format!("the delete file {} deletes by field {id}, which no schema has", files[0].path),
                ));
            }
            let mut set = EqualitySet::new(ids.to_vec(), columns.clone())?;
            for file in &files {
                let mapping = context.name_mapping.as_ref();
                let mut batches = read_columns(context, file, &columns, ids, mapping).await?;
                while let Some(batch) = batches.next().await {
                    set.insert(&batch?)?;
                }
            }
            Ok(Arc::new(set))
        };
        once.get_or_try_init(read).await.cloned()
    }
}

impl DeletedRows {
    /// Whether one of these `positions` is deleted by position.
    pub(super) fn any_in(&self, positions: &Range<u64>) -> bool {
        let from = self.positions.partition_point(|p| *p < positions.start);
        self.positions.get(from).is_some_and(|p| *p < positions.end)
    }

    /// The rows that are deleted by position within `positions`, and those in `more`, which is sorted.
    pub(super) fn with_positions(
        &self,
        positions: &Range<u64>,
        more: impl IntoIterator<Item = u64>,
    ) -> DeletedRows {
        let from = self.positions.partition_point(|p| *p < positions.start);
        let to = self.positions.partition_point(|p| *p < positions.end);
        let mut all = self.positions[from..to].to_vec();
        all.extend(more);
        all.sort_unstable();
        all.dedup();
        DeletedRows { positions: Arc::new(all), ..self.clone() }
    }

    /// The rows to read of row groups that hold these `positions` of the file, of which only those `within` are wanted, if
    /// that is given; `None` when that is all of them. With them, how many are deleted.
    pub(super) fn selection(
        &self,
        positions: &[Range<u64>],
        within: Option<&Range<u64>>,
    ) -> Option<(RowSelection, u64)> {
        let mut selectors: Vec<RowSelector> = Vec::new();
        let mut deleted_rows = 0;
        let mut left_out = false;
        for group in positions {
            let start = within.map_or(group.start, |within| within.start.clamp(group.start, group.end));
            let end = within.map_or(group.end, |within| within.end.clamp(start, group.end));
            left_out |= start > group.start || end < group.end;
            selectors.push(RowSelector::skip((start - group.start) as usize));
            let from = self.positions.partition_point(|p| *p < start);
            let to = self.positions.partition_point(|p| *p < end);
            let mut next = start;
            for position in &self.positions[from..to] {
                selectors.push(RowSelector::select((position - next) as usize));
                selectors.push(RowSelector::skip(1));
                next = position + 1;
                deleted_rows += 1;
            }
            selectors.push(RowSelector::select((end - next) as usize));
            selectors.push(RowSelector::skip((group.end - end) as usize));
        }
        // Joins neighbours, and leaves out those of no rows.
        (left_out || deleted_rows > 0).then(|| (RowSelection::from(selectors), deleted_rows))
    }
}

fn once<K: Clone + Eq + std::hash::Hash, T>(map: &Mutex<HashMap<K, Once<T>>>, key: &K) -> Once<T> {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    map.entry(key.clone()).or_default().clone()
}

async fn read_positions(context: &Context, delete: &DeleteFile) -> Result<Arc<Positions>> {
    let field = |id, name: &str, ty| Arc::new(NestedField::required(id, name, Type::Primitive(ty)));
    let schema = Schema::builder()
        .with_fields([
            field(DELETE_FILE_PATH, "file_path", PrimitiveType::String),
            field(DELETE_POSITION, "pos", PrimitiveType::Long),
        ])
        .build()?;
    let named = |id, name: &str| MappedField::new(Some(id), vec![name.to_owned()], Vec::new());
    let names = NameMapping::new(vec![named(DELETE_FILE_PATH, "file_path"), named(DELETE_POSITION, "pos")]);
    let ids = [DELETE_FILE_PATH, DELETE_POSITION];
    let mut positions = Positions::new();
    let mut batches = read_columns(context, delete, &Arc::new(schema), &ids, Some(&names)).await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let paths = batch.column(0).as_string::<i32>();
        let rows = batch.column(1).as_primitive::<Int64Type>();
        // The file is sorted by path.
        let mut at = 0;
        while at < paths.len() {
            let path = paths.value(at);
            let end = (at..paths.len()).find(|i| paths.value(*i) != path).unwrap_or(paths.len());
            let list = match positions.get_mut(path) {
                Some(list) => list,
                None => positions.entry(path.to_owned()).or_default(),
            };
            for row in &rows.values()[at..end] {
                list.push(u64::try_from(*row).map_err(|_| {
                    Error::new(
                        ErrorKind::Corrupted,
                        format!("the delete file {} holds a negative position", delete.path),
                    )
                })?);
            }
            at = end;
        }
    }
    for list in positions.values_mut() {
        list.sort_unstable();
        list.dedup();
    }
    Ok(Arc::new(positions))
}

/// All rows of a delete file, in the columns of `schema`. The file must have all fields of `ids`.
async fn read_columns(
    context: &Context,
    delete: &DeleteFile,
    schema: &SchemaRef,
    ids: &[i32],
    mapping: Option<&NameMapping>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let path = &delete.path;
    let input =
        ParquetInput::open(&context.file_io, path, delete.file_size, false, context.metrics.clone()).await?;
    let metadata = arrow_metadata(&input, false)?;
    let fields = file_columns(&metadata, mapping);
    if let Some(id) = ids.iter().find(|id| !contains_id(&fields, **id)) {
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!("the delete file {} does not have the column with field id {id}", masked(path)),
        ));
    }
    let unreadable = |e: Error| {
        Error::new(e.kind(), format!("the delete file {} cannot be read: {}", masked(path), e.message()))
    };
    let arrow = Arc::new(schema_to_arrow_schema(schema)?);
    let projection = Projection::new(&fields, schema.as_struct().fields(), arrow, &Constants::new())
        .map_err(unreadable)?;
    let rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
    let rows = Rows {
        row_groups: (0..metadata.metadata().num_row_groups()).collect(),
        input,
        metadata,
        numbers: false,
        leaves: projection.leaves.clone(),
        selection: None,
        deleted: DeletedRows::default(),
        filter: RowsFilter::None,
        batch_rows: context.batch_size,
        batch_bytes: context.batch_bytes,
        promise: Promise::of(rows),
        metrics: context.metrics.clone(),
    };
    let path = path.clone();
    let batches = rows.decode().map(move |batch| {
        projection.apply(&batch?).map_err(|e| {
            let why = compute_error(&e);
            Error::new(
                why.kind(),
                format!("the delete file {} cannot be read: {}", masked(&path), why.message()),
            )
        })
    });
    Ok(batches.boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(positions: &[u64], groups: &[Range<u64>]) -> Option<Vec<(bool, usize)>> {
        let deleted = DeletedRows { positions: Arc::new(positions.to_vec()), ..DeletedRows::default() };
        let (selection, _) = deleted.selection(groups, None)?;
        Some(selection.iter().map(|s| (!s.skip, s.row_count)).collect())
    }

    #[test]
    fn deleted_positions_are_skipped_in_the_row_groups_that_hold_them() {
        assert_eq!(selected(&[0, 1, 5], &[0..3]), Some(vec![(false, 2), (true, 1)]));
        assert_eq!(selected(&[0, 1, 5], &[3..6]), Some(vec![(true, 2), (false, 1)]));
        assert_eq!(
            selected(&[2, 9], &[0..3, 6..10]),
            Some(vec![(true, 2), (false, 1), (true, 3), (false, 1)])
        );
    }

    #[test]
    fn a_part_of_a_row_group_is_selected() {
        let deleted = DeletedRows { positions: Arc::new(vec![1, 5, 8]), ..DeletedRows::default() };
        let selected = |within: Range<u64>| {
            let selection = deleted.selection(&[3..10], Some(&within));
            selection.map(|(s, count)| (s.iter().map(|s| (!s.skip, s.row_count)).collect::<Vec<_>>(), count))
        };
        assert_eq!(selected(4..7), Some((vec![(false, 1), (true, 1), (false, 1), (true, 1), (false, 3)], 1)));
        assert_eq!(selected(9..20), Some((vec![(false, 6), (true, 1)], 0)));
        assert_eq!(selected(0..4), Some((vec![(true, 1), (false, 6)], 0)));
        let none = DeletedRows::default();
        assert!(none.selection(&[3..10], Some(&(3..10))).is_none());
    }

    #[test]
    fn nothing_deleted_needs_no_selection() {
        assert_eq!(selected(&[7], &[0..3]), None);
        assert_eq!(selected(&[], &[0..3]), None);
    }
}
