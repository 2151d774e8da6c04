//! Configuration: named catalogs from files, the environment and code.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::{Error, PluginDescriptor, Result, SecretRef, SecretString};

/// Environment variables `FLOE_CATALOG__<NAME>__<KEY>` set a property of a catalog. In `<KEY>`, `__` stands
/// for a dot and `_` for a hyphen: `FLOE_CATALOG__PROD__S3__ACCESS_KEY_ID` is `s3.access-key-id` of `prod`.
pub const ENV_PREFIX: &str = "FLOE_CATALOG__";

/// The property that names a catalog plugin.
pub const TYPE: &str = "type";
/// The property that names a storage plugin; absent, the scheme of the warehouse decides.
pub const STORAGE: &str = "storage";
/// The property that says where new tables go.
pub const WAREHOUSE: &str = "warehouse";
/// The property that lets tables of a catalog on a server have files in other kinds of storage than their own: `true`.
pub const OTHER_SCHEMES: &str = "other-schemes-enabled";
/// Set for a storage that serves locations which a catalog's server chose, and no user; never a user's property.
pub const PLACED_BY_SERVER: &str = "floe.placed-by-server";

/// Named catalogs.
///
/// ```
/// let config = floe_core::FloeConfig::from_toml(
///     r#"
///     default-catalog = "lake"
///
///     [catalogs.lake]
///     type = "local"
///     warehouse = "/data/lake"
///     s3.secret-access-key = "env:AWS_SECRET_ACCESS_KEY"
///     "#,
/// )?;
/// assert_eq!(config.catalog(None)?.0, "lake");
/// # Ok::<(), floe_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FloeConfig {
    /// The catalog that is used when none is named.
    pub default_catalog: Option<String>,
    /// Properties of each catalog, by its name.
    pub catalogs: BTreeMap<String, Properties>,
    /// Limits of the process, by their names; see [`crate::limits::Limits::from_properties`].
    pub limits: Properties,
}

impl FloeConfig {
    /// Reads TOML text: `default-catalog`, and one table `[catalogs.NAME]` for each catalog.
    ///
    /// Fails with `Validation` for any other key and for values that are no string, number or boolean.
    pub fn from_toml(text: &str) -> Result<Self> {
        let root: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            // The parser quotes the offending line, which may hold a secret: keep its message only.
            Error::validation(format!("the configuration is not valid TOML: {}", e.message()))
        })?;
        let mut config = Self::default();
        for (key, value) in root {
            match (key.as_str(), value) {
                ("default-catalog", toml::Value::String(name)) => config.default_catalog = Some(name),
                ("catalogs", toml::Value::Table(catalogs)) => {
                    for (name, value) in catalogs {
                        let toml::Value::Table(table) = value else {
                            return Err(Error::validation(format!("catalogs.{name} must be a table")));
                        };
                        let mut properties = Properties::default();
                        flatten("", table, &mut properties)?;
                        config.catalogs.insert(name, properties);
                    }
                }
                ("limits", toml::Value::Table(limits)) => flatten("", limits, &mut config.limits)?,
                (key, _) => {
                    return Err(Error::validation(format!("unknown or ill-typed configuration key '{key}'"))
                        .with_hint(
                            "known: default-catalog (a string), catalogs (tables), limits (a table)",
                        ));
                }
            }
        }
        Ok(config)
    }

    /// Reads a TOML file; see [`FloeConfig::from_toml`].
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::from(e).context(format!("configuration file {}", path.display())))?;
        Self::from_toml(&text).map_err(|e| e.context(format!("configuration file {}", path.display())))
    }

    /// Lays `other` over this configuration: its properties win, key by key.
    pub fn merge(mut self, other: Self) -> Self {
        self.default_catalog = other.default_catalog.or(self.default_catalog);
        for (name, properties) in other.catalogs {
            self.catalogs.entry(name).or_default().extend(properties);
        }
        self.limits.extend(other.limits);
        self
    }

    /// Lays environment variables over this configuration; see [`ENV_PREFIX`]. `FLOE_DEFAULT_CATALOG` names
    /// the default catalog, `FLOE_LIMITS__…` sets a limit.
    pub fn with_env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (variable, value) in variables {
            if variable == "FLOE_DEFAULT_CATALOG" {
                self.default_catalog = Some(value);
            } else if let Some(limit) = variable.strip_prefix(crate::limits::ENV_PREFIX) {
                self.limits.set(limit.to_lowercase().replace('_', "-"), value);
            } else if let Some((name, key)) =
                variable.strip_prefix(ENV_PREFIX).and_then(|rest| rest.split_once("__"))
            {
                let name = name.to_lowercase();
                let key = key.to_lowercase().replace("__", ".").replace('_', "-");
                self.catalogs.entry(name).or_default().set(key, value);
            }
        }
        self
    }

    /// The catalog called `name`, or the default one, or the only one.
    pub fn catalog(&self, name: Option<&str>) -> Result<(&str, &Properties)> {
        let name = match name.or(self.default_catalog.as_deref()) {
            Some(name) => name,
            None if self.catalogs.len() == 1 => self.catalogs.keys().next().map_or("", String::as_str),
            None => {
                return Err(Error::validation("no catalog is named and there is no default")
                    .with_hint("set default-catalog in the configuration, or name one"));
            }
        };
        self.catalogs.get_key_value(name).map(|(k, v)| (k.as_str(), v)).ok_or_else(|| {
            let known: Vec<&str> = self.catalogs.keys().map(String::as_str).collect();
            Error::validation(format!("no catalog called '{name}' is configured")).with_hint(format!(
                "configured: {}",
                if known.is_empty() { "none".into() } else { known.join(", ") }
            ))
        })
    }
}

