//! Checks passes of the city as it is done at the door.

mod data;
mod root;
mod show;

use chrono::{DateTime, Utc};
use pass::verify::{Held, Verdict, verify};

use crate::cli::VerifyArguments;
use crate::ending::Ending;
use crate::input::{self, Content, InputError, Source};
use root::Root;

/// Runs `pass verify`.
pub(crate) fn run(asked: &VerifyArguments, now: DateTime<Utc>) -> Result<Ending, InputError> {
    let now = asked.at.unwrap_or(now);
    let source = Source::of(&asked.file);
    let root = Root::read(&asked.root, asked.issuer.as_deref())?;
    let loaded = data::load(asked, &root, now)?;
    let held = loaded.held();
    let texts = texts(&source)?;
    let verdicts: Vec<Verdict> = texts.iter().map(|text| verify(text, held, now)).collect();
    if asked.json {
        show::json(&verdicts, &root, &loaded, now);
    } else {
        show::words(&verdicts, &root, &loaded, now);
    }
    let ends = verdicts.iter().map(ending);
    Ok(ends.fold(Ending::Valid, Ending::max))
}

fn texts(source: &Source) -> Result<Vec<String>, InputError> {
    match input::read_passes(source)? {
        Content::Texts(texts) => Ok(texts),
        Content::Picture(png) => {
            input::codes(&png).map_err(|fault| InputError::Unfit(source.name(), fault.to_string()))
        }
    }
}

/// End of a check with this verdict.
const fn ending(verdict: &Verdict) -> Ending {
    match verdict {
        Verdict::Valid(_) => Ending::Valid,
        Verdict::Invalid(_) => Ending::Invalid,
        Verdict::Stale(_) => Ending::Stale,
        Verdict::CannotTell => Ending::CannotTell,
        Verdict::ClockWrong => Ending::ClockWrong,
    }
}

/// Data that were loaded, as the library wants them.
impl data::Loaded {
    fn held(&self) -> Option<Held<'_>> {
        Some(Held {
            trust: self.trust.as_ref()?.bundle(),
            revocations: self.revocations.as_ref()?,
        })
    }
}
