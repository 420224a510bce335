use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const SECRET: &str = "a secret of thirty-two bytes or more";

/// An issuer's keys: the box knows the public ones as files.
struct Issuer {
    dir: TempDir,
    ed: KeyPair,
    ec: KeyPair,
    rsa: KeyPair,
}

fn issuer() -> Issuer {
    let issuer = Issuer {
        dir: TempDir::new().unwrap(),
        ed: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        ec: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        rsa: KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
    };
    for (name, key) in [("ed", &issuer.ed), ("ec", &issuer.ec), ("rsa", &issuer.rsa)] {
        std::fs::write(issuer.file(name), key.public_key_pem()).unwrap();
    }
    std::fs::write(issuer.file("secret"), format!("{SECRET}\n")).unwrap();
    issuer
}

impl Issuer {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, algorithm: TokenAlgorithm, id: Option<&str>) -> TokenKey {
        let file = match algorithm {
            TokenAlgorithm::EdDSA => "ed",
            TokenAlgorithm::ES256 => "ec",
            TokenAlgorithm::RS256 => "rsa",
            TokenAlgorithm::HS256 => "secret",
        };
        TokenKey {
            algorithm,
            file: self.file(file),
            id: id.map(str::to_string),
        }
    }

    fn sign(&self, algorithm: TokenAlgorithm, kid: Option<&str>, claims: &Value) -> String {
        let (algorithm, key) = match algorithm {
            TokenAlgorithm::EdDSA => (
                Algorithm::EdDSA,
                EncodingKey::from_ed_pem(self.ed.serialize_pem().as_bytes()),
            ),
            TokenAlgorithm::ES256 => (
                Algorithm::ES256,
                EncodingKey::from_ec_pem(self.ec.serialize_pem().as_bytes()),
            ),
            TokenAlgorithm::RS256 => (
                Algorithm::RS256,
                EncodingKey::from_rsa_pem(self.rsa.serialize_pem().as_bytes()),
            ),
            TokenAlgorithm::HS256 => (
                Algorithm::HS256,
                Ok(EncodingKey::from_secret(SECRET.as_bytes())),
            ),
        };
        let header = Header {
            kid: kid.map(str::to_string),
            ..Header::new(algorithm)
        };
        encode(&header, claims, &key.unwrap()).unwrap()
    }
}

fn settings(key: Vec<TokenKey>) -> config::Tokens {
    config::Tokens {
        audience: Some("pttd".into()),
        issuer: Some("control".into()),
        leeway: Duration::from_secs(10),
        key,
    }
}

