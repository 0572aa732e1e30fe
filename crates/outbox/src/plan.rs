//! Which drafts of a page have something to tell, and under which version: pure, no database.

use std::collections::HashMap;

use contract::{Body, ContentDigest, Draft, Event, RecordDigest, Version};

use crate::{Committed, OutboxError};

/// What the outbox remembers of a record it has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) content: ContentDigest,
    pub(crate) version: Version,
    pub(crate) withdrawn: bool,
}

/// What a page comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What to seal.
    pub(crate) events: Vec<Event>,
    /// What to remember, sorted by record.
    pub(crate) rows: Vec<(RecordDigest, Known)>,
    /// The counts of drafts; the rest stays zero.
    pub(crate) counts: Committed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    New,
    Corrected,
    Withdrawn,
    Resent,
    Unchanged,
}

/// Keeps the last draft of every record, sorted by record (neighbours in the table are written together), and says
/// how many earlier ones fell away.
pub(crate) fn last_of_each(drafts: Vec<Draft>) -> (Vec<Draft>, u64) {
    let offered = drafts.len();
    let mut drafts: Vec<_> = drafts.into_iter().enumerate().collect();
    drafts.sort_unstable_by_key(|(index, draft)| (draft.record, std::cmp::Reverse(*index)));
    let mut drafts: Vec<_> = drafts.into_iter().map(|(_, draft)| draft).collect();
    drafts.dedup_by_key(|draft| draft.record);
    let fallen = (offered - drafts.len()) as u64;
    (drafts, fallen)
}

/// Decides on drafts of distinct, sorted records.
pub(crate) fn plan(
    drafts: Vec<Draft>,
    known: &HashMap<RecordDigest, Known>,
    generation: u32,
) -> Result<Plan, OutboxError> {
    let mut plan = Plan::default();
    for draft in drafts {
        let known = known.get(&draft.record);
        let counter = match judge(&draft, known, generation) {
            Verdict::New => &mut plan.counts.new,
            Verdict::Corrected => &mut plan.counts.corrected,
            Verdict::Withdrawn => &mut plan.counts.withdrawn,
            Verdict::Resent => &mut plan.counts.resent,
            Verdict::Unchanged => {
                plan.counts.unchanged += 1;
                continue;
            }
        };
        *counter += 1;
        let version = next_version(known, generation)?;
        let withdrawn = matches!(draft.body, Body::Withdrawn { .. });
        plan.rows.push((draft.record, Known { content: draft.content, version, withdrawn }));
        plan.events.push(Event { record: draft.record, version, body: draft.body });
    }
    Ok(plan)
}

fn judge(draft: &Draft, known: Option<&Known>, generation: u32) -> Verdict {
    let withdraws = matches!(draft.body, Body::Withdrawn { .. });
    let Some(known) = known else {
        return match (withdraws, draft.only_if_sent && generation == 1) {
            (false, _) => Verdict::New,
            (true, true) => Verdict::Unchanged,
            // In a later generation the record may have been sent by the state that was lost.
            (true, false) => Verdict::Withdrawn,
        };
    };
    let same = withdraws == known.withdrawn && (withdraws || draft.content == known.content);
    match (same, known.version.generation == generation) {
        (true, true) => Verdict::Unchanged,
        // What the registry holds may be newer than what this outbox remembers: say it again, above that.
        (true, false) => Verdict::Resent,
        (false, _) if withdraws => Verdict::Withdrawn,
        (false, _) => Verdict::Corrected,
    }
}

fn next_version(known: Option<&Known>, generation: u32) -> Result<Version, OutboxError> {
    let count = match known {
        Some(known) if known.version.generation == generation => known.version.count.checked_add(1),
        _ => Some(1),
    };
    let count = count.ok_or(OutboxError::Exhausted { what: "version of a record" })?;
    Ok(Version { generation, count })
}

#[cfg(test)]
mod tests {
    use contract::FactKind;

    use super::*;

    const RECORD: RecordDigest = RecordDigest([1; 32]);

    fn withdrawal(only_if_sent: bool) -> Draft {
        let body = Body::Withdrawn { kind: FactKind::Vaccination };
        Draft { record: RECORD, content: ContentDigest([0; 16]), body, only_if_sent }
    }

    fn assertion(content: u8) -> Draft {
        let pseudonym = contract::Pseudonym {
            scheme: contract::Scheme::Snils,
            suite: contract::Suite::Hmac,
            epoch: 1,
            value: [9; 32],
        };
        let occurred_on = contract::PartialDate::from_year(2021).unwrap();
        let body = Body::Asserted {
            subject: contract::Subject::new(vec![pseudonym]).unwrap(),
            fact: contract::Fact::Recovery { began_on: None, occurred_on },
        };
        Draft { record: RECORD, content: ContentDigest([content; 16]), body, only_if_sent: false }
    }

    fn known(content: u8, generation: u32, withdrawn: bool) -> Known {
        let version = Version { generation, count: 7 };
        Known { content: ContentDigest([content; 16]), version, withdrawn }
    }

    #[test]
    fn verdicts_within_a_generation() {
        let asserted = known(1, 1, false);
        let withdrawn = known(0, 1, true);
        assert_eq!(judge(&assertion(1), None, 1), Verdict::New);
        assert_eq!(judge(&assertion(1), Some(&asserted), 1), Verdict::Unchanged);
        assert_eq!(judge(&assertion(2), Some(&asserted), 1), Verdict::Corrected);
        assert_eq!(judge(&assertion(1), Some(&withdrawn), 1), Verdict::Corrected, "asserted again");
        assert_eq!(judge(&withdrawal(true), None, 1), Verdict::Unchanged, "never sent");
        assert_eq!(judge(&withdrawal(false), None, 1), Verdict::Withdrawn);
        assert_eq!(judge(&withdrawal(true), Some(&asserted), 1), Verdict::Withdrawn);
        assert_eq!(judge(&withdrawal(true), Some(&withdrawn), 1), Verdict::Unchanged);
        assert_eq!(judge(&withdrawal(false), Some(&withdrawn), 1), Verdict::Unchanged);
    }

    #[test]
    fn everything_is_said_again_in_a_later_generation() {
        assert_eq!(judge(&assertion(1), Some(&known(1, 1, false)), 2), Verdict::Resent);
        assert_eq!(judge(&assertion(2), Some(&known(1, 1, false)), 2), Verdict::Corrected);
        assert_eq!(judge(&withdrawal(true), Some(&known(0, 1, true)), 2), Verdict::Resent);
        assert_eq!(judge(&withdrawal(true), None, 2), Verdict::Withdrawn, "the lost state may have sent it");
        assert_eq!(next_version(Some(&known(1, 1, false)), 2).unwrap(), Version { generation: 2, count: 1 });
        assert_eq!(next_version(Some(&known(1, 2, false)), 2).unwrap(), Version { generation: 2, count: 8 });
    }

    #[test]
    fn last_draft_of_a_record_counts() {
        let other = Draft { record: RecordDigest([0; 32]), ..assertion(5) };
        let (kept, fallen) = last_of_each(vec![assertion(1), other.clone(), assertion(2)]);
        assert_eq!((kept, fallen), (vec![other, assertion(2)], 1));
    }
}
