//! A table as a list of rows, filters as functions, partitions as values: what the sequences are judged by.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use floe::iceberg::spec::{Datum, Transform};
use floe::iceberg::transform::create_transform_function;
use rand::Rng;
use rand::rngs::StdRng;

/// A row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) a: Option<i32>,
    pub(super) x: Option<f64>,
    pub(super) s: Option<&'static str>,
    pub(super) d: Option<i32>,
    pub(super) late: Option<bool>,
}

const STRINGS: [&str; 6] = ["", "a", "ab", "b c", "é/日", "zz"];
const NUMBERS: [f64; 6] = [0.0, -0.0, f64::NAN, f64::INFINITY, 1.5, -2.25];

impl Row {
    /// A row with values from small sets, so that they meet.
    pub(super) fn draw(rng: &mut StdRng, id: i64, late: bool) -> Self {
        let some = |rng: &mut StdRng| rng.random_bool(0.8);
        let (has_a, has_x, has_s, has_d) = (some(rng), some(rng), some(rng), some(rng));
        Self {
            id,
            a: Some(rng.random_range(-3..5)).filter(|_| has_a),
            x: Some(NUMBERS[rng.random_range(0..NUMBERS.len())]).filter(|_| has_x),
            s: Some(STRINGS[rng.random_range(0..STRINGS.len())]).filter(|_| has_s),
            d: Some(rng.random_range(-60..400)).filter(|_| has_d),
            late: Some(rng.random()).filter(|_| late),
        }
    }
}

/// What has become of the columns.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns {
    /// `late` is there.
    pub(super) late: bool,
    /// `a` is a long.
    pub(super) wide: bool,
    /// `s` is called `text`.
    pub(super) renamed: bool,
}

impl Columns {
    pub(super) fn name_of_s(self) -> &'static str {
        if self.renamed { "text" } else { "s" }
    }

    pub(super) fn batch(self, rows: &[Row]) -> RecordBatch {
        let a: ArrayRef = match self.wide {
            true => Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.a.map(i64::from)))),
            false => Arc::new(Int32Array::from_iter(rows.iter().map(|r| r.a))),
        };
        let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))), false),
            ("a", a, true),
            ("x", Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.x))), true),
            (self.name_of_s(), Arc::new(StringArray::from_iter(rows.iter().map(|r| r.s))), true),
            ("d", Arc::new(Date32Array::from_iter(rows.iter().map(|r| r.d))), true),
        ];
        if self.late {
            columns.push(("late", Arc::new(BooleanArray::from_iter(rows.iter().map(|r| r.late))), true));
        }
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }
}

/// A filter: its text for floe, and what it says of a row; `None` is unknown.
pub(super) struct Filter {
    pub(super) text: String,
    pub(super) of: Box<dyn Fn(&Row) -> Option<bool>>,
}

impl Filter {
    fn new(text: String, of: impl Fn(&Row) -> Option<bool> + 'static) -> Self {
        Self { text, of: Box::new(of) }
    }

    pub(super) fn is_true(&self, row: &Row) -> bool {
        (self.of)(row) == Some(true)
    }

    /// A leaf, or leaves joined.
    pub(super) fn draw(rng: &mut StdRng, columns: Columns, depth: u32) -> Self {
        if depth == 0 || rng.random_bool(0.4) {
            return Self::leaf(rng, columns);
        }
        let left = Self::draw(rng, columns, depth - 1);
        if rng.random_bool(0.25) {
            return Self::new(format!("NOT ({})", left.text), move |r| (left.of)(r).map(|v| !v));
        }
        let right = Self::draw(rng, columns, depth - 1);
        let and = rng.random_bool(0.5);
        let word = if and { "AND" } else { "OR" };
        // The value that decides whatever the other side is.
        let deciding = !and;
        Self::new(format!("({}) {word} ({})", left.text, right.text), move |r| {
            match ((left.of)(r), (right.of)(r)) {
                (Some(v), _) | (_, Some(v)) if v == deciding => Some(deciding),
                (Some(_), Some(_)) => Some(!deciding),
                _ => None,
            }
        })
    }

    fn leaf(rng: &mut StdRng, columns: Columns) -> Self {
        let s = columns.name_of_s();
        let text = STRINGS[rng.random_range(0..STRINGS.len())];
        let number = rng.random_range(-3..5);
        let day = rng.random_range(-60..400);
        let id = rng.random_range(0..200_i64);
        match rng.random_range(0..12) {
            0 => Self::new(format!("id < {id}"), move |r| Some(r.id < id)),
            1 => Self::new(format!("id >= {id} AND id < {}", id + 30), move |r| {
                Some((id..id + 30).contains(&r.id))
            }),
            2 => Self::new(format!("a = {number}"), move |r| r.a.map(|a| a == number)),
            3 => Self::new(format!("a > {number}"), move |r| r.a.map(|a| a > number)),
            4 => Self::new(format!("a IN ({number}, {})", number + 2), move |r| {
                r.a.map(|a| a == number || a == number + 2)
            }),
            5 => Self::new("a IS NULL".into(), |r| Some(r.a.is_none())),
            6 => Self::new(format!("{s} = '{text}'"), move |r| r.s.map(|s| s == text)),
            7 => Self::new(format!("{s} LIKE 'a%'"), move |r| r.s.map(|s| s.starts_with('a'))),
            8 => Self::new(format!("{s} IS NOT NULL"), |r| Some(r.s.is_some())),
            9 => {
                let date = chrono::DateTime::UNIX_EPOCH.date_naive() + chrono::TimeDelta::days(day.into());
                Self::new(format!("d >= DATE '{date}'"), move |r| r.d.map(|d| d >= day))
            }
            10 => Self::new("x > 0".into(), |r| r.x.map(|x| x > 0.0)),
            _ => Self::new("x IS NAN".into(), |r| r.x.map(|x| x.is_nan()).or(Some(false))),
        }
    }
}

/// Partition fields of a table: the column, and what becomes of it.
pub(super) type Spec = Vec<(&'static str, Transform)>;

pub(super) fn draw_spec(rng: &mut StdRng) -> Spec {
    let fields = [
        ("a", Transform::Identity),
        ("a", Transform::Bucket(3)),
        ("s", Transform::Identity),
        ("s", Transform::Truncate(1)),
        ("s", Transform::Bucket(2)),
        ("d", Transform::Month),
        ("d", Transform::Year),
        ("d", Transform::Day),
        ("id", Transform::Truncate(50)),
        ("id", Transform::Bucket(2)),
    ];
    let count = [0, 1, 1, 1, 2][rng.random_range(0..5)];
    let mut spec = Spec::new();
    while spec.len() < count {
        let field = fields[rng.random_range(0..fields.len())];
        if spec.iter().all(|(column, _)| *column != field.0) {
            spec.push(field);
        }
    }
    spec
}

/// The partition of a row, by the transforms of the `iceberg` crate: floe has its own.
pub(super) fn partition(spec: &Spec, row: &Row) -> Vec<Option<Datum>> {
    let value = |column: &str| match column {
        "id" => Some(Datum::long(row.id)),
        "a" => row.a.map(Datum::int),
        "s" => row.s.map(Datum::string),
        "d" => row.d.map(Datum::date),
        other => panic!("{other}"),
    };
    let transformed = |(column, transform): &(&'static str, Transform)| {
        let value = value(column)?;
        create_transform_function(transform).unwrap().transform_literal(&value).unwrap()
    };
    spec.iter().map(transformed).collect()
}
