//! Tokens and expressions, with errors that show no values.

use std::cell::Cell;

use floe_core::{Error, Result};
use sqlparser::ast::{Expr, Ident, ObjectNamePart};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// Operators in a text: bounds the depth of what is parsed from it.
const MAX_OPERATORS: usize = 500;
/// Tokens in a text.
const MAX_TOKENS: usize = 200_000;

/// Operands that are begun for each token of a text. The parser begins some more than once, on trial, and where they nest
/// (`CASE CASE CASE …`), it would try twice as often for each level.
const MAX_TRIALS: usize = 20;

thread_local! {
    /// How many operands may still be begun in the expression that this thread parses.
    static OPERANDS_LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Names in backticks or double quotes, text in single quotes.
#[derive(Debug)]
struct MergeDialect;

impl Dialect for MergeDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        matches!(ch, '`' | '"')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    /// Stops a text that would take exponential time. Of all errors, this one is not taken for a trial that failed.
    fn parse_prefix(&self, _parser: &mut Parser<'_>) -> Option<std::result::Result<Expr, ParserError>> {
        let left = OPERANDS_LEFT.get().checked_sub(1);
        OPERANDS_LEFT.set(left.unwrap_or(0));
        left.is_none().then_some(Err(ParserError::RecursionLimitExceeded))
    }

    /// The parser itself takes all that follows for the right side of `IS DISTINCT FROM`, an `AND` too.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<std::result::Result<Expr, ParserError>> {
        let whole = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| whole(Box::new(expr.clone()), Box::new(right))))
    }
}

/// Reads tokens of a text.
pub(super) struct Reader {
    parser: Parser<'static>,
    tokens: usize,
    /// What the text is, for errors.
    what: &'static str,
}

impl Reader {
    pub(super) fn new(text: &str, what: &'static str) -> Result<Self> {
        let tokens = Tokenizer::new(&MergeDialect, text).tokenize_with_location().map_err(|e| {
            let place = format!("line {}, column {}", e.location.line, e.location.column);
            Error::validation(format!(
                "{what}, {place}: a quoted text or a comment has no end, or a character is unknown"
            ))
        })?;
        let operators = tokens.iter().filter(|token| is_operator(&token.token)).count();
        if operators > MAX_OPERATORS || tokens.len() > MAX_TOKENS {
            return Err(Error::validation(format!(
                "{what} is too long: more than {MAX_OPERATORS} operators"
            ))
            .with_hint("use IN for a list of values, or put the values into a column of the source"));
        }
        let count = tokens.len();
        let parser = Parser::new(&MergeDialect).with_tokens_with_locations(tokens);
        Ok(Self { parser, tokens: count, what })
    }

    pub(super) fn eat(&mut self, keyword: Keyword) -> bool {
        self.parser.parse_keyword(keyword)
    }

    pub(super) fn eat_all(&mut self, keywords: &[Keyword]) -> bool {
        self.parser.parse_keywords(keywords)
    }

    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(super) fn require(&mut self, keyword: Keyword, name: &str) -> Result<()> {
        if self.eat(keyword) { Ok(()) } else { Err(self.expected(name)) }
    }

    pub(super) fn require_token(&mut self, token: &Token, name: &str) -> Result<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.expected(name)) }
    }

    pub(super) fn at_end(&mut self) -> bool {
        while self.eat_token(&Token::SemiColon) {}
        self.parser.peek_token_ref().token == Token::EOF
    }

    pub(super) fn peeks(&self, keywords: &[Keyword]) -> bool {
        self.parser.peek_one_of_keywords(keywords).is_some()
    }

    pub(super) fn expression(&mut self) -> Result<Expr> {
        OPERANDS_LEFT.set(MAX_TRIALS * self.tokens.max(50));
        let parsed = self.parser.parse_expr();
        parsed.map_err(|error| {
            if error == ParserError::RecursionLimitExceeded {
                return Error::validation(format!("{} nests too deeply", self.what));
            }
            // What could not be part of one is taken already.
            self.parser.prev_token();
            self.expected("an expression")
        })
    }

    /// A name of one part.
    pub(super) fn identifier(&mut self) -> Result<Ident> {
        if matches!(self.parser.peek_token_ref().token, Token::Word(_))
            && let Ok(ident) = self.parser.parse_identifier()
        {
            return Ok(ident);
        }
        Err(self.expected("a name"))
    }

    /// A name of parts with dots between them.
    pub(super) fn path(&mut self) -> Result<Vec<Ident>> {
        if matches!(self.parser.peek_token_ref().token, Token::Word(_))
            && let Ok(name) = self.parser.parse_object_name(false)
        {
            let parts = name.0.into_iter().map(|part| match part {
                ObjectNamePart::Identifier(ident) => Some(ident),
                ObjectNamePart::Function(_) => None,
            });
            if let Some(parts) = parts.collect::<Option<Vec<_>>>() {
                return Ok(parts);
            }
        }
        Err(self.expected("a name"))
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        let TokenWithSpan { token, span } = self.parser.peek_token();
        let found = match &token {
            Token::EOF => "the end".to_owned(),
            Token::Word(word) if word.keyword != Keyword::NoKeyword && word.quote_style.is_none() => {
                word.value.to_uppercase()
            }
            Token::Word(_) => "a name".to_owned(),
            Token::Number(..) => "a number".to_owned(),
            Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::Eq
            | Token::Mul
            | Token::SemiColon
            | Token::Period => {
                format!("'{token}'")
            }
            token if is_operator(token) => "an operator".to_owned(),
            _ => "a literal".to_owned(),
        };
        let place = match token {
            Token::EOF => "at its end".to_owned(),
            _ => format!("line {}, column {}", span.start.line, span.start.column),
        };
        Error::validation(format!("{}, {place}: {what} was expected, {found} was found", self.what))
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && matches!(
                    word.keyword,
                    Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::LIKE
                )
        }
        Token::EOF
        | Token::Comma
        | Token::Period
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::LParen
        | Token::RParen => false,
        _ => true,
    }
}
