//! JSON as it is written: objects and arrays whose parts are copied, not understood.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The fields of an object in their order, with those that come twice. `None` when the text is none.
pub(super) fn object(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Object<'_>>(text).ok().map(|object| object.0)
}

/// The elements of an array. `None` when the text is none.
pub(super) fn array(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// Writes an object, field by field.
pub(super) struct ObjectWriter {
    json: String,
}

impl ObjectWriter {
    pub(super) fn new() -> Self {
        Self { json: String::from("{") }
    }

    pub(super) fn field(&mut self, name: &str, value: &str) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        self.json.push_str(&serde_json::Value::from(name).to_string());
        self.json.push(':');
        self.json.push_str(value);
    }

    pub(super) fn finish(mut self) -> String {
        self.json.push('}');
        self.json
    }
}

struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
