//! Attacks on records of other clinics, by an account that knows everything that was ever written
//! about them: digests, versions, contents, sealed batches, and the registry's database.

use std::collections::BTreeMap;

use contract::{RecordDigest, RefusalReason, Scheme, Version};
use hostile::dice::Dice;
use hostile::people::{INVENTED, fact, name};
use hostile::{Account, City, Clinic, Servers, forgery, reasons, size};

use crate::honest::{Honest, Reference, accepted, send};

/// City with the honest clinics' first records, and the accounts.
struct World {
    city: City,
    honest: Honest,
    reference: Reference,
    clinics: Account,
    hostile: Account,
    /// Sender behind the hostile account.
    forger: Clinic,
}

impl World {
    async fn small() -> Self {
        let city = City::small().await.unwrap();
        let accounts = [city.account().unwrap(), city.account().unwrap()];
        Self::new(city, accounts).await
    }

    /// City on RabbitMQ and PostgreSQL, every account with the least permissions.
    async fn large(servers: &Servers, name: &str) -> Self {
        let city = City::large(servers, name).await.unwrap();
        let mut accounts = Vec::new();
        for role in ["clinic", "hostile"] {
            let user = format!("{name}-{role}");
            let queue = servers.account(name, &user).await.unwrap();
            accounts.push(city.account_on(&queue).unwrap());
        }
        Self::new(city, accounts.try_into().ok().unwrap()).await
    }

    async fn new(city: City, accounts: [Account; 2]) -> Self {
        let [clinics, hostile] = accounts;
        let mut world = Self {
            city,
            honest: Honest::new(12 * size::scale()),
            reference: Reference::new().await,
            clinics,
            hostile,
            forger: Clinic::new(666),
        };
        let first = world.honest.first();
        send(&mut world.city, &mut world.clinics, &first).await;
        world.reference.take(&first).await;
        world
    }

    /// Expects what a city holds that never saw the hostile account.
    async fn is_as_without_the_attack(&mut self) {
        let found = self.honest.findings(&self.city).await;
        let expected = self.honest.findings(&self.reference.city).await;
        assert_eq!(found.differs(&expected), []);
        let facts = expected.0.values().map(BTreeMap::len).sum::<usize>();
        assert!(
            facts >= self.honest.asserted(),
            "there is something to find"
        );
        assert_eq!(self.city.dead, 0);
    }
}

/// Corrections of the honest clinics before, beside and after forgeries of every record.
async fn forgeries(mut world: World) {
    let victims: Vec<_> = world.honest.newest().cloned().collect();
    let forged = victims.iter();
    let forged = forged.flat_map(|victim| forgery::of_record(victim, &world.forger));
    let mut forged: Vec<_> = forged.collect();
    Dice::new(size::seed()).shuffle(&mut forged);
    for (round, forged) in (0..).zip(forged.chunks(forged.len().div_ceil(4))) {
        let mut corrections = world.honest.corrections(round);
        corrections.extend(world.honest.additions(round));
        // In one queue, and so in one transaction with the forgeries.
        world.hostile.send_in_batches(forged, 50).await.unwrap();
        let sent = world.clinics.send_in_batches(&corrections, 20).await;
        sent.unwrap();
        world.hostile.send_in_batches(forged, 300).await.unwrap();
        world.city.work().await.unwrap();
        world.reference.take(&corrections).await;
        accepted(&mut world.city, &mut world.clinics, corrections.len()).await;
        let told = world.hostile.answers(&mut world.city).await.unwrap();
        assert_eq!(told.accepted, 0);
        assert_eq!(told.superseded, [], "nobody learns what version is held");
        assert_eq!(reasons(&told), [RefusalReason::NotTheOwner]);
        world.is_as_without_the_attack().await;
    }
    let withdrawn: Vec<_> = world.honest.clinics[0].withdraw_all();
    send(&mut world.city, &mut world.clinics, &withdrawn).await;
    world.reference.take(&withdrawn).await;
    world.is_as_without_the_attack().await;
}

#[tokio::test]
async fn a_digest_gives_no_right_over_a_record() {
    forgeries(World::small().await).await;
}

/// All sealed batches of the honest clinics, again and again, in any order.
async fn replays(mut world: World) {
    let mut batches = Vec::new();
    for round in 0..3 {
        let mut events = world.honest.corrections(round);
        events.extend(world.honest.additions(round));
        world.clinics.send_in_batches(&events, 7).await.unwrap();
        batches.extend(world.clinics.batches());
        world.city.work().await.unwrap();
        accepted(&mut world.city, &mut world.clinics, events.len()).await;
        world.reference.take(&events).await;
    }
    let withdrawn = world.honest.clinics[1].withdraw_all();
    world.clinics.send_in_batches(&withdrawn, 5).await.unwrap();
    batches.extend(world.clinics.batches());
    world.city.work().await.unwrap();
    accepted(&mut world.city, &mut world.clinics, withdrawn.len()).await;
    world.reference.take(&withdrawn).await;
    let mut dice = Dice::new(size::seed());
    for _ in 0..3 {
        dice.shuffle(&mut batches);
        for batch in &batches {
            world.hostile.replay(batch).await.unwrap();
        }
        let outcome = world.city.work().await.unwrap();
        assert_eq!((outcome.applied, outcome.refused), (0, 0));
    }
    world.is_as_without_the_attack().await;
    // The clinic goes on as if nothing had been.
    let events = world.honest.corrections(4);
    send(&mut world.city, &mut world.clinics, &events).await;
    world.reference.take(&events).await;
    world.is_as_without_the_attack().await;
}

