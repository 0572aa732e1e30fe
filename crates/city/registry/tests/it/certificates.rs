//! Tests of certificates: what they state by what is stored, and what ends them, on both stores.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{Fact, FactKind, Pseudonym, Scheme, TestCode, TestResult, Vaccine};
use eligibility::NoCertificate;
use pass::claims::Claims;
use pass::container::{Envelope, from_text};
use pass::hcert::{Entry, HcertClaims};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pass::revocation::Tag;
use pass::verify::{Reason as Fault, Verdict};
use pass::{PassId, Product};
use registry::passes::{Certified, Issued, PassError, PassSettings, Passes, Publication, Strip};

use crate::passes::{
    is_valid, long, now, passes, passes_by, settings, snils, store, strips, verdict, worlds,
};
use crate::world::{World, asserted, asserted_of, negative, pseudonym, recovery, withdrawn};

fn dose(vaccine: Vaccine, on: &str) -> Fact {
    crate::world::dose(vaccine, on)
}

fn sputnik(on: &str) -> Fact {
    dose(Vaccine::SputnikV, on)
}

fn positive(on: &str) -> Fact {
    Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::Detected,
        occurred_on: on.parse().unwrap(),
    }
}

fn holder() -> HolderAttributes {
    let initial = |letter| Initial::try_from(letter).ok();
    HolderAttributes::new(initial('A'), initial('K'), BirthDate::default())
}

async fn asked(
    passes: &Passes,
    names: &[Pseudonym],
    kind: FactKind,
    at: DateTime<Utc>,
) -> Certified {
    let issued = passes.issue_certificate(names, kind, holder(), at).await;
    issued.unwrap()
}

async fn certificate(passes: &Passes, person: u16, kind: FactKind) -> Strip {
    match asked(passes, &snils(person), kind, now()).await {
        Certified::Certificate(certificate) => certificate,
        other => panic!("{other:?}"),
    }
}