/// Properties by key, in the spelling of the Iceberg ecosystem (`s3.endpoint`, `warehouse`). Any value may be
/// a secret, so that `Debug` shows keys only.
#[derive(Clone, Default, PartialEq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Sets a property.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Sets a property.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// The value as configured; a secret reference is not resolved.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Lays `other` over these properties.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Fetches every secret reference (`env:NAME`, `file:/path`).
    pub fn resolve(&self) -> Result<BTreeMap<String, SecretString>> {
        let resolve = |(key, value): (&String, &String)| {
            let value = reference(key, value).resolve();
            value.map(|v| (key.clone(), v)).map_err(|e| e.context(format!("property '{key}'")))
        };
        self.0.iter().map(resolve).collect()
    }

    /// The properties whose values are kept in variables of the environment or in files, with where that is.
    pub fn references(&self) -> impl Iterator<Item = (&str, SecretRef)> {
        let all = self.0.iter().map(|(key, value)| (key.as_str(), reference(key, value)));
        all.filter(|(_, reference)| !matches!(reference, SecretRef::Literal(_)))
    }
}

/// Where the value of a property is. A warehouse is no secret, and `file:/data` is one.
fn reference(key: &str, value: &str) -> SecretRef {
    match key {
        WAREHOUSE => SecretRef::Literal(value.to_owned()),
        _ => value.parse().unwrap_or_else(|e| match e {}),
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What `connect` of a plugin is given: the catalog's name and its properties, secrets resolved.
#[derive(Clone, Default)]
pub struct PluginConfig {
    name: String,
    properties: BTreeMap<String, SecretString>,
}

impl PluginConfig {
    /// Configuration for the catalog `name`; resolves secret references.
    pub fn new(name: impl Into<String>, properties: &Properties) -> Result<Self> {
        Ok(Self { name: name.into(), properties: properties.resolve()? })
    }

    /// The same configuration with a property set, to a value that is no secret reference.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), SecretString::new(value));
        self
    }

    /// The name of the catalog.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a property. Do not log it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(SecretString::expose)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }

    /// Reads the plugin's own typed configuration out of the properties. Numbers and booleans are written as
    /// text. Keys the type does not know are for the other plugin of the pair: see [`unknown_keys`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let fields =
            self.properties.iter().map(|(key, value)| (key.as_str(), Text { key, value: value.expose() }));
        T::deserialize(MapDeserializer::new(fields)).map_err(|e: serde::de::value::Error| {
            Error::validation(format!("the configuration of catalog '{}' is not valid: {e}", self.name))
        })
    }
}

/// The text of a property, read as the type that its field has. Errors name the key, not the text.
struct Text<'a> {
    key: &'a str,
    value: &'a str,
}

impl Text<'_> {
    fn parsed<T: std::str::FromStr>(&self, expected: &str) -> Result<T, serde::de::value::Error> {
        self.value
            .parse()
            .map_err(|_| serde::de::Error::custom(format!("property '{}' must be {expected}", self.key)))
    }
}

