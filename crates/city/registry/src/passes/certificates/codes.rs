//! Codes of vaccines in the EU value sets (eHealth Network, version 2 and later).

use contract::Vaccine;

/// Country in which the city's clinics vaccinate and test (ISO 3166 alpha-2).
pub(super) const COUNTRY: &str = "RU";

/// Codes of a vaccine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EuVaccine {
    /// Kind of vaccine (value set `sct-vaccines-covid-19`).
    pub prophylaxis: &'static str,
    /// Product (value set `vaccines-covid-19-names`).
    pub product: &'static str,
    /// Holder of the authorisation, or manufacturer (value set `vaccines-covid-19-auth-holders`).
    pub manufacturer: &'static str,
}

/// mRNA vaccine against SARS-CoV-2.
const MRNA: &str = "1119349007";
/// Antigen vaccine against SARS-CoV-2.
const ANTIGEN: &str = "1119305005";
/// COVID-19 vaccines of any kind.
const ANY_KIND: &str = "J07BX03";

/// Codes of a vaccine; `None` where the value sets have none, so that no certificate can name it.
pub(super) const fn eu_vaccine(vaccine: Vaccine) -> Option<EuVaccine> {
    let codes = match vaccine {
        Vaccine::SputnikV => [ANY_KIND, "Sputnik-V", "Gamaleya-Research-Institute"],
        Vaccine::SputnikLight => [ANY_KIND, "Sputnik-Light", "Gamaleya-Research-Institute"],
        Vaccine::EpiVacCorona => [ANTIGEN, "EpiVacCorona", "Vector-Institute"],
        Vaccine::CoviVac => [ANY_KIND, "CoviVac", "Chumakov-Federal-Scientific-Center"],
        Vaccine::Comirnaty => [MRNA, "EU/1/20/1528", "ORG-100030215"],
        Vaccine::Spikevax => [MRNA, "EU/1/20/1507", "ORG-100031184"],
        Vaccine::Vaxzevria => [ANY_KIND, "EU/1/21/1529", "ORG-100001699"],
        Vaccine::Jcovden => [ANY_KIND, "EU/1/20/1525", "ORG-100001417"],
        Vaccine::Nuvaxovid => [ANTIGEN, "EU/1/21/1618", "ORG-100032020"],
        Vaccine::CoronaVac => [ANY_KIND, "CoronaVac", "Sinovac-Biotech"],
        Vaccine::BbibpCorV => [ANY_KIND, "BBIBP-CorV", "ORG-100020693"],
        Vaccine::Covaxin => [ANY_KIND, "Covaxin", "Bharat-Biotech"],
        Vaccine::Convidecia => [ANY_KIND, "Convidecia", "ORG-100013793"],
        Vaccine::QazVac => return None,
    };
    let [prophylaxis, product, manufacturer] = codes;
    Some(EuVaccine {
        prophylaxis,
        product,
        manufacturer,
    })
}
