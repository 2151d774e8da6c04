//! Text to tokens. Messages carry positions and kinds of tokens, never their values.

use floe_core::{Error, Result};

use super::{CompareOp, Literal};

/// One token and the 1-based character it starts at.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) position: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A word in capitals that the grammar knows.
    Keyword(&'static str),
    /// A name; quoted ones are never keywords.
    Name(String),
    Literal(Literal),
    Op(CompareOp),
    Open,
    Close,
    Comma,
    Dot,
    End,
}

impl Kind {
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Keyword(word) => word,
            Self::Name(_) => "a name",
            Self::Literal(literal) => literal.kind(),
            Self::Op(op) => op.symbol(),
            Self::Open => "an opening parenthesis",
            Self::Close => "a closing parenthesis",
            Self::Comma => "a comma",
            Self::Dot => "a dot",
            Self::End => "the end",
        }
    }
}

const KEYWORDS: &[&str] =
    &["AND", "OR", "NOT", "IN", "IS", "NULL", "NAN", "BETWEEN", "LIKE", "STARTS", "WITH", "TRUE", "FALSE"];

/// Whether the grammar reserves this word. DATE, TIME, TIMESTAMP, DOUBLE and X only mean something before a quote.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|k| k.eq_ignore_ascii_case(word))
}

pub(super) fn is_plain_identifier(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name)
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn fault(position: usize, message: impl std::fmt::Display) -> Error {
    Error::validation(format!("filter, character {position}: {message}"))
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut out = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = matches!(token.kind, Kind::End);
        out.push(token);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Result<Token> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let position = self.at + 1;
        let kind = match self.peek() {
            None => Kind::End,
            Some('(') => self.single(Kind::Open),
            Some(')') => self.single(Kind::Close),
            Some(',') => self.single(Kind::Comma),
            Some('.') if !self.peek_at(1).is_some_and(|c| c.is_ascii_digit()) => self.single(Kind::Dot),
            Some('\'') => Kind::Literal(Literal::String(self.quoted('\'')?)),
            Some('"') => Kind::Name(self.quoted('"')?),
            Some('=' | '!' | '<' | '>') => self.operator(position)?,
            Some(c) if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') => self.number(position)?,
            Some(c) if starts_name(c) => self.word(position)?,
            Some('`' | '[') => {
                return Err(fault(position, "this quote is not known").with_hint("write a name as \"name\""));
            }
            Some(_) => return Err(fault(position, "this character means nothing in a filter")),
        };
        Ok(Token { kind, position })
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let position = self.at + 1;
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c != quote {
                out.push(c);
            } else if self.peek() == Some(quote) {
                self.at += 1;
                out.push(quote);
            } else {
                return Ok(out);
            }
        }
        Err(fault(position, "the quote that starts here is not closed"))
    }

    fn operator(&mut self, position: usize) -> Result<Kind> {
        let (op, length) = match (self.peek(), self.peek_at(1)) {
            (Some('='), Some('=')) => (CompareOp::Eq, 2),
            (Some('='), _) => (CompareOp::Eq, 1),
            (Some('!'), Some('=')) | (Some('<'), Some('>')) => (CompareOp::NotEq, 2),
            (Some('<'), Some('=')) => (CompareOp::LtEq, 2),
            (Some('<'), _) => (CompareOp::Lt, 1),
            (Some('>'), Some('=')) => (CompareOp::GtEq, 2),
            (Some('>'), _) => (CompareOp::Gt, 1),
            _ => return Err(fault(position, "this operator is not known").with_hint("use NOT or !=")),
        };
        self.at += length;
        Ok(Kind::Op(op))
    }

    fn number(&mut self, position: usize) -> Result<Kind> {
        let mut text = String::new();
        let mut after_exponent = true;
        let mut exponent = false;
        while let Some(c) = self.peek() {
            let sign = matches!(c, '-' | '+') && after_exponent;
            if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
                break;
            }
            after_exponent = matches!(c, 'e' | 'E');
            exponent |= after_exponent;
            text.push(c);
            self.at += 1;
        }
        let literal = if exponent { double(&text) } else { exact_number(&text) };
        literal.map(Kind::Literal).ok_or_else(|| {
            fault(position, "this number cannot be read")
                .with_hint("write digits with at most one point, up to 38 of them, or an exponent: 1.5e10")
        })
    }

    fn word(&mut self, position: usize) -> Result<Kind> {
        let start = self.at;
        while self.peek().is_some_and(continues_name) {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if let Some(keyword) = KEYWORDS.iter().find(|k| k.eq_ignore_ascii_case(&word)) {
            return Ok(Kind::Keyword(keyword));
        }
        let upper = word.to_ascii_uppercase();
        if matches!(upper.as_str(), "DATE" | "TIME" | "TIMESTAMP" | "DOUBLE" | "X") {
            let mark = self.at;
            while upper != "X" && self.peek().is_some_and(char::is_whitespace) {
                self.at += 1;
            }
            if self.peek() == Some('\'') {
                let text = self.quoted('\'')?;
                return typed(&upper, &text, position).map(Kind::Literal);
            }
            self.at = mark;
        }
        Ok(Kind::Name(word))
    }
}

fn double(text: &str) -> Option<Literal> {
    text.parse().ok().filter(|v: &f64| v.is_finite()).map(Literal::Double)
}

/// Digits with an optional sign and at most one point, without loss.
pub(super) fn exact_number(text: &str) -> Option<Literal> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let signed = if negative { format!("-{all}") } else { all };
    let unscaled: i128 = signed.parse().ok()?;
    if digits.contains('.') {
        Some(Literal::Decimal { unscaled, scale: u8::try_from(fraction.len()).ok()? })
    } else {
        Some(Literal::Integer(unscaled))
    }
}

fn typed(keyword: &str, text: &str, position: usize) -> Result<Literal> {
    let (literal, expected) = match keyword {
        "DATE" => (super::convert::parse_date(text).map(Literal::Date), "DATE 'YYYY-MM-DD'"),
        "TIME" => (super::convert::parse_time(text).map(Literal::Time), "TIME 'HH:MM:SS.ffffff'"),
        "TIMESTAMP" => (
            super::convert::parse_timestamp(text)
                .map(Literal::Timestamp)
                .or_else(|| super::convert::parse_timestamptz(text).map(Literal::TimestampTz)),
            "TIMESTAMP 'YYYY-MM-DDTHH:MM:SS.ffffff', with Z or +HH:MM for a zoned one",
        ),
        "DOUBLE" => (text.parse().ok().map(Literal::Double), "DOUBLE 'NaN', DOUBLE 'inf' or a number"),
        _ => (hex(text).map(Literal::Bytes), "X'…' with an even number of hexadecimal digits"),
    };
    literal
        .ok_or_else(|| fault(position, "this literal cannot be read").with_hint(format!("write {expected}")))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
