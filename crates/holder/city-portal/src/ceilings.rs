//! Ceiling of a client: how many requests of one address are answered in an hour.
//!
//! Hours are counted from the start of the process. An address is kept as a number of 64 bits under
//! a random key of this process, and forgotten when the hour is over.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// Time that requests are counted for, in seconds.
const HOUR: u64 = 3600;

/// Most clients that are counted in one hour; beyond, no further one is answered until the next.
const MOST_CLIENTS: usize = 1_000_000;

/// Counts of the present hour.
pub(crate) struct Ceiling {
    hour: u64,
    counts: HashMap<u64, u32>,
    most: u32,
    most_clients: usize,
    hasher: RandomState,
}

impl Ceiling {
    /// Ceiling of so many requests of one client in an hour.
    pub(crate) fn new(most: NonZeroU32) -> Self {
        Self {
            hour: 0,
            counts: HashMap::new(),
            most: most.get(),
            most_clients: MOST_CLIENTS,
            hasher: RandomState::new(),
        }
    }

    /// Counts a request of a client; returns the time until the hour is over if its ceiling is
    /// reached. `elapsed` is the time since the start of the process.
    pub(crate) fn admit(&mut self, client: IpAddr, elapsed: Duration) -> Result<(), Duration> {
        let hour = elapsed.as_secs() / HOUR;
        if hour != self.hour {
            self.hour = hour;
            self.counts.clear();
        }
        let key = self.hasher.hash_one(network(client));
        let count = self.counts.get(&key).copied();
        let is_free = match count {
            Some(count) => count < self.most,
            None => self.counts.len() < self.most_clients,
        };
        if !is_free {
            return Err(Duration::from_secs(HOUR - elapsed.as_secs() % HOUR));
        }
        self.counts.insert(key, count.unwrap_or_default() + 1);
        Ok(())
    }
}

/// Network of one subscriber: an address of IPv4, or 64 bits of IPv6.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(most: u32) -> Ceiling {
        Ceiling::new(NonZeroU32::new(most).expect("not zero"))
    }

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_is_answered_up_to_the_ceiling_and_again_in_the_next_hour() {
        let mut ceiling = ceiling(2);
        let start = Duration::from_secs(10);
        assert_eq!(ceiling.admit(at("192.0.2.1"), start), Ok(()));
        assert_eq!(ceiling.admit(at("::ffff:192.0.2.1"), start), Ok(()));
        let wait = Duration::from_secs(3590);
        assert_eq!(ceiling.admit(at("192.0.2.1"), start), Err(wait));
        assert_eq!(ceiling.admit(at("192.0.2.2"), start), Ok(()));
        assert_eq!(ceiling.admit(at("192.0.2.1"), start + wait), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let mut ceiling = ceiling(1);
        assert_eq!(ceiling.admit(at("2001:db8::1"), Duration::ZERO), Ok(()));
        assert!(ceiling.admit(at("2001:db8::2"), Duration::ZERO).is_err());
        assert_eq!(ceiling.admit(at("2001:db8:0:1::1"), Duration::ZERO), Ok(()));
    }

    #[test]
    fn beyond_the_most_clients_a_new_one_waits_and_a_known_one_does_not() {
        let mut ceiling = ceiling(5);
        ceiling.most_clients = 1;
        assert_eq!(ceiling.admit(at("192.0.2.1"), Duration::ZERO), Ok(()));
        assert!(ceiling.admit(at("192.0.2.2"), Duration::ZERO).is_err());
        assert_eq!(ceiling.admit(at("192.0.2.1"), Duration::ZERO), Ok(()));
    }
}
