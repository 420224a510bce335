//! The door: what a device shows to come in, and as whom it does.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::aws_lc_rs::hmac;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pttd_core::authority::{self, Device, Roster, SignInError, User};
use pttd_core::ids::UserId;
use pttd_core::wire::signal::ErrorCode;

use crate::store::{RedeemError, Store};
use crate::tokens::{TokenError, Tokens};
use crate::utc;

/// Someone who came in.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub user: UserId,
    /// What readmits this device; the device shall keep it.
    pub device: String,
    /// The roster that said yes.
    pub roster: Arc<Roster>,
}

impl Admitted {
    /// Their entry on the roster.
    pub fn entry(&self) -> Option<&User> {
        self.roster.users.get(&self.user)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("too many wrong tries from this address: wait a minute")]
    TooManyTries,
    #[error("the box cannot use its memory: {0:#}")]
    Store(anyhow::Error),
}

impl From<RedeemError> for Refused {
    fn from(error: RedeemError) -> Refused {
        match error {
            RedeemError::Refused(refused) => Refused::SignIn(refused),
            RedeemError::Store(error) => Refused::Store(error),
        }
    }
}

impl Refused {
    /// What signaling calls it. A page forgets its credential over a bad one, and over nothing else.
    pub fn code(&self) -> ErrorCode {
        match self {
            Refused::SignIn(_) | Refused::Token(_) => ErrorCode::BadCredential,
            Refused::TooManyTries => ErrorCode::TooManyTries,
            Refused::Store(_) => ErrorCode::Internal,
        }
    }
}

pub struct SignIn {
    store: Arc<Store>,
    tokens: Tokens,
    box_key: hmac::Key,
    tries: Tries,
}

/// All methods block on the store.
impl SignIn {
    pub fn new(store: Arc<Store>, tokens: Tokens) -> anyhow::Result<SignIn> {
        let secret = store.box_secret().context("opening the door")?;
        Ok(SignIn {
            store,
            tokens,
            box_key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            tries: Tries::default(),
        })
    }

    /// Uses an invitation on one more device. `device` is the credential the device has made itself, so that
    /// it can ask again when the answer is lost on the way; `None`: one is made here.
    pub fn with_invitation(
        &self,
        secret: &str,
        device: Option<&str>,
        from: IpAddr,
    ) -> Result<Admitted, Refused> {
        self.counted(from, || {
            let device = match device {
                Some(device) => device.to_string(),
                None => new_secret::<32>().map_err(Refused::Store)?,
            };
            let admitted = self.store.redeem(secret, &device, utc::now())?;
            Ok(Admitted {
                user: admitted.user,
                device,
                roster: self.store.roster(),
            })
        })
    }

    /// Lets a device in again. Not counted: nobody guesses 256 bits, and behind one address may be many
    /// phones that a neighbour's wrong tries must not keep out.
    pub fn with_device(&self, credential: &str) -> Result<Admitted, Refused> {
        // In this order: what was not revoked when it was read is of the person on this roster.
        let roster = self.store.roster();
        let device = self.store.device(credential).map_err(Refused::Store)?;
        let user = authority::readmit(device.as_ref(), &roster, utc::now())?;
        Ok(Admitted {
            user,
            device: credential.to_string(),
            roster,
        })
    }

    /// Lets the owner of a token in. The device credential it leaves is made from the token with a secret
    /// of the box: a client that shows the same token a thousand times is still one device, which can be
    /// locked out.
    pub fn with_token(&self, token: &str, from: IpAddr) -> Result<Admitted, Refused> {
        self.counted(from, || {
            let user = self.tokens.verify(token)?;
            let tag = hmac::sign(&self.box_key, token.as_bytes());
            let credential = URL_SAFE_NO_PAD.encode(tag);
            let roster = self.store.roster();
            let known = self.store.device(&credential).map_err(Refused::Store)?;
            let device = known.clone().unwrap_or(Device {
                user,
                since: utc::now(),
                revoked: false,
                from_token: true,
            });
            let user = authority::readmit(Some(&device), &roster, utc::now())?;
            if known.is_none() {
                self.store.put_token_device(&credential, &device)?;
            }
            Ok(Admitted {
                user,
                device: credential,
                roster,
            })
        })
    }