#[tokio::test]
async fn batches_that_are_sent_again_change_nothing() {
    replays(World::small().await).await;
}

/// Digests as the registry keeps them, taken for those that clinics send, and the other way round.
async fn stored_digests(mut world: World) {
    let stored = world.city.reader().facts().await.unwrap();
    let own = [name(Scheme::Snils, INVENTED)];
    let named = stored.iter();
    let named = named.map(|fact| forgery::named(RecordDigest(fact.record), &own, &world.forger));
    let named: Vec<_> = named.map(Option::unwrap).collect();
    world.hostile.send(&named).await.unwrap();
    world.city.work().await.unwrap();
    // Records of its own: it has invented them.
    accepted(&mut world.city, &mut world.hostile, named.len()).await;
    world.is_as_without_the_attack().await;
    let events = world.honest.corrections(0);
    send(&mut world.city, &mut world.clinics, &events).await;
    world.reference.take(&events).await;
    world.is_as_without_the_attack().await;
}

#[tokio::test]
async fn a_digest_from_the_database_names_no_record() {
    stored_digests(World::small().await).await;
}

/// Records that are claimed before their clinic has sent them. Nobody can know such a digest who
/// has not the clinic's key; this is what becomes of it all the same.
async fn squatters(mut world: World) {
    let mut planned = world.honest.clinics[0].clone();
    let people = world.honest.people.clone();
    let later = |clinic: &mut Clinic| {
        let events = people.iter().map(|person| {
            let number = person.number * 8 + 7;
            clinic.state(number, &person.names(), fact(number))
        });
        events.collect::<Vec<_>>()
    };
    let events = later(&mut planned);
    let claimed = events.iter().step_by(2).map(|event| {
        let own = [name(Scheme::Snils, INVENTED)];
        forgery::named(event.record, &own, &world.forger).unwrap()
    });
    let claimed: Vec<_> = claimed.collect();
    world.hostile.send(&claimed).await.unwrap();
    world.city.work().await.unwrap();
    accepted(&mut world.city, &mut world.hostile, claimed.len()).await;
    world.clinics.send(&events).await.unwrap();
    world.city.work().await.unwrap();
    // The clinic is told of each, and the others are stored.
    let told = world.clinics.answers(&mut world.city).await.unwrap();
    let refused: Vec<_> = told.refused.iter().filter_map(|one| one.record).collect();
    let records: Vec<_> = claimed.iter().map(|event| event.record).collect();
    assert_eq!(refused, records);
    assert_eq!(reasons(&told), [RefusalReason::NotTheOwner]);
    assert_eq!(told.accepted as usize, events.len() - claimed.len());
    world.is_as_without_the_attack().await;
}

#[tokio::test]
async fn a_clinic_is_told_of_a_record_that_somebody_claimed() {
    squatters(World::small().await).await;
}

/// Versions that their clinic never gave out, under its own token: a copy of its key, or of its
/// state. It is told, and never that they were accepted.
async fn superseded(mut world: World) {
    let mut copy = world.honest.clinics[0].clone();
    let people = world.honest.people.clone();
    for person in &people {
        copy.state(
            person.number * 8,
            &person.names(),
            fact(person.number * 8 + 3),
        );
    }
    let numbers: Vec<u32> = people.iter().map(|person| person.number * 8).collect();
    let raised = numbers
        .iter()
        .map(|number| copy.raise(*number, Version::MAX));
    let raised: Vec<_> = raised.map(Option::unwrap).collect();
    send(&mut world.city, &mut world.hostile, &raised).await;
    let corrections = world.honest.corrections(0);
    world.clinics.send(&corrections).await.unwrap();
    world.city.work().await.unwrap();
    let told = world.clinics.answers(&mut world.city).await.unwrap();
    assert_eq!((told.accepted, told.refused.len()), (0, 0));
    assert_eq!(told.superseded.len(), corrections.len());
    for one in &told.superseded {
        assert_eq!(one.held, Version::MAX);
        assert!(corrections.iter().any(|event| event.record == one.record));
    }
    // Its other records go on.
    let added = world.honest.additions(0);
    send(&mut world.city, &mut world.clinics, &added).await;
}

#[tokio::test]
async fn a_clinic_is_told_of_a_version_that_it_never_gave_out() {
    superseded(World::small().await).await;
}

#[tokio::test]
async fn records_are_their_clinics_on_rabbitmq_and_postgresql_too() {
    let servers = Servers::start().await.unwrap();
    forgeries(World::large(&servers, "forgeries").await).await;
    replays(World::large(&servers, "replays").await).await;
    stored_digests(World::large(&servers, "digests").await).await;
    squatters(World::large(&servers, "squatters").await).await;
    superseded(World::large(&servers, "superseded").await).await;
}
