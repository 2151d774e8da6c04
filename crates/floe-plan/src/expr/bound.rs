//! Expressions bound to a schema.

use std::sync::Arc;

use iceberg::spec::PrimitiveType;
use serde::{Deserialize, Serialize};

use super::{CompareOp, Value};

/// A filter bound to a schema: columns are field ids, literals are values of the column's type.
///
/// A plain value: it can be serialised as part of a plan. See [`crate::expr`] for what it means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundExpr {
    /// Every row.
    True,
    /// No row.
    False,
    /// Not; unknown stays unknown.
    Not(Box<BoundExpr>),
    /// All of these.
    And(Vec<BoundExpr>),
    /// Any of these.
    Or(Vec<BoundExpr>),
    /// A test of one column.
    Leaf(BoundLeaf),
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundLeaf {
    /// The column's field id.
    pub field_id: i32,
    /// The column's full name, for messages.
    pub column: String,
    /// The column's type.
    pub field_type: PrimitiveType,
    /// Whether the column, and every struct around it, is required.
    pub required: bool,
    /// The test.
    pub test: Test,
}

/// What a column is tested for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Is NULL; never unknown.
    IsNull,
    /// Is NaN; never unknown, false for NULL.
    IsNan,
    /// Unknown for NULL, this for every other value: what is left of a comparison with a number that the
    /// column cannot hold.
    NotNullIs(bool),
    /// Compared with a value; unknown for NULL.
    Compare(CompareOp, Value),
    /// One of these values, sorted, each once; unknown for NULL.
    In(Arc<[Value]>),
    /// Starts with this text; unknown for NULL.
    StartsWith(String),
}

impl BoundExpr {
    /// The field ids of all columns, ascending, each once.
    pub fn field_ids(&self) -> Vec<i32> {
        let mut ids = Vec::new();
        self.for_each_leaf(&mut |leaf| ids.push(leaf.field_id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Calls `visit` with every leaf.
    pub fn for_each_leaf<'a>(&'a self, visit: &mut dyn FnMut(&'a BoundLeaf)) {
        match self {
            Self::True | Self::False => {}
            Self::Not(inner) => inner.for_each_leaf(visit),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.for_each_leaf(visit)),
            Self::Leaf(leaf) => visit(leaf),
        }
    }

    /// All of `parts`, without those that are always true.
    pub fn all(parts: impl IntoIterator<Item = BoundExpr>) -> BoundExpr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::And(flat) } else { flat.pop().unwrap_or(Self::True) }
    }

    /// Any of `parts`, without those that are always false.
    pub fn any(parts: impl IntoIterator<Item = BoundExpr>) -> BoundExpr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::Or(flat) } else { flat.pop().unwrap_or(Self::False) }
    }
}

impl std::ops::Not for BoundExpr {
    type Output = BoundExpr;

    fn not(self) -> BoundExpr {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}
