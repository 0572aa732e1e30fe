//! The trust bundle and the revocation list, from files.

use chrono::{DateTime, Utc};
use pass::revocation::RevocationList;
use pass::trust::{HeldBundle, Refusal, judge_offer, take_revocations};
use program::terminal::visible;

use super::root::Root;
use crate::cli::VerifyArguments;
use crate::input::{InputError, Source};

/// Data that could be opened, and why others could not.
pub(super) struct Loaded {
    /// Trust bundle that the root signed.
    pub(super) trust: Option<HeldBundle>,
    /// Revocation list that a key of the bundle signed.
    pub(super) revocations: Option<RevocationList>,
    /// Faults of the data in words, for the person at the door.
    pub(super) notes: Vec<String>,
}

/// Opens trust bundle and revocation lists. Data that are not what they should be are left out, so
/// that nothing is told of any pass; a file that cannot be read at all is an error.
pub(super) fn load(
    asked: &VerifyArguments,
    root: &Root,
    now: DateTime<Utc>,
) -> Result<Loaded, InputError> {
    let mut loaded = Loaded {
        trust: None,
        revocations: None,
        notes: Vec::new(),
    };
    let trust = Source::of(&asked.trust).read()?;
    match HeldBundle::open(&trust, &root.key, &root.issuer) {
        Ok(trust) => loaded.trust = Some(trust),
        Err(fault) => loaded.notes.push(visible(&fault.to_string()).into_owned()),
    }
    if let Some(path) = &asked.known_trust {
        hold_against(&mut loaded, &Source::of(path).read()?, root, now);
    }
    for path in &asked.revocations {
        let list = Source::of(path).read()?;
        if let Err(words) = take(&mut loaded, &list) {
            // A list that does not fit is not skipped: the ones after it may rest on it.
            loaded.revocations = None;
            loaded.notes.push(words);
            break;
        }
    }
    Ok(loaded)
}

/// Refuses the trust bundle if it is older than one that is known already.
fn hold_against(loaded: &mut Loaded, known: &[u8], root: &Root, now: DateTime<Utc>) {
    let Some(offered) = &loaded.trust else {
        return;
    };
    let refused = match HeldBundle::open(known, &root.key, &root.issuer) {
        Err(fault) => Some(format!("of the known bundle: {fault}")),
        Ok(known) => match judge_offer(Some(&known), offered, now) {
            // The verdict tells of the clock.
            Ok(_) | Err(Refusal::ClockWrong(_)) => None,
            Err(refusal) => Some(refusal.to_string()),
        },
    };
    if let Some(words) = refused {
        loaded.trust = None;
        loaded.notes.push(visible(&words).into_owned());
    }
}

fn take(loaded: &mut Loaded, list: &[u8]) -> Result<(), String> {
    let Some(trust) = &loaded.trust else {
        return Ok(());
    };
    let trust = trust.bundle();
    let offered = trust
        .open_revocations(list)
        .map_err(|fault| fault.to_string())?;
    let taken = take_revocations(loaded.revocations.as_ref(), offered, trust);
    loaded.revocations = Some(taken.map_err(|refusal| refusal.to_string())?);
    Ok(())
}
