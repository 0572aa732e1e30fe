//! Scene of a key service that changes its key: the registry's names follow, and nobody is asked
//! again.

use contract::Suite;
use registry::Rekeyed;

use super::{Story, expect, receive};
use crate::citizens::{City, PATIENT, today};
use crate::operators::{EPOCH, NEXT_EPOCH};
use crate::{fsb, print};

impl Story {
    /// The second key service gets a key of its own choice beside the old one, the registry
    /// multiplies what it holds, and a clinic moves.
    pub(super) async fn rotation(&mut self, city: &City) -> Result<(), String> {
        self.chapters.begin(
            "The second key service changes its key: the registry multiplies the names that it \
             holds, and no clinic sends anything again",
        );
        self.stage.operators()?.put_next_key_in().await?;
        let now = self.stage.clock.now();
        let reader = self.stage.registry.reader();
        let rekeyed = reader.rekey(EPOCH, NEXT_EPOCH, now, |_| {}).await;
        let Rekeyed::Done(names) = rekeyed.map_err(|error| error.to_string())? else {
            return Err("the names have changed before".to_owned());
        };
        print::line(format!(
            "  {names} names multiplied by the factor that the operator has brought; they are names \
             of epoch {NEXT_EPOCH} now"
        ));
        let facts = reader.facts().await.map_err(|error| error.to_string())?;
        let mut stored = facts.iter().flat_map(|fact| &fact.subject);
        let is_left = |epoch, suite| epoch == EPOCH && suite == Suite::Voprf;
        if stored.any(|name| is_left(name.epoch, name.suite)) {
            return Err("a name of the old key is left".to_owned());
        }
        print::line("  The portal still asks under the old key, and finds:");
        city.ask(&PATIENT, now).await?;

        print::line(
            "\n  The FSB clinic pins the new key beside the old one, and sends a new fact:",
        );
        self.fsb.loaded = self.stage.pin_next_keys(&self.fsb.loaded)?;
        fsb::test(&self.fsb_database, today(now)).await?;
        let sent = self.fsb.send(&self.stage).await?;
        expect("new records", sent.events, 1)?;
        self.pass_on(&[sent]).await?;
        receive(&mut self.stage).await?;
        self.fsb.settle(&self.stage, sent).await?;
        let pseudonyms = city.pseudonyms(PATIENT.identifier).await?;
        let subjects = self.stage.registry.reader().subjects_by(&pseudonyms).await;
        let subjects = subjects.map_err(|error| error.to_string())?;
        expect("subjects of one person", subjects.len() as u64, 1)?;
        let facts = subjects.iter().flat_map(|subject| &subject.facts);
        let facts = facts.filter(|fact| fact.fact.is_some()).count();
        print::line("  Its test and its vaccination are one person's.");
        expect("facts of the patient", facts as u64, 2)
    }
}
