//! Choice of a verifier that is offered a bundle: it takes never an older one, never a second one
//! of the same sequence, never one from the future of its clock.

use chrono::{DateTime, TimeDelta, Utc};
use ring::digest::{SHA256, digest};

use crate::keys::PublicKey;
use crate::trust::{TrustBundle, TrustFault};

/// Time by which a device's clock may be behind a bundle's time of issue.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Bundle that was opened with the pinned root, and the digest of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBundle {
    bundle: TrustBundle,
    digest: [u8; 32],
}

impl HeldBundle {
    /// Opens a bundle that the pinned root signed for the pinned issuer.
    ///
    /// # Errors
    /// As [`TrustBundle::open`].
    ///
    /// # Panics
    /// Never: a SHA-256 digest has 32 bytes.
    pub fn open(cose: &[u8], root: &PublicKey, issuer: &str) -> Result<Self, TrustFault> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, cose).as_ref());
        Ok(Self {
            bundle: TrustBundle::open(cose, root, issuer)?,
            digest: bytes,
        })
    }

    /// Contents of the bundle.
    #[must_use]
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }
}

/// Fate of a bundle that a verifier was offered and does not refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The bundle is newer: it takes the place of the one that is held.
    Newer,
    /// The bundle is the one that is held, to the byte.
    Same,
}

/// Reason why a verifier refuses a bundle that the root did sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bundle is older than the one held.
    #[error("the offered trust bundle {offered} is older than the held one {held}: a replay")]
    Replay {
        /// Sequence of the bundle that is held.
        held: u64,
        /// Sequence of the bundle that was offered.
        offered: u64,
    },
    /// The bundle has the sequence of the one held and other bytes.
    #[error("two different trust bundles have the sequence {0}")]
    Conflict(u64),
    /// The bundle was issued more than [`CLOCK_TOLERANCE`] in the future of the device's clock.
    #[error("the trust bundle was issued at {0}, which the clock has not reached; set the clock")]
    ClockWrong(DateTime<Utc>),
}

impl Refusal {
    /// Stable name of the reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replay { .. } => "trust-replay",
            Self::Conflict(_) => "trust-conflict",
            Self::ClockWrong(_) => "clock-wrong",
        }
    }
}

/// Judges a bundle that is offered to a verifier that holds one, or none yet.
///
/// # Errors
/// The reason why the bundle is refused; what is held stays then.
pub fn judge_offer(
    held: Option<&HeldBundle>,
    offered: &HeldBundle,
    now: DateTime<Utc>,
) -> Result<Offer, Refusal> {
    let sequence = offered.bundle.sequence;
    if let Some(held) = held {
        if sequence < held.bundle.sequence {
            return Err(Refusal::Replay {
                held: held.bundle.sequence,
                offered: sequence,
            });
        }
        if sequence == held.bundle.sequence {
            let same = offered.digest == held.digest;
            return if same {
                Ok(Offer::Same)
            } else {
                Err(Refusal::Conflict(sequence))
            };
        }
    }
    if is_clock_behind(now, offered.bundle.issued_at) {
        return Err(Refusal::ClockWrong(offered.bundle.issued_at));
    }
    Ok(Offer::Newer)
}

/// True where the clock is behind a time of issue by more than [`CLOCK_TOLERANCE`].
pub(crate) fn is_clock_behind(now: DateTime<Utc>, issued_at: DateTime<Utc>) -> bool {
    issued_at.signed_duration_since(now) > CLOCK_TOLERANCE
}
