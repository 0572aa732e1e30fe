//! Faults of what was typed, each of one field, with a sentence that says what to change.

use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::sentence::Sentence;

/// Field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormField {
    /// Number of the document.
    Number,
    /// Country of a foreign passport or national number.
    Country,
    /// Given name.
    GivenName,
    /// Family name.
    FamilyName,
    /// Date of birth.
    BirthDate,
}

impl FormField {
    /// Name of the field in a request.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Country => "country",
            Self::GivenName => "given_name",
            Self::FamilyName => "family_name",
            Self::BirthDate => "birth_date",
        }
    }
}

/// Reason why a field cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypingFault {
    /// No number.
    NumberMissing,
    /// Text that is longer than any field may be.
    TooLong,
    /// SNILS of other characters, or of another length.
    SnilsForm,
    /// SNILS whose control number does not fit.
    SnilsCheck,
    /// Policy number of other characters, or of another length.
    OmsForm,
    /// Policy number whose check digit does not fit.
    OmsCheck,
    /// Internal passport of other characters, or of another length.
    PassportRuForm,
    /// National number of other characters, or of another length.
    NationalIdForm,
    /// Foreign passport of other characters, or of another length.
    PassportForeignForm,
    /// Number that stands for none, such as one digit repeated.
    Placeholder,
    /// No country.
    CountryMissing,
    /// Country on no list.
    CountryUnknown,
    /// Neither a family name nor a given name.
    NameMissing,
    /// Name without any letter.
    NameWithoutLetter,
    /// No date of birth.
    BirthMissing,
    /// Text that is no date.
    BirthForm,
    /// Day that its month does not have.
    BirthNoSuchDay,
    /// Day to come.
    BirthFuture,
    /// Day before anybody alive was born.
    BirthLongAgo,
}

