//! Scenes of one-use tokens: the registry counts the clinics that are alive, and a thief of a
//! clinic's gateway has no more tokens than the ceiling lets.

use std::time::Duration;

use contract::RefusalReason;

use super::{Story, expect};
use crate::citizens::today;
use crate::clinics::Sent;
use crate::operators::DAILY_TOKENS;
use crate::stage::CLINICS;
use crate::{fso, print, stolen_tokens};

/// Longest wait for what has left to be at the registry.
const PATIENCE: Duration = Duration::from_secs(60);

impl Story {
    /// Each gateway shows itself once in the day, and the registry counts the clinics.
    pub(super) async fn signs_of_life(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "The evening of the day: each gateway has shown itself once, and the registry counts \
             the clinics without knowing which they are",
        );
        for clinic in [&self.fsb, &self.fso] {
            let sent = clinic.show_alive(&self.stage).await?;
            self.pass_on(&[sent]).await?;
        }
        let clinics = CLINICS.len() as u64;
        let until = self.stage.clock.elapsed() + PATIENCE;
        loop {
            let drained = self.stage.registry.drain().await;
            drained.map_err(|error| error.to_string())?;
            let reader = self.stage.registry.reader();
            let alive = reader.alive_clinics(self.stage.clock.now()).await;
            let alive = alive.map_err(|error| error.to_string())?.today;
            if alive == clinics {
                break;
            }
            if self.stage.clock.elapsed() > until {
                return expect("clinics alive", alive, clinics);
            }
        }
        print::line(format!(
            "  the registry: {clinics} clinics are alive today, as so many different tokens of the \
             day have come"
        ));
        Ok(())
    }

    /// A thief takes all tokens that a clinic may have, and uses one twice; the clinic's own fact
    /// waits, and nobody else's does.
    pub(super) async fn stolen_tokens(&mut self) -> Result<(), String> {
        self.chapters.begin(
            "A thief of the FSO polyclinic's gateway takes all tokens that the issuer still gives \
             it today, and uses one of them twice",
        );
        let issuer = &self.stage.operators()?.issuer;
        let thief = issuer.client("fso")?;
        let others = issuer.client("fsb")?;
        let taken = stolen_tokens::until_the_ceiling(&thief).await?;
        print::line(format!(
            "  {} tokens were given; then: {}",
            taken.tokens.len(),
            taken.refusal
        ));
        let left = |state: Result<key_client::TokenIssuerState, _>| {
            let state = state.map_err(|error: key_client::KeyClientError| error.to_string());
            state.map(|state| state.left_today())
        };
        expect("tokens left for the thief", left(thief.look().await)?, 0)?;
        self.use_one_twice(&taken.tokens).await?;

        print::line("\n  The polyclinic's next test waits:");
        let now = self.stage.clock.now();
        fso::add_one_more(&self.fso_server, today(now));
        self.fso.fail_to_send(&self.stage, "token-ceiling").await?;
        print::line(format!(
            "  The FSB clinic has its own {DAILY_TOKENS} tokens a day, {} of them are left.",
            left(others.look().await)?
        ));
        Ok(())
    }

    /// The thief sends three batches: with a token, with the same one again, and with none.
    async fn use_one_twice(&mut self, tokens: &[key_client::TokenBytes]) -> Result<(), String> {
        let token = *tokens.first().ok_or("the thief has got no token")?;
        print::line(
            "\n  Three batches of the thief: one with a token, one with the same token again, and \
             one with none:",
        );
        stolen_tokens::send(&self.fso.loaded, &[Some(token), Some(token), None]).await?;
        let sent = Sent {
            events: 3,
            batches: 3,
        };
        self.pass_on(&[sent]).await?;
        let until = self.stage.clock.elapsed() + PATIENCE;
        let mut applied = 0;
        let mut refused = 0;
        while applied + refused < sent.events && self.stage.clock.elapsed() < until {
            let drained = self.stage.registry.drain().await;
            let (outcome, _) = drained.map_err(|error| error.to_string())?;
            applied += outcome.applied as u64;
            refused += outcome.refused as u64;
        }
        let stats = self.stage.registry.reader().stats().await;
        let stats = stats.map_err(|error| error.to_string())?;
        let counted = stats.refusals.get(RefusalReason::Token.as_str());
        let counted = counted.copied().unwrap_or_default();
        print::line(format!(
            "  the registry: {applied} applied, {counted} refused for their token, and counted"
        ));
        expect("batches of the thief applied", applied, 1)?;
        expect("batches of the thief refused", refused, 2)?;
        expect("refusals counted for a token", counted, 2)
    }
}
