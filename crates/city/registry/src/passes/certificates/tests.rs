//! Tests of the codes of certificates.

use std::collections::BTreeSet;

use contract::{TestCode, TestMethod, Vaccine};
use pass::hcert::TestKind;

use super::codes::{EuVaccine, eu_test, eu_vaccine};

#[test]
fn every_vaccine_of_the_eu_value_sets_has_a_product_of_its_own() {
    let without: Vec<_> = Vaccine::ALL
        .into_iter()
        .filter(|vaccine| eu_vaccine(*vaccine).is_none())
        .map(Vaccine::as_str)
        .collect();
    let expected = [
        "qazvac",
        "convacell",
        "betuvax-cov-2",
        "salnavac",
        "inactivated-vero-cell",
        "kconvac",
        "covidful",
        "coviran-barekat",
        "bimervax",
        "skycovione",
        "corbevax",
        "zifivax",
        "spikogen",
        "razi-cov-pars",
        "zycov-d",
        "other-covid-19",
    ];
    assert_eq!(without, expected);
    let codes: Vec<EuVaccine> = Vaccine::ALL.into_iter().filter_map(eu_vaccine).collect();
    let products: BTreeSet<&str> = codes.iter().map(|codes| codes.product).collect();
    assert_eq!(products.len(), codes.len());
}

#[test]
fn an_antigen_test_is_never_stated_as_a_nucleic_acid_test() {
    for test in TestCode::ALL {
        let is_naat = eu_test(test) == Some(TestKind::Naat);
        assert_eq!(is_naat, test.method() == TestMethod::NucleicAcid);
    }
    assert_eq!(
        eu_test(TestCode::AntigenRapid).map(TestKind::as_str),
        Some("LP217198-3")
    );
    assert_eq!(eu_test(TestCode::Antigen), None);
}
