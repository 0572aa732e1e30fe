//! Turns of two sides that are compared: one after the other, and each of them first as often as
//! second, so that whatever else the machine does falls on both.

use std::fmt;

/// Turn of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Number of the pair, from 1.
    pub pair: u32,
    /// True for the side that others are compared with.
    pub is_bare: bool,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.is_bare { "bare" } else { "measured" };
        write!(f, "pair {}, {side} side", self.pair)
    }
}

/// Turns of so many pairs.
pub(crate) fn turns(pairs: u32) -> impl Iterator<Item = Turn> {
    (1..=pairs).flat_map(|pair| {
        let bare_first = pair % 2 == 1;
        [bare_first, !bare_first].map(|is_bare| Turn { pair, is_bare })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_first_as_often_as_second() {
        let sides: Vec<bool> = turns(4).map(|turn| turn.is_bare).collect();
        assert_eq!(sides, [true, false, false, true, true, false, false, true]);
        assert_eq!(
            turns(1).last().unwrap().to_string(),
            "pair 1, measured side"
        );
    }
}
