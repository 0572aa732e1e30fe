//! Signed revocation lists: which key may sign them, and which list a verifier takes.

use crate::container::{ContainerFault, Envelope};
use crate::keys::SigningKey;
use crate::product::Product;
use crate::revocation::{DeltaError, PayloadError, RevocationList, RevocationPayload};
use crate::trust::TrustBundle;

/// Fault of a signed revocation list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// The bytes are no COSE_Sign1 by ES256.
    #[error("the revocation list cannot be read: {0}")]
    Container(#[from] ContainerFault),
    /// No key of the trust bundle that is for revocation lists signed the list.
    #[error("the revocation list is not signed by a key of the trust bundle that is for them")]
    Signature,
    /// The key's time does not contain the list's time of issue.
    #[error("the key of the revocation list was not valid when the list was issued")]
    KeyTime,
    /// The payload is no list.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// A revocation list as a tagged COSE_Sign1 by a key that is for them.
#[must_use]
pub fn sign_revocations(list: &RevocationPayload, key: &SigningKey) -> Vec<u8> {
    key.seal(list.to_bytes())
}

impl TrustBundle {
    /// Opens a revocation list that a key of this bundle signed.
    ///
    /// # Errors
    /// The first fault: container, signer, payload, the key's time.
    pub fn open_revocations(&self, cose: &[u8]) -> Result<RevocationPayload, ListFault> {
        let envelope = Envelope::open_es256(cose)?;
        let key = self
            .key(&envelope.kid)
            .filter(|key| key.is_for(Product::Revocations) && key.key.verifies(&envelope))
            .ok_or(ListFault::Signature)?;
        let list = RevocationPayload::from_bytes(&envelope.payload)?;
        if key.is_valid_at(list.edition().issued_at()) {
            Ok(list)
        } else {
            Err(ListFault::KeyTime)
        }
    }
}

/// Reason why a verifier refuses a revocation list that was signed rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListRefusal {
    /// The list is older than the one that is held, or than the trust bundle knows of.
    #[error("the revocation list {offered} is older than {known}, which is known: a replay")]
    Replay {
        /// Sequence of the list that was offered.
        offered: u64,
        /// Lowest sequence that would be taken.
        known: u64,
    },
    /// The list has the sequence of the one held and other tags, or an earlier time of issue.
    #[error("two different revocation lists have the sequence {0}")]
    Conflict(u64),
    /// The delta does not fit what is held.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// A delta came where no list is held.
    #[error("a delta of the revocation list came first; fetch the whole list")]
    NoBase,
}

/// List that a verifier holds after it was offered a whole one or a delta.
///
/// # Errors
/// The reason why the list is refused; what is held stays then.
pub fn take_revocations(
    held: Option<&RevocationList>,
    offered: RevocationPayload,
    trust: &TrustBundle,
) -> Result<RevocationList, ListRefusal> {
    let list = match offered {
        RevocationPayload::Whole(list) => list,
        RevocationPayload::Delta(delta) => delta.apply(held.ok_or(ListRefusal::NoBase)?)?,
    };
    let offered = list.edition().sequence();
    let held_sequence = held.map_or(0, |held| held.edition().sequence());
    let known = held_sequence.max(trust.lowest_revocations);
    if offered < known {
        return Err(ListRefusal::Replay { offered, known });
    }
    let differs = |held: &RevocationList| {
        let earlier = list.edition().issued_at() < held.edition().issued_at();
        earlier || list.tags() != held.tags()
    };
    if offered == held_sequence && held.is_some_and(differs) {
        return Err(ListRefusal::Conflict(offered));
    }
    Ok(list)
}
