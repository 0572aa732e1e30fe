//! The EU DCC map: version, name, an empty date of birth, and one entry.

use ciborium::Value;

use crate::cbor::{FieldFault, Fields, map};
use crate::hcert::Entry;
use crate::holder::{BirthDate, HolderAttributes, Initial};
use crate::pass_id::PassId;

/// Version of the schema that certificates are written by.
const SCHEMA_VERSION: &str = "1.3.0";

const PLACE: &str = "the EU DCC";
const NAME: &str = "the name of the EU DCC";

/// Certificate of one vaccination, recovery or test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Initial of the given name, where disclosed.
    pub given_initial: Option<Initial>,
    /// Initial of the family name, where disclosed.
    pub family_initial: Option<Initial>,
    /// Statement of the certificate.
    pub entry: Entry,
}

impl Certificate {
    /// Attributes of the holder that the certificate discloses.
    #[must_use]
    pub fn holder(&self) -> HolderAttributes {
        HolderAttributes::new(
            self.given_initial,
            self.family_initial,
            BirthDate::default(),
        )
    }

    pub(super) fn item(&self, issuer: &str, id: PassId) -> Value {
        let initial = |initial: Option<Initial>| initial.map_or("", Initial::as_str);
        let name = map(vec![
            ("fnt".into(), initial(self.family_initial).into()),
            ("gnt".into(), initial(self.given_initial).into()),
        ]);
        map(vec![
            ("ver".into(), SCHEMA_VERSION.into()),
            ("nam".into(), name),
            ("dob".into(), "".into()),
            (
                self.entry.group().into(),
                Value::Array(vec![self.entry.item(issuer, id)]),
            ),
        ])
    }

    pub(super) fn read(item: Value, issuer: &str, id: PassId) -> Result<Self, FieldFault> {
        let mut fields = Fields::new(item, PLACE)?;
        if fields.text("ver", "ver")? != SCHEMA_VERSION {
            return Err(fields.fault("ver", "1.3.0"));
        }
        if !fields.text("dob", "dob")?.is_empty() {
            return Err(fields.fault("dob", "an empty text"));
        }
        let mut name = Fields::new(fields.any("nam", "nam")?, NAME)?;
        let family_initial = initial(&mut name, "fnt")?;
        let given_initial = initial(&mut name, "gnt")?;
        name.end()?;
        let entry = Entry::read(&mut fields, issuer, id)?;
        fields.end()?;
        Ok(Self {
            given_initial,
            family_initial,
            entry,
        })
    }
}

fn initial(name: &mut Fields, field: &'static str) -> Result<Option<Initial>, FieldFault> {
    let text = name.text(field, field)?;
    if text.is_empty() {
        return Ok(None);
    }
    match Initial::try_from(text.as_str()) {
        Ok(initial) => Ok(Some(initial)),
        Err(_) => Err(name.fault(field, "empty or one Latin capital letter")),
    }
}
