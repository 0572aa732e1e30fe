//! Counting of votes for persons.

/// Outcome of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// Poll without any vote.
    NoVote,
    /// Several persons with the most votes.
    Tie,
    /// Person with more votes than any other.
    One {
        /// Number of the person.
        person: usize,
        /// Number of votes.
        votes: u64,
    },
}

/// Person with the most votes, of pairs of a person and its votes.
pub(super) fn lead(poll: impl Iterator<Item = (usize, u64)>) -> Lead {
    let mut lead = Lead::NoVote;
    let mut most = 0;
    for (person, votes) in poll.filter(|(_, votes)| *votes > 0) {
        if votes > most {
            most = votes;
            lead = Lead::One { person, votes };
        } else if votes == most {
            lead = Lead::Tie;
        }
    }
    lead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_votes_win_and_equal_ones_tie() {
        let of = |poll: &[(usize, u64)]| lead(poll.iter().copied());
        assert_eq!(of(&[]), Lead::NoVote);
        assert_eq!(of(&[(4, 0)]), Lead::NoVote);
        let one = Lead::One {
            person: 7,
            votes: 3,
        };
        assert_eq!(of(&[(4, 2), (7, 3), (5, 2)]), one);
        assert_eq!(of(&[(4, 3), (7, 3)]), Lead::Tie);
        assert_eq!(of(&[(4, 2), (5, 2), (7, 3)]), one);
    }
}
