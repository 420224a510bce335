//! People, as admins see and change them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pttd_core::authority::{Membership, Roster, User, UserChange};
use pttd_core::ids::{ChannelId, UserId};
use pttd_core::wire::signal::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::given;
use super::{Admin, Api, Body, Path, Problem, ProblemText};
use crate::show::day_and_time;
use crate::utc;

#[derive(Serialize, ToSchema)]
pub struct Users {
    users: Vec<UserView>,
}

#[derive(Serialize, ToSchema)]
pub struct UserView {
    id: String,
    name: String,
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// May raise an emergency.
    emergency: bool,
    /// A guest's end, UTC seconds since 1970.
    ends: Option<u64>,
    /// Their channels: `talk` or `listen`.
    #[schema(value_type = BTreeMap<String, String>)]
    channels: BTreeMap<ChannelId, Membership>,
}

/// What is not set stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// For somebody new only. Not set: made of the name.
    id: Option<String>,
    name: Option<String>,
    #[schema(value_type = Option<String>, example = "dispatch")]
    role: Option<Role>,
    emergency: Option<bool>,
    /// When they are taken off the roster, UTC seconds since 1970; `null`: never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    ends: Option<Option<u64>>,
    /// All their channels: `talk` or `listen`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    channels: Option<BTreeMap<ChannelId, Membership>>,
}

impl UserBody {
    fn change(self) -> Result<UserChange, Problem> {
        if self.ends.flatten().is_some_and(|ends| ends <= utc::now()) {
            return Err(Problem::refused("This end is in the past."));
        }
        Ok(UserChange {
            name: self.name,
            role: self.role,
            emergency: self.emergency,
            ends: self.ends,
            channels: self.channels,
        })
    }
}

fn view(id: &UserId, user: &User) -> UserView {
    UserView {
        id: id.to_string(),
        name: user.name.clone(),
        role: user.role,
        emergency: user.emergency,
        ends: user.ends,
        channels: user.channels.clone(),
    }
}

/// The person's name, or where they are gone their id.
pub fn name_of(roster: &Roster, id: &UserId) -> String {
    let user = roster.users.get(id);
    user.map_or_else(|| id.to_string(), |user| user.name.clone())
}

/// Everyone on the roster.
#[utoipa::path(get, path = "/users", security(("bearer" = [])), responses(
    (status = 200, body = Users),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
))]
pub async fn list(State(api): State<Arc<Api>>, Admin(_): Admin) -> Json<Users> {
    let roster = api.roster();
    let users = roster.users.iter().map(|(id, user)| view(id, user));
    Json(Users {
        users: users.collect(),
    })
}

/// Puts somebody on the roster. An invitation then lets their device in.
#[utoipa::path(post, path = "/users", security(("bearer" = [])), request_body = UserBody, responses(
    (status = 201, body = UserView),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(mut body): Body<UserBody>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let id = body.id.take().map(UserId::from);
    if id.is_none() && body.name.is_none() {
        return Err(Problem::refused("A person needs a name."));
    }
    let change = body.change()?;
    let by = caller.by();
    let added = api.control.change(move |roster| {
        let id = roster.add_user(id, change)?;
        let user = &roster.users[&id];
        let text = format!("added {} as {}", user.name, role(user.role));
        let entry = by.did("user_added", text).about(&id);
        Ok((view(&id, user), entry))
    });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

/// Changes what somebody is and may do.
#[utoipa::path(patch, path = "/users/{user}", params(("user" = String, Path)), security(("bearer" = [])), request_body = UserBody, responses(
    (status = 200, body = UserView),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn set(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    Body(body): Body<UserBody>,
) -> Result<Json<UserView>, Problem> {
    if body.id.as_ref().is_some_and(|new| *new != id) {
        return Err(Problem::refused("A person's id cannot be changed."));
    }
    let (id, change) = (UserId::from(id), body.change()?);
    let by = caller.by();
    let set = api.control.change(move |roster| {
        let (name, what) = (name_of(roster, &id), told(&change));
        roster.set_user(&id, change)?;
        let text = format!("changed {name}: {what}");
        let entry = by.did("user_set", text).about(&id);
        Ok((view(&id, &roster.users[&id]), entry))
    });
    Ok(Json(set.await?))
}

/// Takes somebody off the roster: their sessions end before this is answered, and none of their devices comes
/// back.
#[utoipa::path(delete, path = "/users/{user}", params(("user" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = UserId::from(id);
    let by = caller.by();
    let removed = api.control.change(move |roster| {
        let user = roster.remove_user(&id)?;
        let text = format!("took {} off the roster", user.name);
        Ok(((), by.did("user_removed", text).about(&id)))
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "a user",
        Role::Dispatch => "a dispatcher",
        Role::Admin => "an admin",
    }
}

/// A change in words.
fn told(change: &UserChange) -> String {
    let parts = [
        change.name.as_ref().map(|name| format!("named {name}")),
        change.role.map(|new| role(new).to_string()),
        change.emergency.map(|may| match may {
            true => "may raise an emergency".to_string(),
            false => "may raise no emergency".to_string(),
        }),
        change.ends.map(|ends| match ends {
            Some(ends) => format!("until {}", day_and_time(ends)),
            None => "without an end".to_string(),
        }),
        change
            .channels
            .as_ref()
            .map(|channels| match channels.len() {
                1 => "on one channel".to_string(),
                n => format!("on {n} channels"),
            }),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "nothing".to_string(),
        false => parts.join(", "),
    }
}