async fn refused(passes: &Passes, person: u16, kind: FactKind) -> NoCertificate {
    match asked(passes, &snils(person), kind, now()).await {
        Certified::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn claims(certificate: &Strip) -> HcertClaims {
    let envelope = Envelope::open_es256(&from_text(&certificate.text).unwrap()).unwrap();
    match Claims::decode(&envelope.payload).unwrap() {
        Claims::Hcert(claims) => claims,
        Claims::City(_) => panic!("a strip"),
    }
}

/// Id of a strip or a certificate.
fn id(pass: &Strip) -> PassId {
    let envelope = Envelope::open_es256(&from_text(&pass.text).unwrap()).unwrap();
    Claims::decode(&envelope.payload).unwrap().id()
}

fn is_listed(published: &Publication, pass: &Strip) -> bool {
    published.list.tags().contains(Tag::of_pass(id(pass).0))
}

/// Issue of passes whose ids are random and forgotten.
fn not_revocable(world: &World) -> Passes {
    let settings = PassSettings {
        individual_revocation: false,
        ..settings()
    };
    passes_by(world, &Product::ALL, long(), settings)
}

fn counted(certificate: &Strip) -> (u8, u8, String) {
    match claims(certificate).certificate.entry {
        Entry::Vaccination(given) => (given.dose, given.doses, given.date.to_string()),
        other => panic!("{other:?}"),
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_certificate_is_valid_until_its_fact_is_corrected() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let first = asserted(1, 1, 1, sputnik("2021-05-20"));
        let second = asserted(2, 1, 1, sputnik("2021-06-10"));
        let other = asserted(3, 1, 2, recovery(None, "2021-06-01"));
        store(&mut world, &[first, second, other]).await;
        let issued = certificate(&passes, 1, FactKind::Vaccination).await;
        let stays = certificate(&passes, 2, FactKind::Recovery).await;
        assert_eq!(counted(&issued), (2, 2, "2021-06-10".to_owned()));
        let published = passes.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (0, 0));
        assert_eq!(
            verdict(&passes, &published, &issued, now()),
            Verdict::Valid(holder())
        );

        // The date was wrong.
        let corrected = asserted(2, 2, 1, sputnik("2021-06-11"));
        store(&mut world, &[corrected]).await;
        let after = passes.publish(now()).await.unwrap();
        assert_eq!((after.newly_ended, after.ended), (1, 1));
        let revoked = Verdict::Invalid(Fault::Revoked);
        assert_eq!(verdict(&passes, &after, &issued, now()), revoked);
        assert!(is_valid(&verdict(&passes, &after, &stays, now())));
        let again = certificate(&passes, 1, FactKind::Vaccination).await;
        assert!(is_valid(&verdict(&passes, &after, &again, now())));

        // The dose was another person's.
        store(&mut world, &[withdrawn(2, 3, FactKind::Vaccination)]).await;
        let after = passes.publish(now()).await.unwrap();
        assert_eq!((after.newly_ended, after.ended), (1, 2));
        assert_eq!(verdict(&passes, &after, &again, now()), revoked);

        // As it was first: what was issued then stays ended, and a new one is valid.
        let same = asserted(2, 4, 1, sputnik("2021-06-10"));
        store(&mut world, &[same]).await;
        let newest = certificate(&passes, 1, FactKind::Vaccination).await;
        let after = passes.publish(now()).await.unwrap();
        assert_eq!((after.newly_ended, after.ended), (0, 2));
        assert!(is_valid(&verdict(&passes, &after, &newest, now())));
        assert_eq!(verdict(&passes, &after, &issued, now()), revoked);
        assert!(is_valid(&verdict(&passes, &after, &stays, now())));

        // They leave the list when they would have expired, and their counts the store.
        let ends = issued.window.end();
        let before = passes.publish(ends - TimeDelta::seconds(1)).await.unwrap();
        assert_eq!(before.ended, 2);
        assert_eq!(passes.publish(ends).await.unwrap().ended, 0);
    }
}

#[tokio::test]
async fn each_kind_states_the_newest_fact_and_only_the_initials() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    let facts = [
        asserted(1, 1, 1, sputnik("2021-05-20")),
        asserted(2, 1, 1, sputnik("2021-06-10")),
        asserted(3, 1, 1, recovery(Some("2021-01-04"), "2021-01-20")),
        asserted(4, 1, 1, positive("2021-01-05")),
        asserted(5, 1, 1, negative("2021-06-30")),
    ];
    store(&mut world, &facts).await;
    let given = claims(&certificate(&passes, 1, FactKind::Vaccination).await);
    let Entry::Vaccination(vaccination) = &given.certificate.entry else {
        panic!("{given:?}");
    };
    assert_eq!(vaccination.product, "Sputnik-V");
    assert_eq!(vaccination.manufacturer, "Gamaleya-Research-Institute");
    assert_eq!(vaccination.country, "RU");
    assert_eq!(given.issued_at, time("2021-06-30T21:00:00Z"));
    assert_eq!(given.expires, time("2021-07-30T21:00:00Z"));
    assert_eq!(given.certificate.holder(), holder());

    let given = claims(&certificate(&passes, 1, FactKind::Recovery).await);
    let Entry::Recovery(recovered) = &given.certificate.entry else {
        panic!("{given:?}");
    };
    let days = [recovered.first_positive, recovered.from, recovered.until];
    let days = days.map(|day| day.to_string());
    assert_eq!(days, ["2021-01-05", "2021-01-20", "2021-07-20"]);
    // It ends with the recovery.
    assert_eq!(given.expires, time("2021-07-20T21:00:00Z"));

    let given = claims(&certificate(&passes, 1, FactKind::Test).await);
    let Entry::Test(tested) = &given.certificate.entry else {
        panic!("{given:?}");
    };
    assert_eq!(tested.sampled, time("2021-06-29T21:00:00Z"));
    assert_eq!(given.expires, time("2021-07-02T21:00:00Z"));
}

