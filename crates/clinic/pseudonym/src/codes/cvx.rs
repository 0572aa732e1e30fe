//! Codes of CVX, and the names it gives them: the CDC's list ("IIS: Current HL7 Standard Code Set,
//! CVX").

use contract::Vaccine;

use super::Meaning;

/// Highest CVX code whose meaning was known when the list below was written; later ones may be
/// anything.
pub(super) const LAST_KNOWN_CVX: u16 = 333;

/// Codes of CVX that are about COVID-19, with the CDC's names for them.
///
/// Codes 230 (of Moderna) and 301 (of Pfizer) have no name here: the two names differ in the last
/// word only, so that a person has to look.
pub(super) const CVX: &[(&str, Meaning<Vaccine>, &[&str])] = &[
    (
        "207",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19, mRNA, LNP-S, PF, 100 mcg/0.5 mL dose",
            "COVID-19, mRNA, LNP-S, PF, 100 mcg/0.5mL dose or 50 mcg/0.25mL dose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             100 mcg/0.5mL dose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             100 mcg/0.5mL dose or 50 mcg/0.25mL dose",
        ],
    ),
    (
        "208",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             30 mcg/0.3 mL dose",
        ],
    ),
    (
        "210",
        Meaning::Is(Vaccine::Vaxzevria),
        &["COVID-19 vaccine, vector-nr, rS-ChAdOx1, PF, 0.5 mL"],
    ),
    (
        "211",
        Meaning::Is(Vaccine::Nuvaxovid),
        &[
            "COVID-19, subunit, rS-nanoparticle+Matrix-M1 Adjuvant, PF, 0.5 mL",
            "SARS-COV-2 (COVID-19) vaccine, subunit, recombinant spike \
             protein-nanoparticle+Matrix-M1 Adjuvant, preservative free, 0.5mL dose",
        ],
    ),
    (
        "212",
        Meaning::Is(Vaccine::Jcovden),
        &[
            "COVID-19 vaccine, vector-nr, rS-Ad26, PF, 0.5 mL",
            "SARS-COV-2 (COVID-19) vaccine, vector non-replicating, recombinant spike \
             protein-Ad26, preservative free, 0.5 mL",
        ],
    ),
    ("213", Meaning::Unlisted, &[]),
    (
        "217",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose, tris-sucrose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             30 mcg/0.3 mL dose, tris-sucrose formulation",
        ],
    ),
    (
        "218",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, 10 mcg/0.2 mL dose, tris-sucrose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             10 mcg/0.2 mL dose, tris-sucrose formulation",
        ],
    ),
    (
        "219",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, 3 mcg/0.2 mL dose, tris-sucrose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             3 mcg/0.2 mL dose, tris-sucrose formulation",
        ],
    ),
    (
        "221",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19, mRNA, LNP-S, PF, 50 mcg/0.5 mL dose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             50 mcg/0.5 mL dose",
        ],
    ),
    // Sanofi's vaccine against the first variant, which never got a name.
    (
        "225",
        Meaning::Is(Vaccine::OtherCovid19),
        &["COVID-19, D614, recomb, preS dTM, AS03 adjuvant add, PF, 5mcg/0.5mL"],
    ),
    (
        "226",
        Meaning::Is(Vaccine::OtherCovid19),
        &["COVID-19, D614, recomb, preS dTM, AS03 adjuvant add, PF, 10mcg/0.5mL"],
    ),
    (
        "227",
        Meaning::Is(Vaccine::Spikevax),
        &["COVID-19, mRNA, LNP-S, PF, pediatric 50 mcg/0.5 mL dose"],
    ),
    (
        "228",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19, mRNA, LNP-S, PF, pediatric 25 mcg/0.25 mL dose",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             pediatric 25 mcg/0.25 mL dose",
        ],
    ),
    (
        "229",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19, mRNA, LNP-S, bivalent booster, PF, 50 mcg/0.5 mL or 25mcg/0.25 mL dose",
            "COVID-19, mRNA, LNP-S, bivalent, PF, 50 mcg/0.5 mL or 25mcg/0.25 mL dose",
        ],
    ),
    ("230", Meaning::Is(Vaccine::Spikevax), &[]),
    (
        "300",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, bivalent booster, PF, 30 mcg/0.3 mL dose",
            "COVID-19, mRNA, LNP-S, bivalent, PF, 30 mcg/0.3 mL dose",
        ],
    ),
    ("301", Meaning::Is(Vaccine::Comirnaty), &[]),
    (
        "302",
        Meaning::Is(Vaccine::Comirnaty),
        &["COVID-19, mRNA, LNP-S, bivalent, PF, 3 mcg/0.2 mL dose"],
    ),
    // From 2023 on: XBB.1.5, then JN.1, KP.2 and LP.8.1, under the same codes.
    (
        "308",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, tris-sucrose, 3 mcg/0.3 mL",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             tris-sucrose, 3 mcg/0.3 mL dose",
        ],
    ),
    (
        "309",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, tris-sucrose, 30 mcg/0.3 mL",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             tris-sucrose, 30 mcg/0.3 mL dose",
        ],
    ),
    (
        "310",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19, mRNA, LNP-S, PF, tris-sucrose, 10 mcg/0.3 mL",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             tris-sucrose, 10 mcg/0.3 mL dose",
        ],
    ),
    (
        "311",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19, mRNA, LNP-S, PF, 25 mcg/0.25 mL",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, \
             25 mcg/0.25 mL dose",
        ],
    ),
    (
        "312",
        Meaning::Is(Vaccine::Spikevax),
        &["COVID-19, mRNA, LNP-S, PF, 50 mcg/0.5 mL"],
    ),
    (
        "313",
        Meaning::Is(Vaccine::Nuvaxovid),
        &[
            "COVID-19, subunit, rS-nanoparticle, adjuvanted, PF, 5 mcg/0.5 mL",
            "SARS-COV-2 (COVID-19) vaccine, subunit, recombinant spike \
             protein-nanoparticle+Matrix-M1 Adjuvant, preservative free, 5 mcg/0.5 mL dose",
        ],
    ),
    ("500", Meaning::Unlisted, &[]),
    (
        "501",
        Meaning::Is(Vaccine::QazVac),
        &["COVID-19 IV Non-US Vaccine (QAZCOVID-IN)"],
    ),
    (
        "502",
        Meaning::Is(Vaccine::Covaxin),
        &["COVID-19 IV Non-US Vaccine (COVAXIN)"],
    ),
    (
        "503",
        Meaning::Is(Vaccine::CoviVac),
        &["COVID-19 LAV Non-US Vaccine (COVIVAC)"],
    ),
    (
        "504",
        Meaning::Is(Vaccine::SputnikLight),
        &["COVID-19 VVnr Non-US Vaccine (Sputnik Light)"],
    ),
    (
        "505",
        Meaning::Is(Vaccine::SputnikV),
        &["COVID-19 VVnr Non-US Vaccine (Sputnik V)"],
    ),
    (
        "506",
        Meaning::Is(Vaccine::Convidecia),
        &[
            "COVID-19 VVnr Non-US Vaccine (CanSino Biological Inc./Beijing Institute of \
             Biotechnology)",
        ],
    ),
    (
        "507",
        Meaning::Is(Vaccine::Zifivax),
        &[
            "COVID-19 PS Non-US Vaccine (Anhui Zhifei Longcom Biopharm + Inst of Micro, Chinese \
             Acad of Sciences)",
        ],
    ),
    (
        "508",
        Meaning::Is(Vaccine::OtherCovid19),
        &[
            "COVID-19 PS Non-US Vaccine (Jiangsu Province Centers for Disease Control and \
             Prevention)",
        ],
    ),
    (
        "509",
        Meaning::Is(Vaccine::EpiVacCorona),
        &["COVID-19 PS Non-US Vaccine (EpiVacCorona)"],
    ),
    (
        "510",
        Meaning::Is(Vaccine::BbibpCorV),
        &["COVID-19 IV Non-US Vaccine (BIBP, Sinopharm)"],
    ),
    (
        "511",
        Meaning::Is(Vaccine::CoronaVac),
        &["COVID-19 IV Non-US Vaccine (CoronaVac, Sinovac)"],
    ),
    (
        "512",
        Meaning::Is(Vaccine::Covifenz),
        &["SARS-COV-2 COVID-19 VLP Non-US Vaccine (Medicago, Covifenz)"],
    ),
    (
        "513",
        Meaning::Is(Vaccine::Zifivax),
        &["SARS-COV-2 COVID-19 PS Non-US Vaccine (Anhui Zhifei Longcom, Zifivax)"],
    ),
    (
        "514",
        Meaning::Is(Vaccine::ZycovD),
        &["SARS-COV-2 COVID-19 DNA Non-US Vaccine (Zydus Cadila, ZyCoV-D)"],
    ),
    (
        "515",
        Meaning::Is(Vaccine::MvcCov1901),
        &["SARS-COV-2 COVID-19 PS Non-US Vaccine (Medigen, MVC-COV1901)"],
    ),
    (
        "516",
        Meaning::Is(Vaccine::Kconvac),
        &["COV-2 COVID-19 Inactivated Non-US Vaccine Product (Minhai Biotechnology Co, KCONVAC)"],
    ),
    (
        "517",
        Meaning::Is(Vaccine::Corbevax),
        &["SARS-COV-2 COVID-19 PS Non-US Vaccine (Biological E Limited, Corbevax)"],
    ),
    (
        "518",
        Meaning::Is(Vaccine::Valneva),
        &["COVID-19 Inactivated, Non-US Vaccine (VLA2001, Valneva)"],
    ),
    (
        "519",
        Meaning::Is(Vaccine::Spikevax),
        &[
            "COVID-19 mRNA, bivalent, original/Omicron BA.1, Non-US Vaccine (Spikevax Bivalent), \
             Moderna",
        ],
    ),
    (
        "520",
        Meaning::Is(Vaccine::Comirnaty),
        &[
            "COVID-19 mRNA, bivalent, original/Omicron BA.1, Non-US Vaccine Product, \
             Pfizer-BioNTech",
        ],
    ),
    (
        "521",
        Meaning::Is(Vaccine::VidPrevtynBeta),
        &["COVID-19 SP, protein-based, adjuvanted (VidPrevtyn Beta), Sanofi-GSK"],
    ),
];
