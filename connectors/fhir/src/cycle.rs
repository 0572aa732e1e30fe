//! Pages of a search that never end: links that lead back, and new links to the same entries.

use connector_kit::{CycleDetector, SourceError};
use serde::{Deserialize, Serialize};

/// Pages that may bring the same entries as an earlier one: an insertion can shift a whole page
/// once.
const MAX_REPEATED: u32 = 3;
/// Pages in a row that may be empty: a server may leave out, page by page, what the account must
/// not see.
pub(crate) const MAX_EMPTY: u32 = 100;

/// Reason why the pages of a search are not followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndlessReason {
    /// The link leads to the page that it stands on.
    SamePage,
    /// The link leads to an earlier page.
    EarlierPage,
    /// New links lead to the entries of earlier pages.
    SameContent,
    /// Page after page is empty.
    Empty,
    /// The pages are more than `max_pages`.
    TooMany,
}

/// Help for every reason but [`EndlessReason::TooMany`].
const MEND_PAGING: &str = "have the server's paging mended; until then the stored position stays";

impl EndlessReason {
    /// Error of a search that was given up after this number of pages.
    pub(crate) fn error(self, pages: u32) -> SourceError {
        let what = match self {
            Self::SamePage => {
                "the FHIR server's link to the next page leads to the same page again"
            }
            Self::EarlierPage => "the FHIR server's links to the next page lead in a circle",
            Self::SameContent => {
                "the FHIR server's next pages bring the same entries again and again"
            }
            Self::Empty => "the FHIR server's next pages bring nothing, and do not end",
            Self::TooMany => "the FHIR server's pages do not end",
        };
        let help = match self {
            Self::TooMany => "raise max_pages if the clinic really holds that many",
            _ => MEND_PAGING,
        };
        SourceError::misconfigured(format!("{what}: {pages} read"), help)
    }
}

/// Fingerprints of a page: its address, and its entries (0 for a page without any).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PagePrint {
    link: u64,
    content: u64,
}

/// Cycle detection over the pages of one search, by their addresses and by their entries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PageCycle {
    #[serde(flatten)]
    detector: CycleDetector<PagePrint>,
    /// Pages that brought the entries of the remembered one.
    repeated: u32,
    /// Empty pages in a row.
    empty: u32,
}

impl PageCycle {
    /// Counts a page by fingerprints of its address and of its entries (`None` for an empty page);
    /// returns why no further page should be read, if there is a reason.
    pub(crate) fn advance(&mut self, link: u64, content: Option<u64>) -> Option<EndlessReason> {
        self.empty = content.map_or(self.empty.saturating_add(1), |_| 0);
        if self.empty > MAX_EMPTY {
            return Some(EndlessReason::Empty);
        }
        if let Some(remembered) = self.detector.remembered() {
            if link == remembered.link {
                return Some(EndlessReason::EarlierPage);
            }
            if content == Some(remembered.content) {
                self.repeated += 1;
                if self.repeated >= MAX_REPEATED {
                    return Some(EndlessReason::SameContent);
                }
            }
        }
        let content = content.unwrap_or_default();
        self.detector.advance(&PagePrint { link, content });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reason that stops a walk over pages, and after how many; pages are fingerprints of link
    /// and content.
    fn walk(pages: impl Iterator<Item = (u64, Option<u64>)>) -> Option<(EndlessReason, usize)> {
        let mut cycle = PageCycle::default();
        pages
            .enumerate()
            .find_map(|(n, (link, content))| Some((cycle.advance(link, content)?, n + 1)))
    }

    #[test]
    fn a_cycle_is_found_soon_wherever_it_begins() {
        for (lead, length) in [(0, 1), (0, 2), (5, 1), (3, 4), (40, 7), (1, 100)] {
            let page = |n: u64| {
                if n < lead {
                    n
                } else {
                    lead + (n - lead) % length
                }
            };
            let (why, pages) = walk((0..5000).map(|n| (page(n), Some(page(n))))).unwrap();
            assert_eq!(why, EndlessReason::EarlierPage);
            assert!(
                pages as u64 <= 4 * (lead + length) + 4,
                "{lead} {length}: {pages}"
            );
            let (why, pages) = walk((0..5000).map(|n| (n, Some(1_000_000 + page(n))))).unwrap();
            assert_eq!(why, EndlessReason::SameContent, "links that always change");
            assert!(
                pages as u64 <= 8 * (lead + length) + 8,
                "{lead} {length}: {pages}"
            );
        }
    }

    #[test]
    fn long_lists_are_no_cycles() {
        assert_eq!(walk((0..100_000).map(|n| (n, Some(n)))), None);
    }

    #[test]
    fn a_page_may_shift_as_a_whole_and_some_may_be_empty() {
        assert_eq!(
            walk([(1, Some(1)), (2, Some(1)), (3, Some(2)), (4, Some(3))].into_iter()),
            None
        );
        let gap = |empty: u64| (0..empty + 2).map(move |n| (n, (n == 0 || n > empty).then_some(n)));
        assert_eq!(walk(gap(MAX_EMPTY.into())), None);
        assert_eq!(
            walk(gap(u64::from(MAX_EMPTY) + 1)),
            Some((EndlessReason::Empty, MAX_EMPTY as usize + 2))
        );
    }

    #[test]
    fn the_form_of_stored_cursors_stays() {
        let stored = r#"{"link":18446744073709551615,"content":7,"steps":2,"until":4,
            "repeated":1,"empty":0}"#
            .replace("\n            ", "");
        let cycle: PageCycle = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&cycle).unwrap(), stored);
        let fresh: PageCycle = serde_json::from_str("{}").unwrap();
        assert!(fresh.detector.remembered().is_none());
    }
}
