//! Closed list of vaccines against COVID-19.
//!
//! Sources: CDC's list of CVX codes; WHO's ATC index (J07BN); the EU value set
//! `vaccine-medicinal-product` (eHealth Network, version 1.14), WHO's emergency use listing, and
//! the Russian register of medicines for the products.

/// System of the codes of vaccines that CVX does not list; their code is [`Vaccine::as_str`].
pub(crate) const OWN_VACCINE_SYSTEM: &str = "urn:clinic-gateway:vaccine";

/// System of CVX.
pub(crate) const CVX_SYSTEM: &str = "http://hl7.org/fhir/sid/cvx";

/// Declares the vaccines, one in a line: its name in configuration, its code in CVX where it has
/// one, its group in ATC. Neither the list [`Vaccine::ALL`] nor a code can be forgotten.
macro_rules! vaccines {
    ($($(#[$doc:meta])+ $vaccine:ident = $name:literal, $cvx:expr, $atc:literal;)+) => {
        /// Vaccines against COVID-19 that a fact may name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Vaccine {
            $($(#[$doc])+ $vaccine,)+
        }

        impl Vaccine {
            /// Number of vaccines.
            const COUNT: usize = [$($name),+].len();

            /// All vaccines.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$vaccine),+];

            /// Name used in configuration and in the registry's tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$vaccine => $name,)+
                }
            }

            /// Code in CVX (`http://hl7.org/fhir/sid/cvx`); `None` for a product without one.
            #[must_use]
            pub const fn cvx(self) -> Option<&'static str> {
                match self {
                    $(Self::$vaccine => $cvx,)+
                }
            }

            /// Group in ATC (`http://www.whocc.no/atc`): RNA, vector, inactivated or protein
            /// vaccine, virus-like particles; `J07BN` where there is no such group.
            #[must_use]
            pub const fn atc(self) -> &'static str {
                match self {
                    $(Self::$vaccine => $atc,)+
                }
            }
        }
    };
}

vaccines! {
    /// Gam-COVID-Vac (Sputnik V).
    SputnikV = "sputnik-v", Some("505"), "J07BN02";
    /// Sputnik Light.
    SputnikLight = "sputnik-light", Some("504"), "J07BN02";
    /// EpiVacCorona.
    EpiVacCorona = "epivaccorona", Some("509"), "J07BN04";
    /// CoviVac.
    CoviVac = "covivac", Some("503"), "J07BN03";
    /// Comirnaty (Pfizer-BioNTech), with its doses for children and its adapted versions.
    Comirnaty = "comirnaty", Some("208"), "J07BN01";
    /// Spikevax (Moderna), with its doses for children and its adapted versions.
    Spikevax = "spikevax", Some("207"), "J07BN01";
    /// Vaxzevria (AstraZeneca).
    Vaxzevria = "vaxzevria", Some("210"), "J07BN02";
    /// Jcovden (Janssen).
    Jcovden = "jcovden", Some("212"), "J07BN02";
    /// Nuvaxovid (Novavax), with its adapted versions.
    Nuvaxovid = "nuvaxovid", Some("211"), "J07BN04";
    /// CoronaVac (Sinovac).
    CoronaVac = "coronavac", Some("511"), "J07BN03";
    /// BBIBP-CorV (Sinopharm Beijing).
    BbibpCorV = "bbibp-corv", Some("510"), "J07BN03";
    /// Covaxin (Bharat Biotech).
    Covaxin = "covaxin", Some("502"), "J07BN03";
    /// Convidecia (CanSino).
    Convidecia = "convidecia", Some("506"), "J07BN02";
    /// QazVac (QazCovid-in).
    QazVac = "qazvac", Some("501"), "J07BN03";
    /// Gam-COVID-Vac-M (Sputnik M), for adolescents.
    SputnikM = "sputnik-m", None, "J07BN02";
    /// EpiVacCorona-N (Aurora-CoV).
    EpiVacCoronaN = "epivaccorona-n", None, "J07BN04";
    /// Convacell.
    Convacell = "convacell", None, "J07BN04";
    /// Betuvax-CoV-2.
    BetuvaxCov2 = "betuvax-cov-2", None, "J07BN04";
    /// Salnavac, the form of Gam-COVID-Vac for the nose.
    Salnavac = "salnavac", None, "J07BN02";
    /// Covishield (Serum Institute of India), Vaxzevria made under licence.
    Covishield = "covishield", None, "J07BN02";
    /// R-COVI (R-Pharm), Vaxzevria made under licence.
    RCovi = "r-covi", None, "J07BN02";
    /// Covid-19 (recombinant) of Fiocruz, Vaxzevria made under licence.
    VaxzevriaFiocruz = "vaxzevria-fiocruz", None, "J07BN02";
    /// AZD2816, Vaxzevria adapted to the Beta variant.
    Azd2816 = "azd2816", None, "J07BN02";
    /// Covovax (Serum Institute of India), Nuvaxovid made under licence.
    Covovax = "covovax", None, "J07BN04";
    /// Vacina adsorvida covid-19 (inativada) of Butantan, CoronaVac made under licence.
    CoronaVacButantan = "coronavac-butantan", None, "J07BN03";
    /// Hayat-Vax (Gulf Pharmaceutical Industries), BBIBP-CorV made under licence.
    HayatVax = "hayat-vax", None, "J07BN03";
    /// Inactivated SARS-CoV-2 (Vero cell) of a maker that is not named.
    InactivatedVeroCell = "inactivated-vero-cell", None, "J07BN03";
    /// WIBP-CorV (Sinopharm Wuhan).
    WibpCorV = "wibp-corv", None, "J07BN03";
    /// KCONVAC (Minhai).
    Kconvac = "kconvac", Some("516"), "J07BN03";
    /// Covidful (Institute of Medical Biology of the Chinese Academy of Medical Sciences).
    Covidful = "covidful", None, "J07BN03";
    /// COVID-19 Vaccine Valneva (VLA2001).
    Valneva = "valneva", Some("518"), "J07BN03";
    /// COVIran Barekat.
    CovIranBarekat = "coviran-barekat", None, "J07BN03";
    /// Abdala.
    Abdala = "abdala", None, "J07BN04";
    /// Soberana 02.
    Soberana02 = "soberana-02", None, "J07BN04";
    /// Soberana Plus.
    SoberanaPlus = "soberana-plus", None, "J07BN04";
    /// MVC-COV1901 (Medigen).
    MvcCov1901 = "mvc-cov1901", Some("515"), "J07BN04";
    /// VidPrevtyn Beta (Sanofi).
    VidPrevtynBeta = "vidprevtyn-beta", Some("521"), "J07BN04";
    /// Bimervax (Hipra).
    Bimervax = "bimervax", None, "J07BN04";
    /// SKYCovione (SK bioscience).
    Skycovione = "skycovione", None, "J07BN04";
    /// Corbevax (Biological E).
    Corbevax = "corbevax", Some("517"), "J07BN04";
    /// Zifivax (Anhui Zhifei Longcom).
    Zifivax = "zifivax", Some("513"), "J07BN04";
    /// SpikoGen.
    SpikoGen = "spikogen", None, "J07BN04";
    /// Razi Cov Pars.
    RaziCovPars = "razi-cov-pars", None, "J07BN04";
    /// NVSI-06-08.
    Nvsi0608 = "nvsi-06-08", None, "J07BN04";
    /// YS-SC2-010.
    YsSc2010 = "ys-sc2-010", None, "J07BN04";
    /// SCTV01C.
    SctV01C = "sctv01c", None, "J07BN04";
    /// CVnCoV (CureVac).
    CvnCov = "cvncov", None, "J07BN01";
    /// ZyCoV-D, of DNA.
    ZycovD = "zycov-d", Some("514"), "J07BN";
    /// Covifenz (Medicago).
    Covifenz = "covifenz", Some("512"), "J07BN05";
    /// A vaccine against COVID-19 that is none of the others, or that is not known more closely.
    OtherCovid19 = "other-covid-19", Some("213"), "J07BN";
}

