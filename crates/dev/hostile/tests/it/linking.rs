//! Attacks on who is one person, by an account that knows every identifier of the city.

use contract::{Event, RefusalReason, Scheme};
use hostile::dice::Dice;
use hostile::joining::{LinkAttack, giant};
use hostile::people::{INVENTED, Papers, Person, fact, name, name_of_epoch};
use hostile::{Account, City, Clinic, Servers, forgery, reasons, size};

use crate::honest::{Honest, Reference, accepted, names, send};

/// City that is attacked, and one that never sees the hostile account.
struct World {
    city: City,
    honest: Honest,
    reference: Reference,
    clinics: Account,
    hostile: Account,
    /// Sender behind the hostile account.
    forger: Clinic,
    dice: Dice,
    round: u32,
}

impl World {
    async fn new(mut city: City, people: u32) -> Self {
        let mut honest = Honest::new(people);
        let mut reference = Reference::new().await;
        let mut clinics = city.account().unwrap();
        let first = honest.first();
        send(&mut city, &mut clinics, &first).await;
        reference.take(&first).await;
        Self {
            hostile: city.account().unwrap(),
            city,
            honest,
            reference,
            clinics,
            forger: Clinic::new(666),
            dice: Dice::new(size::seed()),
            round: 0,
        }
    }

    async fn small() -> Self {
        Self::new(City::small().await.unwrap(), 24 * size::scale()).await
    }

    /// Sends forged events, and corrections and new records of the honest clinics with them.
    async fn attack(&mut self, forged: &[Event]) {
        let mut events = self.honest.corrections(self.round);
        events.extend(self.honest.additions(self.round));
        self.round += 1;
        let half = forged.len() / 2;
        let sent = self.hostile.send_in_batches(&forged[..half], 100).await;
        sent.unwrap();
        self.clinics.send_in_batches(&events, 30).await.unwrap();
        let sent = self.hostile.send_in_batches(&forged[half..], 100).await;
        sent.unwrap();
        self.city.work().await.unwrap();
        accepted(&mut self.city, &mut self.clinics, events.len()).await;
        self.reference.take(&events).await;
    }

    /// Expects that every fact of firm persons is found by each of their names, and no fact of
    /// another SNILS. Persons without one may be joined with others by one record.
    async fn is_found_during(&self, attack: &str) {
        let firm = names(self.honest.people.iter().filter(|person| person.is_firm()));
        let joinable = self.honest.records_without_snils();
        let found = self.honest.findings(&self.city).await.of(&firm);
        let expected = self.honest.findings(&self.reference.city).await.of(&firm);
        assert_eq!(found.without(&joinable).differs(&expected), [], "{attack}");
    }

    /// Expects that persons without a SNILS are found by each name that two records state; others
    /// may be found with them.
    async fn is_found_without_snils(&self, attack: &str) {
        let people = self.honest.people.iter();
        let foreign = names(people.filter(|person| person.papers == Papers::Foreign));
        let found = self.honest.findings(&self.city).await;
        let expected = self.honest.findings(&self.reference.city).await;
        assert_eq!(found.lacks(&expected.of(&foreign)), [], "{attack}");
    }

    /// Takes back everything forged, and expects the city that never saw it.
    async fn is_undone(&mut self, attack: &str) {
        let mut withdrawn = self.forger.withdraw_all();
        self.dice.shuffle(&mut withdrawn);
        self.attack(&withdrawn).await;
        let found = self.honest.findings(&self.city).await;
        let expected = self.honest.findings(&self.reference.city).await;
        assert_eq!(found.differs(&expected), [], "{attack}");
        let stats = self.city.reader().stats().await.unwrap();
        let without = self.reference.city.reader().stats().await.unwrap();
        assert_eq!(stats.asserted, without.asserted, "{attack}");
        assert_eq!(stats.subjects, without.subjects, "{attack}");
        assert_eq!(stats.conflicts, without.conflicts, "{attack}");
        assert_eq!(self.city.dead, 0);
    }
}