#[tokio::test]
async fn a_dose_too_few_is_not_green_and_the_next_ones_are_counted() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    store(&mut world, &[asserted(1, 1, 1, sputnik("2021-01-10"))]).await;
    let one = certificate(&passes, 1, FactKind::Vaccination).await;
    assert_eq!(counted(&one), (1, 2, "2021-01-10".to_owned()));
    let published = passes.publish(now()).await.unwrap();
    let incomplete = verdict(&passes, &published, &one, now());
    assert_eq!(incomplete, Verdict::Invalid(Fault::SeriesIncomplete));
    // Both clinics recorded the second one, and number it 1.
    let second = [
        asserted(2, 1, 1, sputnik("2021-02-10")),
        asserted(3, 1, 1, sputnik("2021-02-11")),
    ];
    store(&mut world, &second).await;
    let two = certificate(&passes, 1, FactKind::Vaccination).await;
    assert_eq!(counted(&two), (2, 2, "2021-02-10".to_owned()));
    let third = asserted(4, 1, 1, dose(Vaccine::CoviVac, "2021-06-01"));
    store(&mut world, &[third]).await;
    let three = certificate(&passes, 1, FactKind::Vaccination).await;
    assert_eq!(counted(&three), (3, 3, "2021-06-01".to_owned()));
    // Older certificates state what is still so.
    let published = passes.publish(now()).await.unwrap();
    assert_eq!(published.ended, 0);
    for certificate in [&two, &three] {
        assert!(is_valid(&verdict(&passes, &published, certificate, now())));
    }
    let recovered = [
        asserted(5, 1, 2, recovery(None, "2020-11-10")),
        asserted(6, 1, 2, sputnik("2021-01-10")),
        asserted(7, 1, 2, sputnik("2021-05-10")),
    ];
    store(&mut world, &recovered).await;
    let extra = certificate(&passes, 2, FactKind::Vaccination).await;
    assert_eq!(counted(&extra), (2, 1, "2021-05-10".to_owned()));
}

#[tokio::test]
async fn before_its_waiting_time_is_over_a_vaccination_is_not_green() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    let doses = [
        asserted(1, 1, 1, sputnik("2021-06-01")),
        asserted(2, 1, 1, sputnik("2021-06-25")),
    ];
    store(&mut world, &doses).await;
    let issued = certificate(&passes, 1, FactKind::Vaccination).await;
    assert_eq!(issued.window.start(), time("2021-07-08T21:00:00Z"));
    let published = passes.publish(now()).await.unwrap();
    let waiting = verdict(&passes, &published, &issued, now());
    assert_eq!(waiting, Verdict::Invalid(Fault::NotYet));
}

#[tokio::test]
async fn whoever_has_no_such_fact_gets_one_reason_whatever_the_cause() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    let facts = [
        asserted(1, 1, 1, sputnik("2021-06")),
        asserted(2, 1, 2, positive("2021-06-30")),
        asserted(3, 1, 3, recovery(None, "2021-06")),
        asserted(4, 1, 4, negative("2021-06-27")),
        asserted(5, 1, 5, negative("2021-06-30")),
        asserted(6, 1, 6, sputnik("2021-07-02")),
        asserted(7, 1, 7, dose(Vaccine::QazVac, "2021-06-01")),
    ];
    store(&mut world, &facts).await;
    store(&mut world, &[withdrawn(5, 2, FactKind::Test)]).await;
    for person in [1, 2, 3, 4, 5, 6, 7, 99] {
        for kind in FactKind::ALL {
            let reason = refused(&passes, person, kind).await;
            assert_eq!(reason, NoCertificate::NoStatement, "{person} {kind:?}");
        }
    }
}

