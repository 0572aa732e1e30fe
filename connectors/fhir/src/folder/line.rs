//! What one line of a file holds: a resource of a type that is read, another one, or nothing that
//! can be read.

use connector_kit::Feed;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::settings::FolderSettings;
use crate::bundle::deletions::Deletions;
use crate::bundle::{self, Resource};
use crate::fact::{codings_of, resource_type};
use crate::model::Head;
use crate::outcome::{self, Weight};

/// Longest name of a resource type that is kept.
const MAX_TYPE_BYTES: usize = 64;

/// Content of a line.
pub(super) enum LineContent {
    /// A record of a feed.
    Record(Feed, Resource),
    /// A resource of a feed's type that has none of the feed's codes.
    OtherCode(Feed),
    Patient(Resource),
    /// A Bundle: a list of what was deleted, or another one.
    Deletions(Deletions),
    /// An `OperationOutcome` that says that something is missing from the export, in our words.
    Incomplete(String),
    /// A resource of another type.
    Other,
    /// No JSON, or no FHIR resource.
    Unreadable,
}

/// A line that was looked at.
pub(super) struct ReadLine {
    /// Type of the resource; empty for what is none.
    pub resource_type: String,
    pub content: LineContent,
}

impl ReadLine {
    /// A line that is no resource.
    pub(super) const fn unreadable() -> Self {
        Self {
            resource_type: String::new(),
            content: LineContent::Unreadable,
        }
    }
}

/// Looks at a line.
pub(super) fn read(bytes: &[u8], settings: &FolderSettings) -> ReadLine {
    let Some(text) = resource_text(bytes) else {
        return ReadLine::unreadable();
    };
    let head: Head = serde_json::from_str(text).unwrap_or_default();
    let Some(found_type) = head.resource_type.as_str().filter(|name| is_type(name)) else {
        return ReadLine::unreadable();
    };
    let content = match feed_of(found_type, settings) {
        Some(feed) => record(feed, text, settings),
        None if found_type == "Patient" => parsed(text, "Patient").map(LineContent::Patient),
        None if found_type == "OperationOutcome" => Some(outcome(bytes)),
        None if found_type == "Bundle" => {
            let is_wanted = |kind: &str| kind == "Patient" || feed_of(kind, settings).is_some();
            Deletions::read(text, &settings.addresses, is_wanted).map(LineContent::Deletions)
        }
        None => Some(LineContent::Other),
    };
    ReadLine {
        resource_type: found_type.to_owned(),
        content: content.unwrap_or(LineContent::Unreadable),
    }
}

/// The feed that is read of a resource type.
pub(super) fn feed_of(found_type: &str, settings: &FolderSettings) -> Option<Feed> {
    let mut feeds = settings.feeds.iter().copied();
    feeds.find(|feed| resource_type(*feed) == found_type)
}

/// The resource on a line of its own, as it is read again by its place.
pub(super) fn parsed(text: &str, resource_type: &str) -> Option<Resource> {
    let json: Box<RawValue> = serde_json::from_str(text).ok()?;
    Some(bundle::alone(json, resource_type))
}

fn record(feed: Feed, text: &str, settings: &FolderSettings) -> Option<LineContent> {
    let codings = codings_of(feed, text)?;
    if !settings.asks_for(feed, &codings) {
        return Some(LineContent::OtherCode(feed));
    }
    let resource = parsed(text, resource_type(feed))?;
    Some(LineContent::Record(feed, resource))
}

/// The text of a line that may be a JSON object.
fn resource_text(bytes: &[u8]) -> Option<&str> {
    // serde would take a JSON list for a struct's fields in order.
    let text = std::str::from_utf8(bytes).ok()?;
    text.starts_with('{').then_some(text)
}

/// True for a line that is JSON, whatever it holds.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn is_type(name: &str) -> bool {
    (1..=MAX_TYPE_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic())
}

fn outcome(bytes: &[u8]) -> LineContent {
    if outcome::weight(bytes) == Weight::Remark {
        return LineContent::Other;
    }
    LineContent::Incomplete(outcome::describe(bytes).unwrap_or_default())
}
