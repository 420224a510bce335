use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::UnixTime;
use tempfile::TempDir;

use super::ca::{DAY, LEAF_DAYS};
use super::*;
use crate::origins::local_name;

struct Box {
    dir: TempDir,
    store: Arc<Store>,
    settings: Settings,
}

fn a_box() -> Box {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let settings = toml::from_str("name = 'Gate <1> & co'\n[web]\nnames = ['gate.local']").unwrap();
    Box {
        dir,
        store,
        settings,
    }
}

impl Box {
    fn certificates(&self) -> Certificates {
        Certificates::open(self.store.clone(), &self.settings).unwrap()
    }
}

/// As a browser that trusts this CA and nothing else.
fn verify(ca: &[u8], leaf: &[u8], name: &str, utc: u64) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.to_vec())).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let leaf = CertificateDer::from(leaf.to_vec());
    let name = ServerName::try_from(name).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(utc));
    verifier
        .verify_server_cert(&leaf, &[], &name, &[], now)
        .map(drop)
}

#[test]
fn a_device_that_trusts_the_ca_opens_the_page_by_name_and_address() {
    let a_box = a_box();
    let certificates = a_box.certificates();
    let ca = certificates.ca().unwrap();
    let leaf = &certificates.shown.now().cert[0];
    for name in ["localhost", "gate.local", &local_name(), "127.0.0.1", "::1"] {
        verify(ca.der(), leaf, name, utc::now()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(certificates.vouches_for(name), "{name}");
    }
    assert!(verify(ca.der(), leaf, "other.local", utc::now()).is_err());
    assert!(!certificates.vouches_for("other.local"));
    assert!(!certificates.vouches_for("evil.example"));
}

#[test]
fn the_ca_can_vouch_for_nothing_outside_the_lan() {
    let a_box = a_box();
    let ca = Ca::open(&a_box.store, "Gate").unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf_for = |name: &str| {
        let mut reached = Reached::default();
        match name.parse() {
            Ok(ip) => reached.addresses.insert(ip),
            Err(_) => reached.names.insert(name.to_string()),
        };
        ca.sign_leaf(&reached, &key).unwrap()
    };
    for inside in [
        "a.local",
        "localhost",
        "10.1.2.3",
        "192.168.178.20",
        "172.31.0.1",
        "100.64.0.1",
        "fd00::2",
    ] {
        verify(ca.der(), &leaf_for(inside), inside, utc::now())
            .unwrap_or_else(|e| panic!("{inside}: {e}"));
    }
    for outside in [
        "bank.example",
        "local.example",
        "8.8.8.8",
        "172.32.0.1",
        "192.169.0.1",
        "2001:db8::1",
    ] {
        let refused = verify(ca.der(), &leaf_for(outside), outside, utc::now());
        let said = format!("{:?}", refused.unwrap_err());
        assert!(
            said.contains("NameConstraintViolation"),
            "{outside}: {said}"
        );
        if let Ok(ip) = outside.parse() {
            assert!(!is_permitted(&ip), "{outside}");
        }
    }
}

#[test]
fn ca_leaf_and_key_are_the_same_after_a_restart() {
    let a_box = a_box();
    let first = a_box.certificates();
    let second = a_box.certificates();
    assert_eq!(
        first.ca().unwrap().fingerprint(),
        second.ca().unwrap().fingerprint()
    );
    assert_eq!(first.shown.now().cert, second.shown.now().cert);
    assert_eq!(first.spki().unwrap(), second.spki().unwrap());
    let media = media_certificate(&a_box.store).unwrap();
    assert_eq!(media, media_certificate(&a_box.store).unwrap());
}

#[test]
fn a_new_name_renews_the_leaf_and_keeps_its_key() {
    let mut a_box = a_box();
    let first = a_box.certificates();
    a_box.settings = toml::from_str("[web]\nnames = ['gate.local', 'stage.local']").unwrap();
    let second = a_box.certificates();
    assert!(!first.vouches_for("stage.local"));
    assert!(second.vouches_for("stage.local"));
    assert_eq!(first.spki().unwrap(), second.spki().unwrap());
    first.refresh().unwrap();
    assert_eq!(
        first.shown.now().cert,
        second.shown.now().cert,
        "without a restart"
    );
}

#[test]
fn a_leaf_is_renewed_in_the_last_third_of_its_life_or_when_it_starts_tomorrow() {
    let a_box = a_box();
    let ca = Ca::open(&a_box.store, "Gate").unwrap();
    let reached = Reached {
        names: ["a.local".to_string()].into(),
        addresses: ["10.0.0.1".parse().unwrap()].into(),
    };
    let leaf = ca
        .sign_leaf(&reached, &KeyPair::generate().unwrap())
        .unwrap();
    let (starts, ends) = validity(&leaf).unwrap();
    assert!(ends - starts < LEAF_DAYS * DAY);
    assert!(starts < utc::now());
    assert!(is_good(&leaf, &reached, utc::now()).unwrap());
    assert!(is_good(&leaf, &reached, starts + 264 * DAY).unwrap());
    assert!(!is_good(&leaf, &reached, starts + 265 * DAY).unwrap());
    assert!(!is_good(&leaf, &reached, starts - 1).unwrap());
    let mut moved = reached.clone();
    moved.addresses.insert("10.0.0.2".parse().unwrap());
    assert!(!is_good(&leaf, &moved, utc::now()).unwrap());
}

#[test]
fn on_a_box_without_a_clock_the_ca_is_good_from_the_day_of_the_build() {
    let a_box = a_box();
    let ca = Ca::open(&a_box.store, "Gate").unwrap();
    let (starts, ends) = validity(ca.der()).unwrap();
    assert_eq!(starts, *utc::BUILT - DAY);
    assert!(ends > utc::now() + 9 * 365 * DAY);
}

#[test]
fn the_profile_for_ios_is_the_same_each_time_and_holds_the_ca() {
    let a_box = a_box();
    let ca = Ca::open(&a_box.store, "Gate").unwrap();
    let profile = ca.mobileconfig("Gate <1> & co");
    assert_eq!(
        profile,
        Ca::open(&a_box.store, "Gate")
            .unwrap()
            .mobileconfig("Gate <1> & co")
    );
    assert!(profile.contains("<string>Gate &lt;1&gt; &amp; co</string>"));
    let data = profile
        .split("<data>")
        .nth(1)
        .unwrap()
        .split("</data>")
        .next()
        .unwrap();
    assert_eq!(STANDARD.decode(data).unwrap(), ca.der());
    let uuids: Vec<&str> = profile
        .split("<key>PayloadUUID</key>")
        .skip(1)
        .map(|rest| {
            rest.trim_start()
                .trim_start_matches("<string>")
                .split('<')
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(uuids.len(), 2);
    assert_ne!(uuids[0], uuids[1]);
    for uuid in uuids {
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'8', "version 8");
    }
}

/// A certificate of someone else, as files.
fn own_files(a_box: &mut Box, name: &str, written: SystemTime) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_string()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    for (file, text) in [
        ("own.pem", certificate.pem()),
        ("own.key", key.serialize_pem()),
    ] {
        write_at(&a_box.dir.path().join(file), &text, written);
    }
    a_box.settings.web.certificate = Some(a_box.dir.path().join("own.pem"));
    a_box.settings.web.key = Some(a_box.dir.path().join("own.key"));
}

fn write_at(path: &Path, text: &str, written: SystemTime) {
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(written).unwrap();
}

#[test]
fn an_own_certificate_is_read_again_when_its_file_changes() {
    let mut a_box = a_box();
    let before = SystemTime::now() - Duration::from_secs(60);
    own_files(&mut a_box, "ptt.example.org", before);
    let certificates = a_box.certificates();
    assert!(certificates.ca().is_none());
    assert!(certificates.vouches_for("ptt.example.org"));
    let first = certificates.spki().unwrap();

    certificates.refresh().unwrap();
    assert_eq!(certificates.spki().unwrap(), first, "nothing changed");
    own_files(&mut a_box, "other.example.org", SystemTime::now());
    certificates.refresh().unwrap();
    assert_ne!(certificates.spki().unwrap(), first);
    assert!(certificates.vouches_for("other.example.org"));

    let renewed = certificates.spki().unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    write_at(&a_box.dir.path().join("own.pem"), "half a fi", later);
    let said = format!("{:#}", certificates.refresh().unwrap_err());
    assert!(said.contains("own.pem"), "{said}");
    assert_eq!(
        certificates.spki().unwrap(),
        renewed,
        "the last good one is shown"
    );
    assert!(
        certificates.refresh().is_err(),
        "and it is said until it is mended"
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mut a_box = a_box();
    own_files(&mut a_box, "ptt.example.org", SystemTime::now());
    let other = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(a_box.dir.path().join("own.key"), other).unwrap();
    let opened = Certificates::open(a_box.store.clone(), &a_box.settings);
    let said = format!("{:#}", opened.err().unwrap());
    assert!(said.contains("the key is not the certificate's"), "{said}");
}
