//! Certificates of signers (X.509): key, kid, validity, and which kinds of health certificates they
//! may sign.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use thiserror::Error;
use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::base64_text;
use super::cose::{Algorithm, Message};

/// Number of bytes of a kid: the first ones of the SHA-256 digest of the certificate (hCert
/// specification, section 3.3.3).
const KID_BYTES: usize = 8;

/// Greatest number of certificates that are used at once.
pub(crate) const MAX_CERTIFICATES: usize = 1000;

/// First byte of every certificate in DER: the tag of a sequence (ITU-T X.690, section 8.9).
const DER_SEQUENCE: u8 = 0x30;
/// Beginning of every mark of PEM (RFC 7468, section 2).
const PEM_MARK: &str = "-----BEGIN";
/// Mark before a certificate in PEM (RFC 7468, section 5.1).
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// Mark after a certificate in PEM (RFC 7468, section 5.1).
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Public key on an elliptic curve (RFC 5480, section 2.1.1).
const EC_KEY: &str = "1.2.840.10045.2.1";
/// RSA key (RFC 8017, appendix C).
const RSA_KEY: &str = "1.2.840.113549.1.1.1";
/// RSA key for RSASSA-PSS only (RFC 8017, appendix C).
const RSA_PSS_KEY: &str = "1.2.840.113549.1.1.10";

/// Beginnings of the object identifiers of extended key usages; the second is an older form that
/// some certificates have.
const USAGE_ROOTS: [&str; 2] = ["1.3.6.1.4.1.1847.2021.1.", "1.3.6.1.4.1.0.1847.2021.1."];

/// Kind of a health certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A test.
    Test,
    /// A vaccination.
    Vaccination,
    /// A recovery.
    Recovery,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 3] = [Self::Test, Self::Vaccination, Self::Recovery];

    /// Word for the kind.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Vaccination => "vaccination",
            Self::Recovery => "recovery",
        }
    }

    /// Member of the health certificate that has the entries of this kind.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Test => "t",
            Self::Vaccination => "v",
            Self::Recovery => "r",
        }
    }

    /// Last number of the object identifier of the extended key usage.
    const fn usage(self) -> &'static str {
        match self {
            Self::Test => "1",
            Self::Vaccination => "2",
            Self::Recovery => "3",
        }
    }
}

/// Fault of a certificate file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CertificateFault {
    /// The text is neither PEM nor base64, and the bytes are no DER.
    #[error("this is no certificate in PEM, DER or base64")]
    NoCertificate,
    /// The certificate is damaged.
    #[error("the certificate is damaged, or bytes follow it")]
    Damaged,
    /// The extended key usage cannot be read.
    #[error("the extended key usage of the certificate cannot be read")]
    KeyUsage,
    /// A time of the validity is outside what can be said.
    #[error("the validity of the certificate cannot be read")]
    Validity,
    /// More certificates than [`MAX_CERTIFICATES`].
    #[error("there are more than {MAX_CERTIFICATES} certificates")]
    TooMany,
}

/// Fault of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SignatureFault {
    /// The certificate's key is of another kind than the algorithm wants.
    #[error("the signature is made by {0}, but the certificate has {1}")]
    OtherKey(&'static str, &'static str),
    /// The signature does not fit the key and what is signed.
    #[error("the signature is wrong: the content was changed, or another key signed it")]
    Wrong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Ec,
    Rsa,
    Other,
}

impl KeyKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ec => "a key on an elliptic curve",
            Self::Rsa => "an RSA key",
            Self::Other => "a key of an unknown kind",
        }
    }
}

/// Certificate of a signer.
#[derive(Debug, Clone)]
pub(crate) struct SignerCertificate {
    /// Key identifier.
    pub(crate) kid: [u8; KID_BYTES],
    key_kind: KeyKind,
    /// Public key as its kind has it: an uncompressed point, or a PKCS #1 structure.
    key: Vec<u8>,
    /// First moment of the validity.
    pub(crate) not_before: DateTime<Utc>,
    /// Last moment of the validity.
    pub(crate) not_after: DateTime<Utc>,
    /// Kinds that the certificate names; empty if it names none, and so permits all.
    kinds: BTreeSet<Kind>,
    /// True if the certificate limits its key to any usages, be they kinds or others.
    names_usages: bool,
}

impl SignerCertificate {
    /// Reads the certificates of a file: PEM with one or more, DER, or either of them in base64.
    pub(crate) fn all_of(bytes: &[u8]) -> Result<Vec<Self>, CertificateFault> {
        if bytes.first() == Some(&DER_SEQUENCE) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let text = str::from_utf8(bytes).map_err(|_| CertificateFault::NoCertificate)?;
        if text.contains(PEM_MARK) {
            return Self::all_of_pem(text);
        }
        let inner = base64_text::decode(text).ok_or(CertificateFault::NoCertificate)?;
        match str::from_utf8(&inner) {
            Ok(text) if text.contains(PEM_MARK) => Self::all_of_pem(text),
            _ => Ok(vec![Self::from_der(&inner)?]),
        }
    }

