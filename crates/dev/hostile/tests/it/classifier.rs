//! Registry's database, by which the clinics must not be told apart.

use std::collections::HashMap;

use contract::{ContentDigest, Event, Scheme, Version};
use hostile::classifier::{Accuracy, accuracy, label, rows};
use hostile::people::{fact, name};
use hostile::{City, Clinic, DATABASE, size};

/// Way in which the events differ from what gateways send.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// Versions as they were before: generation and count.
    OldVersions,
    /// Content digests of withdrawals as they were before: one constant of each clinic.
    OldWithdrawals,
}

/// Events of one clinic: a fact of each person, some of them corrected, every third withdrawn.
fn events(clinic: &mut Clinic, persons: u32, corrections: u32) -> Vec<Event> {
    let mut events = Vec::new();
    for person in 0..persons {
        let names = [
            name(Scheme::Snils, person),
            name(Scheme::PassportRu, person),
        ];
        for correction in (0..=corrections).rev() {
            events.push(clinic.state(person, &names, fact(person + 3 * correction)));
        }
        if person.is_multiple_of(3) {
            events.extend(clinic.withdraw(person));
        }
    }
    events
}

fn plant(events: &mut [Event], planted: Planted, generation: u64) {
    let mut count: HashMap<[u8; 32], u64> = HashMap::new();
    for event in events {
        let count = count.entry(event.record.0).or_default();
        *count += 1;
        let is_withdrawn = matches!(event.body, contract::Body::Withdrawn { .. });
        match planted {
            Planted::Nothing => {}
            Planted::OldVersions => {
                event.version = Version::new(generation << 32 | *count).unwrap();
            }
            Planted::OldWithdrawals if is_withdrawn => {
                event.content = ContentDigest([generation.to_be_bytes()[7]; 16]);
            }
            Planted::OldWithdrawals => {}
        }
    }
}

/// Fills a registry from two clinics that state equal facts of the same persons, and guesses by its
/// database.
async fn guess(planted: Planted) -> Accuracy {
    let persons = 1500 * size::scale().min(10);
    let mut city = City::small().await.unwrap();
    let mut account = city.account().unwrap();
    let mut clinics = [Clinic::new(1), Clinic::in_generation(2, 3)];
    // The second one's state was restored twice, and its facts are corrections.
    let mut sent = [
        events(&mut clinics[0], persons, 0),
        events(&mut clinics[1], persons, 1),
    ];
    for (generation, events) in [1, 3].into_iter().zip(&mut sent) {
        plant(events, planted, generation);
        account.send(events).await.unwrap();
    }
    let outcome = city.work().await.unwrap();
    assert_eq!(outcome.refused, 0);
    let mut records = HashMap::new();
    for (clinic, is_second) in clinics.iter().zip([false, true]) {
        records.extend((0..persons).map(|person| (clinic.record(person), (is_second, person))));
    }
    let rows = rows(&city.folder().join(DATABASE)).await.unwrap();
    let reader = city.reader();
    let labelled = label(rows, &records, |record| reader.stored_record(record));
    assert_eq!(labelled.len(), 2 * persons as usize);
    accuracy(&labelled)
}

#[tokio::test]
async fn clinics_cannot_be_told_apart_by_what_the_registry_holds() {
    let accuracy = guess(Planted::Nothing).await;
    println!("{accuracy:?}; chance reaches {:.3}", accuracy.chance());
    assert!(accuracy.share < accuracy.chance(), "{accuracy:?}");
}

#[tokio::test]
async fn generations_in_versions_would_be_found() {
    let accuracy = guess(Planted::OldVersions).await;
    println!("{accuracy:?}");
    assert!(accuracy.share > 0.9, "{accuracy:?}");
}

#[tokio::test]
async fn one_content_of_all_withdrawals_would_be_found() {
    // A third of the records are withdrawn; of the others nothing is known.
    let accuracy = guess(Planted::OldWithdrawals).await;
    println!("{accuracy:?}");
    assert!(accuracy.share > 0.62, "{accuracy:?}");
}
