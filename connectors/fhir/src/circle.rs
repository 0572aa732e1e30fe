//! Pages that never end: links that lead back, and links that change while the pages bring the same
//! again.

use connector_kit::SourceError;
use serde::{Deserialize, Serialize};

/// Times that a page may bring what an earlier one brought (an insertion can shift a whole page
/// once).
const MAX_REPEATED: u32 = 3;
/// Pages in a row that may bring nothing (a server may leave out, page by page, what the account
/// must not see).
pub(crate) const MAX_EMPTY: u32 = 100;

/// Why the pages of a search are not followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Endless {
    /// The link leads to the page it stands on.
    SamePage,
    /// The link leads to an earlier page.
    EarlierPage,
    /// New links, but what earlier pages brought.
    SameContent,
    /// Page after page with nothing on it.
    Empty,
    /// More pages than `max_pages`.
    TooMany,
}

impl Endless {
    /// In words; `pages` is how many were read.
    pub(crate) fn error(self, pages: u32) -> SourceError {
        let (what, help) = match self {
            Self::SamePage => (
                "the FHIR server's link to the next page leads to the same page again",
                MENDED,
            ),
            Self::EarlierPage => (
                "the FHIR server's links to the next page lead in a circle",
                MENDED,
            ),
            Self::SameContent => (
                "the FHIR server's next pages bring the same entries again and again",
                MENDED,
            ),
            Self::Empty => (
                "the FHIR server's next pages bring nothing, and do not end",
                MENDED,
            ),
            Self::TooMany => (
                "the FHIR server's pages do not end",
                "raise max_pages if the clinic really holds that many",
            ),
        };
        SourceError::misconfigured(format!("{what}: {pages} read"), help)
    }
}

const MENDED: &str = "have the server's paging mended; until then the stored position stays";

/// Brent's way to find a circle with one page remembered: at worst a few times as many pages are
/// read as it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Circle {
    link: u64,
    content: u64,
    /// Pages since the remembered one, and how many until the next is remembered; 0: none is yet.
    steps: u32,
    until: u32,
    repeated: u32,
    empty: u32,
}

impl Circle {
    /// Notes a page by fingerprints of its address and of its entries, `None` where it has none.
    pub(crate) fn turn(&mut self, link: u64, content: Option<u64>) -> Option<Endless> {
        self.empty = content.map_or(self.empty.saturating_add(1), |_| 0);
        if self.empty > MAX_EMPTY {
            return Some(Endless::Empty);
        }
        if self.until > 0 {
            if link == self.link {
                return Some(Endless::EarlierPage);
            }
            if content == Some(self.content) {
                self.repeated += 1;
                if self.repeated >= MAX_REPEATED {
                    return Some(Endless::SameContent);
                }
            }
        }
        self.steps += 1;
        if self.steps > self.until {
            (self.link, self.content) = (link, content.unwrap_or_default());
            self.until = (self.until * 2).clamp(1, 1 << 30);
            self.steps = 0;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stops the walk over pages named by link and content, and after how many.
    fn walk(pages: impl Iterator<Item = (u64, Option<u64>)>) -> Option<(Endless, usize)> {
        let mut circle = Circle::default();
        pages
            .enumerate()
            .find_map(|(n, (link, content))| Some((circle.turn(link, content)?, n + 1)))
    }

    #[test]
    fn a_circle_is_found_soon_wherever_it_begins() {
        for (lead, length) in [(0, 1), (0, 2), (5, 1), (3, 4), (40, 7), (1, 100)] {
            let page = |n: u64| {
                if n < lead {
                    n
                } else {
                    lead + (n - lead) % length
                }
            };
            let (why, pages) = walk((0..5000).map(|n| (page(n), Some(page(n))))).unwrap();
            assert_eq!(why, Endless::EarlierPage);
            assert!(
                pages as u64 <= 4 * (lead + length) + 4,
                "{lead} {length}: {pages}"
            );
            let (why, pages) = walk((0..5000).map(|n| (n, Some(1_000_000 + page(n))))).unwrap();
            assert_eq!(why, Endless::SameContent, "links that always change");
            assert!(
                pages as u64 <= 8 * (lead + length) + 8,
                "{lead} {length}: {pages}"
            );
        }
    }

    #[test]
    fn long_lists_are_no_circles() {
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
            Some((Endless::Empty, MAX_EMPTY as usize + 2))
        );
    }
}
