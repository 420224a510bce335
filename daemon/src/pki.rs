//! The box's certificates: its own CA, made at first boot; the certificate for its names of today, renewed
//! when they change; or an own one from files. All without a restart.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::config::Settings;
use crate::origins::{Reached, local_name};
use crate::store::{Store, StoredKey};
use crate::utc;

const DAY: u64 = 86_400;
/// Browsers and iOS refuse a server's certificate that is good for longer.
const LEAF_DAYS: u64 = 397;
const CA_DAYS: u64 = 3_653;
/// Phones' clocks run behind.
const EARLIER: u64 = DAY;

/// What the CA may ever vouch for: whoever steals its key can still not pass for a bank.
const PERMITTED_NAMES: [&str; 2] = ["local", "localhost"];
const PERMITTED_SUBNETS: [(&str, u8); 9] = [
    ("10.0.0.0", 8),
    ("172.16.0.0", 12),
    ("192.168.0.0", 16),
    ("169.254.0.0", 16),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("fc00::", 7),
    ("fe80::", 10),
    ("::1", 128),
];

/// The box's own certificate authority.
pub struct Ca {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// The one of the store, made where there is none yet.
    pub fn open(store: &Store, box_name: &str) -> Result<Ca> {
        let stored = match store.key("ca")? {
            Some(stored) => stored,
            None => {
                let made = make_ca(box_name).context("making the box's CA")?;
                store.put_key("ca", &made)?;
                tracing::info!(
                    fingerprint = fingerprint(&made.certificate),
                    "made the box's CA"
                );
                made
            }
        };
        let key = key_pair(&stored.private_key)?;
        let certificate = CertificateDer::from(stored.certificate.as_slice());
        let issuer = Issuer::from_ca_cert_der(&certificate, key).context("reading the box's CA")?;
        Ok(Ca {
            der: stored.certificate,
            issuer,
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate, as phones show it: `AB:CD:...`.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// A Configuration Profile that installs the CA on iOS. Same box, same identifiers: a second
    /// installation replaces the first.
    pub fn mobileconfig(&self, box_name: &str) -> String {
        let name = xml_text(box_name);
        let certificate = STANDARD.encode(&self.der);
        let uuid = |what: &str| {
            let mut hash = Sha256::new_with_prefix(what);
            hash.update(&self.der);
            uuid(hash.finalize().into())
        };
        let (profile, payload) = (uuid("profile"), uuid("payload"));
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>ca.cer</string>
			<key>PayloadContent</key>
			<data>{certificate}</data>
			<key>PayloadDescription</key>
			<string>Lets this device trust the push-to-talk box {name}. It can vouch for names under .local and private addresses only.</string>
			<key>PayloadDisplayName</key>
			<string>{name}</string>
			<key>PayloadIdentifier</key>
			<string>pttd.ca.{payload}</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{payload}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDescription</key>
	<string>Lets this device open the talk page of {name}. Afterwards: Settings, General, About, Certificate Trust Settings, switch it on.</string>
	<key>PayloadDisplayName</key>
	<string>Push to talk: {name}</string>
	<key>PayloadIdentifier</key>
	<string>pttd.{profile}</string>
	<key>PayloadRemovalDisallowed</key>
	<false/>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{profile}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
"#
        )
    }

    fn sign_leaf(&self, reached: &Reached, key: &KeyPair) -> Result<Vec<u8>> {
        let now = utc::now();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&local_name());
        for name in &reached.names {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into()?));
        }
        for ip in &reached.addresses {
            params.subject_alt_names.push(SanType::IpAddress(*ip));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        params.not_before = at(now - EARLIER)?;
        params.not_after = at(now - EARLIER + LEAF_DAYS * DAY - 1)?;
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(certificate.der().to_vec())
    }
}

/// The CA is good from the day the daemon was built: on the first boot of a box without a clock nothing
/// later can be trusted, and a phone refuses a CA of tomorrow.
fn make_ca(box_name: &str) -> Result<StoredKey> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    // A common name has at most 64 characters.
    let short: String = box_name.chars().take(40).collect();
    params.distinguished_name = common_name(&format!("{short} push-to-talk CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted_subtrees()?,
        excluded_subtrees: Vec::new(),
    });
    params.serial_number = Some(serial()?);
    params.not_before = at(*utc::BUILT - EARLIER)?;
    params.not_after = at(utc::now() + CA_DAYS * DAY)?;
    Ok(StoredKey {
        certificate: params.self_signed(&key)?.der().to_vec(),
        private_key: key.serialize_der(),
    })
}

fn permitted_subtrees() -> Result<Vec<GeneralSubtree>> {
    let mut permitted: Vec<_> = PERMITTED_NAMES
        .iter()
        .map(|name| GeneralSubtree::DnsName(name.to_string()))
        .collect();
    for (network, bits) in PERMITTED_SUBNETS {
        let network: IpAddr = network.parse()?;
        permitted.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
            network, bits,
        )));
    }
    Ok(permitted)
}

/// Whether the CA may vouch for this address.
pub fn is_permitted(ip: &IpAddr) -> bool {
    let bits = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    PERMITTED_SUBNETS.iter().any(|(network, prefix)| {
        network.parse::<IpAddr>().is_ok_and(|network| {
            network.is_ipv4() == ip.is_ipv4()
                && (bits(&network) ^ bits(ip)).leading_zeros() >= u32::from(*prefix)
        })
    })
}

/// The certificate of the DTLS handshakes: browsers are told its hash in the answer, so nobody has to
/// vouch for it, and it stays the same.
pub fn media_certificate(store: &Store) -> Result<StoredKey> {
    if let Some(stored) = store.key("media")? {
        return Ok(stored);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("pttd");
    // Firefox refuses two certificates of one issuer with one number.
    params.serial_number = Some(serial()?);
    params.not_before = at(*utc::BUILT - EARLIER)?;
    params.not_after = at(utc::now() + CA_DAYS * DAY)?;
    let made = StoredKey {
        certificate: params.self_signed(&key)?.der().to_vec(),
        private_key: key.serialize_der(),
    };
    store.put_key("media", &made)?;
    Ok(made)
}

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
        CertificateDer::from(ca.der.clone()),
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

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair> {
    let der = PrivatePkcs8KeyDer::from(pkcs8);
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .context("reading a stored key")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn serial() -> Result<rcgen::SerialNumber> {
    let mut number = [0; 16];
    getrandom::fill(&mut number).context("choosing a serial number")?;
    // Positive, and of full length.
    number[0] = number[0] & 0x7f | 0x40;
    Ok(rcgen::SerialNumber::from_slice(&number))
}

fn at(utc: u64) -> Result<OffsetDateTime> {
    Ok(OffsetDateTime::from_unix_timestamp(utc.try_into()?)?)
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.join(":")
}

/// RFC 9562 version 8: a name-based one by a hash of our choice.
fn uuid(hash: [u8; 32]) -> String {
    let mut bytes: [u8; 16] = std::array::from_fn(|i| hash[i]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

pub fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
