//! Properties of whole evaluations, of text forms, and what is refused.

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use crate::text::TextKind;
use crate::wire::{ELEMENT_BYTES, answer_bytes, request_bytes};
use crate::{
    AnswerError, Blinding, Element, Factor, PublicKey, Request, RequestError, SIZES, ServiceKey,
    TextError, TooMany,
};

/// The canonical encoding of the identity.
const IDENTITY: [u8; 32] = [0; 32];

/// Not canonical: the field's prime, which stands for zero again (RFC 9496, appendix A.3).
const NOT_CANONICAL: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

fn evaluate(blinding: &mut Blinding, number: u16, key: &ServiceKey) {
    let request = Request::parse(&blinding.request(number)).unwrap();
    let answer = key.evaluate(&request);
    blinding.accept(&answer, number, &key.public_key()).unwrap();
}

/// The inputs evaluated by these services in turn.
fn evaluated(inputs: &[&[u8]], keys: &[&ServiceKey]) -> Vec<Element> {
    let mut blinding = Blinding::new(inputs).unwrap();
    for key in keys {
        evaluate(&mut blinding, 3, key);
    }
    blinding.unblind()
}

/// A blinding of two inputs, and a good answer to it under key 3 of this service.
fn asked(key: &ServiceKey) -> (Blinding, Vec<u8>) {
    let blinding = Blinding::new(&[b"one", b"two"]).unwrap();
    let answer = key.evaluate(&Request::parse(&blinding.request(3)).unwrap());
    (blinding, answer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_order_of_services_does_not_matter(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
    ) {
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let first = ServiceKey::generate();
        let second = ServiceKey::generate();
        let there = evaluated(&inputs, &[&first, &second]);
        let back = evaluated(&inputs, &[&second, &first]);
        prop_assert_eq!(there.len(), inputs.len());
        prop_assert_eq!(&there, &back);
        prop_assert_ne!(&there, &evaluated(&inputs, &[&first]));
    }

    #[test]
    fn a_factor_turns_an_old_evaluation_into_the_new(input in any::<[u8; 12]>()) {
        let inputs: [&[u8]; 1] = [&input];
        let stays = ServiceKey::generate();
        let old = ServiceKey::generate();
        let new = ServiceKey::generate();
        let before = evaluated(&inputs, &[&old, &stays])[0];
        let after = evaluated(&inputs, &[&new, &stays])[0];
        prop_assert_ne!(before, after);
        let factor = new.factor_from(&old);
        prop_assert_eq!(before.times(&factor), after);
        prop_assert_eq!(after.times(&old.factor_from(&new)), before);
        let read = Factor::from_text(&factor.to_text()).unwrap();
        prop_assert_eq!(before.times(&read), after);
    }

    #[test]
    fn no_bytes_make_parsing_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        text in ".{0,60}",
    ) {
        prop_assert!(Request::parse(&bytes).is_err());
        prop_assert!(text.parse::<PublicKey>().is_err());
    }
}

#[test]
fn derived_factors_divide() {
    let element = evaluated(&[b"x"], &[&ServiceKey::generate()])[0];
    let old = Factor::derive(b"city", &[1; 32]);
    let new = Factor::derive(b"city", &[2; 32]);
    let other_domain = Factor::derive(b"citi", &[2; 32]);
    let moved = element.times(&old).times(&new.divided_by(&old));
    assert_eq!(moved, element.times(&new));
    assert_ne!(moved, element.times(&other_domain));
    assert_ne!(moved, element.times(&old));
}

#[test]
fn sizes_are_the_smallest_that_hold_the_inputs() {
    let expected = [(1, 16), (16, 16), (17, 256), (256, 256)];
    for (inputs, size) in expected {
        let blinding = Blinding::new(&vec![b"x".as_slice(); inputs]).unwrap();
        assert_eq!(blinding.size(), size);
        assert_eq!(blinding.request(1).len(), request_bytes(size));
    }
    for inputs in [0, 257] {
        let fault = Blinding::new(&vec![b"x".as_slice(); inputs]).unwrap_err();
        assert_eq!(fault, TooMany { inputs });
    }
}

#[test]
fn fill_never_comes_out() {
    let key = ServiceKey::generate();
    for count in [1, 2, 15, 16, 17, 255, 256] {
        let inputs: Vec<[u8; 2]> = (0..count).map(u16::to_be_bytes).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(<[u8; 2]>::as_slice).collect();
        let elements = evaluated(&inputs, &[&key]);
        assert_eq!(elements.len(), inputs.len());
        // The last one is what it would be alone, so none of the fill stands before it.
        let alone = evaluated(&inputs[inputs.len() - 1..], &[&key]);
        assert_eq!(elements.last(), alone.last());
    }
}

