//! Schemas of writers, from their JSON (Avro specification, "Schema Declaration").

use std::collections::HashMap;

use serde_json::Value;

use super::{AvroField, AvroType, Broken, Decoded, broken};

/// Deeper schemas are refused, rather than overflow the stack.
const MAX_DEPTH: usize = 64;
/// Larger schemas are refused: types that are used again are copied, so that a small text can mean a huge schema.
const MAX_NODES: usize = 100_000;

/// A schema, and the definitions that [`AvroType::Recursive`] points to.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: AvroType,
    pub(super) definitions: Vec<AvroType>,
}

/// Reads the schema of a file.
pub(super) fn parse(json: &Value) -> Decoded<Parsed> {
    let mut parser = Parser { names: HashMap::new(), definitions: Vec::new(), nodes: 0 };
    let root = parser.ty(json, "", 0)?;
    Ok(Parsed { root, definitions: parser.definitions })
}

/// What is known of a name.
enum Named {
    /// It is being defined; its definition will be at this place.
    Open(usize),
    Done(AvroType),
}

struct Parser {
    /// By full name.
    names: HashMap<String, Named>,
    definitions: Vec<AvroType>,
    nodes: usize,
}

impl Parser {
    fn ty(&mut self, json: &Value, namespace: &str, depth: usize) -> Decoded<AvroType> {
        if depth > MAX_DEPTH {
            return broken("its Avro schema is nested too deeply");
        }
        self.count(1)?;
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.ty(branch, namespace, depth + 1));
                Ok(AvroType::Union(branches.collect::<Decoded<_>>()?))
            }
            Value::Object(object) => {
                let Some(kind) = object.get("type") else {
                    return broken("its Avro schema is incomplete");
                };
                match kind.as_str() {
                    Some("array") => {
                        let item = self.ty(required(json, "items")?, namespace, depth + 1)?;
                        Ok(AvroType::Array(Box::new(item)))
                    }
                    Some("map") => {
                        let value = self.ty(required(json, "values")?, namespace, depth + 1)?;
                        Ok(AvroType::Map(Box::new(value)))
                    }
                    Some("enum" | "fixed" | "record" | "error") => self.define(json, namespace, depth),
                    // A primitive with attributes, as logical types have them, or a type within.
                    _ => self.ty(kind, namespace, depth + 1),
                }
            }
            _ => broken("its Avro schema is not valid"),
        }
    }

    /// A primitive type, or one that was defined before.
    fn named(&mut self, name: &str, namespace: &str) -> Decoded<AvroType> {
        Ok(match name {
            "null" => AvroType::Null,
            "boolean" => AvroType::Boolean,
            "int" => AvroType::Int,
            "long" => AvroType::Long,
            "float" => AvroType::Float,
            "double" => AvroType::Double,
            "bytes" => AvroType::Bytes,
            "string" => AvroType::String,
            other => {
                let known = self.names.get(&full_name(other, namespace)).or_else(|| self.names.get(other));
                let ty = match known {
                    Some(Named::Open(at)) => AvroType::Recursive(*at),
                    Some(Named::Done(ty)) => ty.clone(),
                    None => return broken("its Avro schema uses a type that it does not define"),
                };
                self.count(ty.nodes())?;
                ty
            }
        })
    }

    fn define(&mut self, json: &Value, namespace: &str, depth: usize) -> Decoded<AvroType> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let namespace = text("namespace").unwrap_or(namespace);
        let name = full_name(text("name").unwrap_or_default(), namespace);
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let ty = match text("type") {
            Some("enum") => AvroType::Enum,
            Some("fixed") => match json.get("size").and_then(Value::as_u64).map(usize::try_from) {
                Some(Ok(size)) => AvroType::Fixed(size),
                _ => return broken("its Avro schema is incomplete"),
            },
            _ => {
                let Some(Value::Array(fields)) = json.get("fields") else {
                    return broken("its Avro schema is incomplete");
                };
                let at = self.definitions.len();
                self.definitions.push(AvroType::Null);
                self.names.insert(name.clone(), Named::Open(at));
                let fields = fields.iter().map(|field| self.field(field, &namespace, depth + 1));
                let ty = AvroType::Record(fields.collect::<Decoded<_>>()?);
                if ty.refers_to(at) {
                    self.count(ty.nodes())?;
                    self.definitions[at] = ty.clone();
                }
                ty
            }
        };
        self.names.insert(name, Named::Done(ty.clone()));
        Ok(ty)
    }

    fn field(&mut self, json: &Value, namespace: &str, depth: usize) -> Decoded<AvroField> {
        let Some(name) = json.get("name").and_then(Value::as_str) else {
            return broken("its Avro schema is incomplete");
        };
        let id = json.get("field-id").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
        let aliases = json.get("aliases").and_then(Value::as_array).into_iter().flatten();
        // Names that Avro cannot take are kept beside.
        let written_as = json.get("iceberg-field-name").into_iter();
        let aliases = aliases.chain(written_as).filter_map(Value::as_str).map(str::to_owned).collect();
        let ty = self.ty(required(json, "type")?, namespace, depth)?;
        Ok(AvroField { name: name.to_owned(), aliases, id, ty })
    }

    fn count(&mut self, nodes: usize) -> Decoded<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { broken("its Avro schema is too large") } else { Ok(()) }
    }
}

