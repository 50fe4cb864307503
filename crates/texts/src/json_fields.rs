//! The fields of a row in their order, each value as its JSON text: a value that is passed on keeps its bytes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The fields of an object in their original order.
pub(crate) type JsonFields = OrderedFields<Box<RawValue>>;

/// The fields of an object in their order. If a name occurs twice, the last one counts.
#[derive(Debug, Clone)]
pub(crate) struct OrderedFields<V>(Vec<(String, V)>);

impl<V> Default for OrderedFields<V> {
    fn default() -> OrderedFields<V> {
        OrderedFields(Vec::new())
    }
}

impl JsonFields {
    /// The fields of an object of JSON.
    pub(crate) fn parse(json: &[u8]) -> Result<JsonFields, String> {
        // The parser counts lines from here; there is only one.
        serde_json::from_slice(json).map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))
    }

    /// The fields of a value that serialises to an object.
    pub(crate) fn of(value: &impl Serialize) -> Result<JsonFields, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(value)?)
    }

    pub(crate) fn push(&mut self, name: String, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.push((name, serde_json::value::to_raw_value(value)?));
        Ok(())
    }

    /// The fields as a line of JSON Lines.
    pub(crate) fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// The JSON of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(held, _)| held == name).map(|(_, value)| value.get())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The same fields with another text in one of them.
    pub(crate) fn with_text(&self, name: &str, text: &str) -> Result<JsonFields, serde_json::Error> {
        let mut one = JsonFields::default();
        one.push(name.to_owned(), &text)?;
        let mut fields = self.clone();
        fields.set_all(one);
        Ok(fields)
    }

    /// Sets other fields: in place of one with the same name, or else after all.
    pub(crate) fn set_all(&mut self, others: JsonFields) {
        for (name, value) in others.0 {
            match self.0.iter_mut().rev().find(|(held, _)| *held == name) {
                Some((_, held)) => *held = value,
                None => self.0.push((name, value)),
            }
        }
    }
}

impl<V: Serialize> Serialize for OrderedFields<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for OrderedFields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OrderedFields<V>, D::Error> {
        deserializer.deserialize_map(Object(PhantomData))
    }
}

struct Object<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
    type Value = OrderedFields<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderedFields<V>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(OrderedFields(fields))
    }
}