    /// A bearer credential: a token has dots, a device credential has none.
    pub fn with_bearer(&self, bearer: &str, from: IpAddr) -> Result<Admitted, Refused> {
        match bearer.contains('.') {
            true => self.with_token(bearer, from),
            false => self.with_device(bearer),
        }
    }

    /// The same for the API, where wrong ones are counted. A right device credential is not kept out by others'
    /// wrong tries.
    pub fn with_bearer_of_api(&self, bearer: &str, from: IpAddr) -> Result<Admitted, Refused> {
        if bearer.contains('.') {
            return self.with_token(bearer, from);
        }
        let outcome = self.with_device(bearer);
        match outcome {
            Err(Refused::SignIn(_)) => self.counted(from, || outcome),
            outcome => outcome,
        }
    }

    /// Counts a wrong secret of another door, and refuses who had too many. Right ones go by, so that one
    /// who guesses keeps no crowd behind the same address out.
    pub fn wrong_secret(&self, from: IpAddr) -> Result<(), Refused> {
        let now = Instant::now();
        match self.tries.may_try(from, now) {
            true => {
                self.tries.failed(from, now);
                Ok(())
            }
            false => Err(Refused::TooManyTries),
        }
    }

    /// For what is guessed elsewhere: whether this address was not wrong too often lately.
    pub fn may_try(&self, from: IpAddr) -> bool {
        self.tries.may_try(from, Instant::now())
    }

    pub fn tried_wrongly(&self, from: IpAddr) {
        self.tries.failed(from, Instant::now());
    }

    fn counted(
        &self,
        from: IpAddr,
        attempt: impl FnOnce() -> Result<Admitted, Refused>,
    ) -> Result<Admitted, Refused> {
        if !self.tries.may_try(from, Instant::now()) {
            return Err(Refused::TooManyTries);
        }
        let outcome = attempt();
        if let Err(Refused::SignIn(_) | Refused::Token(_)) = &outcome {
            self.tries.failed(from, Instant::now());
        }
        outcome
    }
}

/// A new secret of N random bytes, in base64url.
pub fn new_secret<const N: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("choosing a secret")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether this is written like a device credential: 256 bits in base64url.
pub fn is_credential(text: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(text)
        .is_ok_and(|bytes| bytes.len() == 32)
}

/// Wrong tries an address may have behind it, and how fast they are forgiven. Many phones may share one
/// address, and each may be wrong once.
const MAX_FAILED: u32 = 30;
const FORGIVEN_EVERY: Duration = Duration::from_secs(2);
/// Addresses remembered at a time.
const MAX_ADDRESSES: usize = 4096;

/// How often each address was wrong lately.
#[derive(Default)]
struct Tries(Mutex<HashMap<IpAddr, Failed>>);

#[derive(Clone, Copy)]
struct Failed {
    count: u32,
    counted: Instant,
}

impl Failed {
    fn left(self, now: Instant) -> u32 {
        let forgiven =
            now.saturating_duration_since(self.counted).as_secs() / FORGIVEN_EVERY.as_secs();
        self.count
            .saturating_sub(forgiven.try_into().unwrap_or(u32::MAX))
    }
}

impl Tries {
    fn may_try(&self, from: IpAddr, now: Instant) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries
            .get(&network(from))
            .is_none_or(|failed| failed.left(now) < MAX_FAILED)
    }

    fn failed(&self, from: IpAddr, now: Instant) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = network(from);
        if !tries.contains_key(&from) && tries.len() >= MAX_ADDRESSES {
            tries.retain(|_, failed| failed.left(now) > 0);
            // Someone has thousands of addresses: forget the one that was wrong longest ago.
            if tries.len() >= MAX_ADDRESSES
                && let Some(oldest) = tries
                    .iter()
                    .min_by_key(|(_, f)| f.counted)
                    .map(|(ip, _)| *ip)
            {
                tries.remove(&oldest);
            }
        }
        let count = tries.get(&from).map_or(0, |failed| failed.left(now)) + 1;
        tries.insert(
            from,
            Failed {
                count,
                counted: now,
            },
        );
    }
}

/// One home has a whole /64 of IPv6 addresses.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests;
