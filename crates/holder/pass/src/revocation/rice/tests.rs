//! Tests of the code against a plain reading of its definition.

use proptest::prelude::*;

use super::*;

fn set(values: &[u64]) -> TagSet {
    let tags = values
        .iter()
        .map(|value| Tag::new(*value).expect("48 bits"));
    TagSet::new(tags.collect()).expect("few tags")
}

fn coded(count: u64, parameter: u64, bytes: &[u8]) -> CodedSet<&[u8]> {
    CodedSet {
        count,
        parameter,
        bytes,
    }
}

fn borrowed(coded: &CodedSet<Vec<u8>>) -> CodedSet<&[u8]> {
    CodedSet {
        count: coded.count,
        parameter: coded.parameter,
        bytes: &coded.bytes,
    }
}

/// Code as text of ones and zeros, as the definition says it.
fn bits_by_definition(tags: &TagSet, parameter: u32) -> String {
    let mut text = String::new();
    let mut previous: Option<u64> = None;
    for tag in tags.as_slice() {
        let gap = previous.map_or(tag.value(), |previous| tag.value() - previous - 1);
        let quotient = usize::try_from(gap / (1 << parameter)).expect("small");
        text.push_str(&"1".repeat(quotient));
        text.push('0');
        for place in (0..parameter).rev() {
            text.push(if gap / (1 << place) % 2 == 1 {
                '1'
            } else {
                '0'
            });
        }
        previous = Some(tag.value());
    }
    while !text.len().is_multiple_of(8) {
        text.push('0');
    }
    text
}

fn as_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:08b}")).collect()
}

#[test]
fn a_small_set_is_coded_as_worked_out_by_hand() {
    // Gaps 5, 0, 2, 10 with k = 2: 10 01, 0 00, 0 10, 110 10, and a zero.
    let tags = set(&[5, 6, 9, 20]);
    let coded = encode(&tags);
    assert_eq!(coded.count, 4);
    assert_eq!(coded.parameter, 2);
    assert_eq!(as_text(&coded.bytes), "1001000010110100");
}

#[test]
fn an_empty_set_has_no_bytes() {
    let empty = encode(&TagSet::default());
    assert_eq!(borrowed(&empty), coded(0, 0, &[]));
    assert_eq!(decode(coded(0, 0, &[])), Ok(TagSet::default()));
    assert_eq!(decode(coded(0, 0, &[0])), Err(CodeError::Trailing));
}

#[test]
fn the_greatest_tag_is_coded_and_a_greater_one_refused() {
    let greatest = set(&[Tag::MAX.value()]);
    let code = encode(&greatest);
    assert_eq!(decode(borrowed(&code)), Ok(greatest));
    // 0 and 48 ones: the greatest tag at k = 48.
    let whole = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80];
    assert_eq!(decode(coded(1, 48, &whole)), Ok(set(&[Tag::MAX.value()])));
    let quotient_one = [0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0];
    assert_eq!(
        decode(coded(1, 48, &quotient_one)),
        Err(CodeError::TagTooGreat)
    );
    // Greatest tag, then any other.
    let mut bits = "0".to_owned() + &"1".repeat(48) + &"0".repeat(49);
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    let bytes: Vec<u8> = (0..bits.len() / 8)
        .map(|index| u8::from_str_radix(&bits[index * 8..index * 8 + 8], 2).expect("bits"))
        .collect();
    assert_eq!(decode(coded(2, 48, &bytes)), Err(CodeError::TagTooGreat));
}

#[test]
fn limits_are_refused_at_their_edge() {
    let limit = u64::try_from(MAX_TAGS).expect("fits");
    let bytes = vec![0_u8; MAX_TAGS / 8];
    assert_eq!(
        decode(coded(limit, 0, &bytes)).map(|tags| tags.len()),
        Ok(MAX_TAGS)
    );
    let longer = vec![0_u8; MAX_TAGS / 8 + 1];
    assert_eq!(
        decode(coded(limit + 1, 0, &longer)),
        Err(CodeError::TooMany)
    );
    assert_eq!(decode(coded(u64::MAX, 0, &longer)), Err(CodeError::TooMany));
    assert_eq!(decode(coded(1, 49, &longer)), Err(CodeError::Parameter));
    assert_eq!(decode(coded(limit, 48, &[0])), Err(CodeError::Short));
}

#[test]
fn padding_and_bytes_that_follow_are_refused() {
    assert_eq!(decode(coded(1, 0, &[0b0000_0000])), Ok(set(&[0])));
    assert_eq!(
        decode(coded(1, 0, &[0b0000_0001])),
        Err(CodeError::Trailing)
    );
    assert_eq!(
        decode(coded(1, 0, &[0b0100_0000])),
        Err(CodeError::Trailing)
    );
    assert_eq!(decode(coded(1, 0, &[0, 0])), Err(CodeError::Trailing));
    assert_eq!(decode(coded(8, 0, &[0])).map(|tags| tags.len()), Ok(8));
    assert_eq!(decode(coded(8, 0, &[0, 0])), Err(CodeError::Trailing));
    assert_eq!(decode(coded(1, 0, &[0xff])), Err(CodeError::Short));
    assert_eq!(decode(coded(1, 3, &[])), Err(CodeError::Short));
}

fn any_set() -> impl Strategy<Value = TagSet> {
    let wide = prop::collection::vec(0..=Tag::MAX.value(), 0..80);
    let dense = prop::collection::vec(0..500_u64, 0..80);
    prop_oneof![wide, dense].prop_map(|values| set(&values))
}

proptest! {
    #[test]
    fn what_is_coded_reads_back_and_no_other_parameter_is_shorter(tags in any_set()) {
        let code = encode(&tags);
        prop_assert_eq!(decode(borrowed(&code)), Ok(tags.clone()));
        for parameter in 0..=MAX_PARAMETER {
            let bits = coded_bits(tags.as_slice(), parameter);
            let chosen = coded_bits(tags.as_slice(), u32::try_from(code.parameter).expect("small"));
            prop_assert!(chosen <= bits);
            if u64::from(parameter) < code.parameter {
                prop_assert!(chosen < bits);
            }
        }
    }

    #[test]
    fn bits_are_those_of_the_definition(tags in any_set()) {
        let code = encode(&tags);
        let parameter = u32::try_from(code.parameter).expect("small");
        prop_assert_eq!(as_text(&code.bytes), bits_by_definition(&tags, parameter));
    }

    #[test]
    fn bytes_that_can_be_read_are_the_only_ones_for_their_set(
        count in 0..40_u64,
        parameter in 0..50_u64,
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        if let Ok(tags) = decode(coded(count, parameter, &bytes)) {
            prop_assert_eq!(tags.len() as u64, count);
            let parameter = u32::try_from(parameter).expect("small");
            prop_assert_eq!(as_text(&bytes), bits_by_definition(&tags, parameter));
        }
    }

    #[test]
    fn flipping_a_bit_never_reads_as_the_same_set(tags in any_set(), place in any::<prop::sample::Index>()) {
        let mut code = encode(&tags);
        if !code.bytes.is_empty() {
            let bit = place.index(code.bytes.len() * 8);
            code.bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(decode(borrowed(&code)), Ok(tags));
        }
    }
}