    /// Certificates between their PEM marks (RFC 7468), which need not stand on lines of their own:
    /// texts that were put into JSON often lost their line ends.
    fn all_of_pem(text: &str) -> Result<Vec<Self>, CertificateFault> {
        let mut found = Vec::new();
        for part in text.split(PEM_BEGIN).skip(1) {
            if found.len() == MAX_CERTIFICATES {
                return Err(CertificateFault::TooMany);
            }
            let (content, _) = part.split_once(PEM_END).ok_or(CertificateFault::Damaged)?;
            let der = base64_text::decode(content).ok_or(CertificateFault::Damaged)?;
            found.push(Self::from_der(&der)?);
        }
        if found.is_empty() {
            return Err(CertificateFault::NoCertificate);
        }
        Ok(found)
    }

    fn from_der(der: &[u8]) -> Result<Self, CertificateFault> {
        let parsed = X509Certificate::from_der(der);
        let (rest, certificate) = parsed.map_err(|_| CertificateFault::Damaged)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Damaged);
        }
        let moment =
            |seconds: i64| DateTime::from_timestamp(seconds, 0).ok_or(CertificateFault::Validity);
        let validity = certificate.validity();
        let key = certificate.public_key();
        let key_kind = match key.algorithm.algorithm.to_id_string().as_str() {
            EC_KEY => KeyKind::Ec,
            RSA_KEY | RSA_PSS_KEY => KeyKind::Rsa,
            _ => KeyKind::Other,
        };
        let usages = usages(&certificate)?;
        let mut kid = [0; KID_BYTES];
        kid.copy_from_slice(&digest(&SHA256, der).as_ref()[..KID_BYTES]);
        Ok(Self {
            kid,
            key_kind,
            key: key.subject_public_key.data.to_vec(),
            not_before: moment(validity.not_before.timestamp())?,
            not_after: moment(validity.not_after.timestamp())?,
            kinds: usages.kinds,
            names_usages: usages.any,
        })
    }

    /// Verifies the signature of a message.
    pub(crate) fn verify(
        &self,
        message: &Message,
        algorithm: Algorithm,
    ) -> Result<(), SignatureFault> {
        let key = &self.key;
        let signed = message.signed();
        let verified = match (algorithm, self.key_kind) {
            (Algorithm::Es256, KeyKind::Ec) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                    .verify(&signed, &message.signature)
            }
            (Algorithm::Ps256, KeyKind::Rsa) => {
                UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key)
                    .verify(&signed, &message.signature)
            }
            (algorithm, other) => {
                return Err(SignatureFault::OtherKey(algorithm.as_str(), other.as_str()));
            }
        };
        verified.map_err(|_| SignatureFault::Wrong)
    }

    /// True where the certificate permits a kind: it names it, or it names none.
    pub(crate) fn permits(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// True where the certificate permits a kind by the stricter reading that the public program
    /// for the EU test data has: it names it, or it limits its key to no usage at all.
    pub(crate) fn permits_strictly(&self, kind: Kind) -> bool {
        !self.names_usages || self.kinds.contains(&kind)
    }

    /// Kinds that the certificate permits, in words.
    pub(crate) fn kinds_in_words(&self) -> String {
        if self.kinds.is_empty() {
            return "every kind".to_owned();
        }
        let names: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        names.join(" and ")
    }
}

/// Extended key usages of a certificate.
#[derive(Default)]
struct Usages {
    kinds: BTreeSet<Kind>,
    any: bool,
}

/// Extended key usages that a certificate names. Others than the kinds say nothing about kinds.
fn usages(certificate: &X509Certificate<'_>) -> Result<Usages, CertificateFault> {
    let mut usages = Usages::default();
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let names = usage.other.iter().map(Oid::to_id_string);
                usages
                    .kinds
                    .extend(names.filter_map(|oid| kind_of_usage(&oid)));
                usages.any = true;
            }
            ParsedExtension::ParseError { .. }
                if extension.oid == x509_parser::oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE =>
            {
                return Err(CertificateFault::KeyUsage);
            }
            _ => {}
        }
    }
    Ok(usages)
}

fn kind_of_usage(oid: &str) -> Option<Kind> {
    let last = USAGE_ROOTS.iter().find_map(|root| oid.strip_prefix(root))?;
    Kind::ALL.into_iter().find(|kind| kind.usage() == last)
}