async fn every_attack(mut world: World) {
    for attack in LinkAttack::ALL {
        let told = format!("{attack:?}");
        let people = world.honest.people.clone();
        let mut forged = attack.events(&people, &mut world.forger, &mut world.dice);
        world.dice.shuffle(&mut forged);
        world.attack(&forged).await;
        accepted(&mut world.city, &mut world.hostile, forged.len()).await;
        world.is_found_during(&told).await;
        if !attack.has_large_parts() {
            world.is_found_without_snils(&told).await;
        }
        world.is_undone(&told).await;
        world.hostile.answers(&mut world.city).await.unwrap();
    }
}

#[tokio::test]
async fn no_record_joins_or_parts_persons_for_longer_than_it_stands() {
    every_attack(World::small().await).await;
}

#[tokio::test]
async fn nor_does_it_where_two_records_are_demanded() {
    let city = City::demanding(2).await.unwrap();
    every_attack(World::new(city, 24 * size::scale()).await).await;
}

#[tokio::test]
async fn persons_without_snils_keep_their_names_in_large_parts_too() {
    let mut world = World::small().await;
    let people = world.honest.people.clone();
    for attack in [LinkAttack::OtherSuite, LinkAttack::AnothersSnils] {
        let forged = attack.events(&people, &mut world.forger, &mut world.dice);
        world.attack(&forged).await;
        world.is_found_without_snils(&format!("{attack:?}")).await;
        world.is_undone("large parts").await;
    }
}

/// All of the attacks at once, each record corrected to another's names and withdrawn, again and
/// again.
async fn flips(mut world: World) {
    let people = world.honest.people.clone();
    for flip in 0..4 {
        for attack in LinkAttack::ALL {
            let forged = attack.events(&people, &mut world.forger, &mut world.dice);
            world.attack(&forged).await;
            if flip % 2 == 1 {
                let half: Vec<u32> = world.forger.numbers().step_by(2).collect();
                let withdrawn = half.into_iter();
                let withdrawn = withdrawn.filter_map(|number| world.forger.withdraw(number));
                let withdrawn: Vec<Event> = withdrawn.collect();
                world.attack(&withdrawn).await;
            }
        }
        world.is_found_during("flips").await;
    }
    world.is_undone("flips").await;
}

#[tokio::test]
async fn corrections_and_withdrawals_over_and_over_leave_nothing() {
    flips(World::small().await).await;
}

/// Two parts of many names, the honest persons tied to them, joined by one batch.
async fn giants(mut world: World, names: u32) {
    let (firsts, events) = giant(names, &mut world.forger);
    world.attack(&events).await;
    let tied = world.honest.people.clone();
    let mut joining = Vec::new();
    for (number, person) in (0..).zip(&tied) {
        let ties = [firsts[number as usize % 2], person.weakest()];
        joining.push(world.forger.state(number, &ties, fact(number)));
    }
    for (number, name) in (tied.len()..).zip(&events) {
        let contract::Body::Asserted { subject, .. } = &name.body else {
            continue;
        };
        let weak = subject.pseudonyms()[1];
        let number = u32::try_from(number).unwrap();
        joining.push(world.forger.state(number, &[firsts[1], weak], fact(number)));
    }
    joining.truncate(1000);
    world.attack(&joining).await;
    world.is_found_during("giants").await;
    world.is_undone("giants").await;
}

#[tokio::test]
async fn parts_without_end_hold_nobody() {
    let names = (600 * size::scale()).min(15_000);
    giants(World::small().await, names).await;
}

/// One invented SNILS beside more names than are read, and beside the only name of some strangers,
/// who then leave it one by one.
#[tokio::test]
async fn strangers_who_leave_a_large_part_one_by_one_are_strangers() {
    let mut world = World::small().await;
    let hub = name(Scheme::Snils, INVENTED);
    let mut forged = Vec::new();
    for number in 100..180 {
        let stated = [hub, name(Scheme::Oms, INVENTED + number)];
        forged.push(world.forger.state(number, &stated, fact(number)));
    }
    let people = world.honest.people.clone();
    let strangers = people.iter().filter(|one| one.papers == Papers::One);
    let strangers = strangers.map(Person::weakest);
    for (number, stranger) in (0..).zip(strangers) {
        forged.push(world.forger.state(number, &[hub, stranger], fact(number)));
    }
    world.attack(&forged).await;
    let numbers: Vec<u32> = world
        .forger
        .numbers()
        .filter(|number| *number < 100)
        .collect();
    for number in numbers {
        let left = world.forger.withdraw(number).unwrap();
        world.attack(&[left]).await;
    }
    world.is_undone("large part").await;
}

