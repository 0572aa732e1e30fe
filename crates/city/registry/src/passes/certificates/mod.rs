//! Certificates of one vaccination, recovery or negative test: their issue, and what ends them.

mod codes;
mod ending;
mod entry;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::{FactKind, Pseudonym};
use eligibility::{Certifiable, NoCertificate, Rules, certifiable};
use pass::hcert::{Certificate, Entry, HcertClaims};
use pass::holder::HolderAttributes;
use pass::strip::issue_certificate;
use pass::window::{Window, WindowError};
use pass::{PassId, Product};

use super::keys::DatedKey;
use super::person::Person;
use super::{PassError, Passes, Strip};
use crate::store::{CertificateKey, NameValue, PassKey};

pub(super) use ending::certificates_of;

/// Answer to a request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// Certificate.
    Certificate(Strip),
    /// No certificate, and why.
    Refused(NoCertificate),
    /// Number of certificates of this statement is at its limit: no further one is issued.
    Exhausted,
}

impl Passes {
    /// Issues the certificate of the person's newest fact of a kind. Of the holder's attributes it
    /// discloses the initials.
    ///
    /// # Errors
    /// [`PassError`]; where no key signs certificates, whoever the person is.
    pub async fn issue_certificate(
        &self,
        pseudonyms: &[Pseudonym],
        kind: FactKind,
        holder: HolderAttributes,
        now: DateTime<Utc>,
    ) -> Result<Certified, PassError> {
        // Before the person is looked for, so that the answer says nothing about them.
        let key = self.keys.current(Product::Hcert, now);
        let key = key.ok_or(PassError::NoCertificateKey)?;
        let person = Person::find(&self.reader, pseudonyms).await?;
        let found = match certifiable(&self.rules, person.evidence(), kind, now) {
            Ok(found) => found,
            Err(reason) => return Ok(Certified::Refused(reason)),
        };
        let entry = entry::of(&self.rules, &found.statement)?;
        let name = person.pass_name(&self.reader).await?;
        let (Some(name), Some(entry)) = (name, entry) else {
            return Ok(Certified::Refused(NoCertificate::NoStatement));
        };
        let Some(window) = self.window_of_certificate(&found, key)? else {
            return Err(PassError::NoCertificateKey);
        };
        let Some(id) = self.count_certificate(name, &found, window, now).await? else {
            return Ok(Certified::Exhausted);
        };
        let claims = self.claims(entry, holder, window, id);
        let text = issue_certificate(&key.key, &claims).map_err(PassError::Certificate)?;
        Ok(Certified::Certificate(Strip { window, text }))
    }

    /// Time in which the certificate holds: whole days of the city's zone, but no longer than its
    /// key is accepted; `None` where that ends before.
    fn window_of_certificate(
        &self,
        found: &Certifiable,
        key: &DatedKey,
    ) -> Result<Option<Window>, WindowError> {
        let days = Days::new(self.settings.certificate_days.into());
        let end = found.from.checked_add_days(days);
        let end = end.ok_or(WindowError::NoMidnight(found.from))?;
        let end = found.until.map_or(end, |until| until.min(end));
        let start = day_start(&self.rules, found.from)?;
        let end = day_start(&self.rules, end)?.min(key.until);
        Ok(Window::new(start, end).ok())
    }

    /// Counts the certificate, and returns its id; `None` where there were as many as may be.
    async fn count_certificate(
        &self,
        name: NameValue,
        found: &Certifiable,
        window: Window,
        now: DateTime<Utc>,
    ) -> Result<Option<PassId>, PassError> {
        let most = self.settings.most();
        if !self.settings.individual_revocation {
            let key = PassKey {
                name,
                begins_at: window.start().timestamp(),
                ends_at: window.end().timestamp(),
            };
            let before = self.reader.store.count_random_passes(&[key], 1).await?;
            let is_allowed = before.first().is_some_and(|before| *before < most);
            return Ok(is_allowed.then(PassId::random));
        }
        let content = self.content_of(&name, &found.statement);
        let key = CertificateKey { name, content };
        let store = &self.reader.store;
        let number = store
            .count_certificate(&key, window.end(), most, now)
            .await?;
        let id = |number| self.keys.ids.certificate_id(&name, &content, number);
        Ok(number.map(id))
    }

    fn claims(
        &self,
        entry: Entry,
        holder: HolderAttributes,
        window: Window,
        id: PassId,
    ) -> HcertClaims {
        HcertClaims {
            issuer: self.settings.issuer.clone(),
            issued_at: window.start(),
            expires: window.end(),
            id,
            certificate: Certificate {
                given_initial: holder.given_initial(),
                family_initial: holder.family_initial(),
                entry,
            },
        }
    }
}

/// First moment of a day in the city.
fn day_start(rules: &Rules, day: NaiveDate) -> Result<DateTime<Utc>, WindowError> {
    rules.day_start(day).ok_or(WindowError::NoMidnight(day))
}
