//! Scene of a clinic that was broken into: what was stated in its name is withdrawn, and nothing of
//! the other clinic.

use std::collections::BTreeSet;

use contract::FactKind;

use super::{Story, expect, receive, verdicts};
use crate::citizens::{CUSTOMER, City, Door, EMPLOYEE, PATIENT, today};
use crate::{fsb, fso, print};

impl Story {
    /// Somebody states a vaccination in the name of the FSO polyclinic; the auditor opens what its
    /// account stated, and the registry withdraws exactly that.
    pub(super) async fn break_in(&mut self, city: &City) -> Result<(), String> {
        self.chapters.begin(
            "Somebody has broken into the FSO polyclinic's gateway, and states a vaccination that \
             never was; the FSB clinic states a true one",
        );
        let now = self.stage.clock.now();
        fso::forge(&self.fso_server, today(now));
        fsb::vaccinate(&self.fsb_database, today(now)).await?;
        let fsb_sent = self.fsb.send(&self.stage).await?;
        let fso_sent = self.fso.send(&self.stage).await?;
        expect("new records", fsb_sent.events + fso_sent.events, 2)?;
        self.pass_on(&[fsb_sent, fso_sent]).await?;
        receive(&mut self.stage).await?;
        self.fsb.settle(&self.stage, fsb_sent).await?;
        self.fso.settle(&self.stage, fso_sent).await?;
        let mut strips = Vec::new();
        for citizen in [&PATIENT, &EMPLOYEE, &CUSTOMER] {
            strips.push((citizen, city.ask(citizen, now).await?));
        }
        let before = Door::fetch(&city.publish(now).await?, city.root())?;
        verdicts(&strips, &before, now, ["valid", "valid", "valid"])?;

        self.chapters.begin(
            "It is noticed: with the auditor's key alone the halves of relay and registry are \
             joined, and the registry withdraws what that account stated",
        );
        self.purge().await?;
        let now = self.stage.clock.now();
        let published = city.publish(now).await?;
        print::line(format!("  {} passes ended", published.newly_ended));
        city.refuse(&CUSTOMER, now).await?;
        let after = Door::fetch(&published, city.root())?;
        let revoked = "invalid (revoked)";
        verdicts(&strips, &after, now, ["valid", revoked, revoked])?;
        print::line(
            "  The employee's true doses are among what the account stated: nobody can tell them \
             from forged ones. They come back\n  once the clinic is in order, and `city-registry \
             purge --permit` has them taken again.",
        );
        Ok(())
    }

    /// Opens and withdraws what the account of the FSO polyclinic has stated, and compares what is
    /// left with what the other account has.
    async fn purge(&self) -> Result<(), String> {
        let relay = self.stage.relay.as_ref().ok_or("there is no relay")?;
        let now = self.stage.clock.now();
        let period = [self.stage.first_day, now.date_naive()];
        let of_account = |account| relay.open(account, period[0], period[1]);
        let opened = of_account("fso")?;
        let honest = of_account("fsb")?;
        print::line(format!(
            "  the auditor: {} batches of the account fso, {} records stated in them",
            opened.counts.batches, opened.counts.records
        ));
        let reader = self.stage.registry.reader();
        let purged = reader.purge(&opened.list, false, now, |_| {}).await;
        let purged = purged.map_err(|error| error.to_string())?;
        let kinds = FactKind::ALL.map(|kind| {
            let facts = purged.withdrawn.get(&kind).copied().unwrap_or_default();
            format!("{}: {facts}", kind.as_str())
        });
        print::line(format!(
            "  the registry: facts withdrawn: {}; persons: {}; passes to be judged: {}",
            kinds.join(", "),
            purged.persons,
            purged.passes
        ));
        let stored = reader.facts().await.map_err(|error| error.to_string())?;
        let stated: BTreeSet<_> = honest.list.records().iter().map(|it| it.record).collect();
        let left: Vec<_> = stored.iter().filter(|it| it.fact.is_some()).collect();
        let foreign = left
            .iter()
            .filter(|it| !stated.contains(&it.record))
            .count();
        expect(
            "facts left that the FSB clinic has not stated",
            foreign as u64,
            0,
        )?;
        let lost = stored
            .iter()
            .filter(|it| it.fact.is_none() && stated.contains(&it.record));
        print::line(format!(
            "  left: {} facts, each of them stated by the FSB clinic",
            left.len()
        ));
        // The dose that was cancelled, the one that was deleted, one cancelled before it was sent,
        // and the beacon.
        expect(
            "records of the FSB clinic that are withdrawn",
            lost.count() as u64,
            4,
        )
    }
}
