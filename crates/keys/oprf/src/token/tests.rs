//! Tokens from the request to the verification; what is forged, changed or meant for another use.

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::challenge::TOKEN_TYPE;
use super::*;
use crate::wire::{DAY_TOKEN_ELEMENTS, answer_bytes, request_bytes};
use crate::{AnswerError, PublicKey, Request, SIZES, ServiceKey, TextError, TextKind, TooMany};

fn issued(key: &TokenKey, blinding: TokenBlinding) -> Vec<Token> {
    let request = Request::parse(&blinding.request(5)).unwrap();
    assert_eq!(request.len(), blinding.size());
    blinding.finalize(&key.evaluate(&request), 5).unwrap()
}

fn of_batches(key: &TokenKey, count: usize) -> Vec<Token> {
    let blinding = TokenBlinding::for_batches(&key.public_key(), count).unwrap();
    issued(key, blinding)
}

fn of_day(key: &TokenKey) -> Token {
    let mut tokens = issued(key, TokenBlinding::for_day(&key.public_key()));
    assert_eq!(tokens.len(), 1);
    tokens.remove(0)
}

#[test]
fn tokens_verify_under_their_key_and_for_their_use_alone() {
    let key = TokenKey::generate();
    let batch = of_batches(&key, 1).remove(0);
    let day = of_day(&key);
    assert!(key.verify(&batch, TokenUse::Batch) && !key.verify(&batch, TokenUse::Day));
    assert!(key.verify(&day, TokenUse::Day) && !key.verify(&day, TokenUse::Batch));
    assert_eq!(batch.token_use(), TokenUse::Batch);
    assert_eq!(day.token_use(), TokenUse::Day);
    assert_eq!(batch.key_id(), key.public_key().id());
    let other = TokenKey::generate();
    assert!(!other.verify(&batch, TokenUse::Batch));
    assert_ne!(other.public_key().id(), key.public_key().id());
}

#[test]
fn every_place_of_a_request_becomes_a_token_of_its_own() {
    let key = TokenKey::generate();
    for (count, size) in [(1, SIZES[0]), (16, 16), (17, SIZES[1]), (256, 256)] {
        let blinding = TokenBlinding::for_batches(&key.public_key(), count).unwrap();
        assert_eq!(blinding.size(), size);
        assert_eq!(blinding.request(1).len(), request_bytes(size));
        let tokens = issued(&key, blinding);
        assert!(
            tokens
                .iter()
                .all(|token| key.verify(token, TokenUse::Batch))
        );
        let mut nonces: Vec<_> = tokens.iter().map(Token::nonce).collect();
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), size);
    }
    for inputs in [0, 257] {
        let fault = TokenBlinding::for_batches(&key.public_key(), inputs).unwrap_err();
        assert_eq!(fault, TooMany { inputs });
    }
}

/// Nothing of a token is among what the issuer saw: neither the nonce nor an element.
#[test]
fn an_issuer_sees_nothing_of_a_token() {
    let key = TokenKey::generate();
    let blinding = TokenBlinding::for_day(&key.public_key());
    let request = blinding.request(5);
    let answer = key.evaluate(&Request::parse(&request).unwrap());
    let token = blinding.finalize(&answer, 5).unwrap().remove(0);
    for part in token.to_bytes().chunks(16) {
        for seen in [&request, &answer] {
            assert!(!seen.windows(part.len()).any(|window| window == part));
        }
    }
}

#[test]
fn every_changed_byte_makes_a_token_worthless() {
    let key = TokenKey::generate();
    let token = of_batches(&key, 1).remove(0);
    let good = token.to_bytes();
    assert_eq!(Token::from_bytes(&good), Ok(token));
    for at in 0..good.len() {
        let mut changed = good;
        changed[at] ^= 1;
        match Token::from_bytes(&changed) {
            Err(TokenError::Type { found }) => assert!(at < 2 && found != TOKEN_TYPE),
            Err(TokenError::Challenge) => assert!((34..66).contains(&at), "byte {at}"),
            Ok(changed) => assert!(!key.verify(&changed, TokenUse::Batch), "byte {at}"),
        }
    }
    let mut of_the_other_use = good;
    of_the_other_use[34..66].copy_from_slice(&TokenUse::Day.challenge_digest());
    let changed = Token::from_bytes(&of_the_other_use).unwrap();
    assert!(!key.verify(&changed, TokenUse::Day));
}

