//! Codes, numbers and names of countries.

use super::*;

#[test]
fn the_table_has_every_country_once_and_in_order() {
    let entries: Vec<&str> = ISO_3166_1.split(' ').collect();
    assert_eq!(entries.len(), 249);
    assert!(entries.iter().all(|entry| entry.len() == ENTRY_BYTES - 1));
    assert!(entries.is_sorted() && entries.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn two_and_three_letters_in_any_case_mean_the_same() {
    for code in ["DE", "de", " DEU", "deu ", "D"] {
        assert_eq!(known(code), Some("DEU"), "{code}");
    }
    assert_eq!(known("ad"), Some("AND"));
    assert_eq!(known("ZWE"), Some("ZWE"));
}

#[test]
fn codes_of_machine_readable_documents_are_known() {
    for (code, expected) in [
        ("XXA", "XXA"),
        ("xxb", "XXB"),
        ("XXC", "XXC"),
        ("UNO", "UNO"),
        ("UNA", "UNA"),
        ("EUE", "EUE"),
        ("RKS", "XKX"),
        ("GBD", "GBR"),
        ("GBN", "GBR"),
        ("GBO", "GBR"),
        ("GBP", "GBR"),
        ("GBS", "GBR"),
    ] {
        assert_eq!(known(code), Some(expected), "{code}");
    }
}

#[test]
fn every_country_has_a_number_and_names_in_three_languages() {
    for entry in ISO_3166_1.split(' ') {
        let (two, three) = entry.split_at(2);
        assert_eq!(known(two), Some(three));
        assert_eq!(known(three), Some(three));
    }
    for (number, expected) in [
        ("643", "RUS"),
        ("051", "ARM"),
        ("51", "ARM"),
        ("4", "AFG"),
        ("716", "ZWE"),
    ] {
        assert_eq!(known(number), Some(expected), "{number}");
    }
    for (name, expected) in [
        ("Германия", "DEU"),
        ("ФЕДЕРАТИВНАЯ РЕСПУБЛИКА ГЕРМАНИЯ", "DEU"),
        ("Federal Republic of Germany", "DEU"),
        ("république fédérale d'Allemagne", "DEU"),
        ("Кыргызстан", "KGZ"),
        ("Киргизия", "KGZ"),
        ("Республика Кыргызстан", "KGZ"),
        ("Республика Узбекистан", "UZB"),
        ("Российская Федерация", "RUS"),
        ("Россия", "RUS"),
        ("Республика Беларусь", "BLR"),
        ("Белоруссия", "BLR"),
        ("США", "USA"),
        ("United States of America", "USA"),
        ("Etats-Unis", "USA"),
        ("Cote d'Ivoire", "CIV"),
        ("Côte d’Ivoire", "CIV"),
        ("КНР", "CHN"),
        ("Republic of China", "TWN"),
        ("Республика Китай", "TWN"),
        ("Korea, Republic of", "KOR"),
        ("Северная Корея", "PRK"),
        ("Democratic Republic of the Congo", "COD"),
        ("République du Congo", "COG"),
        ("Chad", "TCD"),
        ("Чад", "TCD"),
        ("The Netherlands", "NLD"),
        ("Kingdom of Norway", "NOR"),
        ("Trinidad and Tobago", "TTO"),
        ("Viet Nam", "VNM"),
        ("Türkiye", "TUR"),
        ("Guinée équatoriale", "GNQ"),
        ("Guinea", "GIN"),
    ] {
        assert_eq!(known(name), Some(expected), "{name}");
    }
}

#[test]
fn what_is_on_no_list_is_not_guessed() {
    for code in [
        "",
        "Q",
        "QQ",
        "QQQ",
        "ДЕ",
        "D E",
        "999",
        "0",
        "1000",
        "Корея",
        "Korea",
        "Атлантида",
        "Республика",
        "the",
        "Европа",
        "-",
    ] {
        assert_eq!(known(code), None, "{code}");
    }
}