impl TypingFault {
    /// Stable code of the fault.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NumberMissing => "number-missing",
            Self::TooLong => "too-long",
            Self::SnilsForm => "snils-form",
            Self::SnilsCheck => "snils-check",
            Self::OmsForm => "oms-form",
            Self::OmsCheck => "oms-check",
            Self::PassportRuForm => "passport-ru-form",
            Self::NationalIdForm => "national-id-form",
            Self::PassportForeignForm => "passport-foreign-form",
            Self::Placeholder => "placeholder",
            Self::CountryMissing => "country-missing",
            Self::CountryUnknown => "country-unknown",
            Self::NameMissing => "name-missing",
            Self::NameWithoutLetter => "name-without-letter",
            Self::BirthMissing => "birth-missing",
            Self::BirthForm => "birth-form",
            Self::BirthNoSuchDay => "birth-no-such-day",
            Self::BirthFuture => "birth-future",
            Self::BirthLongAgo => "birth-long-ago",
        }
    }

    /// Sentence for the citizen.
    pub(crate) const fn sentence(self) -> Sentence {
        match self {
            Self::TooLong => Sentence::new(
                "Слишком длинный текст: не больше 256 знаков.",
                "The text is too long: 256 characters at most.",
            ),
            Self::CountryMissing => Sentence::new(
                "Выберите страну, выдавшую документ.",
                "Choose the country that issued the document.",
            ),
            Self::CountryUnknown => Sentence::new(
                "Такой страны нет в списке. Выберите страну из списка.",
                "This country is not on the list. Choose one from the list.",
            ),
            Self::NameMissing => Sentence::new(
                "Введите имя и фамилию, как в документе.",
                "Enter your names as in the document.",
            ),
            Self::NameWithoutLetter => Sentence::new(
                "В имени должна быть хотя бы одна буква.",
                "A name has at least one letter.",
            ),
            Self::NumberMissing
            | Self::SnilsForm
            | Self::SnilsCheck
            | Self::OmsForm
            | Self::OmsCheck
            | Self::PassportRuForm
            | Self::NationalIdForm
            | Self::PassportForeignForm
            | Self::Placeholder => self.sentence_of_number(),
            Self::BirthMissing
            | Self::BirthForm
            | Self::BirthNoSuchDay
            | Self::BirthFuture
            | Self::BirthLongAgo => self.sentence_of_birth(),
        }
    }

    const fn sentence_of_number(self) -> Sentence {
        match self {
            Self::SnilsForm => Sentence::new(
                "В СНИЛС 11 цифр, например 112-233-445 95. Проверьте, что цифр столько и что \
                 вместо нуля не стоит буква О.",
                "A SNILS has 11 digits, such as 112-233-445 95. Check that it has as many, and no \
                 letter O in place of a zero.",
            ),
            Self::SnilsCheck => Sentence::new(
                "Такого СНИЛС нет: последние две цифры не подходят к остальным. Сверьте номер с \
                 документом.",
                "There is no such SNILS: the last two digits do not fit the others. Compare the \
                 number with the document.",
            ),
            Self::OmsForm => Sentence::new(
                "В номере полиса ОМС 16 цифр. Проверьте, что цифр столько и что среди них нет \
                 букв.",
                "A policy number (OMS) has 16 digits. Check that it has as many, and no letters.",
            ),
            Self::OmsCheck => Sentence::new(
                "Такого полиса нет: последняя цифра не подходит к остальным. Сверьте номер с \
                 документом.",
                "There is no such policy: the last digit does not fit the others. Compare the \
                 number with the document.",
            ),
            Self::PassportRuForm => Sentence::new(
                "Введите серию и номер паспорта: 4 и 6 цифр, например 45 10 123456, без букв.",
                "Enter series and number of the passport: 4 and 6 digits, such as 45 10 123456, \
                 no letters.",
            ),
            Self::NationalIdForm => Sentence::new(
                "Личный номер состоит из букв и цифр, от 4 до 20 знаков. Введите его так, как он \
                 напечатан.",
                "A national number has 4 to 20 letters and digits. Enter it as it is printed.",
            ),
            Self::PassportForeignForm => Sentence::new(
                "Номер паспорта состоит из латинских букв и цифр, от 4 до 20 знаков. Введите его \
                 так, как он напечатан.",
                "The number of a passport has 4 to 20 Latin letters and digits. Enter it as it is \
                 printed.",
            ),
            Self::Placeholder => Sentence::new(
                "Это не настоящий номер: одна цифра повторяется или цифры идут подряд. Введите \
                 номер из документа.",
                "This is no real number: one digit repeats, or the digits are in a row. Enter the \
                 number of the document.",
            ),
            _ => Sentence::new("Введите номер.", "Enter the number."),
        }
    }

    const fn sentence_of_birth(self) -> Sentence {
        match self {
            Self::BirthForm => Sentence::new(
                "Дата рождения: день, месяц и год цифрами, например 14.07.1990.",
                "The date of birth is day, month and year in digits, such as 14.07.1990.",
            ),
            Self::BirthNoSuchDay => Sentence::new(
                "Такого дня в календаре нет. Проверьте день и месяц.",
                "The calendar has no such day. Check day and month.",
            ),
            Self::BirthFuture => Sentence::new(
                "Эта дата ещё не наступила. Проверьте год.",
                "This date is yet to come. Check the year.",
            ),
            Self::BirthLongAgo => Sentence::new(
                "Эта дата слишком давняя. Проверьте год.",
                "This date is too long ago. Check the year.",
            ),
            _ => Sentence::new(
                "Введите дату рождения, например 14.07.1990.",
                "Enter the date of birth, such as 14.07.1990.",
            ),
        }
    }
}

/// Fault of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormFault {
    /// Field that it is of.
    pub field: FormField,
    /// Fault.
    pub fault: TypingFault,
}

impl Serialize for FormFault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sentence = self.fault.sentence();
        let mut fields = serializer.serialize_struct("FieldFault", 4)?;
        fields.serialize_field("field", self.field.as_str())?;
        fields.serialize_field("code", self.fault.as_str())?;
        fields.serialize_field("ru", sentence.ru)?;
        fields.serialize_field("en", sentence.en)?;
        fields.end()
    }
}
