//! Batches without an event, which gateways send as dummies: taken, answered, and stored nowhere.

use chrono::{DateTime, Utc};
use contract::{Answer, PaddedSizes, Receipt, Sealer, StoredAnswer, Vaccine, Verdict, wire};
use registry::ConsumeStep;

use crate::world::{NOW, World, asserted, dose};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

/// Bytes of a signed message with one receipt.
fn told_bytes(told: &Receipt, signer: &contract::ReceiptSigner) -> usize {
    signer.sign(std::slice::from_ref(told)).len()
}

#[tokio::test]
async fn a_batch_without_an_event_changes_nothing_and_is_answered_like_any_other() {
    let mut world = World::small().await;
    world.answers().await;
    let fact = [asserted(1, 1, 1, dose(Vaccine::SputnikV, "2021-06-01"))];
    let (stated, stated_key) = world.send(&fact).await;
    world.registry.drain().await.unwrap();
    let before = world.registry.reader().stats().await.unwrap();
    // By itself, and beside a fact that is stored already.
    let (alone, alone_key) = world.send(&[]).await;
    world.registry.drain().await.unwrap();
    let (beside, beside_key) = world.send(&[]).await;
    world.send_again(&stated).await;
    let step = world.registry.consume_once(now()).await.unwrap();
    let ConsumeStep::Done { dead, outcome, .. } = step else {
        panic!("{step:?}")
    };
    world.registry.drain().await.unwrap();
    assert_eq!((dead, outcome.applied, outcome.refused), (0, 0, 0));
    assert_eq!(world.registry.reader().stats().await.unwrap(), before);
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 0));

    let told = world.answers().await;
    let receipt = |id| {
        let mut of_batch = told.iter().filter(|receipt| receipt.batch() == id);
        of_batch.next().expect("a receipt")
    };
    let answer = Verdict::Answered(Answer::Stored(StoredAnswer::default()));
    assert_eq!(receipt(alone.id).read(&alone_key), Ok(answer.clone()));
    assert_eq!(receipt(beside.id).read(&beside_key), Ok(answer));
    assert!(receipt(stated.id).read(&stated_key).is_ok());
    let signer = contract::ReceiptSigner::generate();
    assert_eq!(
        told_bytes(receipt(alone.id), &signer),
        told_bytes(receipt(stated.id), &signer),
        "receipts have one size"
    );
    world.registry.close().await;
}

#[test]
fn a_batch_without_an_event_has_the_smallest_size() {
    let key = contract::PrivateKey::generate();
    let mut sealer = Sealer::with_token_room(&key.public());
    for size in PaddedSizes::ALL.iter() {
        let sizes = PaddedSizes::new(&[size]).unwrap();
        let sealed = sealer.compress(&[]).unwrap().seal_in(sizes).unwrap().0;
        let opened = key.open(&sealed.bytes).unwrap();
        assert_eq!(wire::decode(&opened.encoded), Ok(Vec::new()));
        assert!(sealed.bytes.len() < size + 128);
    }
}
