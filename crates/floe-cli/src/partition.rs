//! Partition terms: `col`, `day(col)`, `bucket(16, col)`, `bucket[16](col)`.

use std::fmt;
use std::str::FromStr;

use iceberg::spec::Transform;

/// A column and how its values are turned into partition values (Iceberg specification, "Partitioning").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionTerm {
    pub(crate) column: String,
    pub(crate) transform: Transform,
}

impl PartitionTerm {
    /// The usual name of the partition field: `ts_day`, `id_bucket`, `name_trunc`, and the column's own name
    /// for identity.
    pub(crate) fn field_name(&self) -> String {
        let suffix = match self.transform {
            Transform::Identity => return self.column.clone(),
            Transform::Bucket(_) => "bucket".to_owned(),
            Transform::Truncate(_) => "trunc".to_owned(),
            other => other.to_string(),
        };
        format!("{}_{suffix}", self.column)
    }
}

impl fmt::Display for PartitionTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transform {
            Transform::Identity => f.write_str(&self.column),
            Transform::Bucket(n) => write!(f, "bucket({n}, {})", self.column),
            Transform::Truncate(w) => write!(f, "truncate({w}, {})", self.column),
            transform => write!(f, "{transform}({})", self.column),
        }
    }
}

impl FromStr for PartitionTerm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0 };
        let term = parser.term()?;
        parser.skip_spaces();
        if parser.at < text.len() {
            return Err(parser.expected("the end of the term"));
        }
        Ok(term)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn term(&mut self) -> Result<PartitionTerm, String> {
        self.skip_spaces();
        let start = self.at;
        let quoted = self.peek() == Some('"');
        let word = self.name("a column or a transform")?;
        self.skip_spaces();
        if quoted || !matches!(self.peek(), Some('(' | '[')) {
            return Ok(PartitionTerm { column: word, transform: Transform::Identity });
        }
        match word.to_ascii_lowercase().as_str() {
            "identity" => self.simple(Transform::Identity),
            "year" | "years" => self.simple(Transform::Year),
            "month" | "months" => self.simple(Transform::Month),
            "day" | "days" => self.simple(Transform::Day),
            "hour" | "hours" => self.simple(Transform::Hour),
            "bucket" => self.with_number("the number of buckets", Transform::Bucket),
            "truncate" => self.with_number("the width", Transform::Truncate),
            _ => {
                self.at = start;
                Err(self.expected("identity, year, month, day, hour, bucket or truncate"))
            }
        }
    }

    /// `(col)`.
    fn simple(&mut self, transform: Transform) -> Result<PartitionTerm, String> {
        self.sign('(')?;
        let column = self.name("a column")?;
        self.sign(')')?;
        Ok(PartitionTerm { column, transform })
    }

    /// `(16, col)`, `(col, 16)` or `[16](col)`.
    fn with_number(&mut self, what: &str, make: fn(u32) -> Transform) -> Result<PartitionTerm, String> {
        if self.peek() == Some('[') {
            self.sign('[')?;
            let number = self.number(what)?;
            self.sign(']')?;
            return self.simple(make(number));
        }
        self.sign('(')?;
        self.skip_spaces();
        if !self.peek().is_some_and(|c| c.is_ascii_digit() || c == '-') {
            if !self.text.contains(',') {
                return Err(self.expected(what));
            }
            let column = self.name("a column")?;
            self.sign(',')?;
            let number = self.number(what)?;
            self.sign(')')?;
            return Ok(PartitionTerm { column, transform: make(number) });
        }
        let number = self.number(what)?;
        self.sign(',')?;
        let column = self.name("a column")?;
        self.sign(')')?;
        Ok(PartitionTerm { column, transform: make(number) })
    }

    /// A name of letters, digits, `_`, `.` and `-`, or anything in double quotes.
    fn name(&mut self, what: &str) -> Result<String, String> {
        self.skip_spaces();
        if self.peek() == Some('"') {
            let rest = &self.text[self.at + 1..];
            let Some(end) = rest.find('"').filter(|end| *end > 0) else {
                return Err(self.expected("a name in double quotes"));
            };
            let name = rest[..end].to_owned();
            self.at += end + 2;
            return Ok(name);
        }
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected(what));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn number(&mut self, what: &str) -> Result<u32, String> {
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..end].parse::<u32>() {
            Ok(number) if number > 0 && i32::try_from(number).is_ok() => {
                self.at += end;
                Ok(number)
            }
            _ => Err(self.expected(&format!("{what}, from 1 to {}", i32::MAX))),
        }
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        self.skip_spaces();
        if self.peek() != Some(sign) {
            return Err(self.expected(&format!("'{sign}'")));
        }
        self.at += sign.len_utf8();
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let position = self.text[..self.at].chars().count() + 1;
        format!("expected {what} at character {position}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Transform) {
        let term: PartitionTerm = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        (term.column, term.transform)
    }

    #[test]
    fn every_transform_is_known() {
        assert_eq!(parse("a"), ("a".into(), Transform::Identity));
        assert_eq!(parse("identity(a)"), ("a".into(), Transform::Identity));
        assert_eq!(parse("year(a)"), ("a".into(), Transform::Year));
        assert_eq!(parse("MONTH( a )"), ("a".into(), Transform::Month));
        assert_eq!(parse(" days(a) "), ("a".into(), Transform::Day));
        assert_eq!(parse("hour(a.b)"), ("a.b".into(), Transform::Hour));
        for text in ["bucket(16, a)", "bucket[16](a)", "bucket(a,16)", "Bucket [ 16 ] ( a )"] {
            assert_eq!(parse(text), ("a".into(), Transform::Bucket(16)), "{text}");
        }
        for text in ["truncate(8, a)", "truncate[8](a)", "truncate(a, 8)"] {
            assert_eq!(parse(text), ("a".into(), Transform::Truncate(8)), "{text}");
        }
    }

    #[test]
    fn quotes_admit_any_column_name() {
        assert_eq!(parse("\"my col\""), ("my col".into(), Transform::Identity));
        assert_eq!(parse("day(\"größe (m)\")"), ("größe (m)".into(), Transform::Day));
        assert_eq!(parse("year"), ("year".into(), Transform::Identity));
    }

    #[test]
    fn errors_say_where() {
        for (text, at) in [
            ("", 1),
            ("week(a)", 1),
            ("day(a", 6),
            ("day(a))", 7),
            ("day()", 5),
            ("bucket(a)", 8),
            ("bucket(0, a)", 8),
            ("bucket(-1, a)", 8),
            ("bucket[x](a)", 8),
            ("bucket(16 a)", 11),
            ("truncate(99999999999, a)", 10),
            ("a b", 3),
            ("ä, b", 2),
        ] {
            let error = text.parse::<PartitionTerm>().unwrap_err();
            assert!(error.ends_with(&format!("at character {at}")), "{text}: {error}");
        }
    }

    #[test]
    fn display_parses_back() {
        for text in ["a", "year(a)", "bucket(16, a)", "truncate(8, a)"] {
            let term: PartitionTerm = text.parse().unwrap();
            assert_eq!(term.to_string(), text);
            assert_eq!(term.to_string().parse::<PartitionTerm>().unwrap(), term);
        }
    }

    #[test]
    fn field_names_are_the_usual_ones() {
        for (text, name) in [
            ("a", "a"),
            ("month(ts)", "ts_month"),
            ("bucket(16, id)", "id_bucket"),
            ("truncate(8, s)", "s_trunc"),
        ] {
            assert_eq!(text.parse::<PartitionTerm>().unwrap().field_name(), name);
        }
    }
}