#[test]
fn two_requests_of_the_same_inputs_have_nothing_in_common() {
    let inputs: [&[u8]; 2] = [b"x", b"x"];
    let first = Blinding::new(&inputs).unwrap().request(1);
    let second = Blinding::new(&inputs).unwrap().request(1);
    let mut elements: Vec<&[u8]> = first[3..]
        .chunks(ELEMENT_BYTES)
        .chain(second[3..].chunks(ELEMENT_BYTES))
        .collect();
    elements.sort_unstable();
    elements.dedup();
    assert_eq!(elements.len(), 2 * SIZES[0]);
}

#[test]
#[should_panic(expected = "no key service has evaluated")]
fn bare_hashes_do_not_come_out() {
    let _ = Blinding::new(&[b"x"]).unwrap().unblind();
}

#[test]
fn another_key_a_changed_element_and_a_swapped_answer_fail_the_proof() {
    let key = ServiceKey::generate();
    let (mut blinding, answer) = asked(&key);
    let refused = |blinding: &mut Blinding, answer: &[u8], key: &PublicKey| {
        assert_eq!(blinding.accept(answer, 3, key), Err(AnswerError::Proof));
    };
    refused(&mut blinding, &answer, &ServiceKey::generate().public_key());

    let mut moved = answer.clone();
    let (first, second) = moved[3..].split_at_mut(ELEMENT_BYTES);
    first.swap_with_slice(&mut second[..ELEMENT_BYTES]);
    refused(&mut blinding, &moved, &key.public_key());

    // In the fill too: the service must not be able to tell it by what is verified.
    let mut last = answer.clone();
    let other = evaluated(&[b"x"], &[&key])[0].to_bytes();
    last[3 + 15 * ELEMENT_BYTES..3 + 16 * ELEMENT_BYTES].copy_from_slice(&other);
    refused(&mut blinding, &last, &key.public_key());

    let (_, answer_to_another) = asked(&key);
    refused(&mut blinding, &answer_to_another, &key.public_key());

    blinding.accept(&answer, 3, &key.public_key()).unwrap();
    refused(&mut blinding, &answer, &key.public_key());
}

/// The service proves with the crate `voprf`, and this crate verifies, by other sums for few
/// elements than for many.
#[test]
fn a_changed_element_of_a_large_answer_fails_the_proof() {
    let key = ServiceKey::generate();
    let inputs: Vec<[u8; 2]> = (0..200).map(u16::to_be_bytes).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(<[u8; 2]>::as_slice).collect();
    let mut blinding = Blinding::new(&inputs).unwrap();
    let request = blinding.request(3);
    let answer = key.evaluate(&Request::parse(&request).unwrap());
    for place in [0, 1, 100, 199, 200, 255] {
        let bytes = 3 + place * ELEMENT_BYTES..3 + (place + 1) * ELEMENT_BYTES;
        let mut changed = answer.clone();
        // What was asked for is an element, and not its multiple.
        changed[bytes.clone()].copy_from_slice(&request[bytes]);
        let fault = blinding.accept(&changed, 3, &key.public_key());
        assert_eq!(fault, Err(AnswerError::Proof), "{place}");
    }
    blinding.accept(&answer, 3, &key.public_key()).unwrap();
    assert_eq!(blinding.unblind().len(), inputs.len());
}

#[test]
fn answers_of_another_length_are_refused() {
    let key = ServiceKey::generate();
    let (mut blinding, answer) = asked(&key);
    let expected = answer_bytes(16);
    let mut longer = answer.clone();
    longer.push(0);
    for wrong in [&answer[..expected - 1], &answer[..3], &answer[..1], &longer] {
        let got = wrong.len();
        let fault = blinding.accept(wrong, 3, &key.public_key());
        assert_eq!(fault, Err(AnswerError::Length { expected, got }));
    }
    let mut larger = answer.clone();
    larger.resize(answer_bytes(256), 0);
    let fault = blinding.accept(&larger, 3, &key.public_key());
    let size = AnswerError::Size {
        asked: 16,
        got: 256,
    };
    assert_eq!(fault, Err(size));
    let fault = blinding.accept(&[], 3, &key.public_key());
    assert_eq!(fault, Err(AnswerError::Version));
}

#[test]
fn another_version_and_another_key_number_are_refused() {
    let key = ServiceKey::generate();
    let (mut blinding, mut answer) = asked(&key);
    let fault = blinding.accept(&answer, 4, &key.public_key());
    let number = AnswerError::KeyNumber { asked: 4, got: 3 };
    assert_eq!(fault, Err(number));
    answer[0] = 2;
    let fault = blinding.accept(&answer, 3, &key.public_key());
    assert_eq!(fault, Err(AnswerError::Version));
}

