//! Lists and maps of manifests, as writers lay them out: maps whose keys are numbers are lists of records of key and
//! value (Iceberg spec, appendix A, "Maps").

use super::avro::{AvroField, AvroType, Broken, Cursor, Decoded, broken};
use super::layout::{each_branch_of, is_number, present};

/// How the items of a list or a map are laid out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PairShape {
    /// Number after number, or key and value after each other, as nearly all writers have it.
    Plain,
    /// A list of items of this type: optional ones, or records with more in them, or in another order.
    Items(AvroType),
    /// A map in Avro's own form, whose keys are numbers written as text; the type of its values.
    Texts(AvroType),
}

impl PairShape {
    /// The shape of a list of numbers; `None` if the type is none.
    pub(super) fn of_list(ty: &AvroType) -> Option<Self> {
        match ty {
            AvroType::Array(item) if is_number(item) => Some(Self::Plain),
            AvroType::Array(item) if holds(item, is_number) => Some(Self::Items((**item).clone())),
            _ => None,
        }
    }

    /// The shape of a map with numbers as keys, and with values that are `value`; `None` if the type is none.
    pub(super) fn of_map(ty: &AvroType, value: impl Fn(&AvroType) -> bool + Copy) -> Option<Self> {
        match ty {
            AvroType::Array(item) => {
                if let AvroType::Record(fields) = &**item
                    && let [k, v] = fields.as_slice()
                    && (k.is_called("key") && v.is_called("value"))
                    && is_number(&k.ty)
                    && value(&v.ty)
                {
                    return Some(Self::Plain);
                }
                let fits = |ty: &AvroType| match ty {
                    AvroType::Record(fields) => key_and_value(fields)
                        .is_some_and(|(k, v)| holds(&fields[k].ty, is_number) && holds(&fields[v].ty, value)),
                    _ => false,
                };
                holds(item, fits).then(|| Self::Items((**item).clone()))
            }
            AvroType::Map(values) if holds(values, value) => Some(Self::Texts((**values).clone())),
            _ => None,
        }
    }

    /// Calls `pair` at every key with its value; the value is read by `read`. A value that is NULL is left out.
    #[inline]
    pub(super) fn each_pair<'d, V>(
        &self,
        cursor: &mut Cursor<'d>,
        definitions: &[AvroType],
        read: impl Fn(&mut Cursor<'d>) -> Decoded<V>,
        mut pair: impl FnMut(i32, V),
    ) -> Decoded<()> {
        match self {
            Self::Plain => cursor.each(|c| {
                let key = c.int()?;
                pair(key, read(c)?);
                Ok(())
            }),
            Self::Items(item) => cursor.each(|c| {
                let AvroType::Record(fields) = present(c, item)? else {
                    return broken("an item of a map is NULL");
                };
                let places =
                    key_and_value(fields).ok_or_else(|| Broken::new("an item of a map has no key"))?;
                let (mut key, mut value) = (None, None);
                for (index, field) in fields.iter().enumerate() {
                    let ty = present(c, &field.ty)?;
                    match ty {
                        AvroType::Null => {}
                        _ if index == places.0 => key = Some(c.int()?),
                        _ if index == places.1 => value = Some(read(c)?),
                        ty => c.skip(ty, definitions)?,
                    }
                }
                let key = key.ok_or_else(|| Broken::new("a key of a map is NULL"))?;
                if let Some(value) = value {
                    pair(key, value);
                }
                Ok(())
            }),
            Self::Texts(values) => cursor.each(|c| {
                let key = c.string()?.parse().or_else(|_| broken("a key of a map is no number"))?;
                if present(c, values)? != &AvroType::Null {
                    pair(key, read(c)?);
                }
                Ok(())
            }),
        }
    }

    /// The numbers of a list.
    pub(super) fn numbers(&self, cursor: &mut Cursor<'_>) -> Decoded<Vec<i64>> {
        let mut numbers = Vec::new();
        cursor.each(|c| {
            if let Self::Items(item) = self
                && present(c, item)? == &AvroType::Null
            {
                return broken("an item of a list is NULL");
            }
            numbers.push(c.long()?);
            Ok(())
        })?;
        Ok(numbers)
    }
}

/// Whether the type is one that `fits`, or an optional one.
fn holds(ty: &AvroType, fits: impl Fn(&AvroType) -> bool) -> bool {
    each_branch_of(ty).next().is_some() && each_branch_of(ty).all(fits)
}

/// Where key and value are among the fields of an item.
fn key_and_value(fields: &[AvroField]) -> Option<(usize, usize)> {
    let place = |name: &str| fields.iter().position(|field| field.is_called(name));
    match (place("key"), place("value")) {
        (Some(key), Some(value)) => Some((key, value)),
        (None, None) if fields.len() == 2 => Some((0, 1)),
        _ => None,
    }
}
