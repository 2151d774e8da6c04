//! Filters, as text for floe and as a plain function for the model.

use rand::Rng;
use rand::rngs::StdRng;

use super::row::Row;

/// A filter.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// `column op number`
    Compare(&'static str, &'static str, i64),
    /// `column IN (…)`
    In(&'static str, Vec<i64>),
    /// `column IS NULL`
    IsNull(&'static str),
    /// `v IS NAN`
    IsNan,
    /// `t = 'a'`
    IsA,
    /// `NOT (…)`
    Not(Box<Filter>),
    /// `(…) AND (…)`
    And(Box<Filter>, Box<Filter>),
    /// `(…) OR (…)`
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    /// Any filter.
    pub(super) fn random(random: &mut StdRng, depth: u32) -> Self {
        let column = ["id", "p", "v"][random.random_range(0..3)];
        let inner = |random: &mut StdRng| Box::new(Self::random(random, depth - 1));
        match random.random_range(0..if depth == 0 { 6 } else { 9 }) {
            0 | 1 => {
                let op = ["=", "!=", "<", "<=", ">", ">="][random.random_range(0..6)];
                let below = if column == "id" { 12 } else { 3 };
                Self::Compare(column, op, random.random_range(0..below))
            }
            2 => Self::In("id", (0..random.random_range(1..4)).map(|_| random.random_range(0..12)).collect()),
            3 => Self::IsNull(["id", "p", "v", "t"][random.random_range(0..4)]),
            4 => Self::IsNan,
            5 => Self::IsA,
            6 => Self::Not(inner(random)),
            7 => Self::And(inner(random), inner(random)),
            _ => Self::Or(inner(random), inner(random)),
        }
    }

    /// As SQL-like text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Compare(column, op, number) => format!("{column} {op} {number}"),
            Self::In(column, numbers) => {
                let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
                format!("{column} IN ({})", list.join(", "))
            }
            Self::IsNull(column) => format!("{column} IS NULL"),
            Self::IsNan => "v IS NAN".into(),
            Self::IsA => "t = 'a'".into(),
            Self::Not(a) => format!("NOT ({})", a.text()),
            Self::And(a, b) => format!("({}) AND ({})", a.text(), b.text()),
            Self::Or(a, b) => format!("({}) OR ({})", a.text(), b.text()),
        }
    }

    /// Whether the row matches.
    pub(super) fn is_true(&self, row: &Row) -> bool {
        self.value(row) == Some(true)
    }

    /// True, false or unknown.
    fn value(&self, row: &Row) -> Option<bool> {
        let number = |column: &str| match column {
            "id" => row.id.map(|id| id as f64),
            "p" => row.p.map(f64::from),
            _ => row.v(),
        };
        match self {
            Self::Compare(column, op, with) => {
                let (value, with) = (number(column)?, *with as f64);
                Some(match *op {
                    "=" => value == with,
                    "!=" => value != with,
                    "<" => value < with,
                    "<=" => value <= with,
                    ">" => value > with,
                    _ => value >= with,
                })
            }
            Self::In(column, list) => {
                let value = number(column)?;
                Some(list.iter().any(|with| value == *with as f64))
            }
            Self::IsNull(column) => Some(match *column {
                "t" => row.t.is_none(),
                column => number(column).is_none(),
            }),
            Self::IsNan => Some(row.v().is_some_and(f64::is_nan)),
            Self::IsA => row.t.as_ref().map(|t| t == "a"),
            Self::Not(a) => a.value(row).map(|value| !value),
            Self::And(a, b) => match (a.value(row), b.value(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.value(row), b.value(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}
