//! The box's certificates: its own CA, made at first boot; the certificate for its names of today, renewed
//! when they change; or an own one from files. All without a restart.

mod ca;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::config::Settings;
use crate::origins::Reached;
use crate::store::{Store, StoredKey};
use crate::utc;

use self::ca::key_pair;
pub use self::ca::{Ca, is_permitted, media_certificate, xml_text};

/// What HTTPS shows. Handshakes read it while `refresh` replaces it.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn show(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

/// Where the shown certificate comes from.
enum Source {
    Ca(Box<Ca>),
    Files { certificate: PathBuf, key: PathBuf },
}

pub struct Certificates {
    source: Source,
    settings: Settings,
    store: Arc<Store>,
    shown: Arc<Shown>,
    /// When the own files were last read, by their times of change.
    read: RwLock<[Option<SystemTime>; 2]>,
}

impl Certificates {
    pub fn open(store: Arc<Store>, settings: &Settings) -> Result<Certificates> {
        let (source, first, read) = match (&settings.web.certificate, &settings.web.key) {
            (Some(certificate), Some(key)) => {
                let read = [changed(certificate), changed(key)];
                let first = own_certificate(certificate, key)?;
                let source = Source::Files {
                    certificate: certificate.clone(),
                    key: key.clone(),
                };
                (source, first, read)
            }
            _ => {
                let ca = Ca::open(&store, &settings.box_name())?;
                let first = leaf(&ca, &store, settings)?;
                (Source::Ca(Box::new(ca)), first, [None; 2])
            }
        };
        Ok(Certificates {
            source,
            settings: settings.clone(),
            store,
            shown: Arc::new(Shown(RwLock::new(Arc::new(first)))),
            read: RwLock::new(read),
        })
    }

    /// The CA, where the shown certificate is its work.
    pub fn ca(&self) -> Option<&Ca> {
        match &self.source {
            Source::Ca(ca) => Some(ca),
            Source::Files { .. } => None,
        }
    }

    /// Renews the certificate where names, addresses or time ask for it, or reads the own files where they
    /// changed. On an error the old one is still shown. Blocking.
    pub fn refresh(&self) -> Result<()> {
        match &self.source {
            Source::Ca(ca) => self.shown.show(leaf(ca, &self.store, &self.settings)?),
            Source::Files { certificate, key } => {
                let times = [changed(certificate), changed(key)];
                let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
                if *read != times {
                    self.shown.show(own_certificate(certificate, key)?);
                    *read = times;
                    tracing::info!(certificate = %certificate.display(), "read the own certificate anew");
                }
            }
        }
        let (_, ends) = validity(&self.shown.now().cert[0])?;
        ensure!(
            ends > utc::now(),
            "the certificate has ended: phones no longer open the page; install a new one"
        );
        Ok(())
    }

    /// Whether a browser that asked for this name would find it in the certificate.
    pub fn vouches_for(&self, name: &str) -> bool {
        let shown = self.shown.now();
        let parsed = shown.end_entity_cert().ok();
        let parsed = parsed.and_then(|der| ParsedCertificate::try_from(der).ok());
        match (parsed, ServerName::try_from(name)) {
            (Some(parsed), Ok(name)) => rustls::client::verify_server_name(&parsed, &name).is_ok(),
            _ => false,
        }
    }

    /// SHA-256 of the shown certificate's public key, in base64, as Chromium's
    /// `--ignore-certificate-errors-spki-list` takes it.
    pub fn spki(&self) -> Result<String> {
        let shown = self.shown.now();
        let key = shown
            .key
            .public_key()
            .context("reading the certificate's key")?;
        Ok(STANDARD.encode(Sha256::digest(key)))
    }

    pub fn tls(&self) -> Result<Arc<rustls::ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The stored leaf where it still does, else a new one. Its key stays the same.
fn leaf(ca: &Ca, store: &Store, settings: &Settings) -> Result<CertifiedKey> {
    let mut reached = Reached::now(settings);
    reached.addresses.retain(is_permitted);
    let stored: Option<StoredKey> = store.key("leaf")?;
    if let Some(stored) = &stored
        && is_good(&stored.certificate, &reached, utc::now())?
    {
        return certified(stored, ca);
    }
    let key = match &stored {
        Some(stored) => key_pair(&stored.private_key)?,
        None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
    };
    let made = StoredKey {
        certificate: ca
            .sign_leaf(&reached, &key)
            .context("making the certificate for the box's names")?,
        private_key: key.serialize_der(),
    };
    store.put_key("leaf", &made)?;
    tracing::info!(names = ?reached.names, addresses = ?reached.addresses, "made a certificate");
    certified(&made, ca)
}

/// Whether this leaf has all names and addresses and a third of its life left.
fn is_good(leaf: &[u8], reached: &Reached, now: u64) -> Result<bool> {
    let (_, parsed) = X509Certificate::from_der(leaf).context("reading the stored certificate")?;
    let alternatives = parsed.subject_alternative_name()?;
    let alternatives = alternatives.map(|found| &found.value.general_names);
    let has = |wanted: &GeneralName<'_>| alternatives.is_some_and(|all| all.contains(wanted));
    let named = reached
        .names
        .iter()
        .all(|name| has(&GeneralName::DNSName(name)));
    let addressed = reached.addresses.iter().all(|ip| match ip {
        IpAddr::V4(ip) => has(&GeneralName::IPAddress(&ip.octets())),
        IpAddr::V6(ip) => has(&GeneralName::IPAddress(&ip.octets())),
    });
    let (starts, ends) = validity(leaf)?;
    // A clock that was ahead when the leaf was made leaves one that starts in the future.
    let timely = starts <= now && now < starts + (ends - starts) / 3 * 2;
    Ok(named && addressed && timely)
}

fn certified(leaf: &StoredKey, ca: &Ca) -> Result<CertifiedKey> {
    let chain = vec![
        CertificateDer::from(leaf.certificate.clone()),
        CertificateDer::from(ca.der().to_vec()),
    ];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.private_key.clone()));
    checked(chain, key)
}

/// Reads an own certificate and its key.
pub fn own_certificate(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let in_file = |path: &Path| format!("reading {}", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| anyhow!(e))
        .and_then(|chain: Vec<_>| {
            ensure!(!chain.is_empty(), "there is no PEM certificate in it");
            Ok(chain)
        })
        .with_context(|| in_file(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| in_file(key))?;
    checked(chain, private).with_context(|| {
        format!(
            "using the certificate {} with the key {}",
            certificate.display(),
            key.display()
        )
    })
}

fn checked(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey> {
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .context("the key is not the certificate's: give the one it was made with")?;
    Ok(certified)
}

fn validity(certificate: &[u8]) -> Result<(u64, u64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("reading a certificate")?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let validity = parsed.validity();
    Ok((seconds(validity.not_before), seconds(validity.not_after)))
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|file| file.modified())
        .ok()
}

#[cfg(test)]
mod tests;