fn required<'j>(json: &'j Value, key: &str) -> Decoded<&'j Value> {
    json.get(key).ok_or_else(|| Broken::new("its Avro schema is incomplete"))
}

/// A name without dots is in the namespace of what is around it.
fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

impl AvroType {
    /// How many types this is made of.
    fn nodes(&self) -> usize {
        1 + match self {
            Self::Array(inner) | Self::Map(inner) => inner.nodes(),
            Self::Record(fields) => fields.iter().map(|field| field.ty.nodes()).sum(),
            Self::Union(branches) => branches.iter().map(Self::nodes).sum(),
            _ => 0,
        }
    }

    fn refers_to(&self, definition: usize) -> bool {
        match self {
            Self::Recursive(at) => *at == definition,
            Self::Array(inner) | Self::Map(inner) => inner.refers_to(definition),
            Self::Record(fields) => fields.iter().any(|field| field.ty.refers_to(definition)),
            Self::Union(branches) => branches.iter().any(|branch| branch.refers_to(definition)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_that_contains_itself_is_kept_once() {
        let node = json!({"type": "record", "name": "node", "namespace": "a.b", "fields": [
            {"name": "value", "type": "int"},
            {"name": "next", "type": ["null", "node"]},
        ]});
        let parsed = parse(&node).unwrap();
        let next = AvroType::Union(vec![AvroType::Null, AvroType::Recursive(0)]);
        let AvroType::Record(fields) = &parsed.root else { panic!("a record") };
        assert_eq!(fields[1].ty, next);
        assert_eq!(parsed.definitions[0], parsed.root);
    }

    #[test]
    fn names_of_two_namespaces_are_two_types() {
        let both = json!({"type": "record", "name": "r", "fields": [
            {"name": "a", "type": {"type": "fixed", "name": "x.f", "size": 2}},
            {"name": "b", "type": {"type": "fixed", "name": "y.f", "size": 3}},
            {"name": "c", "type": "x.f"},
        ]});
        let AvroType::Record(fields) = parse(&both).unwrap().root else { panic!("a record") };
        assert_eq!(fields[2].ty, AvroType::Fixed(2));
    }

    #[test]
    fn a_small_text_that_means_a_huge_schema_is_refused() {
        let mut fields = vec![json!({"name": "f0", "type": {"type": "record", "name": "t0", "fields": []}})];
        for n in 1..60 {
            let of = format!("t{}", n - 1);
            let pair = json!([{"name": "a", "type": of}, {"name": "b", "type": of}]);
            fields.push(json!({"name": format!("f{n}"), "type": {
                "type": "record", "name": format!("t{n}"), "fields": pair,
            }}));
        }
        let error = parse(&json!({"type": "record", "name": "all", "fields": fields})).unwrap_err();
        assert!(error.why.contains("too large"), "{}", error.why);
    }
}
