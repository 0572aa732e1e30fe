//! Secrets and certificates of a source, read from the files and variables that its configuration
//! names.

use std::path::Path;

use connector_kit::SourceError;
use reqwest::{Certificate, Identity, RequestBuilder};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Auth, ClientCertificate};

/// The largest certificate file.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// The secrets of [`Auth`], read.
pub(crate) enum Credentials {
    None,
    Basic(String, SecretString),
    Bearer(SecretString),
}

impl Credentials {
    pub(crate) fn read(auth: &Auth, folder: &Path) -> Result<Self, SourceError> {
        Ok(match auth {
            // What a token endpoint gives is no matter of files alone.
            Auth::None | Auth::ClientCredentials(_) | Auth::SmartBackend(_) => Self::None,
            Auth::Basic(basic) if basic.user.contains(':') => {
                return Err(SourceError::misconfigured(
                    "auth.basic.user holds a colon, which RFC 7617 forbids",
                    "use a user name without one",
                ));
            }
            Auth::Basic(basic) => Self::Basic(
                basic.user.clone(),
                secret(&basic.password, folder, "auth.basic.password")?,
            ),
            Auth::Bearer(token) => {
                let token = secret(token, folder, "auth.bearer")?;
                if !token
                    .expose_secret()
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic())
                {
                    return Err(SourceError::misconfigured(
                        "the token in auth.bearer has characters that RFC 6750 forbids",
                        "put nothing but the token into it",
                    ));
                }
                Self::Bearer(token)
            }
        })
    }

    /// True if these are the credentials of `other`.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Basic(user, password), Self::Basic(other_user, other_password)) => {
                user == other_user && password.expose_secret() == other_password.expose_secret()
            }
            (Self::Bearer(token), Self::Bearer(other)) => {
                token.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }

    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

/// Reads the secret of a setting.
pub(crate) fn secret(
    source: &settings::SecretSource,
    folder: &Path,
    setting: &str,
) -> Result<SecretString, SourceError> {
    source
        .read(folder)
        .map_err(|error| SourceError::misconfigured(error.to_string(), format!("see {setting}")))
}

/// The certificates of `ca_file`.
pub(crate) fn authority(path: &Path) -> Result<Vec<Certificate>, SourceError> {
    let certificates =
        Certificate::from_pem_bundle(&read_pem(path, "ca_file")?).unwrap_or_default();
    if certificates.is_empty() {
        return Err(SourceError::misconfigured(
            format!("{} of ca_file holds no PEM certificate", path.display()),
            tls_fault::CERTIFICATE_FORM,
        ));
    }
    Ok(certificates)
}

/// The client certificate with its key.
pub(crate) fn identity(
    certificate: &ClientCertificate,
    folder: &Path,
) -> Result<Identity, SourceError> {
    let mut pem = read_pem(
        &folder.join(&certificate.cert_file),
        "client_certificate.cert_file",
    )?;
    let key = secret(&certificate.key, folder, "client_certificate.key")?;
    pem.push(b'\n');
    pem.extend_from_slice(key.expose_secret().as_bytes());
    let identity = Identity::from_pem(&pem);
    pem.zeroize();
    identity.map_err(|_| bad_identity())
}

fn read_pem(path: &Path, setting: &str) -> Result<Vec<u8>, SourceError> {
    settings::read_regular_file(path, MAX_PEM_BYTES).map_err(|error| {
        SourceError::misconfigured(
            format!(
                "the file of {setting} ({}) cannot be read: {error}",
                path.display()
            ),
            "correct the path or the file's permissions",
        )
    })
}

pub(crate) fn bad_identity() -> SourceError {
    SourceError::misconfigured(
        "client_certificate is no PEM certificate with the private key that belongs to it",
        "give the certificate in cert_file and its unencrypted PEM key in key",
    )
}