/// What a good token says, with some of it replaced.
fn claims(other: Value) -> Value {
    let mut claims = json!({
        "userId": "anna", "aud": "pttd", "iss": "control", "exp": utc::now() + 3_600,
        "role": "ADMIN", "channelIds": ["vault"],
    });
    for (name, value) in other.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

const EVERY: [TokenAlgorithm; 4] = [
    TokenAlgorithm::EdDSA,
    TokenAlgorithm::ES256,
    TokenAlgorithm::RS256,
    TokenAlgorithm::HS256,
];

#[test]
fn each_algorithm_lets_in_whom_the_token_names() {
    let issuer = issuer();
    for algorithm in EVERY {
        let tokens = Tokens::load(&settings(vec![issuer.key(algorithm, None)])).unwrap();
        let token = issuer.sign(algorithm, None, &claims(json!({})));
        assert_eq!(
            tokens.verify(&token),
            Ok(UserId::from("anna")),
            "{algorithm:?}"
        );
        for other in EVERY.into_iter().filter(|other| *other != algorithm) {
            let token = issuer.sign(other, None, &claims(json!({})));
            assert_eq!(
                tokens.verify(&token),
                Err(TokenError::BadSignature),
                "{other:?}"
            );
        }
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let issuer = issuer();
    let tokens = Tokens::load(&settings(vec![issuer.key(TokenAlgorithm::RS256, None)])).unwrap();
    let public = issuer.rsa.public_key_pem();
    for secret in [
        public.as_bytes(),
        public.trim().as_bytes(),
        &issuer.rsa.subject_public_key_info(),
    ] {
        let key = EncodingKey::from_secret(secret);
        let token = encode(&Header::new(Algorithm::HS256), &claims(json!({})), &key).unwrap();
        assert_eq!(tokens.verify(&token), Err(TokenError::BadSignature));
    }
    let mistaken = TokenKey {
        algorithm: TokenAlgorithm::HS256,
        ..issuer.key(TokenAlgorithm::RS256, None)
    };
    let said = format!(
        "{:#}",
        Tokens::load(&settings(vec![mistaken])).err().unwrap()
    );
    assert!(said.contains("PEM key, which is no secret"), "{said}");
}

#[test]
fn a_token_without_a_signature_is_refused() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let issuer = issuer();
    let tokens = Tokens::load(&settings(vec![issuer.key(TokenAlgorithm::HS256, None)])).unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = part(json!({ "alg": "none", "typ": "JWT" }));
    let bare = format!("{none}.{}.", part(claims(json!({}))));
    assert_eq!(tokens.verify(&bare), Err(TokenError::Malformed));
    let good = issuer.sign(TokenAlgorithm::HS256, None, &claims(json!({})));
    let cut = &good[..=good.rfind('.').unwrap()];
    assert!(matches!(
        tokens.verify(cut),
        Err(TokenError::BadSignature | TokenError::Malformed)
    ));
    for nonsense in ["", ".", "..", "a.b.c", &"x".repeat(9_000)] {
        assert_eq!(tokens.verify(nonsense), Err(TokenError::Malformed));
    }
}

#[test]
fn times_audience_and_issuer_are_looked_at() {
    let issuer = issuer();
    let tokens = Tokens::load(&settings(vec![issuer.key(TokenAlgorithm::EdDSA, None)])).unwrap();
    let now = utc::now();
    for (other, expected) in [
        (json!({ "exp": now - 30 }), Err(TokenError::Ended)),
        (json!({ "exp": now - 5 }), Ok(UserId::from("anna"))),
        (json!({ "exp": null }), Err(TokenError::Malformed)),
        (json!({ "nbf": now + 30 }), Err(TokenError::NotYet)),
        (json!({ "nbf": now + 5 }), Ok(UserId::from("anna"))),
        (json!({ "aud": "other" }), Err(TokenError::NotForUs)),
        (
            json!({ "aud": ["other", "pttd"] }),
            Ok(UserId::from("anna")),
        ),
        (json!({ "aud": null }), Err(TokenError::NotForUs)),
        (json!({ "iss": "other" }), Err(TokenError::NotForUs)),
        (json!({ "iss": null }), Err(TokenError::NotForUs)),
        (
            json!({ "userId": null, "sub": "ben" }),
            Ok(UserId::from("ben")),
        ),
        (json!({ "sub": "ben" }), Ok(UserId::from("anna"))),
        (json!({ "userId": null }), Err(TokenError::Malformed)),
    ] {
        let token = issuer.sign(TokenAlgorithm::EdDSA, None, &claims(other.clone()));
        assert_eq!(tokens.verify(&token), expected, "{other}");
    }
}

#[test]
fn a_token_ends_by_the_boxs_time_of_day_whatever_the_clock_says() {
    let issuer = issuer();
    let tokens = Tokens::load(&settings(vec![issuer.key(TokenAlgorithm::EdDSA, None)])).unwrap();
    let now = utc::now();
    let times = json!({ "nbf": now, "exp": now + 3_600 });
    let token = issuer.sign(TokenAlgorithm::EdDSA, None, &claims(times));
    for (utc, expected) in [
        (now - 11, Err(TokenError::NotYet)),
        (now - 10, Ok(UserId::from("anna"))),
        (now + 3_610, Ok(UserId::from("anna"))),
        (now + 3_611, Err(TokenError::Ended)),
    ] {
        assert_eq!(tokens.verify_at(&token, utc), expected);
    }
}

#[test]
fn without_an_audience_in_the_settings_a_token_for_another_service_is_refused() {
    let issuer = issuer();
    let open = config::Tokens {
        audience: None,
        issuer: None,
        ..settings(vec![issuer.key(TokenAlgorithm::EdDSA, None)])
    };
    let tokens = Tokens::load(&open).unwrap();
    let token = issuer.sign(TokenAlgorithm::EdDSA, None, &claims(json!({})));
    assert_eq!(tokens.verify(&token), Err(TokenError::NotForUs));
    let plain = claims(json!({ "aud": null, "iss": null }));
    let token = issuer.sign(TokenAlgorithm::EdDSA, None, &plain);
    assert_eq!(tokens.verify(&token), Ok(UserId::from("anna")));
}

#[test]
fn the_key_is_chosen_by_its_id() {
    let issuer = issuer();
    let keys = vec![
        issuer.key(TokenAlgorithm::EdDSA, Some("new")),
        issuer.key(TokenAlgorithm::ES256, None),
    ];
    let tokens = Tokens::load(&settings(keys)).unwrap();
    let verify = |algorithm, kid| tokens.verify(&issuer.sign(algorithm, kid, &claims(json!({}))));
    let anna = Ok(UserId::from("anna"));
    assert_eq!(verify(TokenAlgorithm::EdDSA, Some("new")), anna);
    assert_eq!(
        verify(TokenAlgorithm::EdDSA, None),
        Err(TokenError::BadSignature)
    );
    assert_eq!(
        verify(TokenAlgorithm::ES256, Some("new")),
        Err(TokenError::BadSignature)
    );
    assert_eq!(verify(TokenAlgorithm::ES256, None), anna);
    assert_eq!(verify(TokenAlgorithm::ES256, Some("unknown")), anna);
}

#[test]
fn a_bad_key_file_is_told_by_name() {
    let issuer = issuer();
    let load = |algorithm, name: &str| {
        let key = TokenKey {
            algorithm,
            file: issuer.file(name),
            id: None,
        };
        format!("{:#}", Tokens::load(&settings(vec![key])).err().unwrap())
    };
    std::fs::write(issuer.file("short"), "too short").unwrap();
    let said = load(TokenAlgorithm::HS256, "short");
    assert!(
        said.contains("short: ") && said.contains("has 9 bytes"),
        "{said}"
    );
    let said = load(TokenAlgorithm::ES256, "rsa");
    assert!(said.contains("public key for ES256 in PEM"), "{said}");
    let said = load(TokenAlgorithm::EdDSA, "nowhere");
    assert!(
        said.contains("nowhere: ") && said.contains("cannot be read"),
        "{said}"
    );
}

#[test]
fn a_box_without_keys_takes_no_token() {
    assert_eq!(Tokens::default().verify("a.b.c"), Err(TokenError::NoKeys));
}
