//! Scenes of strong mode: who evaluates pseudonyms, what happens without them, and what a thief
//! gets.

use chrono::NaiveDate;
use key_client::KeyClient;
use oprf::SIZES;

use super::{Story, expect};
use crate::citizens::{City, EMPLOYEE, EMPLOYEES_NUMBER, PATIENT_OF_BOTH};
use crate::operators::{DAILY_CEILING, DAILY_TOKENS, Operator, Seen};
use crate::{fso, guesses, print, show};

/// What the registry has of the patient of both clinics.
const FACTS_OF_BOTH: [&str; 4] = [
    "2021-06-10 sputnik-v dose 1 of 2",
    "2021-07-01 sputnik-v dose 2 of 2",
    "2021-07-12 PCR (94500-6): detected",
    "2021-07-12 PCR (94500-6): not-detected",
];

/// Heading of the table of what key services saw.
const COLUMNS: [&str; 4] = [
    "key service",
    "requests",
    "random points",
    "refused for the ceiling",
];

/// Row of that table.
fn row(name: &str, seen: &Seen) -> [String; 4] {
    [
        name.to_owned(),
        seen.requests.to_string(),
        seen.elements.to_string(),
        seen.refused.to_string(),
    ]
}

impl Story {
    /// Tells who holds which key.
    pub(super) fn introduce_operators(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "Strong mode: two key services of two operators evaluate pseudonyms; no clinic and no \
             portal has their keys",
        );
        let operators = self.stage.operators()?;
        let row = |name: &str, operator: &Operator| {
            [
                name.to_owned(),
                operator.address().to_string(),
                operator.public_key().to_string(),
            ]
        };
        let rows = [
            row("first", &operators.first),
            row("second", &operators.second),
        ];
        print::table(["key service", "address", "public key"], &rows);
        print::line(
            "  Both gateways ask both in turn, and believe an answer only with a proof under the \
             public key that they pin.\n  Their key rings hold a record key and nothing else.",
        );
        print::line(
            "  Between the clinics' queues and the registry's stands a relay: it takes off the \
             outer seal that gateways put around\n  each batch, and passes batches on in slots. \
             It lays down who sent which, and the registry which records were in it,\n  both \
             sealed to an auditor who alone can put the two together.",
        );
        print::line(format!(
            "  Each key service evaluates {DAILY_CEILING} points a day at most. Without \
             certificates, as on this machine, both clinics\n  and the portal are one client to \
             it; with them, each has a ceiling of its own."
        ));
        print::line(format!(
            "  A token issuer gives each clinic {DAILY_TOKENS} one-use tokens a day at most, \
             blinded. The registry takes no batch without one,\n  and cannot tell, not even \
             together with the issuer, whose it is. The issuer has an address for each clinic \
             here,\n  since without certificates it could not tell them apart.\n"
        ));
        let [batch, day] = operators.issuer.public_keys();
        let rows = [
            ["one for each batch".to_owned(), batch],
            ["one for each day".to_owned(), day],
        ];
        print::table(["tokens", "public key of the issuer"], &rows);
        Ok(())
    }

    /// New facts wait while a key service is away, and while somebody else answers at its address;
    /// then they are sent.
    pub(super) async fn months_later_without_a_key_service(
        &mut self,
        today: NaiveDate,
    ) -> Result<(), String> {
        self.chapters.begin(
            "Months later: the FSO polyclinic gives two doses and tests two people; the second key \
             service is stopped",
        );
        fso::add_of_these_days(&self.fso_server, today);
        self.stage.operators()?.second.stop().await?;
        self.fso
            .fail_to_send(&self.stage, "key-service-away")
            .await?;
        print::line("  Nothing was sent: the facts wait at the clinic.");

        print::line("\n  Somebody else answers at its address, under a key of their own:");
        let folder = self.stage.folder.clone();
        let mut impostor = self.stage.operators()?.start_impostor(&folder).await?;
        self.fso
            .fail_to_send(&self.stage, "key-service-misconfigured")
            .await?;
        impostor.stop().await?;
        print::line("  Nothing was sent.");

        print::line("\n  The second key service is back:");
        self.stage.operators()?.start_second().await?;
        self.send_to_registry(4).await?;

        self.chapters.begin(
            "Three citizens ask for a pass; the portal, too, has the key services evaluate their \
             numbers",
        );
        Ok(())
    }

    /// A thief of a clinic's gateway guesses numbers until the ceiling is reached; the clinic's own
    /// fact waits for the next day.
    pub(super) async fn thief(&mut self, city: &City) -> Result<(), String> {
        self.chapters.begin(
            "A thief of the FSO polyclinic's gateway has guessed numbers evaluated, until the \
             ceiling is reached",
        );
        let pseudonyms = city.pseudonyms(EMPLOYEE.identifier).await?;
        let loaded = &self.fso.loaded;
        let services = loaded.config.keys.services.as_ref();
        let services = services.ok_or("the clinic has no key services")?;
        let client = KeyClient::new(services, &loaded.base).map_err(|error| error.to_string())?;
        let guessed = guesses::until_the_ceiling(&client, EMPLOYEES_NUMBER).await?;
        print::line(format!(
            "  {} numbers were evaluated; then: {}",
            guessed.numbers, guessed.refusal
        ));
        // The thief has made no mistake: the guess of a known number is that person's pseudonym.
        if !pseudonyms
            .iter()
            .any(|known| known.value == guessed.first.to_bytes())
        {
            return Err("a guessed number is not evaluated as the portal's is".to_owned());
        }
        print::line(format!(
            "  At this pace {}.\n  And a pseudonym tells nothing about its person without the \
             registry's database and key.",
            guesses::all_numbers(DAILY_CEILING.into())
        ));

        print::line("\n  The polyclinic's test waits for them as well:");
        self.fso
            .fail_to_send(&self.stage, "key-service-ceiling")
            .await?;
        let midnight = self.stage.operators()?.begin_next_day();
        print::line(format!(
            "\n  Midnight, {midnight}: the ceilings of key services and issuer are lifted."
        ));
        self.send_to_registry(1).await
    }

    /// The registry holds what the clinics sent, and has facts of both for one person.
    pub(super) async fn meeting(&mut self, city: &City) -> Result<(), String> {
        self.chapters.begin(
            "Nothing is lost: the registry holds what both clinics sent, and their facts of one \
             person meet",
        );
        self.fsb.reconcile(&mut self.stage).await?;
        self.fso.reconcile(&mut self.stage).await?;
        let pseudonyms = city.pseudonyms(PATIENT_OF_BOTH).await?;
        let reader = self.stage.registry.reader();
        let subjects = reader.subjects_by(&pseudonyms).await;
        let subjects = subjects.map_err(|error| error.to_string())?;
        expect("subjects of one person", subjects.len() as u64, 1)?;
        let facts = subjects.into_iter().flat_map(|subject| subject.facts);
        let mut facts: Vec<_> = facts.map(|fact| show::describe(&fact)).collect();
        facts.sort_unstable();
        print::line("  one person by the SNILS, asked for as the portal asks:");
        for fact in &facts {
            print::line(format!("    {fact}"));
        }
        print::line(
            "  The FSO polyclinic has detected the virus; all else the FSB clinic has sent.",
        );
        if facts != FACTS_OF_BOTH {
            return Err(format!("other facts of this person: {FACTS_OF_BOTH:?}"));
        }
        Ok(())
    }

    /// What the key services have seen, as their audit logs tell.
    pub(super) async fn audit_logs(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "What key services and token issuer saw, as their audit logs tell: how many random \
             points, and nothing else",
        );
        let operators = self.stage.operators()?;
        operators.stop().await?;
        let first = operators.first.seen()?;
        let second = operators.second.seen()?;
        let rows = [row("first", &first), row("second", &second)];
        print::table(COLUMNS, &rows);
        print::line(format!(
            "  Each of these requests has {} points, whether it is about one person or about \
             {0}, and a person who is\n  asked about twice is another random point. The first \
             was asked while the second was away.",
            SIZES[0]
        ));
        print::line(format!(
            "\n  The newest line of the first log:\n  {}\n",
            first.newest
        ));
        let of_clinics = operators.issuer.seen()?;
        let rows: Vec<_> = of_clinics
            .iter()
            .map(|(clinic, seen)| row(clinic, seen))
            .collect();
        let [_, requests, _, refused] = COLUMNS;
        print::table(["clinic", requests, "tokens", refused], &rows);
        print::line(
            "  This the token issuer saw in two days: which clinic had how many tokens, and not \
             which batch each was spent for.",
        );
        let is_smallest = |seen: &Seen| seen.elements == seen.requests * SIZES[0] as u64;
        if !is_smallest(&first) || !is_smallest(&second) || first.elements <= second.elements {
            return Err("the key services were asked otherwise".to_owned());
        }
        Ok(())
    }
}
