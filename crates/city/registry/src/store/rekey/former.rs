//! Names that passes were issued under before they changed.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::person_statements::NameValue;
use crate::store::{Store, StoreError, in_time};

/// Time for which a former name is kept without passes, in hours: whoever has read the name to
/// issue a pass for it has done so by then.
const KEPT_WITHOUT_PASSES_HOURS: i64 = 1;

/// Name that passes for a name are counted under; the oldest, under which they were counted since.
pub(in crate::store) const PASS_NAME: &str =
    "SELECT former FROM former_name WHERE name = $1 ORDER BY made_at, former LIMIT 1";

/// What a name is called now.
pub(in crate::store) const PRESENT_NAME: &str = "SELECT name FROM former_name WHERE former = $1";

/// Returns whether there may be names of before `$1`.
pub(in crate::store) const IS_PRUNE_DUE: &str =
    "SELECT EXISTS (SELECT 1 FROM rekeying WHERE finished_at < $1)";

/// Forgets names of before `$1` under which nothing is counted.
pub(in crate::store) const PRUNE_FORMER: &str = "DELETE FROM former_name WHERE made_at < $1
    AND NOT EXISTS (SELECT 1 FROM pass_count AS c WHERE c.name = former_name.former)
    AND NOT EXISTS (SELECT 1 FROM random_pass_count AS c WHERE c.name = former_name.former)
    AND NOT EXISTS (SELECT 1 FROM certificate_count AS c WHERE c.name = former_name.former)";

impl Store {
    /// Name that passes for a stored name are counted under, and that their ids follow from: what
    /// it was called when the first of them was issued.
    pub(crate) async fn pass_name(&self, name: NameValue) -> Result<NameValue, StoreError> {
        let former = in_time(self.backend.pass_name(&name)).await?;
        Ok(former.unwrap_or(name))
    }

    /// What a name that passes are counted under is called now.
    pub(crate) async fn present_name(&self, counted: NameValue) -> Result<NameValue, StoreError> {
        let present = in_time(self.backend.present_name(&counted)).await?;
        Ok(present.unwrap_or(counted))
    }

    /// Forgets former names under which no passes are counted any more.
    pub(crate) async fn prune_former_names(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let before = now - TimeDelta::hours(KEPT_WITHOUT_PASSES_HOURS);
        in_time(self.backend.prune_former_names(before)).await
    }
}
