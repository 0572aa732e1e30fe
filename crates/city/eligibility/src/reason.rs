//! Reasons why a person is not covered today, with a sentence for the citizen.

/// Languages of the sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Russian.
    Russian,
    /// English.
    English,
}

/// Reason why a person is not covered today. Codes are stable; sentences may be reworded.
///
/// No reason tells how precise a date is: a person whose clinic states only months gets one that
/// exact dates may give too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Records contradict each other about who the person is.
    PersonInDoubt,
    /// The first period of the rules has not begun.
    NoRulesInForce,
    /// No fact is recorded that could count.
    NoFactsYet,
    /// Doses are recorded, but no complete series.
    SecondDoseMissing,
    /// A dose of a vaccine is recorded that the rules do not accept.
    VaccineNotAccepted,
    /// Something is complete, and its waiting time is not over.
    WaitingPeriod,
    /// A vaccination or recovery holds no longer.
    ValidityEnded,
    /// A recovery counts from a date that its record does not state.
    RecoveryDateMissing,
    /// The rules accept no recovery alone.
    RecoveryNotAccepted,
    /// The rules do not accept this kind of test.
    TestNotAccepted,
    /// A negative test holds no longer.
    TestExpired,
    /// A positive test suspends the pass.
    PositiveTest,
}

impl Reason {
    /// All reasons, in the order in which answers list them.
    pub const ALL: [Self; 12] = [
        Self::PersonInDoubt,
        Self::NoRulesInForce,
        Self::NoFactsYet,
        Self::SecondDoseMissing,
        Self::VaccineNotAccepted,
        Self::WaitingPeriod,
        Self::ValidityEnded,
        Self::RecoveryDateMissing,
        Self::RecoveryNotAccepted,
        Self::TestNotAccepted,
        Self::TestExpired,
        Self::PositiveTest,
    ];

    /// Code of the reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PersonInDoubt => "person-in-doubt",
            Self::NoRulesInForce => "no-rules-in-force",
            Self::NoFactsYet => "no-facts-yet",
            Self::SecondDoseMissing => "second-dose-missing",
            Self::VaccineNotAccepted => "vaccine-not-accepted",
            Self::WaitingPeriod => "waiting-period",
            Self::ValidityEnded => "validity-ended",
            Self::RecoveryDateMissing => "recovery-date-missing",
            Self::RecoveryNotAccepted => "recovery-not-accepted",
            Self::TestNotAccepted => "test-not-accepted",
            Self::TestExpired => "test-expired",
            Self::PositiveTest => "positive-test",
        }
    }

    /// Sentence for the citizen.
    #[must_use]
    pub const fn sentence(self, language: Language) -> &'static str {
        match language {
            Language::Russian => self.in_russian(),
            Language::English => self.in_english(),
        }
    }

    const fn in_russian(self) -> &'static str {
        match self {
            Self::PersonInDoubt => {
                "Сведения нельзя однозначно отнести к вам. Обратитесь в свою клинику."
            }
            Self::NoRulesInForce => "Правила выдачи кодов ещё не вступили в силу.",
            Self::NoFactsYet => {
                "Пока нет сведений о прививке, перенесённой болезни или отрицательном тесте."
            }
            Self::SecondDoseMissing => {
                "Нет сведений о полном курсе прививок: не хватает второй дозы, или срок между \
                 дозами не соответствует правилам."
            }
            Self::VaccineNotAccepted => "Введённая вам вакцина не входит в список признаваемых.",
            Self::WaitingPeriod => "Срок ожидания после прививки или болезни ещё не прошёл.",
            Self::ValidityEnded => {
                "Срок действия сведений о прививке или перенесённой болезни истёк."
            }
            Self::RecoveryDateMissing => {
                "В сведениях о болезни нет даты, от которой считается срок. Обратитесь в свою \
                 клинику."
            }
            Self::RecoveryNotAccepted => "Перенесённая болезнь сама по себе не даёт права на код.",
            Self::TestNotAccepted => "Тест этого вида не даёт права на код.",
            Self::TestExpired => "Срок действия отрицательного теста истёк.",
            Self::PositiveTest => "Код приостановлен из-за положительного теста.",
        }
    }

    const fn in_english(self) -> &'static str {
        match self {
            Self::PersonInDoubt => {
                "It is not certain that the records are yours. Please ask your clinic."
            }
            Self::NoRulesInForce => "The rules for codes are not in force yet.",
            Self::NoFactsYet => {
                "No vaccination, recovery or negative test has been recorded for you yet."
            }
            Self::SecondDoseMissing => {
                "No complete series of doses has been recorded: the second dose is missing, or the \
                 time between the doses does not fit the rules."
            }
            Self::VaccineNotAccepted => {
                "The vaccine that you received is not among those accepted."
            }
            Self::WaitingPeriod => {
                "The waiting time after the vaccination or recovery is not over yet."
            }
            Self::ValidityEnded => "The vaccination or recovery on record is no longer valid.",
            Self::RecoveryDateMissing => {
                "The record of the illness lacks the date that its validity counts from. Please \
                 ask your clinic."
            }
            Self::RecoveryNotAccepted => "A recovery alone does not give a code.",
            Self::TestNotAccepted => "A test of this kind does not give a code.",
            Self::TestExpired => "The negative test on record is no longer valid.",
            Self::PositiveTest => "The code is suspended because of a positive test.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_kebab_case_and_differ() {
        let codes: BTreeSet<&str> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(code.chars().all(kebab), "{code}");
        }
    }

    #[test]
    fn no_sentence_names_the_precision_of_a_date_or_the_kind_of_a_clinic() {
        let telling = [
            "month",
            "year",
            "exact",
            "precis",
            "coarse",
            "closed",
            "месяц",
            "год",
            "точн",
            "закрыт",
            "ведомств",
        ];
        for reason in Reason::ALL {
            for language in [Language::Russian, Language::English] {
                let sentence = reason.sentence(language).to_lowercase();
                assert!(sentence.ends_with('.'), "{sentence}");
                for word in telling {
                    assert!(!sentence.contains(word), "{word}: {sentence}");
                }
            }
        }
    }
}
