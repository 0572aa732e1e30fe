//! The settings of a folder, checked and in the form that reading takes.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use connector_kit::{Coding, Feed, SourceError};

use super::config::FhirFolderConfig;
use crate::bounds;
use crate::content_settings::ContentSettings;
use crate::fact::MappingRules;
use crate::identity::IdentifierSystems;
use crate::links::OwnAddresses;
use crate::query;

/// Everything that reading a folder takes.
pub(super) struct FolderSettings {
    pub path: PathBuf,
    pub feeds: Vec<Feed>,
    pub rules: MappingRules,
    pub identifier_systems: IdentifierSystems,
    /// The addresses under which the folder's own patients are known.
    pub addresses: OwnAddresses,
    pub has_base_url: bool,
    pub limits: FolderLimits,
    vaccine_codes: String,
    test_codes: String,
    diagnosis_codes: String,
}

/// Limits of what is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct FolderLimits {
    /// Time for which nothing may have changed.
    pub settle: TimeDelta,
    /// Most bytes of a line, its end not counted.
    pub line_bytes: usize,
    /// Most files with resources.
    pub files: usize,
    /// Most records and patients that the index holds.
    pub resources: usize,
    /// Most bytes of the records of one page; one record may always come.
    pub page_bytes: u64,
}

/// Most files with resources in a folder.
const MAX_FILES: usize = 10_000;
/// Most records of the feeds, and patients, that the index holds: 70 bytes and the id for each.
const MAX_RESOURCES: usize = 5_000_000;
/// Most bytes of the records of a page.
const MAX_PAGE_BYTES: u64 = 64 * 1024 * 1024;

impl FolderSettings {
    /// Checks the settings; a relative path starts from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for the first setting that cannot work.
    pub(super) fn new(config: &FhirFolderConfig, folder: &Path) -> Result<Self, SourceError> {
        let content = ContentSettings::from(config);
        if config.path.as_os_str().is_empty() {
            return Err(SourceError::misconfigured(
                "path is empty",
                "write the folder that holds the export's files",
            ));
        }
        bounds::check_number("settle_seconds", config.settle_seconds, 1..=86_400)?;
        let bytes = config.max_line_bytes;
        bounds::check_number("max_line_bytes", bytes, 64 * 1024..=256 * 1024 * 1024)?;
        bounds::check_content(content)?;
        let read = |feed: &Feed| content.reads(*feed);
        Ok(Self {
            path: folder.join(&config.path),
            feeds: Feed::ALL.into_iter().filter(read).collect(),
            rules: content.mapping_rules(),
            identifier_systems: IdentifierSystems::of(content),
            // Without an address of its own nothing but relative references is the folder's.
            addresses: OwnAddresses::new(config.base_url.as_deref().unwrap_or_default()),
            has_base_url: config.base_url.is_some(),
            limits: FolderLimits {
                settle: TimeDelta::seconds(config.settle_seconds.into()),
                line_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
                files: MAX_FILES,
                resources: MAX_RESOURCES,
                page_bytes: MAX_PAGE_BYTES,
            },
            vaccine_codes: query::tokens(content.vaccine_codes, "vaccine_codes")?,
            test_codes: query::tokens(content.test_codes, "test_codes")?,
            diagnosis_codes: query::tokens(content.diagnosis_codes, "diagnosis_codes")?,
        })
    }

    /// The tokens of the codes that a feed is for, joined by commas; empty for all.
    pub(super) fn codes(&self, feed: Feed) -> &str {
        match feed {
            Feed::Vaccinations => &self.vaccine_codes,
            Feed::Tests => &self.test_codes,
            Feed::Recoveries => &self.diagnosis_codes,
        }
    }

    /// True if a resource with these codes is one of the feed's.
    pub(super) fn asks_for(&self, feed: Feed, codings: &[Coding]) -> bool {
        query::have_token(self.codes(feed), codings)
    }
}
