//! `MERGE`, its clauses and its expressions.

use std::collections::BTreeMap;

use floe_core::{Error, Result};
use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

use super::super::statement::{MergeAction, MergeClause, MergeSpec, MergeWhen};
use super::dialect::Reader;

const STATEMENT: &str = "the MERGE statement";

/// `MERGE INTO table [AS alias] USING source [AS alias] ON condition WHEN …`.
pub(in super::super) fn statement(text: &str) -> Result<(Vec<String>, MergeSpec)> {
    let mut reader = Reader::new(text, STATEMENT)?;
    reader.require(Keyword::MERGE, "MERGE")?;
    reader.require(Keyword::INTO, "INTO")?;
    let table = reader.path()?;
    let target =
        alias(&mut reader, &[Keyword::USING])?.map_or_else(|| written(&table), |alias| alias.to_string());
    reader.require(Keyword::USING, "USING")?;
    if reader.eat_token(&Token::LParen) {
        return Err(Error::validation("the source of a MERGE cannot be a query")
            .with_hint("name it, and give its rows beside the statement: MERGE INTO t USING source ON …"));
    }
    let source = reader.path()?;
    let source =
        alias(&mut reader, &[Keyword::ON])?.map_or_else(|| written(&source), |alias| alias.to_string());
    reader.require(Keyword::ON, "ON")?;
    let on = reader.expression()?;
    let clauses = all_clauses(&mut reader)?;
    let spec = MergeSpec {
        on: Vec::new(),
        on_condition: Some(on.to_string()),
        clauses,
        source_name: Some(source),
        target_name: Some(target),
    };
    Ok((table.into_iter().map(|part| part.value).collect(), spec))
}

