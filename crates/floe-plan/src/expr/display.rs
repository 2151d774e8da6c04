//! Writing an expression as text that parses back to the same expression.

use std::fmt;

use super::lexer::{is_keyword, is_plain_identifier};
use super::{Expr, Literal};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::True => f.write_str("TRUE"),
            Expr::False => f.write_str("FALSE"),
            Expr::Not(inner) => match inner.as_ref() {
                Expr::IsNull(column) => write!(f, "{} IS NOT NULL", Name(column)),
                Expr::IsNan(column) => write!(f, "{} IS NOT NAN", Name(column)),
                Expr::In { column, literals } => write!(f, "{} NOT IN ({})", Name(column), List(literals)),
                Expr::StartsWith { column, prefix } => {
                    write!(f, "{} NOT STARTS WITH {}", Name(column), Literal::from(prefix.as_str()))
                }
                inner => write!(f, "NOT ({inner})"),
            },
            Expr::And(parts) => join(f, parts, " AND ", "TRUE"),
            Expr::Or(parts) => join(f, parts, " OR ", "FALSE"),
            Expr::Column(column) => write!(f, "{}", Name(column)),
            Expr::IsNull(column) => write!(f, "{} IS NULL", Name(column)),
            Expr::IsNan(column) => write!(f, "{} IS NAN", Name(column)),
            Expr::Compare { column, op, literal } => write!(f, "{} {} {literal}", Name(column), op.symbol()),
            Expr::In { column, literals } => write!(f, "{} IN ({})", Name(column), List(literals)),
            Expr::StartsWith { column, prefix } => {
                write!(f, "{} STARTS WITH {}", Name(column), Literal::from(prefix.as_str()))
            }
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], separator: &str, empty: &str) -> fmt::Result {
    if parts.is_empty() {
        return f.write_str(empty);
    }
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        match part {
            Expr::And(_) | Expr::Or(_) => write!(f, "({part})")?,
            part => write!(f, "{part}")?,
        }
    }
    Ok(())
}

struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.split('.').all(|part| is_plain_identifier(part) && !is_keyword(part)) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0.replace('"', "\"\""))
        }
    }
}

struct List<'a>(&'a [Literal]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, literal) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{literal}")?;
        }
        Ok(())
    }
}