#[tokio::test]
async fn sixteen_passports_in_one_event_are_refused() {
    let mut world = World::small().await;
    let people = world.honest.people.clone();
    let passports = people.iter().take(16).map(Person::weakest);
    let passports: Vec<_> = passports.collect();
    let three = [0, 1, 2].map(|number| name(Scheme::PassportForeign, number));
    let two_snils = [0, 1].map(|number| name(Scheme::Snils, number));
    for names in [&passports[..], &three, &two_snils] {
        let stated = [name(Scheme::Snils, INVENTED)];
        let event = world.forger.state(0, &stated, fact(0));
        let encoded = forgery::with_names(&event, names).unwrap();
        world.hostile.send_encoded(&encoded).await.unwrap();
        world.attack(&[]).await;
        let told = world.hostile.answers(&mut world.city).await.unwrap();
        assert_eq!(told.accepted, 0);
        assert_eq!(reasons(&told), [RefusalReason::BadSubject]);
        world.is_found_during("sixteen passports").await;
    }
}

#[tokio::test]
async fn names_of_epochs_that_are_not_open_are_refused() {
    let mut world = World::small().await;
    let people = world.honest.people.clone();
    let step = (1024 / size::scale()).max(1);
    let mut forged = Vec::new();
    for epoch in (2..=u32::from(u16::MAX)).step_by(step as usize) {
        let person = people[epoch as usize % people.len()];
        let closed = u16::try_from(epoch).unwrap();
        let stated = [
            name_of_epoch(Scheme::Snils, person.number, closed),
            person.weakest(),
        ];
        forged.push(world.forger.state(epoch, &stated, fact(epoch)));
    }
    let last = [
        name_of_epoch(Scheme::Oms, INVENTED, u16::MAX),
        people[0].weakest(),
    ];
    forged.push(world.forger.state(1, &last, fact(1)));
    world.attack(&forged).await;
    let told = world.hostile.answers(&mut world.city).await.unwrap();
    assert_eq!((told.accepted, told.refused.len()), (0, forged.len()));
    assert_eq!(reasons(&told), [RefusalReason::EpochNotOpen]);
    world.is_found_during("closed epochs").await;
    let stats = world.city.reader().stats().await.unwrap();
    let without = world.reference.city.reader().stats().await.unwrap();
    assert_eq!(stats.subjects, without.subjects);
}

/// No attacker: somebody's passport typed into another's record, and corrected.
#[tokio::test]
async fn a_mistyped_passport_leaves_nothing_once_it_is_corrected() {
    let mut world = World::small().await;
    let people = world.honest.people.clone();
    for (number, pair) in (0..12).zip(people.chunks_exact(2)) {
        let mut wrong = pair[0].names();
        wrong.pop();
        wrong.push(pair[1].weakest());
        let mistake = world.forger.state(number, &wrong, fact(number));
        world.attack(&[mistake]).await;
        let right = pair[0].names();
        let corrected = world.forger.state(number, &right, fact(number));
        world.attack(&[corrected]).await;
        let found = world.honest.findings(&world.city).await;
        let expected = world.honest.findings(&world.reference.city).await;
        assert_eq!(found.differs(&expected), []);
    }
    world.is_undone("mistyped").await;
}

#[tokio::test]
async fn persons_stay_who_they_are_on_rabbitmq_and_postgresql_too() {
    let servers = Servers::start().await.unwrap();
    let city = City::large(&servers, "attacks").await.unwrap();
    every_attack(World::new(city, 12 * size::scale()).await).await;
    let city = City::large(&servers, "flips").await.unwrap();
    flips(World::new(city, 12 * size::scale()).await).await;
    let city = City::large(&servers, "giants").await.unwrap();
    let names = (600 * size::scale()).min(15_000);
    giants(World::new(city, 12 * size::scale()).await, names).await;
}
