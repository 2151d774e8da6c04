//! Sets of possible results of a test, and how logic combines them.

use crate::expr::{BoundExpr, BoundLeaf};

/// What a filter may come out as for the rows of a file; always at least as much as it really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl Outcomes {
    /// Anything is possible.
    pub const ANY: Self = Self { yes: true, no: true, unknown: true };
    pub(super) const NOTHING: Self = Self { yes: false, no: false, unknown: false };
    pub(super) const UNKNOWN: Self = Self { yes: false, no: false, unknown: true };

    /// Exactly this.
    pub const fn only(value: bool) -> Self {
        Self { yes: value, no: !value, unknown: false }
    }

    pub(super) const fn either(yes: bool, no: bool) -> Self {
        Self { yes, no, unknown: false }
    }

    /// Whether a row can match.
    pub fn may_be_true(self) -> bool {
        self.yes
    }

    /// Whether every row matches.
    pub fn only_true(self) -> bool {
        self.yes && !self.no && !self.unknown
    }

    /// Whether the filter is false, and not unknown, for every row.
    pub fn only_false(self) -> bool {
        self.no && !self.yes && !self.unknown
    }

    /// What either set allows.
    pub(super) fn union(self, other: Self) -> Self {
        Self { yes: self.yes || other.yes, no: self.no || other.no, unknown: self.unknown || other.unknown }
    }

    /// What both sets allow. Facts that contradict each other prove nothing: then it is anything.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let both = Self {
            yes: self.yes && other.yes,
            no: self.no && other.no,
            unknown: self.unknown && other.unknown,
        };
        if both == Self::NOTHING { Self::ANY } else { both }
    }

    fn negate(self) -> Self {
        Self { yes: self.no, no: self.yes, unknown: self.unknown }
    }

    fn and(self, other: Self) -> Self {
        Self {
            yes: self.yes && other.yes,
            no: self.no || other.no,
            unknown: (self.unknown && (other.yes || other.unknown)) || (other.unknown && self.yes),
        }
    }
}

/// The possible results of `expr`, given those of its leaves.
pub(super) fn of_expr(expr: &BoundExpr, leaf: &dyn Fn(&BoundLeaf) -> Outcomes) -> Outcomes {
    match expr {
        BoundExpr::True => Outcomes::only(true),
        BoundExpr::False => Outcomes::only(false),
        BoundExpr::Not(inner) => of_expr(inner, leaf).negate(),
        BoundExpr::And(parts) => {
            parts.iter().fold(Outcomes::only(true), |all, part| all.and(of_expr(part, leaf)))
        }
        BoundExpr::Or(parts) => parts
            .iter()
            .fold(Outcomes::only(true), |none, part| none.and(of_expr(part, leaf).negate()))
            .negate(),
        BoundExpr::Leaf(one) => leaf(one),
    }
}

/// `expr` without the parts that come out the same for every row; equivalent for those rows.
pub(super) fn residual(expr: &BoundExpr, leaf: &dyn Fn(&BoundLeaf) -> Outcomes) -> BoundExpr {
    let outcomes = of_expr(expr, leaf);
    if outcomes.only_true() {
        return BoundExpr::True;
    }
    if outcomes.only_false() {
        return BoundExpr::False;
    }
    match expr {
        BoundExpr::Not(inner) => !residual(inner, leaf),
        BoundExpr::And(parts) => BoundExpr::all(parts.iter().map(|part| residual(part, leaf))),
        BoundExpr::Or(parts) => BoundExpr::any(parts.iter().map(|part| residual(part, leaf))),
        other => other.clone(),
    }
}
