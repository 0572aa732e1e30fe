//! Codes of vaccines in the EU value sets (eHealth Network, version 1.14 of the guidelines).

use contract::{TestCode, Vaccine};
use pass::hcert::TestKind;

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
        Vaccine::SputnikM => [ANY_KIND, "Sputnik-M", "Gamaleya-Research-Institute"],
        Vaccine::EpiVacCoronaN => [ANY_KIND, "EpiVacCorona-N", "Vector-Institute"],
        Vaccine::Covishield => [ANY_KIND, "Covishield", "ORG-100001981"],
        Vaccine::RCovi => [ANY_KIND, "R-COVI", "ORG-100007893"],
        Vaccine::VaxzevriaFiocruz => [ANY_KIND, "Covid-19-recombinant", "Fiocruz"],
        Vaccine::Azd2816 => [ANY_KIND, "AZD2816", "ORG-100001699"],
        Vaccine::Covovax => [ANY_KIND, "Covovax", "ORG-100001981"],
        Vaccine::CoronaVacButantan => [
            ANY_KIND,
            "Covid-19-adsorvida-inativada",
            "Instituto-Butantan",
        ],
        Vaccine::HayatVax => [ANY_KIND, "Hayat-Vax", "ORG-100023050"],
        Vaccine::WibpCorV => [ANY_KIND, "WIBP-CorV", "Sinopharm-WIBP"],
        Vaccine::Valneva => [ANY_KIND, "EU/1/21/1624", "ORG-100036422"],
        Vaccine::Abdala => [ANY_KIND, "Abdala", "CIGB"],
        Vaccine::Soberana02 => [ANY_KIND, "Soberana-02", "Finlay-Institute"],
        Vaccine::SoberanaPlus => [ANY_KIND, "Soberana-Plus", "Finlay-Institute"],
        Vaccine::MvcCov1901 => [ANY_KIND, "MVC-COV1901", "ORG-100033914"],
        Vaccine::VidPrevtynBeta => [ANY_KIND, "EU/1/21/1580", "ORG-100000788"],
        Vaccine::Nvsi0608 => [ANY_KIND, "NVSI-06-08", "NVSI"],
        Vaccine::YsSc2010 => [ANY_KIND, "YS-SC2-010", "Yisheng-Biopharma"],
        Vaccine::SctV01C => [ANY_KIND, "SCTV01C", "ORG-100026614"],
        Vaccine::CvnCov => [MRNA, "CVnCoV", "ORG-100006270"],
        Vaccine::Covifenz => [ANY_KIND, "Covifenz", "ORG-100008549"],
        Vaccine::QazVac
        | Vaccine::Convacell
        | Vaccine::BetuvaxCov2
        | Vaccine::Salnavac
        // Its entry is deprecated: no new certificate may name it.
        | Vaccine::InactivatedVeroCell
        | Vaccine::Kconvac
        | Vaccine::Covidful
        | Vaccine::CovIranBarekat
        | Vaccine::Bimervax
        | Vaccine::Skycovione
        | Vaccine::Corbevax
        | Vaccine::Zifivax
        | Vaccine::SpikoGen
        | Vaccine::RaziCovPars
        | Vaccine::ZycovD
        | Vaccine::OtherCovid19 => return None,
    };
    let [prophylaxis, product, manufacturer] = codes;
    Some(EuVaccine {
        prophylaxis,
        product,
        manufacturer,
    })
}

/// Kind of a test in the value set `test-type`; `None` where it has none, so that no certificate
/// can state the test.
pub(super) const fn eu_test(test: TestCode) -> Option<TestKind> {
    match test {
        TestCode::RnaRespiratory
        | TestCode::RnaNasopharynx
        | TestCode::NGene
        | TestCode::NGeneRespiratory
        | TestCode::Rna => Some(TestKind::Naat),
        TestCode::AntigenRapid => Some(TestKind::Rat),
        // It may be an immunoassay of a laboratory.
        TestCode::Antigen => None,
    }
}
