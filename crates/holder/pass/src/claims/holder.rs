//! The holder's attributes in the claims of a strip.

use ciborium::Value;

use crate::cbor::{FieldFault, Fields, map};
use crate::holder::{BirthDate, HolderAttributes, Initial};

const GIVEN_INITIAL: i64 = 1;
const FAMILY_INITIAL: i64 = 2;
const BIRTH_DAY: i64 = 3;
const BIRTH_MONTH: i64 = 4;

const PLACE: &str = "the holder";

/// Map with the attributes that are disclosed.
pub(super) fn item(holder: HolderAttributes) -> Value {
    let initial = |initial: Option<Initial>| initial.map(|initial| Value::from(initial.as_str()));
    let birth = holder.birth();
    let attributes = [
        (GIVEN_INITIAL, initial(holder.given_initial())),
        (FAMILY_INITIAL, initial(holder.family_initial())),
        (BIRTH_DAY, birth.day().map(Value::from)),
        (BIRTH_MONTH, birth.month().map(Value::from)),
    ];
    let disclosed = attributes
        .into_iter()
        .filter_map(|(label, value)| Some((Value::from(label), value?)));
    map(disclosed.collect())
}

/// Reads the attributes; those that are not there are not disclosed.
pub(super) fn read(item: Value) -> Result<HolderAttributes, FieldFault> {
    let mut fields = Fields::new(item, PLACE)?;
    let given = initial(&mut fields, GIVEN_INITIAL, "the initial of the given name")?;
    let family = initial(
        &mut fields,
        FAMILY_INITIAL,
        "the initial of the family name",
    )?;
    let day = number(&mut fields, BIRTH_DAY, "the day of birth")?;
    let month = number(&mut fields, BIRTH_MONTH, "the month of birth")?;
    let birth = BirthDate::new(day, month)
        .map_err(|_| fields.fault("the day and month of birth", "a date"))?;
    fields.end()?;
    Ok(HolderAttributes::new(given, family, birth))
}

fn initial(
    fields: &mut Fields,
    label: i64,
    field: &'static str,
) -> Result<Option<Initial>, FieldFault> {
    let Some(value) = fields.optional(label) else {
        return Ok(None);
    };
    let initial = value
        .as_text()
        .and_then(|text| Initial::try_from(text).ok());
    match initial {
        Some(initial) => Ok(Some(initial)),
        None => Err(fields.fault(field, "one Latin capital letter")),
    }
}

fn number(fields: &mut Fields, label: i64, field: &'static str) -> Result<Option<u8>, FieldFault> {
    let Some(value) = fields.optional(label) else {
        return Ok(None);
    };
    let number = value
        .as_integer()
        .and_then(|number| u8::try_from(number).ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(fields.fault(field, "a day or month number")),
    }
}
