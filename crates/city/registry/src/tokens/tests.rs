//! Tests of the keys of `[tokens]`, and of what is taken for a genuine token.

use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;

use super::*;

const SEALED: [u8; 32] = [7; 32];

/// One genuine token of a key.
fn token(key: &TokenKey, token_use: TokenUse) -> [u8; Token::BYTES] {
    let public = key.public_key();
    let blinding = match token_use {
        TokenUse::Batch => TokenBlinding::for_batches(&public, 1).unwrap(),
        TokenUse::Day => TokenBlinding::for_day(&public),
    };
    let request = Request::parse(&blinding.request(1)).unwrap();
    let tokens = blinding.finalize(&key.evaluate(&request), 1).unwrap();
    tokens[0].to_bytes()
}

/// Keys as a file in a fresh folder has them.
fn keys(configured: &[(&TokenKey, u16, TokenKeyUse)]) -> Result<TokenKeys, TokenKeysError> {
    let folder = tempfile::tempdir().unwrap();
    let entry = |(place, (key, number, token_use)): (usize, &(&TokenKey, u16, TokenKeyUse))| {
        let path = folder.path().join(format!("{place}.key"));
        std::fs::write(&path, key.to_text().expose_secret()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        TokenKeyConfig {
            number: *number,
            key: SecretSource::File(path),
            token_use: *token_use,
        }
    };
    let config = TokensConfig {
        required: true,
        keys: configured.iter().enumerate().map(entry).collect(),
    };
    TokenKeys::read(&config, folder.path())
}

fn sealed(batch: [u8; Token::BYTES], day: Option<[u8; Token::BYTES]>) -> SealedTokens {
    SealedTokens { batch, day }
}

#[test]
fn the_token_of_a_probe_of_its_own_is_genuine_and_another_one_each_time() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let keys = keys(&[
        (&days, 1, TokenKeyUse::Day),
        (&issuer, 2, TokenKeyUse::Batch),
    ])
    .unwrap();
    let own = [keys.own_token().unwrap(), keys.own_token().unwrap()];
    assert!(own[0] != own[1]);
    for tokens in &own {
        let verified = keys.verify(Some(tokens), SEALED, DateTime::UNIX_EPOCH);
        assert!(verified.unwrap().is_some());
    }
}

#[test]
fn genuine_tokens_have_names_and_forged_missing_and_revoked_ones_have_none() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let keys = keys(&[
        (&issuer, 1, TokenKeyUse::Batch),
        (&days, 2, TokenKeyUse::Day),
    ])
    .unwrap();
    let batch = token(&issuer, TokenUse::Batch);
    let day = token(&days, TokenUse::Day);
    let verify = |tokens: &SealedTokens| keys.verify(Some(tokens), SEALED, DateTime::UNIX_EPOCH);
    let verified = verify(&sealed(batch, Some(day))).unwrap().unwrap();
    assert_eq!(verified.sealed, SEALED);
    assert_eq!(verified.batch.key, issuer.public_key().id());
    assert_eq!(verified.day.unwrap().key, days.public_key().id());

    assert_eq!(
        keys.verify(None, SEALED, DateTime::UNIX_EPOCH),
        Err(TokenFault::Missing)
    );
    let other = token(&TokenKey::generate(), TokenUse::Batch);
    assert_eq!(verify(&sealed(other, None)), Err(TokenFault::Revoked));
    for place in [3, 40, Token::BYTES - 1] {
        let mut bent = batch;
        bent[place] ^= 1;
        assert_eq!(
            verify(&sealed(bent, None)),
            Err(TokenFault::Forged),
            "{place}"
        );
    }
    // A day's token, also under the key of batches, is none for a batch.
    assert_eq!(verify(&sealed(day, None)), Err(TokenFault::OtherUse));
    let of_day = token(&issuer, TokenUse::Day);
    assert_eq!(verify(&sealed(of_day, None)), Err(TokenFault::Forged));
    let spoilt = verify(&sealed(batch, Some([5; Token::BYTES])));
    assert_eq!(spoilt.unwrap().unwrap().day, None);
}

#[test]
fn a_key_stands_once_and_for_one_use() {
    let one = TokenKey::generate();
    let other = TokenKey::generate();
    let batch = TokenKeyUse::Batch;
    let day = TokenKeyUse::Day;
    assert!(keys(&[(&one, 1, batch), (&other, 2, day)]).is_ok());
    assert!(keys(&[(&one, 1, batch), (&other, 2, batch)]).is_ok());
    let twice = [
        keys(&[(&one, 1, batch), (&one, 2, batch)]),
        keys(&[(&one, 1, batch), (&one, 1, day)]),
        keys(&[(&one, 1, batch), (&other, 1, batch)]),
        keys(&[(&one, 1, batch), (&other, 1, day)]),
    ];
    for keys in twice {
        assert!(matches!(keys, Err(TokenKeysError::Twice { .. })));
    }
    assert!(matches!(
        keys(&[(&one, 1, day)]),
        Err(TokenKeysError::NoBatchKey)
    ));
}

#[test]
fn uses_that_were_taken_for_each_other_are_told_as_such() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let keys = keys(&[
        (&days, 2, TokenKeyUse::Batch),
        (&issuer, 1, TokenKeyUse::Day),
    ])
    .unwrap();
    let batch = token(&issuer, TokenUse::Batch);
    let verified = keys.verify(Some(&sealed(batch, None)), SEALED, DateTime::UNIX_EPOCH);
    assert_eq!(verified, Err(TokenFault::OtherUse));
}
