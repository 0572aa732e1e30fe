//! Tokens that a registry has seen spent, and every form in which their issuer could know them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use oprf::{Blinding, Request, ServiceKey, Token, TokenBlinding, TokenKey, TokenUse};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha512};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::issuer::TokenKeyPair;

/// Places of the nonce and of the challenge's digest in a token.
const NONCE: usize = 2;
const CHALLENGE: usize = 34;
const KEY_ID: usize = 66;
const AUTHENTICATOR: usize = 98;

const SPENT: &str = "SELECT key_id, nonce, sealed FROM spent_token ORDER BY nonce";
const OF_DAYS: &str = "SELECT key_id, nonce FROM day_token ORDER BY nonce";

/// Token that stands in a registry's database.
#[derive(Debug, Clone)]
pub(super) struct SpentToken {
    pub(super) token_use: TokenUse,
    pub(super) key_id: Vec<u8>,
    pub(super) nonce: [u8; 32],
    /// Digest of the batch that it is spent for; nothing for a token of a day.
    pub(super) sealed: Vec<u8>,
}

/// Reads all tokens of a SQLite store.
pub(super) async fn spent_tokens(database: &Path) -> Vec<SpentToken> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = options.read_only(true).connect().await.unwrap();
    let batches: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = sqlx::query_as(SPENT)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let days: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(OF_DAYS)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let batches = batches.into_iter().map(|row| SpentToken {
        token_use: TokenUse::Batch,
        key_id: row.0,
        nonce: row.1.try_into().unwrap(),
        sealed: row.2,
    });
    let days = days.into_iter().map(|row| SpentToken {
        token_use: TokenUse::Day,
        key_id: row.0,
        nonce: row.1.try_into().unwrap(),
        sealed: Vec::new(),
    });
    batches.chain(days).collect()
}

/// Values of a token that somebody could have seen or kept who issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) nonce: [u8; 32],
    /// Element that its input hashes to: what an issuer is asked for without a blind.
    pub(super) element: [u8; 32],
    /// The same under the issuer's key: what an issuer answers without a blind.
    pub(super) evaluated: [u8; 32],
    /// The whole token.
    pub(super) token: [u8; Token::BYTES],
}

impl Values {
    /// Works out all values of tokens, as the issuer's keys permit it.
    pub(super) fn of(tokens: &[SpentToken], keys: &TokenKeyPair) -> Vec<Self> {
        let inputs: Vec<Vec<u8>> = tokens.iter().map(input).collect();
        let elements = evaluated(&inputs, &one());
        let under_batch = evaluated(&inputs, &as_service_key(&keys.batch));
        let under_day = evaluated(&inputs, &as_service_key(&keys.day));
        let places = 0..tokens.len();
        places
            .map(|place| {
                let token = &tokens[place];
                let evaluated = match token.token_use {
                    TokenUse::Batch => under_batch[place],
                    TokenUse::Day => under_day[place],
                };
                let mut whole = [0; Token::BYTES];
                whole[..AUTHENTICATOR].copy_from_slice(&inputs[place]);
                whole[AUTHENTICATOR..].copy_from_slice(&authenticator(&inputs[place], &evaluated));
                Self {
                    nonce: token.nonce,
                    element: elements[place],
                    evaluated,
                    token: whole,
                }
            })
            .collect()
    }

    /// The values in every encoding, and digests of them.
    pub(super) fn forms(&self) -> Vec<Vec<u8>> {
        let authenticator = &self.token[AUTHENTICATOR..];
        let plain = [
            &self.nonce[..],
            &self.element,
            &self.evaluated,
            &self.token,
            authenticator,
        ];
        let digests = plain.map(|value| Sha256::digest(value).to_vec());
        let all = plain.map(<[u8]>::to_vec).into_iter().chain(digests);
        all.flat_map(|value| encoded(&value)).collect()
    }
}

/// A value as bytes and as text.
pub(super) fn encoded(value: &[u8]) -> [Vec<u8>; 6] {
    let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = value.iter().map(u8::to_string).collect();
    [
        value.to_vec(),
        digits.to_uppercase().into_bytes(),
        digits.into_bytes(),
        STANDARD_NO_PAD.encode(value).into_bytes(),
        URL_SAFE_NO_PAD.encode(value).into_bytes(),
        list.join(",").into_bytes(),
    ]
}

/// What a token's authenticator is computed from. The database holds what is needed: the rest is
/// the same in all tokens of a use.
fn input(token: &SpentToken) -> Vec<u8> {
    let any_key = TokenKey::generate();
    let public = any_key.public_key();
    let blinding = match token.token_use {
        TokenUse::Batch => TokenBlinding::for_batches(&public, 1).unwrap(),
        TokenUse::Day => TokenBlinding::for_day(&public),
    };
    let request = Request::parse(&blinding.request(1)).unwrap();
    let any = blinding.finalize(&any_key.evaluate(&request), 1).unwrap()[0].to_bytes();
    let mut input = any[..AUTHENTICATOR].to_vec();
    input[NONCE..CHALLENGE].copy_from_slice(&token.nonce);
    input[KEY_ID..].copy_from_slice(&token.key_id);
    input
}

/// Output of RFC 9497, section 3.3.2, Finalize.
fn authenticator(input: &[u8], element: &[u8; 32]) -> [u8; 64] {
    let length = u16::try_from(input.len()).unwrap();
    Sha512::new()
        .chain_update(length.to_be_bytes())
        .chain_update(input)
        .chain_update(32_u16.to_be_bytes())
        .chain_update(element)
        .chain_update(b"Finalize")
        .finalize()
        .into()
}

/// Elements that inputs hash to, multiplied by a key.
fn evaluated(inputs: &[Vec<u8>], key: &ServiceKey) -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for inputs in inputs.chunks(oprf::MAX_ELEMENTS) {
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let mut blinding = Blinding::new(&inputs).unwrap();
        let request = Request::parse(&blinding.request(1)).unwrap();
        let answer = key.evaluate(&request);
        blinding.accept(&answer, 1, &key.public_key()).unwrap();
        let elements = blinding.unblind().into_iter();
        all.extend(elements.map(oprf::Element::to_bytes));
    }
    all
}

/// The number one as a key: what it evaluates is the hash itself.
fn one() -> ServiceKey {
    let mut scalar = [0; 32];
    scalar[0] = 1;
    let text = format!("cgok1:{}", URL_SAFE_NO_PAD.encode(scalar));
    ServiceKey::from_text(&SecretString::from(text)).unwrap()
}

/// The same number as a key of pseudonyms: the types keep them apart, a thief does not.
pub(super) fn as_service_key(key: &TokenKey) -> ServiceKey {
    let text = key.to_text();
    let number = text.expose_secret().strip_prefix("cgtk1:").unwrap();
    ServiceKey::from_text(&SecretString::from(format!("cgok1:{number}"))).unwrap()
}
