//! Issue of strips for the windows that a person's facts cover.

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::Pseudonym;
use eligibility::{Eligibility, Reason};
use pass::holder::HolderAttributes;
use pass::strip::issue_strip;
use pass::window::{Coverage, Window, day_windows, paper_window};
use pass::{PassId, Product};

use super::person::Person;
use super::{PassError, Passes, judge};
use crate::store::{NameValue, PassKey};

/// Strip as it is given to the citizen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// Time in which it holds.
    pub window: Window,
    /// Text of the code, `HC1:…`.
    pub text: String,
}

/// Answer to a request for passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// Strips, in the order of their windows.
    Strips(Vec<Strip>),
    /// No strip, and why.
    Refused(Vec<Reason>),
    /// Number of strips for these days is at its limit: no further ones are issued.
    Exhausted,
}

impl Passes {
    /// Issues the strips of today and of the days ahead that the person's facts wholly cover. The
    /// holder's attributes go into the strips and nowhere else.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn issue_days(
        &self,
        pseudonyms: &[Pseudonym],
        holder: HolderAttributes,
        now: DateTime<Utc>,
    ) -> Result<Issued, PassError> {
        let (person, eligibility) = self.judge(pseudonyms, now).await?;
        let windows = day_windows(
            self.rules.zone(),
            now,
            self.settings.days_ahead,
            &self.coverage(&eligibility),
        )?;
        let strips = u32::from(self.settings.strips_per_day);
        self.issue(&person, eligibility, windows, strips, holder, now)
            .await
    }

    /// Issues one strip for paper, of up to seven whole days from today on that the person's facts
    /// cover.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn issue_paper(
        &self,
        pseudonyms: &[Pseudonym],
        holder: HolderAttributes,
        now: DateTime<Utc>,
    ) -> Result<Issued, PassError> {
        let (person, eligibility) = self.judge(pseudonyms, now).await?;
        let window = paper_window(self.rules.zone(), now, &self.coverage(&eligibility))?;
        let windows = window.into_iter().collect();
        self.issue(&person, eligibility, windows, 1, holder, now)
            .await
    }

    async fn judge(
        &self,
        pseudonyms: &[Pseudonym],
        now: DateTime<Utc>,
    ) -> Result<(Person, Eligibility), PassError> {
        Ok(judge(&self.reader, &self.rules, pseudonyms, now).await?)
    }

    async fn issue(
        &self,
        person: &Person,
        eligibility: Eligibility,
        windows: Vec<Window>,
        strips: u32,
        holder: HolderAttributes,
        now: DateTime<Utc>,
    ) -> Result<Issued, PassError> {
        if windows.is_empty() {
            return Ok(Issued::Refused(eligibility.reasons));
        }
        let Some(name) = person.pass_name(&self.reader).await? else {
            return Ok(Issued::Refused(eligibility.reasons));
        };
        // Before anything is counted: a pass that no verifier would take is not issued.
        let end = windows.iter().map(|window| window.end()).max();
        let key = self.keys.signing(Product::City, now, end.unwrap_or(now));
        let key = key.ok_or(PassError::NoKey {
            product: Product::City.as_str(),
        })?;
        let keys: Vec<PassKey> = windows.iter().map(|window| key_of(name, *window)).collect();
        let store = &self.reader.store;
        let counted = if self.settings.individual_revocation {
            store.count_passes(&keys, strips, now).await?
        } else {
            store.count_random_passes(&keys, strips).await?
        };
        let most = self.settings.most();
        let mut issued = Vec::new();
        for (window, before) in windows.into_iter().zip(counted) {
            for number in before..before.saturating_add(strips).min(most) {
                let id = if self.settings.individual_revocation {
                    self.keys.ids.pass_id(&name, window, number)
                } else {
                    PassId::random()
                };
                let text = issue_strip(key, &self.settings.issuer, window, id, holder);
                issued.push(Strip { window, text });
            }
        }
        if issued.is_empty() {
            return Ok(Issued::Exhausted);
        }
        Ok(Issued::Strips(issued))
    }

    /// Time that the covered days take in the city's zone.
    pub(super) fn coverage(&self, eligibility: &Eligibility) -> Coverage {
        let intervals = eligibility.covered.iter().filter_map(|interval| {
            let until = interval.until.or_else(|| horizon(eligibility.today));
            let start = self.rules.day_start(interval.from)?;
            let end = self.rules.day_start(until?)?;
            Window::new(start, end).ok()
        });
        Coverage::new(intervals)
    }
}

/// First day that an answer as of `today` says nothing about.
fn horizon(today: NaiveDate) -> Option<NaiveDate> {
    today.checked_add_days(Days::new(eligibility::HORIZON_DAYS.into()))
}

fn key_of(name: NameValue, window: Window) -> PassKey {
    PassKey {
        name,
        begins_at: window.start().timestamp(),
        ends_at: window.end().timestamp(),
    }
}
