//! The story: both clinics send, records are corrected, cancelled and deleted, and every fact is
//! accounted for.

mod compromised;
mod rotation;
mod strong;
mod tokens;

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use settings::shell_quoted;
use testbed::fhir::FhirServer;

use crate::arguments::Arguments;
use crate::citizens::{self, Citizen, City, DIPLOMAT, Door, EMPLOYEE, SWAPPED};
use crate::clinics::{Clinic, Sent};
use crate::print::Chapters;
use crate::stage::{Example, Stage};
use crate::{fsb, fso, print, show};

/// Plays the story, scene after scene.
///
/// # Errors
/// Sentence about the first step that did not come out as it must.
pub(crate) async fn play(arguments: &Arguments) -> Result<(), String> {
    // Told before the work, not after it.
    if let Some(folder) = &arguments.out {
        citizens::make_folder(folder)?;
    }
    let mut story = Story::set_up(arguments).await?;
    if arguments.strong {
        story.introduce_operators()?;
    }
    story.first_pass().await?;
    story.changes().await?;
    story.comparison().await?;
    let city = story.passes(arguments).await?;
    if arguments.strong {
        story.signs_of_life().await?;
        story.stolen_tokens().await?;
        story.thief(&city).await?;
        story.meeting(&city).await?;
        story.break_in(&city).await?;
        story.rotation(&city).await?;
        story.audit_logs().await?;
    }
    if let Some(relay) = &story.stage.relay {
        relay.end().await;
    }
    if let Some(folder) = &arguments.keep {
        print::line(format!(
            "\nEverything is kept in {}: look at fsb/clinic-gateway.toml, or ask",
            folder.display()
        ));
        print::line(format!(
            "  cargo run -- --config {} status",
            shell_quoted(folder.join("fsb/clinic-gateway.toml"))
        ));
    }
    #[cfg(feature = "serve")]
    if arguments.serve {
        if arguments.strong {
            story.stage.operators()?.start_both().await?;
        }
        crate::serve::serve(&story.stage, city, &mut story.chapters).await?;
    }
    #[cfg(not(feature = "serve"))]
    drop(city);
    Ok(())
}

/// Two clinics with their systems, their gateways and the registry.
struct Story {
    stage: Stage,
    fsb: Clinic,
    fso: Clinic,
    /// Path of the first clinic's database.
    fsb_database: PathBuf,
    fso_server: FhirServer,
    chapters: Chapters,
}

impl Story {
    /// Makes the clinics and shows what they hold.
    async fn set_up(arguments: &Arguments) -> Result<Self, String> {
        let stage = Stage::set(arguments).await?;
        let fsb_database = stage.folder.join("fsb-mis.db");
        let mut held = fsb::make(&fsb_database).await?;
        let fso_server = FhirServer::start()
            .await
            .map_err(|error| error.to_string())?;
        held.extend(fso::fill(&fso_server));
        let address = fsb_database
            .to_str()
            .ok_or("the folder's path is not UTF-8")?;
        let fsb = Clinic {
            name: "fsb",
            source: "mis",
            loaded: stage.clinic(Example::Fsb, address)?,
        };
        let fso = Clinic {
            name: "fso",
            source: "clinic",
            loaded: stage.clinic(Example::Fso, &fso_server.base_url())?,
        };
        let mut chapters = Chapters::default();
        chapters.begin("What the clinics hold (all people are invented)");
        print::table(["clinic", "record", "person", "what"], &held);
        Ok(Self {
            stage,
            fsb,
            fso,
            fsb_database,
            fso_server,
            chapters,
        })
    }

    /// Sends everything for the first time and shows what crossed and what stayed.
    async fn first_pass(&mut self) -> Result<(), String> {
        self.chapters.begin("Both gateways send what they have");
        let fsb_sent = self.fsb.send(&self.stage).await?;
        let fso_sent = self.fso.send(&self.stage).await?;
        self.pass_on(&[fsb_sent, fso_sent]).await?;

        self.chapters
            .begin("What crossed: one event of one batch, opened with the registry's private key");
        show::sample(&self.stage).await?;

        self.chapters
            .begin("What the registry has: no name, no number, no clinic");
        receive(&mut self.stage).await?;
        show::registry(&self.stage).await?;

        self.chapters
            .begin("Its signed receipts: heard by both gateways, and each can read its own only");
        self.fsb.settle(&self.stage, fsb_sent).await?;
        self.fso.settle(&self.stage, fso_sent).await?;

        self.chapters
            .begin("What the clinics did not send, and why (this list stays at the clinic)");
        show::refused(&self.fsb.loaded, "fsb").await?;
        show::refused(&self.fso.loaded, "fso").await
    }

