//! Tokens to an expression: recursive descent with a bound on nesting.

use floe_core::{Error, Result};

use super::lexer::{Kind, Token, fault, tokens};
use super::{CompareOp, Expr, Literal, MAX_DEPTH};

/// Parentheses and NOTs that may be open at once; bounds the parser's own stack.
const MAX_OPEN: usize = 100;

pub(super) fn parse(text: &str) -> Result<Expr> {
    let tokens = tokens(text)?;
    if tokens.len() == 1 {
        return Err(Error::validation("the filter is empty").with_hint("write TRUE to match every row"));
    }
    let mut parser = Parser { tokens, at: 0, open: 0 };
    let expr = parser.disjunction()?;
    if !matches!(parser.peek(), Kind::End) {
        return Err(parser.expected("AND, OR or the end"));
    }
    if depth(&expr) > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(expr)
}

/// Levels of nesting; a leaf is one.
pub(super) fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::Not(inner) => 1 + depth(inner),
        Expr::And(parts) | Expr::Or(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

pub(super) fn too_deep() -> Error {
    Error::validation(format!("the filter nests deeper than {MAX_DEPTH} levels"))
        .with_hint("use IN for a list of values, or split the filter")
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    open: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        // The last token is always `End`, and it is never stepped over.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn step(&mut self) -> Kind {
        let kind = self.peek().clone();
        if !matches!(kind, Kind::End) {
            self.at += 1;
        }
        kind
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Kind::Keyword(word) if *word == keyword);
        if found {
            self.at += 1;
        }
        found
    }

    fn require(&mut self, keyword: &str) -> Result<()> {
        if self.eat(keyword) { Ok(()) } else { Err(self.expected(keyword)) }
    }

    fn expected(&self, what: &str) -> Error {
        let token = self.token();
        fault(token.position, format!("{what} was expected, {} was found", token.kind.describe()))
    }

    fn enter(&mut self) -> Result<()> {
        self.open += 1;
        if self.open > MAX_OPEN {
            return Err(fault(self.token().position, format!("more than {MAX_OPEN} levels are open here"))
                .with_hint("use IN for a list of values, or split the filter"));
        }
        Ok(())
    }

    fn disjunction(&mut self) -> Result<Expr> {
        let mut parts = vec![self.conjunction()?];
        while self.eat("OR") {
            parts.push(self.conjunction()?);
        }
        Ok(Expr::any(parts))
    }

    fn conjunction(&mut self) -> Result<Expr> {
        let mut parts = vec![self.negation()?];
        while self.eat("AND") {
            parts.push(self.negation()?);
        }
        Ok(Expr::all(parts))
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.eat("NOT") {
            self.enter()?;
            let inner = self.negation()?;
            self.open -= 1;
            return Ok(!inner);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr> {
        match self.peek() {
            Kind::Open => {
                self.enter()?;
                self.step();
                let inner = self.disjunction()?;
                if !matches!(self.peek(), Kind::Close) {
                    return Err(self.expected("AND, OR or a closing parenthesis"));
                }
                self.step();
                self.open -= 1;
                Ok(inner)
            }
            Kind::Keyword("TRUE") => {
                self.step();
                Ok(Expr::True)
            }
            Kind::Keyword("FALSE") => {
                self.step();
                Ok(Expr::False)
            }
            Kind::Literal(_) => {
                let literal = self.literal()?;
                let Kind::Op(op) = *self.peek() else {
                    return Err(self.expected("a comparison operator"));
                };
                self.step();
                let column = self.name()?;
                Ok(Expr::column(column).compare(op.mirrored(), literal))
            }
            Kind::Name(_) => {
                let column = self.name()?;
                self.test(column)
            }
            _ => Err(self.expected("a column, NOT or a parenthesis")),
        }
    }

    /// What follows a column.
    fn test(&mut self, column: String) -> Result<Expr> {
        if let Kind::Op(op) = *self.peek() {
            self.step();
            return Ok(Expr::column(column).compare(op, self.literal()?));
        }
        if self.eat("IS") {
            let negated = self.eat("NOT");
            let expr = if self.eat("NULL") {
                Expr::IsNull(column)
            } else if self.eat("NAN") {
                Expr::IsNan(column)
            } else {
                return Err(self.expected(if negated { "NULL or NAN" } else { "NULL, NAN or NOT" }));
            };
            return Ok(if negated { !expr } else { expr });
        }
        let negated = self.eat("NOT");
        let expr = if self.eat("IN") {
            Expr::In { column, literals: self.list()? }
        } else if self.eat("BETWEEN") {
            let low = self.literal()?;
            self.require("AND")?;
            Expr::column(column).between(low, self.literal()?)
        } else if self.eat("STARTS") {
            self.require("WITH")?;
            Expr::StartsWith { column, prefix: self.string()? }
        } else if self.eat("LIKE") {
            self.like(column)?
        } else if negated {
            return Err(self.expected("IN, BETWEEN, LIKE or STARTS WITH"));
        } else {
            return Ok(Expr::Column(column));
        };
        Ok(if negated { !expr } else { expr })
    }

    fn like(&mut self, column: String) -> Result<Expr> {
        let position = self.token().position;
        let pattern = self.string()?;
        let prefix = pattern.strip_suffix('%').unwrap_or(&pattern);
        if prefix.contains(['%', '_', '\\']) {
            return Err(fault(position, "LIKE takes a prefix only")
                .with_hint("write the text and one % at its end, or use STARTS WITH for text with % or _"));
        }
        if prefix.len() == pattern.len() {
            return Ok(Expr::Compare { column, op: CompareOp::Eq, literal: Literal::String(pattern) });
        }
        Ok(Expr::StartsWith { column, prefix: prefix.to_owned() })
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        if !matches!(self.peek(), Kind::Open) {
            return Err(self.expected("an opening parenthesis"));
        }
        self.step();
        let mut literals = vec![self.literal()?];
        loop {
            match self.peek() {
                Kind::Comma => {
                    self.step();
                    literals.push(self.literal()?);
                }
                Kind::Close => {
                    self.step();
                    return Ok(literals);
                }
                _ => return Err(self.expected("a comma or a closing parenthesis")),
            }
        }
    }

    fn name(&mut self) -> Result<String> {
        let Kind::Name(mut name) = self.peek().clone() else {
            return Err(self.expected("a column"));
        };
        self.step();
        while matches!(self.peek(), Kind::Dot) {
            self.step();
            let Kind::Name(part) = self.peek().clone() else {
                return Err(self.expected("the name of a nested field"));
            };
            self.step();
            name.push('.');
            name.push_str(&part);
        }
        Ok(name)
    }

    fn string(&mut self) -> Result<String> {
        match self.peek().clone() {
            Kind::Literal(Literal::String(text)) => {
                self.step();
                Ok(text)
            }
            _ => Err(self.expected("a string in single quotes")),
        }
    }

    fn literal(&mut self) -> Result<Literal> {
        match self.peek().clone() {
            Kind::Literal(literal) => {
                self.step();
                Ok(literal)
            }
            Kind::Keyword("TRUE") => {
                self.step();
                Ok(Literal::Boolean(true))
            }
            Kind::Keyword("FALSE") => {
                self.step();
                Ok(Literal::Boolean(false))
            }
            Kind::Keyword("NULL") => {
                Err(self.expected("a literal").with_hint("nothing equals NULL: use IS NULL or IS NOT NULL"))
            }
            Kind::Keyword("NAN") => {
                Err(self.expected("a literal").with_hint("nothing equals NaN: use IS NAN or IS NOT NAN"))
            }
            Kind::Name(_) => Err(self.expected("a literal").with_hint("write text in single quotes")),
            _ => Err(self.expected("a literal")),
        }
    }
}
