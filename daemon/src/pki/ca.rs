//! The box's own certificate authority, and what it signs.

use std::net::IpAddr;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::origins::{Reached, local_name};
use crate::store::{Store, StoredKey};
use crate::utc;

pub(super) const DAY: u64 = 86_400;
/// Browsers and iOS refuse a server's certificate that is good for longer.
pub(super) const LEAF_DAYS: u64 = 397;
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

    pub(super) fn sign_leaf(&self, reached: &Reached, key: &KeyPair) -> Result<Vec<u8>> {
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

pub(super) fn key_pair(pkcs8: &[u8]) -> Result<KeyPair> {
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
