//! Check of the token issuer: it answers, has the pinned keys, and its ceiling is told.

use connector_kit::CheckReport;
use key_client::{DifferingKey, KeyClientError, TokenClient, TokenIssuerState};

use super::section::{Section, add_start_error};
use crate::cli::slots_text::DummiesCost;
use crate::config::LoadedConfig;
use crate::gateway;
use crate::tokens::left_to_facts;

/// Tokens of the smaller request: with fewer left no batch may be sealed any more today.
const LEAST_LEFT: u64 = 16;

/// Checks the issuer that is configured; `None` where none is. `offline`: asks nobody. It costs no
/// token.
pub(super) async fn section(loaded: &LoadedConfig, offline: bool) -> Option<Section> {
    let mut report = CheckReport::default();
    match gateway::token_issuer(loaded) {
        Ok(None) => return None,
        Ok(Some(client)) if offline => {
            report.good(format!("tokens come from {}", client.issuer()));
        }
        Ok(Some(client)) => {
            let dummies = DummiesCost::of(&loaded.config);
            tell(
                &mut report,
                &client,
                dummies.map_or(0, |cost| cost.tokens_a_day),
            )
            .await;
        }
        Err(error) => add_start_error(&mut report, &error),
    }
    Some(Section::new("tokens", report))
}

/// Tells of the issuer; `dummies` is the number of tokens that dummies take in a day.
async fn tell(report: &mut CheckReport, client: &TokenClient, dummies: u64) {
    match client.look().await {
        Ok(state) => {
            tell_state(report, client, &state);
            tell_dummies(report, &state, dummies);
        }
        Err(KeyClientError::Misconfigured { what, help }) => report.error(what, help),
        Err(error) => report.away(
            error.to_string(),
            "it issues the tokens of batches; facts wait at the clinic until it answers",
        ),
    }
}

fn tell_state(report: &mut CheckReport, client: &TokenClient, state: &TokenIssuerState) {
    let issuer = client.issuer();
    for differing in &state.differing {
        report.error(difference_text(issuer, differing), DIFFERENCE_HELP);
    }
    if state.differing.is_empty() {
        report.good(format!("{issuer} has the keys as they are pinned"));
    }
    let left = state.left_today();
    let told = format!(
        "{issuer} gives {} tokens of batches a day to this clinic, {left} of them are left today",
        state.daily_ceiling
    );
    if left < LEAST_LEFT {
        report.warn(
            told,
            "facts wait until the next day of UTC begins; ask the operator for a higher ceiling if \
             this happens often",
        );
    } else {
        report.good(told);
    }
    if client.has_day_tokens() {
        report.good(if state.day_token_given {
            "the token of this day was issued"
        } else {
            "the token of this day was not issued yet"
        });
    }
}

/// Sentence on a pinned key that the issuer has not, or has for another use.
fn difference_text(issuer: &str, differing: &DifferingKey) -> String {
    let DifferingKey {
        setting,
        key,
        theirs,
    } = differing;
    match theirs {
        None => format!("{issuer} has no key {key}, which {setting} of [tokens] pins"),
        Some("pseudonyms") => format!(
            "{issuer} is a key service of pseudonyms: its key {key}, which {setting} of [tokens] \
             pins, issues no tokens"
        ),
        Some(theirs) if theirs != setting => format!(
            "key {key} of {issuer} is for use = \"{theirs}\", and {setting} of [tokens] pins it"
        ),
        Some(_) => {
            format!("{issuer} has another key {key} than the one that {setting} of [tokens] pins")
        }
    }
}

/// Next step for every difference between pinned keys and the issuer's.
const DIFFERENCE_HELP: &str = "write into batch and day of [tokens] the numbers and public keys \
                               that the issuer's operator reads out of `key-service keys show`, use \
                               for use; keys of key services belong into [[keys.services]]";

/// Warns of a ceiling that dummies would use up but for what is left to facts.
fn tell_dummies(report: &mut CheckReport, state: &TokenIssuerState, dummies: u64) {
    let kept = left_to_facts(state.daily_ceiling);
    let needed = dummies.saturating_add(kept);
    if dummies == 0 || needed <= state.daily_ceiling {
        return;
    }
    let left = state.daily_ceiling.saturating_sub(state.used_today);
    let consequence = if left <= kept {
        format!(
            "{left} of it are left today, which are for facts: no dummies are sent until midnight \
             (UTC), and slots show how many batches have facts"
        )
    } else {
        format!(
            "once {kept} of it are left, those are for facts, and slots show again how many batches \
             have facts"
        )
    };
    report.warn(
        format!(
            "dummies take up to {dummies} tokens a day, and the ceiling is {}: {consequence}",
            state.daily_ceiling
        ),
        format!(
            "ask the operator for {dummies} more than facts need, or write fewer \
             batches_per_slot or a longer slot_seconds in [release]"
        ),
    );
}

#[cfg(test)]
mod tests {
    use connector_kit::Level;
    use key_client::TokenIssuerConfig;
    use oprf::TokenKey;

    use super::*;

    /// What is told of an issuer in this state: levels and texts.
    fn told(state: &TokenIssuerState) -> Vec<(Level, String)> {
        let [batch, day] = [TokenKey::generate(), TokenKey::generate()].map(|key| key.public_key());
        let text = format!(
            "url = \"http://127.0.0.1:1\"\nbatch = {{ key = 1, public_key = \"{batch}\" }}\n\
             day = {{ key = 2, public_key = \"{day}\" }}\n"
        );
        let config: TokenIssuerConfig = toml::from_str(&text).expect("a section");
        let client = TokenClient::new(&config, "/".as_ref()).expect("a client");
        let mut report = CheckReport::default();
        tell_state(&mut report, &client, state);
        let findings = report.findings.into_iter();
        findings
            .map(|finding| (finding.level, finding.what))
            .collect()
    }

    #[test]
    fn keys_ceiling_and_the_day_are_told() {
        let mut state = TokenIssuerState {
            differing: Vec::new(),
            daily_ceiling: 4096,
            used_today: 4096 - LEAST_LEFT,
            day_token_given: true,
        };
        let good = told(&state);
        assert!(
            good.iter().all(|(level, _)| *level == Level::Good),
            "{good:?}"
        );
        assert!(good[1].1.contains("4096") && good[1].1.contains("16 of them are left"));
        state.used_today += 1;
        state.differing.push(DifferingKey {
            setting: "day",
            key: 2,
            theirs: Some("batch"),
        });
        let bad = told(&state);
        assert!(
            bad[0].0 == Level::Error
                && bad[0]
                    .1
                    .contains("is for use = \"batch\", and day of [tokens]"),
            "{bad:?}"
        );
        assert!(bad[1].0 == Level::Warning, "{bad:?}");
    }

    #[test]
    fn dummies_beyond_the_ceiling_are_warned_of() {
        let warned = |daily_ceiling, dummies| {
            let state = TokenIssuerState {
                differing: Vec::new(),
                daily_ceiling,
                used_today: 0,
                day_token_given: true,
            };
            let mut report = CheckReport::default();
            tell_dummies(&mut report, &state, dummies);
            report.findings.len()
        };
        assert_eq!([warned(4096, 0), warned(4096, 768)], [0, 0]);
        assert_eq!([warned(2048, 1536), warned(2048, 1537)], [0, 1]);
        assert_eq!([warned(400, 300), warned(400, 301)], [0, 1]);
    }
}
