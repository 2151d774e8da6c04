//! What an operation with an idempotency key took as its input, as the summary of its snapshot keeps it.
//!
//! What is compared are rows, by a hash of their content. Files only help to answer sooner: the same files, untouched
//! since, have the same rows.

use std::fmt;

/// What joins the inputs of an operation that has several.
const BETWEEN: &str = ";";

/// The input of an operation.
///
/// ```
/// use floe_plan::summary::input::InputDigest;
///
/// let digest = InputDigest::Rows { rows: 3, content: "ab12".into(), files: None };
/// assert_eq!(digest.to_string(), "rows=3,content=ab12");
/// assert_eq!(InputDigest::parse("rows=3,content=ab12"), Some(digest));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputDigest {
    /// A hash of what the caller said it is.
    Given(String),
    /// Its rows.
    Rows {
        /// How many.
        rows: u64,
        /// A hash of their values, in order.
        content: String,
        /// A hash of which files they came from, and when these were changed last, where that is known.
        files: Option<String>,
    },
}

/// What is known of an input before a row of it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownInput {
    /// A hash of what the caller says it is.
    pub given: Option<String>,
    /// How many rows it has.
    pub rows: Option<u64>,
    /// A hash of which files it is, and when these were changed last.
    pub files: Option<String>,
}

/// Whether an input is that of an earlier operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// It is.
    Same,
    /// It is another one.
    Other,
    /// Its rows have to be looked at.
    Read,
    /// There is nothing by which the two could be compared.
    Incomparable,
}

impl InputDigest {
    /// Reads what a summary has; `None` if that is of another form.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(given) = text.strip_prefix("given=") {
            return (!given.is_empty()).then(|| Self::Given(given.to_owned()));
        }
        let (mut rows, mut content, mut files) = (None, None, None);
        for part in text.split(',') {
            match part.split_once('=')? {
                ("rows", value) => rows = value.parse().ok(),
                ("content", value) => content = Some(value.to_owned()),
                ("files", value) => files = Some(value.to_owned()),
                _ => return None,
            }
        }
        Some(Self::Rows { rows: rows?, content: content?, files })
    }

    /// Reads the inputs of an operation that may have several; `None` if one is of another form.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        text.split(BETWEEN).map(Self::parse).collect()
    }

    /// The inputs of an operation, as a summary has them.
    pub fn join(all: &[Self]) -> String {
        all.iter().map(Self::to_string).collect::<Vec<_>>().join(BETWEEN)
    }

    /// Whether an input is this one, by what is known of it unread.
    pub fn compare(&self, known: &KnownInput) -> Sameness {
        match (self, &known.given) {
            (Self::Given(was), Some(is)) if was == is => Sameness::Same,
            (Self::Given(_), Some(_)) => Sameness::Other,
            (Self::Given(_), None) | (Self::Rows { .. }, Some(_)) => Sameness::Incomparable,
            (Self::Rows { rows, files, .. }, None) => {
                if files.is_some() && *files == known.files {
                    Sameness::Same
                } else if known.rows.is_some_and(|is| is != *rows) {
                    Sameness::Other
                } else {
                    Sameness::Read
                }
            }
        }
    }

    /// Whether this is the same input as another one, both of which were read.
    pub fn is_same(&self, other: &Self) -> Sameness {
        let same = match (self, other) {
            (Self::Given(was), Self::Given(is)) => was == is,
            (
                Self::Rows { rows, content, .. },
                Self::Rows { rows: other_rows, content: other_content, .. },
            ) => (rows, content) == (other_rows, other_content),
            _ => return Sameness::Incomparable,
        };
        if same { Sameness::Same } else { Sameness::Other }
    }
}

impl fmt::Display for InputDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(given) => write!(f, "given={given}"),
            Self::Rows { rows, content, files } => {
                write!(f, "rows={rows},content={content}")?;
                match files {
                    Some(files) => write!(f, ",files={files}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex() -> impl Strategy<Value = String> {
        "[0-9a-f]{1,6}"
    }

    fn digest() -> impl Strategy<Value = InputDigest> {
        prop_oneof![
            hex().prop_map(InputDigest::Given),
            (any::<u64>(), hex(), proptest::option::of(hex()))
                .prop_map(|(rows, content, files)| InputDigest::Rows { rows, content, files }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec(digest(), 1..4)) {
            let text = InputDigest::join(&all);
            prop_assert_eq!(InputDigest::parse_all(&text), Some(all));
        }

        #[test]
        fn other_rows_are_never_called_the_same(
            rows in 0_u64..3, content in "[01]", files in proptest::option::of("[01]"),
            now_rows in 0_u64..3, now_content in "[01]", now_files in proptest::option::of("[01]"),
        ) {
            // Which files they are, and when they were changed, decides what their rows are.
            let of_files = |files: &str| (u64::from(files == "1"), files.to_owned());
            let (rows, content) = files.as_deref().map_or((rows, content), of_files);
            let (now_rows, now_content) = now_files.as_deref().map_or((now_rows, now_content), of_files);
            let same = (rows, &content) == (now_rows, &now_content);
            let was = InputDigest::Rows { rows, content, files };
            for known_rows in [None, Some(now_rows)] {
                let known = KnownInput { given: None, rows: known_rows, files: now_files.clone() };
                match was.compare(&known) {
                    Sameness::Same => prop_assert!(same),
                    Sameness::Other => prop_assert!(!same),
                    Sameness::Read => {}
                    Sameness::Incomparable => prop_assert!(false),
                }
            }
            let is = InputDigest::Rows { rows: now_rows, content: now_content, files: now_files };
            prop_assert_eq!(was.is_same(&is) == Sameness::Same, same);
        }
    }

    #[test]
    fn what_the_caller_says_is_compared_with_what_the_caller_says_only() {
        let given =
            |text: &str| KnownInput { given: Some(text.into()), rows: Some(1), files: Some("f".into()) };
        let was = InputDigest::Given("a".into());
        assert_eq!(was.compare(&given("a")), Sameness::Same);
        assert_eq!(was.compare(&given("b")), Sameness::Other);
        assert_eq!(was.compare(&KnownInput::default()), Sameness::Incomparable);
        let rows = InputDigest::Rows { rows: 1, content: "c".into(), files: Some("f".into()) };
        assert_eq!(rows.compare(&given("a")), Sameness::Incomparable);
        assert_eq!(rows.is_same(&was), Sameness::Incomparable);
    }

    #[test]
    fn another_form_is_not_read() {
        for text in ["", "given=", "rows=1", "content=a", "rows=x,content=a", "rows=1,content=a,more=b", "v2"]
        {
            assert_eq!(InputDigest::parse(text), None, "{text}");
        }
    }
}