#[test]
fn the_identity_and_other_encodings_are_refused_everywhere() {
    let key = ServiceKey::generate();
    let (mut blinding, answer) = asked(&key);
    let request = blinding.request(3);
    for wrong in [IDENTITY, NOT_CANONICAL, [0xff; 32]] {
        let index = 15;
        let place = 3 + index * ELEMENT_BYTES..3 + (index + 1) * ELEMENT_BYTES;
        let mut changed = answer.clone();
        changed[place.clone()].copy_from_slice(&wrong);
        let fault = blinding.accept(&changed, 3, &key.public_key());
        assert_eq!(fault, Err(AnswerError::Element { index }));

        let mut changed = request.clone();
        changed[place].copy_from_slice(&wrong);
        let fault = Request::parse(&changed).unwrap_err();
        assert_eq!(fault, RequestError::Element { index });

        assert_eq!(Element::from_bytes(wrong), None);
        assert_eq!(PublicKey::from_bytes(wrong), None);
    }
    let mut changed = answer.clone();
    let scalar = changed.len() - 32;
    changed[scalar..].fill(0xff);
    let fault = blinding.accept(&changed, 3, &key.public_key());
    assert_eq!(fault, Err(AnswerError::ProofForm));
    blinding.accept(&answer, 3, &key.public_key()).unwrap();
}

#[test]
fn requests_of_another_form_are_refused() {
    let request = Blinding::new(&[b"x"]).unwrap().request(5);
    let read = Request::parse(&request).unwrap();
    assert_eq!((read.key_number(), read.len()), (5, 16));
    let mut longer = request.clone();
    longer.push(0);
    let one_short = &request[..request_bytes(15)];
    for wrong in [&request[..1], &request[..3], one_short, &longer] {
        assert_eq!(Request::parse(wrong).unwrap_err(), RequestError::Length);
    }
    assert_eq!(Request::parse(&[]).unwrap_err(), RequestError::Version);
    let mut version = request.clone();
    version[0] = 0;
    assert_eq!(Request::parse(&version).unwrap_err(), RequestError::Version);
    let mut number = request;
    number[1..3].fill(0);
    assert_eq!(
        Request::parse(&number).unwrap_err(),
        RequestError::KeyNumber
    );
}

#[test]
fn texts_come_back_and_say_what_they_lack() {
    let key = ServiceKey::generate();
    let public_key = key.public_key();
    let text = public_key.to_string();
    assert_eq!(text.len(), 6 + 43);
    assert_eq!(text.parse::<PublicKey>().unwrap(), public_key);
    assert_eq!(
        format!(" {text}=\n").parse::<PublicKey>().unwrap(),
        public_key
    );
    let again = ServiceKey::from_text(&key.to_text()).unwrap();
    assert_eq!(again.public_key(), public_key);

    let refused = |text: &str, fault| assert_eq!(text.parse::<PublicKey>(), Err(fault));
    let expected = TextKind::PublicKey;
    refused("", TextError::Prefix(expected));
    refused(&text[1..], TextError::Prefix(expected));
    let found = TextKind::ServiceKey;
    refused(
        key.to_text().expose_secret(),
        TextError::OtherKind { expected, found },
    );
    refused(&text[..text.len() - 1], TextError::Length);
    refused(&format!("{text}A"), TextError::Length);
    refused(
        &format!("{}+", &text[..text.len() - 1]),
        TextError::Characters,
    );
    let zero = "A".repeat(43);
    refused(&format!("cgov1:{zero}"), TextError::Value(expected));
    let zero_key = SecretString::from(format!("cgok1:{zero}"));
    let fault = ServiceKey::from_text(&zero_key).unwrap_err();
    assert_eq!(fault, TextError::Value(TextKind::ServiceKey));
    let zero_factor = SecretString::from(format!("cgof1:{zero}"));
    let fault = Factor::from_text(&zero_factor).unwrap_err();
    assert_eq!(fault, TextError::Value(TextKind::Factor));
}

#[test]
fn debug_shows_no_secret() {
    let key = ServiceKey::generate();
    let element = evaluated(&[b"x"], &[&key])[0];
    assert_eq!(format!("{element:?}"), "Element(..)");
    assert_eq!(format!("{:?}", key.factor_from(&key)), "Factor(..)");
    let shown = format!("{key:?}");
    assert_eq!(
        shown,
        format!("ServiceKey({})", key.public_key().fingerprint())
    );
    let blinding = Blinding::new(&[b"x"]).unwrap();
    assert_eq!(format!("{blinding:?}"), "Blinding(..)");
    let request = Request::parse(&blinding.request(1)).unwrap();
    assert_eq!(format!("{request:?}"), "Request(key 1, 16 elements)");
}

#[test]
fn fingerprints_differ_and_can_be_read_out() {
    let key = ServiceKey::generate().public_key();
    let fingerprint = key.fingerprint();
    assert_eq!(fingerprint.len(), 8 * 4 + 7);
    assert_eq!(fingerprint, key.fingerprint());
    assert_ne!(
        fingerprint,
        ServiceKey::generate().public_key().fingerprint()
    );
}

#[test]
fn a_public_key_follows_the_factor_of_a_rotation() {
    let [old, new] = [ServiceKey::generate(), ServiceKey::generate()];
    let factor = new.factor_from(&old);
    assert_eq!(old.public_key().times(&factor), new.public_key());
    assert_ne!(new.public_key().times(&factor), new.public_key());
    let back = old.factor_from(&new);
    let there_and_back = factor.times(&back);
    let key = old.public_key();
    assert_eq!(key.times(&there_and_back), key);
}