macro_rules! parse_number {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.$visit(self.parsed::<$type>("a number that fits")?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.value)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => visitor.visit_bool(self.parsed("true or false")?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if !variants.contains(&self.value) {
            let message = format!("property '{}' must be one of: {}", self.key, variants.join(", "));
            return Err(serde::de::Error::custom(message));
        }
        self.value.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    parse_number!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64, deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64
    );

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl IntoDeserializer<'_> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginConfig")
            .field("name", &self.name)
            .field("keys", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Keys that no plugin of the pair knows by its configuration schema, nor floe itself. A schema names keys in
/// `properties`, and those that share a beginning in `patternProperties`, as `^beginning`.
pub fn unknown_keys<'a>(keys: impl Iterator<Item = &'a str>, plugins: &[&PluginDescriptor]) -> Vec<String> {
    let known = |key: &str| {
        [TYPE, STORAGE, WAREHOUSE, OTHER_SCHEMES].contains(&key)
            || plugins.iter().any(|plugin| {
                let named = |name| plugin.config_schema.get(name).and_then(|p| p.as_object());
                let begins = |pattern: &String| {
                    pattern.strip_prefix('^').is_some_and(|start| key.starts_with(&start.replace('\\', "")))
                };
                named("properties").is_some_and(|properties| properties.contains_key(key))
                    || named("patternProperties").is_some_and(|patterns| patterns.keys().any(begins))
            })
    };
    keys.filter(|key| !known(key)).map(str::to_owned).collect()
}

fn flatten(prefix: &str, table: toml::Table, out: &mut Properties) -> Result<()> {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::String(text) => out.set(key, text),
            toml::Value::Integer(number) => out.set(key, number.to_string()),
            toml::Value::Float(number) => out.set(key, number.to_string()),
            toml::Value::Boolean(flag) => out.set(key, flag.to_string()),
            toml::Value::Table(inner) => flatten(&key, inner, out)?,
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(Error::validation(format!(
                    "property '{key}' must be a string, number or boolean"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn environment_wins_over_file() {
        let file = FloeConfig::from_toml("[catalogs.prod]\ntype = 'local'\ns3.region = 'a'").expect("parses");
        let env = [
            ("FLOE_CATALOG__PROD__S3__REGION".to_owned(), "b".to_owned()),
            ("FLOE_CATALOG__PROD__S3__ACCESS_KEY_ID".to_owned(), "k".to_owned()),
            ("FLOE_DEFAULT_CATALOG".to_owned(), "prod".to_owned()),
            ("OTHER".to_owned(), "x".to_owned()),
        ];
        let config = file.with_env(env);
        let (name, properties) = config.catalog(None).expect("default");
        assert_eq!(name, "prod");
        assert_eq!(properties.get("s3.region"), Some("b"));
        assert_eq!(properties.get("s3.access-key-id"), Some("k"));
        assert_eq!(properties.get("type"), Some("local"));
    }

    #[test]
    fn unknown_top_level_keys_are_refused() {
        let error = FloeConfig::from_toml("catalog = 1").expect_err("unknown");
        assert!(error.to_string().contains("'catalog'"), "{error}");
    }

    #[test]
    fn broken_toml_does_not_show_its_values() {
        let error = FloeConfig::from_toml("[catalogs.a]\ntoken = \"hunter2").expect_err("broken");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_wrong_type_does_not_show_its_value() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Typed {
            port: u16,
        }
        let properties = Properties::default().with("port", "hunter2");
        let config = PluginConfig::new("c", &properties).expect("resolves");
        let error = config.parse::<Typed>().expect_err("no number");
        assert!(!format!("{error} {error:?} {config:?} {properties:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_warehouse_is_never_a_secret_reference() {
        let properties = Properties::default().with(WAREHOUSE, "file:/no/such/folder");
        let config = PluginConfig::new("c", &properties).expect("resolves");
        assert_eq!(config.get(WAREHOUSE), Some("file:/no/such/folder"));
    }

    #[test]
    fn booleans_may_have_capitals() {
        #[derive(Debug, Deserialize)]
        struct Typed {
            flag: bool,
        }
        let parse = |text: &str| {
            PluginConfig::new("c", &Properties::from_iter([("flag", text)]))
                .expect("resolves")
                .parse::<Typed>()
        };
        assert!(parse("True").expect("parses").flag && !parse("FALSE").expect("parses").flag);
        assert!(parse("yes").is_err());
    }

    #[test]
    fn numbers_and_booleans_are_typed() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Typed {
            port: u16,
            tls: bool,
            zip: String,
        }
        let properties = Properties::from_iter([("port", "80"), ("tls", "true"), ("zip", "007")]);
        let config = PluginConfig::new("c", &properties).expect("resolves");
        assert_eq!(
            config.parse::<Typed>().expect("parses"),
            Typed { port: 80, tls: true, zip: "007".into() }
        );
    }
}
