//! Tests of the ceilings, at their edges.

use client_door::Fingerprint;
use contract::{Pseudonym, Scheme, Suite};

use super::*;

fn name(number: u8) -> Pseudonym {
    Pseudonym {
        scheme: Scheme::PassportRu,
        suite: Suite::Hmac,
        epoch: 1,
        value: [number; 32],
    }
}

fn subject(numbers: &[u8]) -> Subject {
    Subject::new(numbers.iter().map(|number| name(*number)).collect()).unwrap()
}

fn ceilings(of_client: u32, of_subject: u32) -> Ceilings {
    let most = |most| NonZeroU32::new(most).unwrap();
    Ceilings::new(most(of_client), most(of_subject))
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_client_is_refused_beyond_its_ceiling_until_the_hour_is_over() {
    let mut ceilings = ceilings(2, 1);
    let other = Client::Certificate(Fingerprint::of_certificate(b"1"));
    assert_eq!(ceilings.admit_client(Client::Loopback, at(10)), Ok(()));
    assert_eq!(ceilings.admit_client(Client::Loopback, at(11)), Ok(()));
    let refused = ceilings.admit_client(Client::Loopback, at(3590));
    assert_eq!(refused, Err(Wait(at(10))));
    assert_eq!(ceilings.admit_client(other, at(3590)), Ok(()));
    assert!(ceilings.admit_client(Client::Loopback, at(3599)).is_err());
    assert_eq!(ceilings.admit_client(Client::Loopback, at(3600)), Ok(()));
}

#[test]
fn names_beside_a_name_win_nothing() {
    let mut ceilings = ceilings(1, 2);
    assert!(ceilings.admit_subject(&subject(&[1]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[1, 2]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[1, 3]), at(0)).is_err());
    // What was refused has counted for none of its names.
    assert!(ceilings.admit_subject(&subject(&[3]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[3]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[3]), at(0)).is_err());
}

#[test]
fn no_more_names_are_counted_than_memory_is_set_aside_for() {
    let mut ceilings = ceilings(1, 5);
    ceilings.of_name.most_keys = 2;
    assert!(ceilings.admit_subject(&subject(&[1, 2]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[3]), at(0)).is_err());
    assert!(ceilings.admit_subject(&subject(&[1]), at(0)).is_ok());
    assert!(ceilings.admit_subject(&subject(&[3]), at(3600)).is_ok());
}
