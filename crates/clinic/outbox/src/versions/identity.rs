//! The identity of an outbox: which one it is, in which generation, and how far it has come.

use record_secrets::{MAX_FIRST_FORM_GENERATION, MAX_GENERATION};

use crate::file::OutboxError;

/// Identity of an outbox; in the database's `meta` row and in the generation file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) outbox_id: [u8; 16],
    pub(crate) generation: u32,
    /// Number that rises with every commit that gives out versions.
    pub(crate) stamp: u64,
}

impl Identity {
    /// Identity with its generation brought down, if need be, to the last of the contract's first
    /// version that counts. Whoever stood behind a receipt could then raise a gateway beyond all
    /// generations there are now.
    pub(crate) fn of_first_form(self) -> Self {
        Self {
            generation: self.generation.min(MAX_FIRST_FORM_GENERATION),
            ..self
        }
    }
}

/// Reason for a risen generation, as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RaiseReason {
    Lost,
    CopiedBack,
    Swapped,
    GenerationFileLost,
    Configured,
    NewContract,
    /// Reason given at run time.
    Given(&'static str),
}

impl RaiseReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "the outbox file was lost",
            Self::CopiedBack => "an older outbox file was copied back",
            Self::Swapped => "the outbox file was replaced by another one",
            Self::GenerationFileLost => "the .generation file was lost",
            Self::Configured => "min_generation was raised",
            Self::NewContract => "the outbox is from before version 2 of the contract",
            Self::Given(why) => why,
        }
    }
}

/// Compares the database with the generation file: the identity to go on with, and the reason if
/// the generation rises. `fresh_id` names an outbox that nobody has seen before.
///
/// # Errors
/// [`OutboxError::Exhausted`] after the last generation.
pub(crate) fn compare(
    database: Option<Identity>,
    file: Option<Identity>,
    min_generation: u32,
    fresh_id: [u8; 16],
) -> Result<(Identity, Option<RaiseReason>), OutboxError> {
    let (latest, reason) = match (database, file) {
        (None, None) => {
            let first = Identity {
                outbox_id: fresh_id,
                generation: min_generation,
                stamp: 0,
            };
            (first, None)
        }
        (None, Some(file)) => (file, Some(RaiseReason::Lost)),
        // A crash at the very first start leaves a database without a file; nothing had left it.
        (Some(database), None) => {
            let has_given_out = database.stamp > 0;
            (
                database,
                has_given_out.then_some(RaiseReason::GenerationFileLost),
            )
        }
        (Some(database), Some(file)) => compare_both(database, file),
    };
    let too_low = latest.generation < min_generation;
    let Some(reason) = reason.or(too_low.then_some(RaiseReason::Configured)) else {
        return Ok((latest, None));
    };
    let generation = latest.generation.saturating_add(1).max(min_generation);
    if generation > MAX_GENERATION {
        return Err(OutboxError::Exhausted { what: "generation" });
    }
    let risen = Identity {
        generation,
        stamp: latest.stamp + 1,
        ..latest
    };
    Ok((risen, Some(reason)))
}

fn compare_both(database: Identity, file: Identity) -> (Identity, Option<RaiseReason>) {
    let latest = Identity {
        outbox_id: file.outbox_id,
        generation: database.generation.max(file.generation),
        stamp: database.stamp.max(file.stamp),
    };
    let reason = if database.outbox_id != file.outbox_id {
        Some(RaiseReason::Swapped)
    } else if database.stamp < file.stamp || database.generation < file.generation {
        Some(RaiseReason::CopiedBack)
    } else {
        None
    };
    (latest, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn identity(generation: u32, stamp: u64) -> Identity {
        Identity {
            outbox_id: ID,
            generation,
            stamp,
        }
    }

    fn outcome(
        database: Option<Identity>,
        file: Option<Identity>,
        min: u32,
    ) -> (u32, Option<RaiseReason>) {
        let (identity, reason) = compare(database, file, min, ID).unwrap();
        (identity.generation, reason)
    }

    #[test]
    fn generation_rises_only_when_versions_could_be_given_out_twice() {
        assert_eq!(outcome(None, None, 1), (1, None), "a first start");
        assert_eq!(
            outcome(Some(identity(1, 0)), None, 1),
            (1, None),
            "a first start that crashed"
        );
        assert_eq!(
            outcome(Some(identity(2, 9)), Some(identity(2, 9)), 1),
            (2, None),
            "a usual start"
        );
        assert_eq!(
            outcome(Some(identity(2, 9)), Some(identity(2, 7)), 1),
            (2, None),
            "killed before the file was written"
        );
        assert_eq!(
            outcome(Some(identity(2, 9)), Some(identity(1, 7)), 1),
            (2, None),
            "killed while it rose"
        );
        assert_eq!(
            outcome(None, Some(identity(3, 5)), 1),
            (4, Some(RaiseReason::Lost))
        );
        assert_eq!(
            outcome(Some(identity(2, 5)), Some(identity(2, 6)), 1),
            (3, Some(RaiseReason::CopiedBack))
        );
        assert_eq!(
            outcome(Some(identity(1, 50)), Some(identity(2, 6)), 1),
            (3, Some(RaiseReason::CopiedBack))
        );
        assert_eq!(
            outcome(Some(identity(2, 5)), None, 1),
            (3, Some(RaiseReason::GenerationFileLost))
        );
        let stranger = Identity {
            outbox_id: [8; 16],
            ..identity(1, 99)
        };
        assert_eq!(
            outcome(Some(stranger), Some(identity(4, 6)), 1),
            (5, Some(RaiseReason::Swapped))
        );
        assert_eq!(outcome(None, None, 6), (6, None));
        assert_eq!(
            outcome(Some(identity(2, 5)), Some(identity(2, 5)), 6),
            (6, Some(RaiseReason::Configured))
        );
    }

    #[test]
    fn risen_generation_settles_at_the_next_start() {
        let (risen, _) = compare(Some(identity(2, 5)), Some(identity(2, 8)), 1, ID).unwrap();
        assert_eq!(risen, identity(3, 9));
        assert_eq!(
            outcome(Some(risen), Some(identity(2, 8)), 1),
            (3, None),
            "the file could not be written yet"
        );
        assert!(compare(None, Some(identity(MAX_GENERATION, 1)), 1, ID).is_err());
    }
}
