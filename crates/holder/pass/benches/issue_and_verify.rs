//! Cost of issuing and of verifying a strip beside the bare ES256 of ring, interleaved in one run.
//!
//! `cargo bench -p pass`. A ratio is the time of the bare operation by the time of ours. Goals, on
//! one core: 0.80 for issue, 0.75 for verification. The median of the rounds counts, since each
//! round runs both ways one after the other under the same load.

#![expect(clippy::print_stdout, reason = "the benchmark prints its figures")]

use std::hint::black_box;

use chrono::{DateTime, TimeDelta, Utc};
use clock::{Clock, SystemClock};
use pass::PassId;
use pass::Product;
use pass::container::{Envelope, from_text};
use pass::holder::{BirthDate, HolderAttributes};
use pass::keys::SigningKey;
use pass::revocation::{Edition, RevocationList, Tag, TagSet};
use pass::strip::issue_strip;
use pass::trust::{TrustBundle, TrustedKey};
use pass::verify::{Held, Verdict, verify};
use pass::window::Window;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};

/// Number of rounds; each runs every operation [`BATCH`] times.
const ROUNDS: usize = 400;
/// Number of runs of an operation in a round.
const BATCH: u32 = 50;
/// Number of passes on the revocation list.
const REVOKED: u64 = 100_000;
const ISSUER: &str = "RU-MOW";

struct City {
    key: SigningKey,
    trust: TrustBundle,
    revocations: RevocationList,
    now: DateTime<Utc>,
    window: Window,
    holder: HolderAttributes,
}

impl City {
    fn new(now: DateTime<Utc>) -> Self {
        let key = SigningKey::generate();
        let day = TimeDelta::days(1);
        let trusted = TrustedKey {
            key: *key.public(),
            from: now - day,
            until: now + day,
            products: vec![Product::City],
        };
        // Spread over the whole range, as ids of passes are.
        let tags = (0..REVOKED).filter_map(|number| Tag::new(number.wrapping_mul(2_654_435_761)));
        let tags = TagSet::new(tags.collect()).expect("fewer tags than a list holds");
        let edition = Edition::new(1, now).expect("a list of today");
        Self {
            key,
            trust: TrustBundle {
                sequence: 1,
                issued_at: now,
                keys: vec![trusted],
                lowest_revocations: 1,
                issuer: ISSUER.into(),
            },
            revocations: RevocationList::new(edition, tags),
            now,
            window: Window::new(now - day, now + day).expect("two days"),
            holder: HolderAttributes::new(
                None,
                None,
                BirthDate::new(Some(14), Some(3)).expect("14 March"),
            ),
        }
    }

    fn issue(&self) -> String {
        let id = PassId([0xff; 8]);
        issue_strip(&self.key, ISSUER, self.window, id, self.holder)
    }

    fn verify(&self, text: &str) -> Verdict {
        let held = Held {
            trust: &self.trust,
            revocations: &self.revocations,
        };
        verify(text, Some(held), self.now)
    }
}

fn main() {
    let clock = SystemClock::default();
    let city = City::new(clock.now());
    let strip = city.issue();
    assert_eq!(city.verify(&strip), Verdict::Valid(city.holder));
    let cose = from_text(&strip).expect("a strip that was just issued");
    let signed = Envelope::open(&cose)
        .expect("a strip that was just issued")
        .signed;

    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .expect("randomness");
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let bare = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a new key");
    let signature = bare.sign(&random, &signed).expect("randomness");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bare.public_key().as_ref());

    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        figures[0].push(time(&clock, || bare.sign(&random, &signed)));
        figures[1].push(time(&clock, || city.issue()));
        figures[2].push(time(&clock, || public.verify(&signed, signature.as_ref())));
        figures[3].push(time(&clock, || city.verify(&strip)));
    }
    print("issue", 0.80, &figures[0], &figures[1]);
    print("verify", 0.75, &figures[2], &figures[3]);
    println!(
        "strip: {} bytes of COSE, {} characters",
        cose.len(),
        strip.len()
    );
}

/// Microseconds that one run of an operation takes.
fn time<T>(clock: &dyn Clock, operation: impl Fn() -> T) -> f64 {
    let begun = clock.elapsed();
    for _ in 0..BATCH {
        black_box(operation());
    }
    let whole = clock.elapsed().saturating_sub(begun);
    whole.as_secs_f64() * 1e6 / f64::from(BATCH)
}

fn print(name: &str, goal: f64, bare: &[f64], ours: &[f64]) {
    let ratios = bare.iter().zip(ours).map(|(bare, ours)| bare / ours);
    println!(
        "{name:<6} ratio {:.3} (goal {goal:.2}); bare {:.1} us, ours {:.1} us",
        median(ratios.collect()),
        median(bare.to_vec()),
        median(ours.to_vec()),
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