impl Vaccine {
    /// System and code of the contract's first coding: CVX, or the contract's own name.
    #[must_use]
    pub const fn coding(self) -> (&'static str, &'static str) {
        match self.cvx() {
            Some(code) => (CVX_SYSTEM, code),
            None => (OWN_VACCINE_SYSTEM, self.as_str()),
        }
    }

    /// Vaccine that this one is a form of (made under licence, or named without its maker), so that
    /// both may be said of one dose; `None` only for [`Self::OtherCovid19`]. It does not tell what
    /// a city accepts.
    #[must_use]
    pub const fn broader(self) -> Option<Self> {
        match self {
            Self::OtherCovid19 => None,
            Self::Covishield | Self::RCovi | Self::VaxzevriaFiocruz | Self::Azd2816 => {
                Some(Self::Vaxzevria)
            }
            Self::Covovax => Some(Self::Nuvaxovid),
            Self::CoronaVacButantan => Some(Self::CoronaVac),
            Self::HayatVax => Some(Self::BbibpCorV),
            Self::CoronaVac | Self::BbibpCorV | Self::WibpCorV | Self::Kconvac => {
                Some(Self::InactivatedVeroCell)
            }
            _ => Some(Self::OtherCovid19),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_vaccine_has_a_name_and_a_coding_of_its_own() {
        let names: BTreeSet<_> = Vaccine::ALL.map(Vaccine::as_str).into();
        let codings: BTreeSet<_> = Vaccine::ALL.map(Vaccine::coding).into();
        assert_eq!(names.len(), Vaccine::ALL.len());
        assert_eq!(codings.len(), Vaccine::ALL.len());
    }

    #[test]
    fn every_vaccine_is_in_the_end_a_vaccine_against_covid() {
        for vaccine in Vaccine::ALL {
            let chain = std::iter::successors(Some(vaccine), |one| one.broader());
            assert_eq!(chain.take(5).last(), Some(Vaccine::OtherCovid19));
        }
    }
}
