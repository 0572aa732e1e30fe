//! Codes of PostgreSQL's errors that may be repeated: those that PostgreSQL itself gives. A
//! function of the clinic can raise any five letters and digits, a part of a name among them.

use std::borrow::Cow;

/// Codes of classes that a gateway meets (PostgreSQL, appendix A), sorted.
const KNOWN: &str = "\
08000 08001 08003 08004 08006 08007 08P01 0A000 21000 22000 22001 22002 22003 22004 22005 22007 \
22008 22009 2200B 2200C 2200D 2200F 2200G 2200H 2200L 2200M 2200N 2200S 2200T 22010 22011 22012 \
22013 22014 22015 22016 22018 22019 2201B 2201E 2201F 2201G 2201W 2201X 22021 22022 22023 22024 \
22025 22026 22027 2202E 2202G 2202H 22030 22031 22032 22033 22034 22035 22036 22037 22038 22039 \
2203A 2203B 2203C 2203D 2203E 2203F 2203G 22P01 22P02 22P03 22P04 22P05 22P06 23000 23001 23502 \
23503 23505 23514 23P01 25000 25001 25002 25003 25004 25005 25006 25007 25008 25P01 25P02 25P03 \
25P04 26000 28000 28P01 38000 38001 38002 38003 38004 39000 39001 39004 3D000 3F000 40000 40001 \
40002 40003 40P01 42000 42501 42601 42602 42611 42622 42701 42702 42703 42704 42710 42712 42723 \
42725 42803 42804 42809 42830 42846 42883 42939 42P01 42P02 42P03 42P04 42P05 42P06 42P07 42P08 \
42P09 42P10 42P11 42P12 42P13 42P14 42P15 42P16 42P17 42P18 42P19 42P20 42P21 42P22 44000 53000 \
53100 53200 53300 53400 54000 54001 54011 54023 55000 55006 55P02 55P03 55P04 57000 57014 57P01 \
57P02 57P03 57P04 57P05 58000 58030 58P01 58P02 58P03 F0000 F0001 P0000 P0001 P0002 P0003 P0004 \
XX000 XX001 XX002";

/// Returns the code, or words in its place if it is none of PostgreSQL's own.
pub(crate) fn shown(code: &str) -> Cow<'static, str> {
    let known = KNOWN.split(' ').find(|known| *known == code);
    let class = KNOWN
        .split(' ')
        .find_map(|known| known.get(..2).filter(|class| code.starts_with(*class)));
    match (known, class) {
        (Some(known), _) => Cow::Borrowed(known),
        (None, Some(class)) => Cow::Owned(format!("of class {class}")),
        (None, None) => Cow::Borrowed("of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_of_codes() {
        let codes: Vec<&str> = KNOWN.split(' ').collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(codes.iter().all(|code| code.len() == 5));
    }

    #[test]
    fn a_code_that_somebody_made_up_is_not_repeated() {
        assert_eq!(shown("22P02"), "22P02");
        assert_eq!(shown("57014"), "57014");
        assert_eq!(shown("22IVA"), "of class 22");
        for made_up in ["IVANO", "11223", "", "Иванов", "2"] {
            assert_eq!(shown(made_up), "of its own", "{made_up}");
        }
    }
}
