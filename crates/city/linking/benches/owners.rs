//! Cost of proving who made a record: an owner token beside an Ed25519 signature, in one run.
//!
//! `cargo bench -p linking`. Decision 26 rests on the ratio.

#![expect(clippy::print_stdout, reason = "the benchmark prints its figures")]

use std::hint::black_box;
use std::time::Duration;

use clock::{Clock, SystemClock};
use contract::{BatchId, OwnerToken, Receipt, ReceiptSigner, RecordDigest, UnreadableReason};
use linking::SecondLayerKey;

/// Records that each way is measured over.
const RECORDS: u32 = 100_000;

fn main() {
    let clock = SystemClock::default();
    let key = SecondLayerKey::generate();
    let token = OwnerToken([7; 16]);
    let record_of = |number: u32| {
        let mut record = RecordDigest([9; 32]);
        record.0[..4].copy_from_slice(&number.to_be_bytes());
        record
    };
    let tokens = time(&clock, || {
        for number in 0..RECORDS {
            black_box(key.owner(&record_of(number), &token));
        }
    });
    // The contract's signatures are over a message of receipts; the smallest is little more than
    // the signature itself.
    let signer = ReceiptSigner::generate();
    let verifier = signer.verifier();
    let receipt = Receipt::unreadable(BatchId([1; 16]), UnreadableReason::OtherKey);
    let signed = signer.sign(&[receipt]);
    let checks = RECORDS / 100;
    let signatures = time(&clock, || {
        for _ in 0..checks {
            black_box(verifier.open(&signed).expect("the signer's own signature"));
        }
    }) * 100;
    let each = |whole: Duration| whole.as_secs_f64() * 1e6 / f64::from(RECORDS);
    println!("owner token, digest of one        {:>8.2} us", each(tokens));
    println!(
        "Ed25519 signature, check of one   {:>8.2} us",
        each(signatures)
    );
    println!(
        "a signature costs {:.0} times a token; and 64 bytes in each event beside 16",
        signatures.as_secs_f64() / tokens.as_secs_f64()
    );
}

fn time(clock: &dyn Clock, work: impl FnOnce()) -> Duration {
    let begun = clock.elapsed();
    work();
    clock.elapsed().saturating_sub(begun)
}
