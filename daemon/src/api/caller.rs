//! Who asks. Looked up in the roster at every request: a role that was taken away is gone at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use pttd_core::authority::Roster;
use pttd_core::ids::{ChannelId, UserId};
use pttd_core::wire::signal::Role;

use super::{Api, Problem};
use crate::sign_in::Refused;
use crate::store::By;

/// Put on requests by a door that only the box's operator can open.
#[derive(Clone, Copy)]
pub struct Operator;

/// Anyone who may ask at all.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// At the box's own shell: may do everything.
    Operator,
    Person(Person),
}

/// Someone on the roster, with a credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub user: UserId,
    pub name: String,
    pub role: Role,
    pub from: IpAddr,
}

/// Any caller.
pub struct SignedIn(pub Caller);
/// A dispatcher, an admin or the operator.
pub struct Dispatcher(pub Caller);
/// An admin or the operator.
pub struct Admin(pub Caller);
/// Anyone, by their address; `None` on the control socket.
pub struct Stranger(pub Option<IpAddr>);

impl Caller {
    pub fn is_dispatcher(&self) -> bool {
        self.has_role(&[Role::Dispatch, Role::Admin])
    }

    pub fn is_admin(&self) -> bool {
        self.has_role(&[Role::Admin])
    }

    fn has_role(&self, roles: &[Role]) -> bool {
        match self {
            Caller::Operator => true,
            Caller::Person(person) => roles.contains(&person.role),
        }
    }

    /// As the roster has them now; `None`: not any more. For what goes on longer than a request.
    pub fn anew(&self, roster: &Roster) -> Option<Caller> {
        match self {
            Caller::Operator => Some(Caller::Operator),
            Caller::Person(person) => {
                let entry = roster.users.get(&person.user)?;
                Some(Caller::Person(Person {
                    role: entry.role,
                    ..person.clone()
                }))
            }
        }
    }

    /// Whether they may hear this channel now.
    pub fn may_listen(&self, roster: &Roster, channel: &ChannelId) -> bool {
        match self {
            Caller::Operator => true,
            Caller::Person(person) => roster
                .rights(&person.user, channel)
                .is_some_and(|rights| rights.listen),
        }
    }

    /// Whether they may talk on this channel now.
    pub fn may_talk(&self, roster: &Roster, channel: &ChannelId) -> bool {
        match self {
            Caller::Operator => true,
            Caller::Person(person) => roster
                .rights(&person.user, channel)
                .is_some_and(|rights| rights.talk),
        }
    }

    /// Who they are, for a sentence.
    pub fn name(&self) -> &str {
        match self {
            Caller::Operator => "operator",
            Caller::Person(person) => &person.name,
        }
    }

    /// `None`: the operator.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Caller::Operator => None,
            Caller::Person(person) => Some(&person.user),
        }
    }

    /// For the journal.
    pub fn by(&self) -> By {
        match self {
            Caller::Operator => By::operator(),
            Caller::Person(person) => By {
                who: person.name.clone(),
                user: Some(person.user.clone()),
                from: person.from.to_string(),
            },
        }
    }
}

impl FromRequestParts<Arc<Api>> for Stranger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        Ok(Stranger(address(parts)))
    }
}

impl FromRequestParts<Arc<Api>> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        caller(parts, api).await.map(SignedIn)
    }
}

impl FromRequestParts<Arc<Api>> for Dispatcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = caller(parts, api).await?;
        match caller.is_dispatcher() {
            true => Ok(Dispatcher(caller)),
            false => Err(refused(
                parts,
                api,
                &caller,
                "Only dispatchers may do this.",
            )),
        }
    }
}

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = caller(parts, api).await?;
        match caller.is_admin() {
            true => Ok(Admin(caller)),
            false => Err(refused(parts, api, &caller, "Only admins may do this.")),
        }
    }
}

/// Noted, but not more often than the journal should be about one person.
fn refused(parts: &Parts, api: &Api, caller: &Caller, message: &str) -> Problem {
    tracing::info!(by = caller.name(), method = %parts.method, path = parts.uri.path(), "refused");
    if let (Some(running), Some(user)) = (&api.running, caller.user())
        && running.refusals.is_news(user, Instant::now())
    {
        let by = caller.by();
        let text = format!(
            "was refused {} {}",
            parts.method,
            parts.uri.path().chars().take(100).collect::<String>()
        );
        running.journal.note(by.did("refused", text).about(user));
    }
    Problem::forbidden(message)
}

/// When each person was refused last.
#[derive(Default)]
pub struct Refusals(Mutex<BTreeMap<UserId, Instant>>);

impl Refusals {
    const NOTED_EVERY: Duration = Duration::from_secs(10);

    fn is_news(&self, user: &UserId, now: Instant) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, at| now.saturating_duration_since(*at) < Self::NOTED_EVERY);
        match noted.contains_key(user) {
            true => false,
            false => {
                noted.insert(user.clone(), now);
                true
            }
        }
    }
}

fn address(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.ip().to_canonical())
}

async fn caller(parts: &Parts, api: &Arc<Api>) -> Result<Caller, Problem> {
    if parts.extensions.get::<Operator>().is_some() {
        return Ok(Caller::Operator);
    }
    let bearer = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let (Some(bearer), Some(from)) = (bearer, address(parts)) else {
        return Err(Problem::unauthorized(
            "Sign in first: this needs a bearer credential.",
        ));
    };
    let (sign_in, bearer) = (api.sign_in.clone(), bearer.trim().to_string());
    let asked = tokio::task::spawn_blocking(move || sign_in.with_bearer_of_api(&bearer, from));
    let admitted = match asked.await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(Refused::TooManyTries)) => {
            return Err(Problem::too_many(
                "Too many wrong tries. Wait a minute, then try again.",
            ));
        }
        Ok(Err(Refused::SignIn(_) | Refused::Token(_))) => {
            return Err(Problem::unauthorized(
                "This box does not know the credential any more. Sign in again.",
            ));
        }
        Ok(Err(Refused::Store(error))) => return Err(error.into()),
        Err(panic) => return Err(anyhow::Error::from(panic).into()),
    };
    let Some(entry) = admitted.entry() else {
        return Err(Problem::unauthorized(
            "You are no longer on this box's list.",
        ));
    };
    Ok(Caller::Person(Person {
        user: admitted.user.clone(),
        name: entry.name.clone(),
        role: entry.role,
        from,
    }))
}