#[tokio::test]
async fn a_person_in_doubt_gets_none_and_loses_those_from_before() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    let of = |number, snils| asserted_of(number, 1, snils, 77, recovery(None, "2021-06-01"));
    store(&mut world, &[of(1, 1)]).await;
    let passport = [pseudonym(Scheme::PassportRu, 77)];
    let issued = asked(&passes, &passport, FactKind::Recovery, now()).await;
    let Certified::Certificate(issued) = issued else {
        panic!("{issued:?}");
    };
    store(&mut world, &[of(2, 2)]).await;
    for kind in FactKind::ALL {
        let refused = asked(&passes, &passport, kind, now()).await;
        assert_eq!(refused, Certified::Refused(NoCertificate::PersonInDoubt));
    }
    let both = [snils(1), snils(2)].concat();
    let refused = asked(&passes, &both, FactKind::Recovery, now()).await;
    assert_eq!(refused, Certified::Refused(NoCertificate::PersonInDoubt));
    let published = passes.publish(now()).await.unwrap();
    assert_eq!(published.newly_ended, 1);
    let revoked = verdict(&passes, &published, &issued, now());
    assert_eq!(revoked, Verdict::Invalid(Fault::Revoked));
}

#[tokio::test]
async fn no_more_certificates_of_one_statement_are_issued_than_are_permitted() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let facts = [
            asserted(1, 1, 1, recovery(None, "2021-06-01")),
            asserted(2, 1, 1, negative("2021-06-30")),
        ];
        store(&mut world, &facts).await;
        let mut ids = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let issued = certificate(&passes, 1, FactKind::Recovery).await;
            ids.insert(claims(&issued).id);
        }
        let beyond = asked(&passes, &snils(1), FactKind::Recovery, now()).await;
        assert_eq!(beyond, Certified::Exhausted);
        ids.insert(claims(&certificate(&passes, 1, FactKind::Test).await).id);
        assert_eq!(ids.len(), 6);
        // A day after they have expired they count no more.
        let later = now() + TimeDelta::days(32);
        passes.publish(later).await.unwrap();
        let again = asked(&passes, &snils(1), FactKind::Recovery, later).await;
        assert!(matches!(again, Certified::Certificate(_)), "{again:?}");
    }
}

#[tokio::test]
async fn a_certificate_ends_with_its_key_and_without_one_nobody_gets_any() {
    let mut world = World::small().await;
    let facts = [asserted(1, 1, 1, recovery(None, "2021-06-01"))];
    store(&mut world, &facts).await;
    let until = now() + TimeDelta::days(3);
    let short = passes(&world, until);
    let issued = certificate(&short, 1, FactKind::Recovery).await;
    assert_eq!(issued.window.end(), until);
    let products = [Product::City, Product::Revocations];
    let without = passes_by(&world, &products, long(), settings());
    for person in [1, 99] {
        let names = snils(person);
        let asked = without.issue_certificate(&names, FactKind::Recovery, holder(), now());
        let refused = asked.await;
        assert!(matches!(refused, Err(PassError::NoCertificateKey)));
    }
    // Strips do not need it.
    let strips = without.issue_days(&snils(1), holder(), now()).await;
    assert!(matches!(strips, Ok(Issued::Strips(_))));
    let days = PassSettings {
        certificate_days: 1,
        ..settings()
    };
    let one_day = passes_by(&world, &Product::ALL, long(), days);
    let issued = certificate(&one_day, 1, FactKind::Recovery).await;
    assert_eq!(issued.window.end(), time("2021-07-01T21:00:00Z"));
}

#[tokio::test]
async fn without_individual_revocation_ids_are_random_and_nothing_is_ended() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let fact = || recovery(None, "2021-06-01");
        store(&mut world, &[asserted(1, 1, 1, fact())]).await;
        let passes = not_revocable(&world);
        let first = strips(&passes, &snils(1)).await;
        let certified = certificate(&passes, 1, FactKind::Recovery).await;
        // A database without the counts, and the same numbers: by a key the ids would be the same.
        let mut other = World::small().await;
        store(&mut other, &[asserted(1, 1, 1, fact())]).await;
        let again = not_revocable(&other);
        assert_ne!(id(&first[0]), id(&strips(&again, &snils(1)).await[0]));

        store(&mut world, &[withdrawn(1, 2, FactKind::Recovery)]).await;
        let published = passes.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (0, 0));
        for pass in [&first[0], &certified] {
            assert!(is_valid(&verdict(&passes, &published, pass, now())));
        }
        // The list is empty, signed and as new as any.
        assert_eq!(published.list.edition().issued_at(), now());
        assert!(published.list.tags().is_empty());
        let later = now() + TimeDelta::hours(2);
        let newer = passes.publish(later).await.unwrap();
        assert!(newer.sequence > published.sequence);
    }
}

