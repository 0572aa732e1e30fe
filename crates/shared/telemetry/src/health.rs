//! Readiness of a program, and of the parts that it depends on.

use std::sync::Arc;

use parking_lot::Mutex;

/// Readiness of the program, shared with the endpoint that serves it.
#[derive(Debug, Clone)]
pub struct Health {
    /// Reason for not being ready; `None` while ready.
    reason: Arc<Mutex<Option<String>>>,
}

/// Readiness of one of several equal parts, such as a consumer. The program is ready when all parts
/// are.
#[derive(Debug, Clone)]
pub struct HealthPart {
    health: Health,
    /// Reason of each part for not being ready; `None` while it is ready.
    reasons: Arc<Mutex<Vec<Option<String>>>>,
    index: usize,
}

impl Default for Health {
    /// Makes the health of a program that is starting.
    fn default() -> Self {
        Self {
            reason: Arc::new(Mutex::new(Some(STARTING.to_owned()))),
        }
    }
}

/// Reason for not being ready before anything was set.
const STARTING: &str = "starting";

impl Health {
    /// Marks the program as ready: everything that it needs answers.
    pub fn set_ready(&self) {
        *self.reason.lock() = None;
    }

    /// Marks the program as not ready; `reason` is one of the program's own sentences.
    pub fn set_unready(&self, reason: impl Into<String>) {
        *self.reason.lock() = Some(reason.into());
    }

    /// Returns the reason for not being ready, or `None` while the program is ready.
    #[must_use]
    pub fn reason_unready(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// Divides readiness among `count` parts, none of which is ready yet.
    #[must_use]
    pub fn parts(&self, count: usize) -> Vec<HealthPart> {
        let reasons = Arc::new(Mutex::new(vec![Some(STARTING.to_owned()); count]));
        let part = |index| HealthPart {
            health: self.clone(),
            reasons: Arc::clone(&reasons),
            index,
        };
        (0..count).map(part).collect()
    }
}

impl HealthPart {
    /// Marks this part as ready.
    pub fn set_ready(&self) {
        self.set(None);
    }

    /// Marks this part as not ready; `reason` is one of the program's own sentences.
    pub fn set_unready(&self, reason: String) {
        self.set(Some(reason));
    }

    fn set(&self, reason: Option<String>) {
        // The program's state is set under the lock, so that the last call decides it.
        let mut reasons = self.reasons.lock();
        reasons[self.index] = reason;
        match reasons.iter().flatten().next() {
            None => self.health.set_ready(),
            Some(reason) => self.health.set_unready(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_in_trouble_is_enough() {
        let health = Health::default();
        let parts = health.parts(2);
        let reason = || health.reason_unready();
        parts[0].set_ready();
        assert_eq!(reason().as_deref(), Some("starting"));
        parts[1].set_ready();
        assert_eq!(reason(), None);
        parts[1].set_unready("the store is away".into());
        parts[0].set_ready();
        assert_eq!(reason().as_deref(), Some("the store is away"));
        parts[1].set_ready();
        assert_eq!(reason(), None);
    }
}
