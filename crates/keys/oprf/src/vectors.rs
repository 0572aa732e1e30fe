//! The test vectors of RFC 9497, appendix A.1.2: ristretto255-SHA512, VOPRF mode.

use std::collections::VecDeque;
use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use voprf::{Ristretto255, VoprfServer};

use crate::wire::{answer_bytes, request_bytes};
use crate::{AnswerError, Blinding, Element, Factor, PublicKey, Request, ServiceKey, text, token};

const SEED: &str = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3";
const KEY_INFO: &str = "74657374206b6579";
const PRIVATE_KEY: &str = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909";
const PUBLIC_KEY: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";

/// A vector: what it gives and what must come out; of each as many as the batch has places.
struct Vector {
    inputs: &'static [&'static str],
    blinds: &'static [&'static str],
    blinded: &'static [&'static str],
    evaluated: &'static [&'static str],
    proof: &'static str,
    proof_random: &'static str,
    outputs: &'static [&'static str],
}

const VECTORS: [Vector; 3] = [
    Vector {
        inputs: &["00"],
        blinds: &["64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"],
        blinded: &["863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"],
        evaluated: &["aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"],
        proof: "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117\
                a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
        proof_random: "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
        outputs: &[
            "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee\
             5bd03903af43a491351d23b430948dd50cde10d32b3c",
        ],
    },
    Vector {
        inputs: &["5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &["64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"],
        blinded: &["cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c"],
        evaluated: &["60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468"],
        proof: "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a67154fabf031fd9360\
                51dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
        proof_random: "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
        outputs: &[
            "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd\
             84f47719e480906d27ecd994985890e5f539e7ea74b6",
        ],
    },
    Vector {
        inputs: &["00", "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &[
            "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
            "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
        ],
        blinded: &[
            "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
        ],
        evaluated: &[
            "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
        ],
        proof: "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a5ab5337c8eb4ceae04\
                94c2cf89529dcf94572ed267473d567aeed6ab873dee08",
        proof_random: "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c",
        outputs: &[
            "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee\
             5bd03903af43a491351d23b430948dd50cde10d32b3c",
            "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd\
             84f47719e480906d27ecd994985890e5f539e7ea74b6",
        ],
    },
];

/// Generator that gives the bytes set beforehand, in pieces of 32.
struct Set(VecDeque<[u8; 32]>);

impl Set {
    fn of(values: &[&str]) -> Self {
        Self(values.iter().map(|value| array(value)).collect())
    }
}

impl TryRng for Set {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("nobody asks for single numbers")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("nobody asks for single numbers")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.pop_front().expect("no more values are set"));
        Ok(())
    }
}

impl TryCryptoRng for Set {}

fn array(value: &str) -> [u8; 32] {
    hex::decode(value).unwrap().try_into().unwrap()
}

fn service_key() -> ServiceKey {
    let text = text::write_secret(text::TextKind::ServiceKey, &array(PRIVATE_KEY));
    ServiceKey::from_text(&text).unwrap()
}

fn blinding(vector: &Vector) -> Blinding {
    let inputs: Vec<Vec<u8>> = vector
        .inputs
        .iter()
        .map(|input| hex::decode(input).unwrap())
        .collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    Blinding::with(&inputs, inputs.len(), &mut Set::of(vector.blinds))
}

/// The answer's bytes as the vector has them, under key number 7.
fn answer(vector: &Vector) -> Vec<u8> {
    let parts = ["010007", &vector.evaluated.concat(), vector.proof];
    hex::decode(parts.concat()).unwrap()
}

/// The RFC's output, by the same code that makes the authenticators of tokens.
fn output(input: &str, element: Element) -> String {
    hex::encode(token::output(&hex::decode(input).unwrap(), element))
}

#[test]
fn the_keys_are_those_of_the_vectors() {
    let info = hex::decode(KEY_INFO).unwrap();
    let derived = VoprfServer::<Ristretto255>::new_from_seed(&array(SEED), &info).unwrap();
    assert_eq!(derived.serialize()[..32], array(PRIVATE_KEY));
    let public_key = PublicKey::from_bytes(array(PUBLIC_KEY)).unwrap();
    assert_eq!(service_key().public_key(), public_key);
}

#[test]
fn blinded_elements_are_those_of_the_vectors() {
    for vector in &VECTORS {
        let request = blinding(vector).request(7);
        assert_eq!(request.len(), request_bytes(vector.inputs.len()));
        let expected = ["010007", &vector.blinded.concat()].concat();
        assert_eq!(hex::encode(request), expected);
    }
}

#[test]
fn evaluated_elements_and_proofs_are_those_of_the_vectors() {
    for vector in &VECTORS {
        let blinded = hex::decode(vector.blinded.concat()).unwrap();
        let request = Request::of_elements(7, &blinded).unwrap();
        let random = &mut Set::of(&[vector.proof_random]);
        let written = service_key().evaluate_with(&request, random);
        assert_eq!(written.len(), answer_bytes(vector.inputs.len()));
        assert_eq!(written, answer(vector));
    }
}

#[test]
fn answers_of_the_vectors_are_accepted_and_unblinded_to_their_outputs() {
    let key = service_key().public_key();
    for vector in &VECTORS {
        let mut blinding = blinding(vector);
        blinding.accept(&answer(vector), 7, &key).unwrap();
        let elements = blinding.unblind();
        assert_eq!(elements.len(), vector.inputs.len());
        for (place, element) in elements.into_iter().enumerate() {
            assert_eq!(output(vector.inputs[place], element), vector.outputs[place]);
        }
    }
}

#[test]
fn the_key_itself_computes_the_outputs_of_the_vectors() {
    for vector in &VECTORS {
        for (input, output) in vector.inputs.iter().zip(vector.outputs) {
            let computed = service_key().output(&hex::decode(input).unwrap());
            assert_eq!(hex::encode(computed), *output);
        }
    }
}

#[test]
fn every_changed_bit_of_a_vectors_answer_is_refused() {
    let key = service_key().public_key();
    let mut blinding = blinding(&VECTORS[2]);
    let good = answer(&VECTORS[2]);
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let fault = blinding.accept(&changed, 7, &key).unwrap_err();
        let expected = match bit / 8 {
            0 => fault == AnswerError::Version,
            1..3 => matches!(fault, AnswerError::KeyNumber { asked: 7, .. }),
            3..67 => matches!(fault, AnswerError::Element { .. } | AnswerError::Proof),
            _ => matches!(fault, AnswerError::ProofForm | AnswerError::Proof),
        };
        assert!(expected, "bit {bit}: {fault:?}");
    }
    blinding.accept(&good, 7, &key).unwrap();
}

/// Not the RFC's: computed apart from this crate, by expand_message_xmd in a few lines of a script.
/// What a key gives must be the same for ever.
#[test]
fn a_derived_factor_stays_the_same() {
    let factor = Factor::derive(b"domain", &[7; 32]);
    let bytes = hex::encode(factor.scalar().as_bytes());
    let expected = "9c80c810a9614dd943892b4e19926c82b16fefbbfdbcc4352c8dd8fc8f552d0c";
    assert_eq!(bytes, expected);
}
