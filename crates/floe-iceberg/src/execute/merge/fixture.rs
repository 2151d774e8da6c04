//! A table in memory to which changes are applied by hand, and its rows as plain values, for tests.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Schema as ArrowSchema};
use floe_testkit::SeededEnvironment;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    NestedField, PrimitiveType, Schema, StructType, TableMetadataBuilder, Transform, Type,
    UnboundPartitionField, UnboundPartitionSpec,
};

use crate::base::TableBase;
use crate::data::BatchStream;
use crate::execute::rows::RowChange;
use crate::execute::scan::fixture::Fixture as ScanFixture;
use crate::execute::scan::{ScanMetrics, ScanRequest, execute_scan, plan_scan};

/// A row: what a column does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) k: Option<i64>,
    pub(crate) f: Option<f64>,
    pub(crate) p: Option<String>,
    pub(crate) v: Option<i64>,
    pub(crate) x: Option<i32>,
    /// A column that is added later.
    pub(crate) late: Option<String>,
}

impl Row {
    /// The row as text, in which NaNs are equal, and both zeros.
    pub(crate) fn text(&self) -> String {
        let Self { k, f, p, v, x, late } = self;
        format!("{k:?} {} {p:?} {v:?} {x:?} {late:?}", float_text(*f))
    }

    /// The values of key columns.
    pub(crate) fn key(&self, columns: &[&str]) -> String {
        let parts = columns.iter().map(|column| match *column {
            "k" => format!("{:?}", self.k),
            "f" => float_text(self.f),
            "p" => format!("{:?}", self.p),
            "point.x" => format!("{:?}", self.x),
            other => panic!("no key column {other}"),
        });
        parts.collect::<Vec<_>>().join(" ")
    }
}

fn float_text(value: Option<f64>) -> String {
    match value {
        Some(v) if v.is_nan() => "NaN".to_owned(),
        v => format!("{:?}", v.map(|v| v + 0.0)),
    }
}

pub(crate) struct Fixture {
    table: ScanFixture,
    pub(crate) env: SeededEnvironment,
}

fn schema(late: bool) -> Schema {
    let optional = |id, name: &str, ty| NestedField::optional(id, name, ty).into();
    let primitive = Type::Primitive;
    let inner = StructType::new(vec![optional(6, "x", primitive(PrimitiveType::Int))]);
    let mut fields = vec![
        optional(1, "k", primitive(PrimitiveType::Long)),
        optional(2, "f", primitive(PrimitiveType::Double)),
        optional(3, "p", primitive(PrimitiveType::String)),
        optional(4, "v", primitive(PrimitiveType::Long)),
        NestedField::required(5, "point", Type::Struct(inner)).into(),
    ];
    if late {
        fields.push(optional(7, "late", primitive(PrimitiveType::String)));
    }
    Schema::builder().with_fields(fields).build().unwrap()
}

/// A spec over columns by field id; names are unique for each number.
pub(crate) fn spec(number: usize, fields: &[(i32, Transform)]) -> UnboundPartitionSpec {
    let fields = fields.iter().enumerate().map(|(i, (source_id, transform))| UnboundPartitionField {
        source_id: *source_id,
        field_id: None,
        name: format!("p{number}_{i}"),
        transform: *transform,
    });
    UnboundPartitionSpec::builder().add_partition_fields(fields).unwrap().build()
}

impl Fixture {
    pub(crate) fn new(spec: UnboundPartitionSpec, properties: &[(&str, &str)]) -> Self {
        let mut table = ScanFixture::new(schema(false), spec);
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        table.change(|builder| builder.set_properties(properties.collect()).unwrap());
        Self { table, env: SeededEnvironment::new(5) }
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        self.table.change(change);
    }

    /// Adds the column `late`.
    pub(crate) fn add_column(&mut self) {
        self.change(|builder| builder.add_current_schema(schema(true)).unwrap());
    }

    pub(crate) fn has_late(&self) -> bool {
        self.table.metadata.current_schema().field_by_name("late").is_some()
    }

    pub(crate) fn base(&self) -> TableBase {
        self.table.base()
    }

    /// Rows as data for the table, without the columns that `leave_out` names.
    pub(crate) fn data(&self, rows: &[Row], each: usize, leave_out: &[&str]) -> BatchStream {
        let arrow = schema_to_arrow_schema(self.table.metadata.current_schema()).unwrap();
        let keep: Vec<usize> = (0..arrow.fields().len())
            .filter(|i| !leave_out.contains(&arrow.field(*i).name().as_str()))
            .collect();
        let schema = Arc::new(arrow.project(&keep).unwrap());
        let batches = rows.chunks(each.max(1)).map(|rows| batch(&arrow, rows).project(&keep).unwrap());
        let batches = batches.map(|b| RecordBatch::try_new(schema.clone(), b.columns().to_vec()).unwrap());
        BatchStream::from_batches(schema.clone(), batches.collect())
    }

    /// Makes a snapshot of a change.
    pub(crate) async fn commit(&mut self, change: &RowChange) {
        self.table.replace(&change.change.removed, &change.change.added).await;
    }

    /// Every row of the table, by floe's reader.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let plan = plan_scan(&self.base(), &ScanRequest::default()).await.unwrap();
        let metrics = Arc::new(ScanMetrics::default());
        let batches = execute_scan(&self.table.file_io, &plan, &metrics).unwrap().collect().await.unwrap();
        batches.iter().flat_map(rows).collect()
    }

    /// The rows as text, sorted.
    pub(crate) async fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.rows().await.iter().map(Row::text).collect();
        texts.sort();
        texts
    }
}

fn batch(schema: &ArrowSchema, rows: &[Row]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "k" => Arc::new(rows.iter().map(|r| r.k).collect::<Int64Array>()),
            "f" => Arc::new(rows.iter().map(|r| r.f).collect::<Float64Array>()),
            "p" => Arc::new(rows.iter().map(|r| r.p.clone()).collect::<StringArray>()),
            "v" => Arc::new(rows.iter().map(|r| r.v).collect::<Int64Array>()),
            "point" => {
                let DataType::Struct(fields) = field.data_type() else { panic!("a struct") };
                let x: ArrayRef = Arc::new(rows.iter().map(|r| r.x).collect::<Int32Array>());
                Arc::new(StructArray::new(fields.clone(), vec![x], None))
            }
            "late" => Arc::new(rows.iter().map(|r| r.late.clone()).collect::<StringArray>()),
            other => panic!("no column {other}"),
        }
    });
    RecordBatch::try_new(Arc::new(schema.clone()), columns.collect()).unwrap()
}

pub(crate) fn rows(batch: &RecordBatch) -> Vec<Row> {
    let longs = |name| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter();
    let strings = |name| batch.column_by_name(name).unwrap().as_string::<i32>().iter();
    let floats = batch.column_by_name("f").unwrap().as_primitive::<Float64Type>();
    let points = batch.column_by_name("point").unwrap().as_struct().column(0).as_primitive::<Int32Type>();
    let late: Vec<Option<String>> = match batch.column_by_name("late") {
        None => vec![None; batch.num_rows()],
        Some(column) => column.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect(),
    };
    let (keys, values): (Vec<_>, Vec<_>) = (longs("k").collect(), longs("v").collect());
    let partitions: Vec<_> = strings("p").map(|v| v.map(str::to_owned)).collect();
    (0..batch.num_rows())
        .map(|i| Row {
            k: keys[i],
            f: floats.is_valid(i).then(|| floats.value(i)),
            p: partitions[i].clone(),
            v: values[i],
            x: points.is_valid(i).then(|| points.value(i)),
            late: late[i].clone(),
        })
        .collect()
}