#[test]
fn an_answer_under_another_key_gives_no_token() {
    let key = TokenKey::generate();
    let blinding = || TokenBlinding::for_batches(&key.public_key(), 1).unwrap();
    let asked = blinding();
    let request = Request::parse(&asked.request(5)).unwrap();
    let forged = TokenKey::generate().evaluate(&request);
    assert_eq!(asked.finalize(&forged, 5), Err(AnswerError::Proof));

    let asked = blinding();
    let request = Request::parse(&asked.request(5)).unwrap();
    let mut changed = key.evaluate(&request);
    changed[40] ^= 1;
    assert!(asked.finalize(&changed, 5).is_err());

    let asked = blinding();
    let answer_to_another = key.evaluate(&Request::parse(&blinding().request(5)).unwrap());
    assert_eq!(
        asked.finalize(&answer_to_another, 5),
        Err(AnswerError::Proof)
    );

    let asked = TokenBlinding::for_day(&key.public_key());
    let expected = AnswerError::Size { asked: 1, got: 16 };
    assert_eq!(asked.finalize(&answer_to_another, 5), Err(expected));
    assert_eq!(answer_to_another.len(), answer_bytes(16));
}

#[test]
fn a_key_of_pseudonyms_is_no_key_of_tokens_nor_the_reverse() {
    let key = TokenKey::generate();
    let service_key = ServiceKey::generate();
    let text = key.to_text();
    assert!(text.expose_secret().starts_with("cgtk1:"));
    let again = TokenKey::from_text(&text).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(
        TokenKey::from_text(&service_key.to_text()).unwrap_err(),
        TextError::OtherKind {
            expected: TextKind::TokenKey,
            found: TextKind::ServiceKey,
        }
    );
    assert!(ServiceKey::from_text(&text).is_err());

    let public_text = key.public_key().to_string();
    assert!(public_text.starts_with("cgtv1:"));
    assert_eq!(
        public_text.parse::<TokenPublicKey>().unwrap(),
        key.public_key()
    );
    assert!(public_text.parse::<PublicKey>().is_err());
    let of_service = service_key.public_key().to_string();
    assert!(of_service.parse::<TokenPublicKey>().is_err());
    let zero = SecretString::from(format!("cgtk1:{}", "A".repeat(43)));
    assert_eq!(
        TokenKey::from_text(&zero).unwrap_err(),
        TextError::Value(TextKind::TokenKey)
    );
}

/// Not of the RFC, which has no vectors for this type: the digests computed apart from this crate,
/// by a few lines of a script. What a token answers must be the same for ever.
#[test]
fn the_challenges_stay_the_same() {
    let batch = "dab908d14c7b206378f63abbbfc6f421ffc1e4e5b2f33096d3f6160eb5eece65";
    let day = "56bac3c280a3b0e097a7f011ca75625620a27cb666ecb1c128e1ecb48f1ac5ea";
    assert_eq!(hex::encode(TokenUse::Batch.challenge_digest()), batch);
    assert_eq!(hex::encode(TokenUse::Day.challenge_digest()), day);
    assert_eq!(Token::BYTES, 162);
    assert_eq!(DAY_TOKEN_ELEMENTS, 1);
}

#[test]
fn uses_come_back_by_name_and_debug_shows_no_secret() {
    for one in TokenUse::ALL {
        assert_eq!(TokenUse::from_name(one.name()), Some(one));
    }
    assert_eq!(TokenUse::from_name("week"), None);
    let key = TokenKey::generate();
    assert_eq!(format!("{:?}", of_day(&key)), "Token(..)");
    let blinding = TokenBlinding::for_day(&key.public_key());
    assert_eq!(format!("{blinding:?}"), "TokenBlinding(..)");
    let fingerprint = key.public_key().fingerprint();
    assert_eq!(format!("{key:?}"), format!("TokenKey({fingerprint})"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_of_a_forger_verify(
        nonce in any::<[u8; 32]>(),
        authenticator in prop::array::uniform32(any::<u8>()),
        day in any::<bool>(),
    ) {
        let key = TokenKey::generate();
        let token_use = if day { TokenUse::Day } else { TokenUse::Batch };
        let input = Token::input(token_use, &nonce, &key.public_key().id());
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&authenticator);
        let forged = Token::with(&input, &wide);
        let read = Token::from_bytes(&forged.to_bytes()).unwrap();
        prop_assert_eq!(read.nonce(), nonce);
        prop_assert_eq!(read.token_use(), token_use);
        prop_assert!(!key.verify(&read, token_use));
    }

    #[test]
    fn no_bytes_make_reading_a_token_panic(bytes in prop::collection::vec(any::<u8>(), 162)) {
        let bytes: [u8; Token::BYTES] = bytes.try_into().unwrap();
        prop_assert!(Token::from_bytes(&bytes).is_err());
    }
}