    /// Corrects, cancels and deletes a record, and sends what that changes.
    async fn changes(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "One record is corrected, one cancelled, and one deleted, which only a sweep of \
             all keys can see",
        );
        fsb::cancel_one_and_delete_another(&self.fsb_database).await?;
        fso::correct(&self.fso_server);
        let fsb_sent = self.fsb.send(&self.stage).await?;
        let fso_sent = self.fso.send(&self.stage).await?;
        expect("changed records", fsb_sent.events + fso_sent.events, 2)?;
        let swept = self.fsb.sweep(&self.stage).await?;
        expect("deleted records", swept.events, 1)?;
        self.pass_on(&[fsb_sent, fso_sent, swept]).await?;
        receive(&mut self.stage).await?;
        let sent_and_swept = Sent {
            events: fsb_sent.events + swept.events,
            batches: fsb_sent.batches + swept.batches,
        };
        self.fsb.settle(&self.stage, sent_and_swept).await?;
        self.fso.settle(&self.stage, fso_sent).await?;
        show::registry(&self.stage).await
    }

    /// Looks once more at unchanged clinics, and compares them with the registry.
    async fn comparison(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "Nothing has changed since; both gateways look again, and ask the registry whether \
             it holds what they sent",
        );
        let fsb_sent = self.fsb.send(&self.stage).await?;
        let fso_sent = self.fso.send(&self.stage).await?;
        let batches = fsb_sent.batches + fso_sent.batches;
        expect("batches although nothing had changed", batches as u64, 0)?;
        self.fsb.reconcile(&mut self.stage).await?;
        self.fso.reconcile(&mut self.stage).await
    }
}

impl Story {
    /// Citizens ask for passes, which are checked without network; a correction ends one.
    async fn passes(&mut self, arguments: &Arguments) -> Result<City, String> {
        let now = self.stage.clock.now();
        let today = citizens::today(now);
        if arguments.strong {
            self.months_later_without_a_key_service(today).await?;
        } else {
            self.chapters.begin(
                "Months later: the FSO polyclinic gives two doses and tests two people, and three \
                 citizens ask for a pass",
            );
            fso::add_of_these_days(&self.fso_server, today);
            self.send_to_registry(4).await?;
        }
        let city = City::open(&self.stage)?;
        let mut strips = Vec::new();
        for citizen in [&EMPLOYEE, &DIPLOMAT, &SWAPPED] {
            strips.push((citizen, city.ask(citizen, now).await?));
        }
        for (citizen, strip) in &strips[..2] {
            print::line(format!("\n  The code of today, {}:", citizen.who));
            citizens::print_code(strip)?;
        }

        let certificate = city.certify(&EMPLOYEE, now).await?;
        print::line("\n  For a journey the employee also asks for a certificate of the last dose.");

        self.chapters
            .begin("At a restaurant, without network: keys and list were fetched before");
        let before = Door::fetch(&city.publish(now).await?, city.root())?;
        verdicts(&strips, &before, now, ["valid", "valid", "valid"])?;
        let verdict = before.judge(&certificate, now);
        print::line(format!("  the certificate: {verdict}"));
        if verdict != "valid" {
            return Err(format!("{verdict} instead of valid"));
        }

        self.chapters
            .begin("The laboratory corrects one test; the pass that stood on it ends");
        fso::correct_yesterdays(&self.fso_server, today);
        self.send_to_registry(1).await?;
        let published = city.publish(now).await?;
        print::line(format!(
            "  {} passes ended; the signed list has {} bytes",
            published.newly_ended,
            published.revocations.len()
        ));
        city.refuse(&SWAPPED, now).await?;
        let after = Door::fetch(&published, city.root())?;
        verdicts(
            &strips,
            &after,
            now,
            ["valid", "valid", "invalid (revoked)"],
        )?;
        if let Some(folder) = &arguments.out {
            let strips = strips
                .iter()
                .map(|(citizen, strip)| (citizen.file, strip.as_str()));
            let certificate = (citizens::CERTIFICATE, certificate.as_str());
            let passes: Vec<_> = strips.chain([certificate]).collect();
            citizens::write_out(folder, &passes, &published, city.root())?;
            print::line(format!("  written to {}", folder.display()));
        }
        Ok(city)
    }

    /// Has the relay, where there is one, pass on what the gateways have sent.
    async fn pass_on(&self, sent: &[Sent]) -> Result<(), String> {
        let batches = sent.iter().map(|sent| sent.batches).sum();
        self.stage.pass_on(batches).await?;
        if self.stage.relay.is_some() {
            print::line(format!(
                "  the relay: {batches} batches taken out of their outer seal, and passed on \
                 without a sender"
            ));
        }
        Ok(())
    }

    /// Sends what the FSO polyclinic has changed, so many records, to the registry.
    async fn send_to_registry(&mut self, records: u64) -> Result<(), String> {
        let sent = self.fso.send(&self.stage).await?;
        expect("changed records", sent.events, records)?;
        self.pass_on(&[sent]).await?;
        receive(&mut self.stage).await?;
        self.fso.settle(&self.stage, sent).await
    }
}

/// Prints the verdicts on the strips and compares them with what they must be.
fn verdicts(
    strips: &[(&Citizen, String)],
    door: &Door,
    now: DateTime<Utc>,
    expected: [&str; 3],
) -> Result<(), String> {
    for ((citizen, strip), expected) in strips.iter().zip(expected) {
        let verdict = door.judge(strip, now);
        print::line(format!("  {}: {verdict}", citizen.who));
        if verdict != expected {
            return Err(format!("{verdict} instead of {expected}"));
        }
    }
    Ok(())
}

fn expect(what: &str, found: u64, expected: u64) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found} {what} instead of {expected}"))
    }
}

async fn receive(stage: &mut Stage) -> Result<(), String> {
    let (outcome, dead) = stage
        .registry
        .drain()
        .await
        .map_err(|error| error.to_string())?;
    print::line(format!(
        "  applied {}, unchanged {}, refused {}, unreadable batches {dead}\n",
        outcome.applied, outcome.unchanged, outcome.refused
    ));
    expect(
        "refused events and unreadable batches",
        outcome.refused as u64 + dead as u64,
        0,
    )
}
