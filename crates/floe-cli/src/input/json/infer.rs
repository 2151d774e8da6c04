//! The types of columns, from rows of JSON.

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use arrow_schema::{DataType, Field, Fields};

use super::super::infer as inference;
use super::tape::{Tape, Token};

/// What values of a column were seen.
#[derive(Debug, Default)]
pub(super) enum Seen {
    /// NULL only.
    #[default]
    Nothing,
    Bool,
    Number(StringBuilder),
    Text(StringBuilder),
    List(Box<Seen>),
    Object(Vec<(String, Seen)>),
}

/// Why there is no type for a column.
#[derive(Debug)]
pub(super) struct NoType {
    pub(super) column: String,
    pub(super) why: &'static str,
}

impl Seen {
    /// Takes a value.
    pub(super) fn note(&mut self, tape: &Tape<'_>, at: u32, path: &str) -> Result<(), NoType> {
        let token = tape.token(at);
        if matches!(token, Token::Null) {
            return Ok(());
        }
        if matches!(self, Self::Nothing) {
            *self = match token {
                Token::Bool(_) => Self::Bool,
                Token::Number(..) => Self::Number(StringBuilder::new()),
                Token::Text(..) | Token::Escaped(..) => Self::Text(StringBuilder::new()),
                Token::Array(..) => Self::List(Box::default()),
                Token::Object(..) => Self::Object(Vec::new()),
                Token::Null => Self::Nothing,
            };
        }
        match (self, token) {
            (Self::Bool, Token::Bool(_)) => {}
            (Self::Number(texts), Token::Number(..)) => texts.append_option(tape.raw(token)),
            (Self::Text(texts), Token::Text(..) | Token::Escaped(..)) => {
                texts.append_option(tape.string(token));
            }
            (Self::List(element), Token::Array(count, _)) => {
                let mut at = at + 1;
                for _ in 0..count {
                    element.note(tape, at, &format!("{path}.element"))?;
                    at = tape.after(at);
                }
            }
            (Self::Object(fields), Token::Object(count, _)) => {
                let mut at = at + 1;
                let mut known = std::collections::HashSet::new();
                for _ in 0..count {
                    let key = tape.string(tape.token(at)).unwrap_or_default();
                    let inner = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    if !known.insert(key) {
                        return Err(NoType { column: inner, why: "comes twice in one object" });
                    }
                    let index = fields.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
                        fields.push((key.to_owned(), Self::Nothing));
                        fields.len() - 1
                    });
                    fields[index].1.note(tape, at + 1, &inner)?;
                    at = tape.after(at + 1);
                }
            }
            _ => {
                let why = "has values of different types, and a column has one type in all rows";
                return Err(NoType { column: path.to_owned(), why });
            }
        }
        Ok(())
    }

    /// The fields of an object. Texts of the first level that are all dates or times have such a type.
    pub(super) fn fields(self, path: &str) -> Result<Fields, NoType> {
        let Self::Object(fields) = self else { return Ok(Fields::empty()) };
        let fields = fields.into_iter().map(|(name, seen)| {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            Ok(Field::new(name, seen.ty(&inner, path.is_empty())?, true))
        });
        fields.collect()
    }

    fn ty(self, path: &str, top: bool) -> Result<DataType, NoType> {
        let no_type = |why| NoType { column: path.to_owned(), why };
        let sample = |mut texts: StringBuilder| -> StringArray { texts.finish() };
        Ok(match self {
            // Columns without values are text.
            Self::Nothing => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Number(texts) => inference::infer_number(&sample(texts))
                .ok_or_else(|| no_type("has numbers that no type holds exactly together"))?,
            Self::Text(texts) if top => inference::infer_time(&sample(texts)).unwrap_or(DataType::Utf8),
            Self::Text(_) => DataType::Utf8,
            Self::List(element) => {
                let element = element.ty(&format!("{path}.element"), false)?;
                DataType::List(Field::new("element", element, true).into())
            }
            object @ Self::Object(_) => {
                let fields = object.fields(path)?;
                if fields.is_empty() {
                    return Err(no_type("is an object without keys in all rows"));
                }
                DataType::Struct(fields)
            }
        })
    }
}
