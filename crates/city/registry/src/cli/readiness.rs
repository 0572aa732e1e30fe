//! One readiness out of several consumers' own: the program is ready when each of them is.

use std::sync::{Arc, Mutex, PoisonError};

use telemetry::http::Health;

/// Each consumer's trouble; `None` where it is ready.
type Troubles = Arc<Mutex<Vec<Option<String>>>>;

/// One consumer's part in the program's readiness.
#[derive(Debug, Clone)]
pub(super) struct Share {
    health: Health,
    troubles: Troubles,
    index: usize,
}

/// `count` shares in `health`, all not ready yet.
pub(super) fn shares(health: &Health, count: usize) -> Vec<Share> {
    let troubles: Troubles = Arc::new(Mutex::new(vec![Some("starting".into()); count]));
    let share = |index| Share {
        health: health.clone(),
        troubles: Arc::clone(&troubles),
        index,
    };
    (0..count).map(share).collect()
}

impl Share {
    /// This consumer reaches all it needs.
    pub(super) fn set_ready(&self) {
        self.set(None);
    }

    /// It does not; `why` is one of the program's own sentences.
    pub(super) fn set_unready(&self, why: String) {
        self.set(Some(why));
    }

    fn set(&self, trouble: Option<String>) {
        // Told under the lock, so that the last word is about the last state.
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles[self.index] = trouble;
        match troubles.iter().flatten().next() {
            None => self.health.set_ready(),
            Some(why) => self.health.set_unready(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_consumer_in_trouble_is_enough() {
        let health = Health::default();
        let shares = shares(&health, 2);
        let says = |words: &str| assert!(format!("{health:?}").contains(words), "{health:?}");
        shares[0].set_ready();
        says("ready: false");
        shares[1].set_ready();
        says("ready: true");
        shares[1].set_unready("the store is away".into());
        shares[0].set_ready();
        says("ready: false");
        says("the store is away");
        shares[1].set_ready();
        says("ready: true");
    }
}
