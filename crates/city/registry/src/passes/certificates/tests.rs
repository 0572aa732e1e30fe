//! Tests of the codes of certificates.

use std::collections::BTreeSet;

use contract::Vaccine;

use super::codes::{EuVaccine, eu_vaccine};

#[test]
fn every_vaccine_but_one_has_codes_and_a_product_of_its_own() {
    let without: Vec<_> = Vaccine::ALL
        .into_iter()
        .filter(|vaccine| eu_vaccine(*vaccine).is_none())
        .collect();
    assert_eq!(without, [Vaccine::QazVac]);
    let codes: Vec<EuVaccine> = Vaccine::ALL.into_iter().filter_map(eu_vaccine).collect();
    let products: BTreeSet<&str> = codes.iter().map(|codes| codes.product).collect();
    assert_eq!(products.len(), codes.len());
}
