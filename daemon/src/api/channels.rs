//! Channels, as admins see and change them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pttd_core::authority::{Channel, ChannelChange, FloorPolicy, Roster};
use pttd_core::ids::ChannelId;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{Admin, Api, Body, Problem, ProblemText, sentence};

#[derive(Serialize, ToSchema)]
pub struct Channels {
    channels: Vec<ChannelView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelView {
    id: String,
    name: String,
    /// The heading under which pages show it.
    group: Option<String>,
    #[schema(value_type = String, example = "preempt")]
    policy: FloorPolicy,
    queue_depth: u32,
    talk_limit_ms: u64,
    grace_ms: u64,
    silence_ms: u64,
    /// How long what is said is kept: `off`, `30m`, `7d`.
    record: String,
    echo: bool,
    /// How many belong to it.
    members: usize,
}

/// What is not set stays as it is, or is the usual for a new channel.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelBody {
    /// For a new channel only. Not set: made of the name.
    id: Option<String>,
    name: Option<String>,
    /// `null`: under no heading.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    group: Option<Option<String>>,
    #[schema(value_type = Option<String>, example = "preempt")]
    policy: Option<FloorPolicy>,
    queue_depth: Option<u32>,
    talk_limit_ms: Option<u64>,
    grace_ms: Option<u64>,
    silence_ms: Option<u64>,
    /// `off`, `1m` to `1440m` or `1d` to `365d`.
    record: Option<String>,
    echo: Option<bool>,
}

/// Tells `null` from nothing.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

impl ChannelBody {
    fn change(self) -> Result<ChannelChange, Problem> {
        let record = match self.record {
            Some(text) => Some(text.parse().map_err(|e| Problem::refused(sentence(&e)))?),
            None => None,
        };
        Ok(ChannelChange {
            name: self.name,
            group: self.group,
            policy: self.policy,
            queue_depth: self.queue_depth,
            talk_limit: self.talk_limit_ms.map(Duration::from_millis),
            grace: self.grace_ms.map(Duration::from_millis),
            silence: self.silence_ms.map(Duration::from_millis),
            record,
            echo: self.echo,
        })
    }
}

fn view(roster: &Roster, id: &ChannelId, channel: &Channel) -> ChannelView {
    let members = roster.users.values();
    ChannelView {
        id: id.to_string(),
        name: channel.name.clone(),
        group: channel.group.clone(),
        policy: channel.floor.policy,
        queue_depth: channel.floor.queue_depth,
        talk_limit_ms: channel.floor.talk_limit.as_millis() as u64,
        grace_ms: channel.floor.grace.as_millis() as u64,
        silence_ms: channel.floor.silence.as_millis() as u64,
        record: channel.record.to_string(),
        echo: channel.echo,
        members: members
            .filter(|user| user.channels.contains_key(id))
            .count(),
    }
}

/// The channel's name, or where it is gone its id.
pub fn name_of(roster: &Roster, id: &ChannelId) -> String {
    let channel = roster.channels.get(id);
    channel.map_or_else(|| id.to_string(), |channel| channel.name.clone())
}

/// Every channel of the box.
#[utoipa::path(get, path = "/channels", security(("bearer" = [])), responses(
    (status = 200, body = Channels),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
))]
pub async fn list(State(api): State<Arc<Api>>, Admin(_): Admin) -> Json<Channels> {
    let roster = api.roster();
    let channels = roster.channels.iter();
    Json(Channels {
        channels: channels
            .map(|(id, channel)| view(&roster, id, channel))
            .collect(),
    })
}

/// A new channel; nobody belongs to it yet.
#[utoipa::path(post, path = "/channels", security(("bearer" = [])), request_body = ChannelBody, responses(
    (status = 201, body = ChannelView),
    (status = 409, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(mut body): Body<ChannelBody>,
) -> Result<(StatusCode, Json<ChannelView>), Problem> {
    let id = body.id.take().map(ChannelId::from);
    if id.is_none() && body.name.is_none() {
        return Err(Problem::refused("A channel needs a name."));
    }
    let change = body.change()?;
    let by = caller.by();
    let added = api.control.change(move |roster| {
        let id = roster.add_channel(id, change)?;
        let channel = &roster.channels[&id];
        let text = format!("added the channel {}", channel.name);
        let entry = by.did("channel_added", text).on(&id);
        Ok((view(roster, &id, channel), entry))
    });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

/// Changes a channel.
#[utoipa::path(patch, path = "/channels/{channel}", params(("channel" = String, Path)), security(("bearer" = [])), request_body = ChannelBody, responses(
    (status = 200, body = ChannelView),
    (status = 404, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn set(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    Body(body): Body<ChannelBody>,
) -> Result<Json<ChannelView>, Problem> {
    if body.id.as_ref().is_some_and(|new| *new != id) {
        return Err(Problem::refused("A channel's id cannot be changed."));
    }
    let (id, change) = (ChannelId::from(id), body.change()?);
    let by = caller.by();
    let set = api.control.change(move |roster| {
        let name = name_of(roster, &id);
        let what = told(&change);
        roster.set_channel(&id, change)?;
        let text = format!("changed the channel {name}: {what}");
        let entry = by.did("channel_set", text).on(&id);
        Ok((view(roster, &id, &roster.channels[&id]), entry))
    });
    Ok(Json(set.await?))
}

/// Removes a channel with all its memberships. What was said on it is removed with it, within a minute.
#[utoipa::path(delete, path = "/channels/{channel}", params(("channel" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = ChannelId::from(id);
    let by = caller.by();
    let removed = api.control.change(move |roster| {
        let channel = roster.remove_channel(&id)?;
        let text = format!("removed the channel {}", channel.name);
        Ok(((), by.did("channel_removed", text).on(&id)))
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A change in words.
fn told(change: &ChannelChange) -> String {
    let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
    let parts = [
        change.name.as_ref().map(|name| format!("named {name}")),
        change.group.as_ref().map(|group| match group {
            Some(group) => format!("in the group {group}"),
            None => "in no group".to_string(),
        }),
        change.policy.map(|policy| match policy {
            FloorPolicy::Preempt => "policy preempt".to_string(),
            FloorPolicy::Queue => "policy queue".to_string(),
            FloorPolicy::Deny => "policy deny".to_string(),
        }),
        change.queue_depth.map(|depth| format!("{depth} may wait")),
        change
            .talk_limit
            .map(|time| format!("talk limit {}", seconds(time))),
        change.grace.map(|time| format!("grace {}", seconds(time))),
        change
            .silence
            .map(|time| format!("silence {}", seconds(time))),
        change.record.map(|record| format!("recording {record}")),
        change.echo.map(|echo| match echo {
            true => "an echo".to_string(),
            false => "no echo".to_string(),
        }),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "nothing".to_string(),
        false => parts.join(", "),
    }
}
