//! A row of a table as JSON.
//!
//! Times, dates and decimals become texts (ISO 8601, digits), bytes become text if they are UTF-8, and numbers that
//! JSON cannot represent (NaN, infinity) become null. Left out: bytes in other encodings, which are refused.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::json_fields::JsonFields;

/// The fields of one row, in the order of the columns.
pub(crate) fn json_of_row(
    batch: &RecordBatch,
    row: usize,
) -> Result<JsonFields, Box<dyn std::error::Error + Send + Sync>> {
    let one = batch.slice(row, 1);
    let rows = serde_arrow::Deserializer::from_record_batch(&one)?;
    let mut fields = JsonFields::default();
    for row in rows.iter() {
        let columns = batch.schema_ref().fields().iter();
        for (column, value) in columns.zip(RowSeed(batch.schema_ref().fields()).deserialize(row)?) {
            fields.push(column.name().clone(), &value)?;
        }
    }
    Ok(fields)
}

/// The values of a row, one for each column.
struct RowSeed<'t>(&'t arrow_schema::Fields);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Value>, A::Error> {
        let mut values = Vec::with_capacity(self.0.len());
        for column in self.0 {
            let (_, value) = map
                .next_key::<String>()?
                .map(|name| Ok((name, map.next_value_seed(ValueSeed(column.data_type()))?)))
                .transpose()?
                .ok_or_else(|| A::Error::custom("the row ends before its last column"))?;
            values.push(value);
        }
        Ok(values)
    }
}

/// A value of a column of this type.
#[derive(Clone, Copy)]
struct ValueSeed<'t>(&'t DataType);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl ValueSeed<'_> {
    /// The type of the elements of a list, or of the values of a map.
    fn of_elements(&self) -> DataType {
        match self.0 {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                field.data_type().clone()
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => fields[1].data_type().clone(),
                _ => DataType::Null,
            },
            _ => DataType::Null,
        }
    }

    /// The type of the field of a struct, or of the values of a map.
    fn of_field(&self, name: &str) -> DataType {
        match self.0 {
            DataType::Struct(fields) => {
                fields.find(name).map_or(DataType::Null, |(_, field)| field.data_type().clone())
            }
            _ => self.of_elements(),
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        use DataType::{
            Binary, Date32, Date64, Decimal128, Duration, FixedSizeBinary, LargeBinary, Time32, Time64, Timestamp,
        };
        match self.0 {
            Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_) | Duration(_) | Decimal128(..) => {
                deserializer.deserialize_string(self)
            }
            Binary | LargeBinary | FixedSizeBinary(_) => deserializer.deserialize_bytes(self),
            DataType::Map(..) => deserializer.deserialize_map(self),
            _ => deserializer.deserialize_any(self),
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        // Written with the shortest digits; the nearest double has more.
        Ok(value.to_string().parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        std::str::from_utf8(bytes).map(Value::from).map_err(|_| E::custom("bytes that are not UTF-8 have no JSON"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let element = self.of_elements();
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ValueSeed(&element))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(ValueSeed(&self.of_field(&name)))?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}