fn written(path: &[Ident]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// `[AS] alias`, before one of the words `end`.
fn alias(reader: &mut Reader, end: &[Keyword]) -> Result<Option<Ident>> {
    if reader.eat(Keyword::AS) {
        return reader.identifier().map(Some);
    }
    if reader.peeks(end) { Ok(None) } else { reader.identifier().map(Some) }
}

/// Clauses. The word `WHEN` of the first may be missing.
pub(in super::super) fn clauses(text: &str) -> Result<Vec<MergeClause>> {
    let mut reader = Reader::new(text, "the WHEN clause")?;
    if reader.peeks(&[Keyword::WHEN]) {
        return all_clauses(&mut reader);
    }
    let mut clauses = vec![clause(&mut reader)?];
    if !reader.at_end() {
        clauses.extend(all_clauses(&mut reader)?);
    }
    Ok(clauses)
}

fn all_clauses(reader: &mut Reader) -> Result<Vec<MergeClause>> {
    let mut clauses = Vec::new();
    loop {
        reader.require(Keyword::WHEN, "WHEN")?;
        clauses.push(clause(reader)?);
        if reader.at_end() {
            return Ok(clauses);
        }
    }
}

/// What follows `WHEN`.
fn clause(reader: &mut Reader) -> Result<MergeClause> {
    let negated = reader.eat(Keyword::NOT);
    reader.require(Keyword::MATCHED, if negated { "MATCHED" } else { "MATCHED or NOT MATCHED" })?;
    let when = if negated && reader.eat_all(&[Keyword::BY, Keyword::SOURCE]) {
        MergeWhen::NotMatchedBySource
    } else if negated {
        reader.eat_all(&[Keyword::BY, Keyword::TARGET]);
        MergeWhen::NotMatched
    } else {
        MergeWhen::Matched
    };
    let condition = if reader.eat(Keyword::AND) { Some(reader.expression()?.to_string()) } else { None };
    reader.require(Keyword::THEN, if condition.is_some() { "THEN" } else { "AND or THEN" })?;
    let action = if reader.eat(Keyword::DELETE) {
        MergeAction::Delete
    } else if reader.eat(Keyword::UPDATE) {
        update(reader)?
    } else if reader.eat(Keyword::INSERT) {
        insert(reader)?
    } else if reader.eat_all(&[Keyword::DO, Keyword::NOTHING]) {
        MergeAction::Nothing
    } else {
        return Err(reader.expected("UPDATE, DELETE, INSERT or DO NOTHING"));
    };
    Ok(MergeClause { when, condition, action })
}

fn update(reader: &mut Reader) -> Result<MergeAction> {
    if reader.eat_token(&Token::Mul) {
        return Ok(MergeAction::UpdateAll);
    }
    reader.require(Keyword::SET, "SET")?;
    if reader.eat_token(&Token::Mul) {
        return Ok(MergeAction::UpdateAll);
    }
    let mut columns = BTreeMap::new();
    loop {
        let column = written(&reader.path()?);
        reader.require_token(&Token::Eq, "'='")?;
        add(&mut columns, column, reader.expression()?)?;
        if !reader.eat_token(&Token::Comma) {
            return Ok(MergeAction::Update(columns));
        }
    }
}

fn insert(reader: &mut Reader) -> Result<MergeAction> {
    if reader.eat_token(&Token::Mul) {
        return Ok(MergeAction::InsertAll);
    }
    let names = list(reader, "'*' or the columns in parentheses", |reader| Ok(written(&reader.path()?)))?;
    reader.require(Keyword::VALUES, "VALUES")?;
    let values = list(reader, "the values in parentheses", Reader::expression)?;
    if names.len() != values.len() {
        return Err(Error::validation(format!(
            "an INSERT names {} columns and has {} values",
            names.len(),
            values.len()
        )));
    }
    let mut columns = BTreeMap::new();
    names.into_iter().zip(values).try_for_each(|(name, value)| add(&mut columns, name, value))?;
    Ok(MergeAction::Insert(columns))
}

fn add(columns: &mut BTreeMap<String, String>, column: String, value: Expr) -> Result<()> {
    match columns.insert(column.clone(), value.to_string()) {
        None => Ok(()),
        Some(_) => Err(Error::validation(format!("column '{column}' is given two values in one clause"))),
    }
}

fn list<T>(reader: &mut Reader, what: &str, item: impl Fn(&mut Reader) -> Result<T>) -> Result<Vec<T>> {
    reader.require_token(&Token::LParen, what)?;
    let mut items = vec![item(reader)?];
    while reader.eat_token(&Token::Comma) {
        items.push(item(reader)?);
    }
    reader.require_token(&Token::RParen, "',' or ')'")?;
    Ok(items)
}

/// An expression alone. `what` it is, for errors.
pub(in super::super) fn expression(text: &str, what: &'static str) -> Result<Expr> {
    let mut reader = Reader::new(text, what)?;
    let expr = reader.expression()?;
    if reader.at_end() { Ok(expr) } else { Err(reader.expected("an operator or the end")) }
}

/// The parts of a name.
pub(in super::super) fn name(text: &str, what: &'static str) -> Result<Vec<String>> {
    let mut reader = Reader::new(text, what)?;
    let parts = reader.path()?;
    if reader.at_end() {
        Ok(parts.into_iter().map(|p| p.value).collect())
    } else {
        Err(reader.expected("the end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_of_spark_is_read() {
        let sql = "MERGE INTO cat.db.t AS tgt USING updates src ON tgt.id <=> src.id AND tgt.region = 'EU'
            WHEN MATCHED AND src.op = 'D' THEN DELETE
            WHEN MATCHED THEN UPDATE SET *
            WHEN NOT MATCHED BY TARGET AND src.op <> 'D' THEN INSERT *
            WHEN NOT MATCHED BY SOURCE AND tgt.seen < DATE '2024-01-01' THEN UPDATE SET `is old` = TRUE, n = n + 1;";
        let (table, spec) = statement(sql).unwrap();
        assert_eq!(table, ["cat", "db", "t"]);
        assert_eq!((spec.source_name.as_deref(), spec.target_name.as_deref()), (Some("src"), Some("tgt")));
        assert_eq!(spec.on_condition.as_deref(), Some("tgt.id <=> src.id AND tgt.region = 'EU'"));
        let whens: Vec<MergeWhen> = spec.clauses.iter().map(|c| c.when).collect();
        use MergeWhen::{Matched, NotMatched, NotMatchedBySource};
        assert_eq!(whens, [Matched, Matched, NotMatched, NotMatchedBySource]);
        let MergeAction::Update(columns) = &spec.clauses[3].action else { panic!("an update") };
        assert_eq!(columns["`is old`"], "true");
        assert_eq!(columns["n"], "n + 1");
    }

    #[test]
    fn names_without_an_alias_are_those_of_the_tables() {
        let (_, spec) =
            statement("merge into a.t using source on t.x = source.x when matched then delete").unwrap();
        assert_eq!(spec.target_name.as_deref(), Some("a.t"));
        assert_eq!(spec.source_name.as_deref(), Some("source"));
    }

    #[test]
    fn errors_tell_where_and_show_no_values() {
        let cases = [
            ("MATCHED AND x = 'secret", "line 1"),
            ("MATCHED x = 'secret' THEN DELETE", "AND or THEN was expected, a name was found"),
            ("MATCHED AND x = ) THEN DELETE", "an expression was expected, ')' was found"),
            (
                "MATCHED THEN 'secret'",
                "UPDATE, DELETE, INSERT or DO NOTHING was expected, a literal was found",
            ),
            ("NOT MATCHED THEN INSERT (a, b) VALUES ('secret')", "2 columns and has 1 values"),
            ("MATCHED THEN UPDATE SET a = 'secret', a = 2", "'a' is given two values"),
            ("MATCHED THEN DELETE 'secret'", "WHEN was expected, a literal was found"),
            ("", "at its end: MATCHED or NOT MATCHED was expected"),
        ];
        for (text, part) in cases {
            let error = clauses(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(statement("MERGE INTO t USING (SELECT 1) ON a = b WHEN MATCHED THEN DELETE").is_err());
    }

    #[test]
    fn is_distinct_from_ends_before_and_and_or() {
        use sqlparser::ast::BinaryOperator::{And, Or};
        let sql = "x AND a IS NOT DISTINCT FROM b + 1 OR NOT c IS DISTINCT FROM d AND e";
        let Expr::BinaryOp { left, op: Or, right } = expression(sql, "a condition").unwrap() else {
            panic!("OR comes last")
        };
        let (Expr::BinaryOp { right: a, op: And, .. }, Expr::BinaryOp { left: c, op: And, .. }) =
            (*left, *right)
        else {
            panic!("AND comes before OR")
        };
        assert_eq!(a.to_string(), "a IS NOT DISTINCT FROM b + 1");
        assert_eq!(c.to_string(), "NOT c IS DISTINCT FROM d");
    }

    #[test]
    fn text_that_would_nest_without_end_is_refused() {
        let chain = vec!["1"; 100_000].join(" + ");
        assert!(expression(&chain, "an expression").unwrap_err().message().contains("too long"));
        let nested = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        assert!(expression(&nested, "an expression").is_err());
    }

    /// What the parser begins on trial nests: each level would double the time.
    #[test]
    fn text_that_would_be_tried_without_end_is_refused() {
        let words = [
            "CASE",
            "CASE WHEN",
            "CASE x WHEN",
            "CASE WHEN a THEN",
            "(",
            "NOT",
            "CAST(",
            "f(",
            "-",
            "[",
            "ARRAY[",
            "{",
            "EXISTS (",
            "INTERVAL",
            "DATE",
            "STRUCT(",
            "x ->",
            "a IN (",
            "EXTRACT(",
            "CASE (",
            "TRIM(",
            "MAP {",
        ];
        let (mut refused, mut tried) = (0, 0);
        for first in words {
            for second in words {
                for times in [10, 100] {
                    let text = format!("{first} {second} ").repeat(times);
                    // Whatever comes of it: that it ends is what is tested.
                    refused += usize::from(expression(&text, "an expression").is_err());
                    refused += usize::from(clauses(&format!("MATCHED AND {text} THEN DELETE")).is_err());
                    tried += 2;
                }
            }
        }
        assert!(refused * 10 > tried * 9, "{refused} of {tried}");
        let nested = format!("{}0{}", "CASE WHEN a THEN 1 ELSE ".repeat(12), " END".repeat(12));
        assert!(expression(&nested, "an expression").is_ok());
        let list = format!("a IN ({})", vec!["1"; 50_000].join(", "));
        assert!(expression(&list, "an expression").is_ok());
    }
}
