//! Tokens (JWT) signed elsewhere: whose they are. What their owner may do is the roster's to say, so roles
//! and channels in them are not even read.

use anyhow::{Context, Result, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use pttd_core::ids::UserId;
use serde::Deserialize;

use crate::config::{self, TokenAlgorithm, TokenKey};
use crate::utc;

/// No issuer needs more, and nobody shall make us hash a megabyte.
const MAX_TOKEN: usize = 8 * 1024;
/// RFC 7518 3.2: as long as the hash.
const MIN_SECRET: usize = 32;

#[derive(Default)]
pub struct Tokens {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    decoding: DecodingKey,
    /// Names this key's one algorithm, so that no token chooses another.
    validation: Validation,
    leeway: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this box takes no tokens")]
    NoKeys,
    #[error("the token is not one")]
    Malformed,
    #[error("no key of this box has signed the token")]
    BadSignature,
    #[error("the token has ended")]
    Ended,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is for another service, or from another issuer")]
    NotForUs,
}

/// All of a token that counts.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "userId")]
    user_id: Option<String>,
    sub: Option<String>,
    exp: f64,
    nbf: Option<f64>,
}

impl Tokens {
    /// Reads the keys the settings name.
    pub fn load(settings: &config::Tokens) -> Result<Tokens> {
        let mut keys = Vec::with_capacity(settings.key.len());
        for key in &settings.key {
            let decoding = decoding_key(key).with_context(|| {
                format!(
                    "{}: reading the {:?} key",
                    key.file.display(),
                    key.algorithm
                )
            })?;
            keys.push(Key {
                id: key.id.clone(),
                decoding,
                validation: validation(settings, key.algorithm),
                leeway: settings.leeway.as_secs_f64(),
            });
        }
        Ok(Tokens { keys })
    }

    /// Whose token this is.
    pub fn verify(&self, token: &str) -> Result<UserId, TokenError> {
        self.verify_at(token, utc::now())
    }

    fn verify_at(&self, token: &str, utc: u64) -> Result<UserId, TokenError> {
        if self.keys.is_empty() {
            return Err(TokenError::NoKeys);
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(|_not_a_token| TokenError::Malformed)?;
        let mut last = TokenError::BadSignature;
        for key in self.keys_for(header.kid.as_deref()) {
            match decode::<Claims>(token, &key.decoding, &key.validation) {
                Ok(token) => {
                    in_time(&token.claims, utc, key.leeway)?;
                    let user = token.claims.user_id.or(token.claims.sub);
                    return user
                        .map(|id| UserId::from(id.as_str()))
                        .ok_or(TokenError::Malformed);
                }
                Err(error) => {
                    // A later key of another algorithm must not hide that this one's signature was good.
                    if let Some(reason) = reason(&error) {
                        last = reason;
                    }
                }
            }
        }
        Err(last)
    }

    /// The key with the token's id; without one, those that have no id either.
    fn keys_for(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let known = kid.filter(|kid| self.keys.iter().any(|key| key.id.as_deref() == Some(kid)));
        self.keys
            .iter()
            .filter(move |key| key.id.as_deref() == known)
    }
}

/// By the box's time of day: its clock alone may be years behind.
fn in_time(claims: &Claims, utc: u64, leeway: f64) -> Result<(), TokenError> {
    let utc = utc as f64;
    if claims.exp < utc - leeway {
        return Err(TokenError::Ended);
    }
    match claims.nbf {
        Some(begins) if begins > utc + leeway => Err(TokenError::NotYet),
        _ => Ok(()),
    }
}

fn decoding_key(key: &TokenKey) -> Result<DecodingKey> {
    let bytes = std::fs::read(&key.file).context("the file cannot be read")?;
    let algorithm = key.algorithm;
    let pem = || format!("it must be a public key for {algorithm:?} in PEM");
    match algorithm {
        TokenAlgorithm::EdDSA => DecodingKey::from_ed_pem(&bytes).with_context(pem),
        TokenAlgorithm::ES256 => DecodingKey::from_ec_pem(&bytes).with_context(pem),
        TokenAlgorithm::RS256 => DecodingKey::from_rsa_pem(&bytes).with_context(pem),
        TokenAlgorithm::HS256 => {
            // Editors end a file with a line break; no issuer counts it.
            let secret = bytes.trim_ascii_end();
            ensure!(
                secret.len() >= MIN_SECRET,
                "the secret has {} bytes: use one of {MIN_SECRET} or more",
                secret.len()
            );
            ensure!(
                !secret.starts_with(b"-----BEGIN"),
                "it is a PEM key, which is no secret: set the algorithm it is for"
            );
            Ok(DecodingKey::from_secret(secret))
        }
    }
}

fn validation(settings: &config::Tokens, algorithm: TokenAlgorithm) -> Validation {
    let mut validation = Validation::new(match algorithm {
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::HS256 => Algorithm::HS256,
    });
    let mut required = vec!["exp"];
    // The library would ask the machine's clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    if let Some(audience) = &settings.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    if let Some(issuer) = &settings.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// Why a token whose signature was good is refused; `None` where the signature was not.
fn reason(error: &jsonwebtoken::errors::Error) -> Option<TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => Some(TokenError::NotForUs),
        ErrorKind::MissingRequiredClaim(claim) if claim != "exp" => Some(TokenError::NotForUs),
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => Some(TokenError::Malformed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
