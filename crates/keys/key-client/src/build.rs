//! The HTTP client of one key service or token issuer: certificates, time, and nothing that tells who asks.

use std::path::Path;
use std::time::Duration;

use reqwest::tls::Version;
use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::ConnectionConfig;
use crate::error::KeyConfigMistake;
use crate::limits::MAX_PEM_BYTES;

/// Reads the certificates and builds the client. Relative paths start from `base`; `label` names the
/// service in mistakes.
pub(crate) fn client(
    label: &str,
    config: &ConnectionConfig<'_>,
    base: &Path,
) -> Result<Client, KeyConfigMistake> {
    // Ignored on purpose: the program around us may have installed a provider already, and then
    // that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(Duration::from_secs(config.timeout_seconds.get().into()))
        .no_proxy()
        .no_gzip()
        .http1_only()
        // In TLS 1.2 whoever listens would read the certificate, which names the institution.
        .tls_version_min(Version::TLS_1_3)
        .referer(false)
        .https_only(config.url.scheme() == "https")
        .redirect(redirect::Policy::none());
    if let Some(file) = config.ca_file {
        let pem = read_pem(label, "ca_file", &base.join(file))?;
        let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if authorities.is_empty() {
            return Err(KeyConfigMistake::new(
                format!("ca_file of {label} holds no certificate"),
                tls_fault::CERTIFICATE_FORM,
            ));
        }
        builder = builder.tls_certs_only(authorities);
    }
    let builder = with_identity(builder, label, config, base)?;
    builder.build().map_err(|_| match config.certificate {
        Some(_) => no_pair(label),
        None => KeyConfigMistake::new(
            format!("TLS cannot be set up for {label}"),
            "set ca_file, or install the system's authorities (ca-certificates)",
        ),
    })
}

fn with_identity(
    builder: ClientBuilder,
    label: &str,
    config: &ConnectionConfig<'_>,
    base: &Path,
) -> Result<ClientBuilder, KeyConfigMistake> {
    let (Some(certificate), Some(private_key)) = (config.certificate, config.private_key) else {
        return Ok(builder);
    };
    let certificate = read_pem(label, "certificate", &base.join(certificate))?;
    let private_key = private_key.read(base).map_err(|error| {
        KeyConfigMistake::new(
            format!("private_key of {label}: {error}"),
            "the private key (PEM) that belongs to certificate is needed there",
        )
    })?;
    let private_key = private_key.expose_secret().as_bytes();
    // Of its full length at once: a vector that grows leaves copies behind that nobody wipes.
    let length = certificate.len() + 1 + private_key.len();
    let mut pem = Zeroizing::new(Vec::with_capacity(length));
    pem.extend_from_slice(&certificate);
    pem.push(b'\n');
    pem.extend_from_slice(private_key);
    let identity = Identity::from_pem(&pem).map_err(|_| no_pair(label))?;
    Ok(builder.identity(identity))
}

fn no_pair(label: &str) -> KeyConfigMistake {
    KeyConfigMistake::new(
        format!("certificate and private_key of {label} are no pair in PEM form"),
        "give the certificate's file and the private key that belongs to it",
    )
}

fn read_pem(label: &str, setting: &str, path: &Path) -> Result<Vec<u8>, KeyConfigMistake> {
    settings::read_regular_file(path, MAX_PEM_BYTES).map_err(|error| {
        KeyConfigMistake::new(
            format!(
                "{setting} of {label}: {} cannot be read: {error}",
                path.display()
            ),
            "write the path of a PEM file that this program may read",
        )
    })
}
