//! Who belongs to a channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pttd_core::authority::{ChangeError, Membership};
use pttd_core::ids::{ChannelId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::name_of;
use super::{Admin, Api, Body, Problem, ProblemText, users};

#[derive(Serialize, ToSchema)]
pub struct Members {
    members: Vec<MemberView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    user_id: String,
    name: String,
    #[schema(value_type = String, example = "talk")]
    right: Membership,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// `talk` or `listen`.
    #[schema(value_type = String, example = "talk")]
    right: Membership,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Memberships {
    /// All channels of each of these people, with their right there.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, String>>)]
    users: BTreeMap<UserId, BTreeMap<ChannelId, Membership>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfChannel {
    /// What each of these people may do on this channel: `talk` or `listen`.
    #[schema(value_type = BTreeMap<String, String>)]
    users: BTreeMap<UserId, Membership>,
}

/// Everyone who belongs to a channel.
#[utoipa::path(get, path = "/channels/{channel}/members", params(("channel" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = Members),
    (status = 404, body = ProblemText),
))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
    Path(channel): Path<String>,
) -> Result<Json<Members>, Problem> {
    let (roster, channel) = (api.roster(), ChannelId::from(channel));
    if !roster.channels.contains_key(&channel) {
        return Err(ChangeError::NoSuchChannel(channel).into());
    }
    let member = |(id, user): (&UserId, &pttd_core::authority::User)| {
        Some(MemberView {
            user_id: id.to_string(),
            name: user.name.clone(),
            right: *user.channels.get(&channel)?,
        })
    };
    Ok(Json(Members {
        members: roster.users.iter().filter_map(member).collect(),
    }))
}

/// Puts these people on a channel, or changes what they may do there. Others stay as they are, and so do the
/// other channels of these.
#[utoipa::path(put, path = "/channels/{channel}/members", params(("channel" = String, Path)), security(("bearer" = [])), request_body = OfChannel, responses(
    (status = 204),
    (status = 404, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn set_many(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(channel): Path<String>,
    Body(OfChannel { users }): Body<OfChannel>,
) -> Result<StatusCode, Problem> {
    let channel = ChannelId::from(channel);
    let by = caller.by();
    let set = api.control.change(move |roster| {
        let people = users.len();
        roster.set_members(&channel, users)?;
        let text = format!(
            "set what {people} people may do on {}",
            name_of(roster, &channel)
        );
        Ok(((), by.did("members_set", text).on(&channel)))
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts someone on a channel, or changes what they may do there.
#[utoipa::path(put, path = "/channels/{channel}/members/{user}", params(("channel" = String, Path), ("user" = String, Path)), security(("bearer" = [])), request_body = Right, responses(
    (status = 204),
    (status = 404, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn set(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path((channel, user)): Path<(String, String)>,
    Body(Right { right }): Body<Right>,
) -> Result<StatusCode, Problem> {
    let (channel, user) = (ChannelId::from(channel), UserId::from(user));
    let by = caller.by();
    let set = api.control.change(move |roster| {
        roster.set_member(&channel, &user, right)?;
        let may = match right {
            Membership::Talk => "talk",
            Membership::Listen => "listen",
        };
        let (person, name) = (users::name_of(roster, &user), name_of(roster, &channel));
        let text = format!("lets {person} {may} on {name}");
        let entry = by.did("member_set", text).on(&channel).about(&user);
        Ok(((), entry))
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes someone off a channel: whoever talks there is cut before this is answered.
#[utoipa::path(delete, path = "/channels/{channel}/members/{user}", params(("channel" = String, Path), ("user" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path((channel, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (channel, user) = (ChannelId::from(channel), UserId::from(user));
    let by = caller.by();
    let removed = api.control.change(move |roster| {
        roster.remove_member(&channel, &user)?;
        let (person, name) = (users::name_of(roster, &user), name_of(roster, &channel));
        let text = format!("took {person} off {name}");
        let entry = by.did("member_removed", text).on(&channel).about(&user);
        Ok(((), entry))
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces all memberships of many people at once, and nobody else's.
#[utoipa::path(put, path = "/memberships", security(("bearer" = [])), request_body = Memberships, responses(
    (status = 204),
    (status = 404, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn set_all(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(Memberships { users }): Body<Memberships>,
) -> Result<StatusCode, Problem> {
    let by = caller.by();
    let set = api.control.change(move |roster| {
        let people = users.len();
        let one = users.keys().next().filter(|_| people == 1).cloned();
        roster.set_memberships(users)?;
        let whose = match &one {
            Some(user) => users::name_of(roster, user),
            None => format!("{people} people"),
        };
        let text = format!("set the channels of {whose}");
        let entry = by.did("memberships_set", text);
        Ok(((), one.map_or(entry.clone(), |user| entry.about(&user))))
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}
