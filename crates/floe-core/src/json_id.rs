//! Ids of 64 bits in JSON: strings, because programs that keep numbers as floating point (JavaScript, jq before 1.7) round
//! those above 2^53 to another id. Numbers are read as well.
//!
//! For fields of serde: `#[serde(with = "floe_core::json_id")]`, `json_id::option` and `json_id::list` for ids that may be
//! absent and for lists of them.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
//! struct Head {
//!     #[serde(with = "floe_core::json_id")]
//!     snapshot_id: i64,
//! }
//! let head = Head { snapshot_id: 3051729675574597004 };
//! let text = r#"{"snapshot_id":"3051729675574597004"}"#;
//! assert_eq!(serde_json::to_string(&head)?, text);
//! assert_eq!(serde_json::from_str::<Head>(text)?, head);
//! assert_eq!(serde_json::from_str::<Head>(r#"{"snapshot_id":3051729675574597004}"#)?, head);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// Writes an id as a string.
pub fn serialize<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Reads an id, as a string or as a number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Id::deserialize(deserializer).map(|id| id.0)
}

/// An id that may be absent.
pub mod option {
    use super::{Deserialize, Deserializer, Id, Serialize, Serializer};

    /// Writes an id as a string, or null.
    pub fn serialize<S: Serializer>(id: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        id.map(Id).serialize(serializer)
    }

    /// Reads an id, as a string or as a number, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        Ok(Option::<Id>::deserialize(deserializer)?.map(|id| id.0))
    }
}

/// A list of ids.
pub mod list {
    use super::{Deserialize, Deserializer, Id, Serializer};

    /// Writes ids as strings.
    pub fn serialize<S: Serializer>(ids: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().copied().map(Id))
    }

    /// Reads ids, as strings or as numbers.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
        Ok(Vec::<Id>::deserialize(deserializer)?.into_iter().map(|id| id.0).collect())
    }
}

#[derive(Debug, Clone, Copy)]
struct Id(i64);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a whole number of 64 bits, or a string of one")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
                Ok(Id(id))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
                i64::try_from(id).map(Id).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(id), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                text.parse().map(Id).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ids {
        #[serde(with = "super")]
        one: i64,
        #[serde(with = "super::option", default)]
        maybe: Option<i64>,
        #[serde(with = "super::list")]
        all: Vec<i64>,
    }

    #[test]
    fn ids_are_written_as_strings_and_read_as_both() {
        let ids = Ids { one: i64::MAX, maybe: Some(-1), all: vec![0, i64::MIN] };
        let text = format!(r#"{{"one":"{}","maybe":"-1","all":["0","{}"]}}"#, i64::MAX, i64::MIN);
        assert_eq!(serde_json::to_string(&ids).unwrap(), text);
        assert_eq!(serde_json::from_str::<Ids>(&text).unwrap(), ids);
        let numbers = text.replace('"', "").replace("one", "\"one\"");
        let numbers = numbers.replace("maybe", "\"maybe\"").replace("all", "\"all\"");
        assert_eq!(serde_json::from_str::<Ids>(&numbers).unwrap(), ids);
        let absent = serde_json::from_str::<Ids>(r#"{"one":1,"all":[]}"#).unwrap();
        assert_eq!(absent, Ids { one: 1, maybe: None, all: vec![] });
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["1.5", "\"x\"", "\"\"", "true", "null", "9223372036854775808", "\"1e3\"", "[1]"] {
            let json = format!(r#"{{"one":{text},"all":[]}}"#);
            assert!(serde_json::from_str::<Ids>(&json).is_err(), "{text}");
        }
    }
}