#[tokio::test]
async fn without_individual_revocation_passes_are_counted_all_the_same() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let fact = asserted(1, 1, 1, recovery(None, "2021-06-01"));
        store(&mut world, &[fact]).await;
        let passes = not_revocable(&world);
        let mut issued = Vec::new();
        for _ in 0..3 {
            issued.push(strips(&passes, &snils(1)).await.len());
        }
        // Of each of the four days five.
        assert_eq!(issued, [8, 8, 4]);
        let beyond = passes.issue_days(&snils(1), holder(), now()).await.unwrap();
        assert_eq!(beyond, Issued::Exhausted);
        for _ in 0..5 {
            certificate(&passes, 1, FactKind::Recovery).await;
        }
        let beyond = asked(&passes, &snils(1), FactKind::Recovery, now()).await;
        assert_eq!(beyond, Certified::Exhausted);
        // A day after the windows are over their counts are gone.
        let later = now() + TimeDelta::days(40);
        passes.publish(later).await.unwrap();
        let again = asked(&passes, &snils(1), FactKind::Recovery, later).await;
        assert!(matches!(again, Certified::Certificate(_)), "{again:?}");
    }
}

#[tokio::test]
async fn what_was_issued_while_passes_could_be_ended_still_can_after_the_switch() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let facts = [
            asserted(1, 1, 1, recovery(None, "2021-06-01")),
            asserted(2, 1, 2, recovery(None, "2021-06-01")),
        ];
        store(&mut world, &facts).await;
        let on = passes(&world, long());
        let ended_before = strips(&on, &snils(1)).await;
        let ends_after = strips(&on, &snils(2)).await;
        let certified = certificate(&on, 2, FactKind::Recovery).await;
        store(&mut world, &[withdrawn(1, 2, FactKind::Recovery)]).await;
        assert_eq!(on.publish(now()).await.unwrap().ended, 8);

        let off = not_revocable(&world);
        let random = strips(&off, &snils(2)).await;
        store(&mut world, &[withdrawn(2, 2, FactKind::Recovery)]).await;
        let published = off.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (9, 17));
        for pass in [&ended_before[0], &ends_after[7], &certified] {
            assert!(is_listed(&published, pass));
        }
        assert!(!random.iter().any(|pass| is_listed(&published, pass)));
        // They leave the list when their time is over: strips after four days, the certificate later.
        let days = now() + TimeDelta::days(4);
        assert_eq!(off.publish(days).await.unwrap().ended, 1);
        let ends = certified.window.end();
        assert_eq!(off.publish(ends).await.unwrap().ended, 0);
    }
}

#[tokio::test]
async fn after_the_switch_back_new_passes_can_be_ended() {
    let mut world = World::small().await;
    let fact = asserted(1, 1, 1, recovery(None, "2021-06-01"));
    store(&mut world, &[fact]).await;
    let random = strips(&not_revocable(&world), &snils(1)).await;
    let on = passes(&world, long());
    let derived = strips(&on, &snils(1)).await;
    store(&mut world, &[withdrawn(1, 2, FactKind::Recovery)]).await;
    let published = on.publish(now()).await.unwrap();
    assert_eq!(published.ended, 8);
    assert!(derived.iter().all(|pass| is_listed(&published, pass)));
    assert!(!random.iter().any(|pass| is_listed(&published, pass)));
}
