//! Tests of names that more sets state than are read, and of what they leave behind.

use linking::MAX_COMPONENT_SETS;

use super::*;

const HUB: u8 = 200;

/// Person with a SNILS and the hub as its passport, and one without a SNILS.
fn honest() -> Vec<IncomingEvent> {
    let hub = name(Scheme::PassportRu, HUB);
    vec![
        event(1, 1, Some(vec![name(Scheme::Snils, 1), hub])),
        event(
            2,
            1,
            Some(vec![name(Scheme::Oms, 2), name(Scheme::PassportForeign, 2)]),
        ),
    ]
}

/// Records that join the two persons, and then make the passport a hub.
fn forged() -> Vec<IncomingEvent> {
    let hub = name(Scheme::PassportRu, HUB);
    let join = event(10, 1, Some(vec![hub, name(Scheme::Oms, 2)]));
    let more = u8::try_from(MAX_COMPONENT_SETS).unwrap() + 8;
    let others = (0..more).map(|number| {
        let other = name(Scheme::ResidencePermit, 20 + number);
        event(20 + number, 1, Some(vec![hub, other]))
    });
    std::iter::once(join).chain(others).collect()
}

fn withdrawal(of: &IncomingEvent) -> IncomingEvent {
    event(of.record.stored[0], 2, None)
}

async fn forged_records_that_are_withdrawn_one_by_one_leave_nothing(store: &Store) {
    let honest = honest();
    apply_all(store, &honest, 1).await;
    let forged = forged();
    apply_all(store, &forged, 1).await;
    // While the passport is a hub it is a person by itself, and nobody is joined through it.
    let (facts, persons) = content(store).await;
    assert!(persons.contains(&BTreeSet::from([name(Scheme::PassportRu, HUB).value])));
    let first = facts.iter().find(|fact| fact.record == [1; 32]).unwrap();
    assert_eq!(first.subject, [name(Scheme::Snils, 1)]);
    for event in &forged {
        apply_all(store, &[withdrawal(event)], 1).await;
    }
    let (_, persons) = content(store).await;
    assert_eq!(persons, expected_persons(&honest));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.subjects, stats.conflicts), (2, 0));
}

/// Withdrawals in every order of the two ends.
async fn no_order_of_withdrawals_matters(store: &Store) {
    let honest = honest();
    for backwards in [false, true] {
        let mut forged: Vec<IncomingEvent> = forged()
            .into_iter()
            .map(|event| IncomingEvent {
                version: if backwards { 5 } else { 3 },
                ..event
            })
            .collect();
        apply_all(store, &forged, 7).await;
        if backwards {
            forged.reverse();
        }
        for event in &forged {
            let withdrawal = IncomingEvent {
                version: event.version + 1,
                ..withdrawal(event)
            };
            apply_all(store, &[withdrawal], 1).await;
        }
        assert_eq!(content(store).await.1, expected_persons(&honest));
    }
}

#[tokio::test]
async fn hubs_on_sqlite() {
    let (_folder, store) = sqlite().await;
    forged_records_that_are_withdrawn_one_by_one_leave_nothing(&store).await;
    no_order_of_withdrawals_matters(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn hubs_on_postgres() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let store = on_postgres::open(&server, "hubs").await;
    forged_records_that_are_withdrawn_one_by_one_leave_nothing(&store).await;
    no_order_of_withdrawals_matters(&store).await;
    store.close().await;
}
