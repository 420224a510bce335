//! What happened, and who was heard today.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pttd_core::ids::{ChannelId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Admin, Api, Asked, Problem, ProblemText, off_the_threads};
use crate::store::Entry;

const MAX_ENTRIES: usize = 1000;
/// Entries looked at for one answer: a rare word must not have the whole journal read again and again.
const MAX_LOOKED_AT: usize = 200_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// Entries before this one only.
    before: Option<u64>,
    /// How many, 1 to 1000. Default: 100.
    limit: Option<usize>,
    /// Entries with these words only, in any case.
    q: Option<String>,
    /// Entries by or about this person only.
    user: Option<String>,
    /// Entries of this channel only.
    channel: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Log {
    /// Newest first.
    entries: Vec<EntryView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    seq: u64,
    /// UTC milliseconds since 1970.
    at: u64,
    who: String,
    /// For programs: `member_removed`, `talk` ...
    what: String,
    text: String,
    /// An address, or `console`.
    from: String,
    channel_id: Option<String>,
    user_id: Option<String>,
}

/// The journal: every change, sign-in and transmission, newest first.
#[utoipa::path(get, path = "/log", security(("bearer" = [])), params(Look), responses(
    (status = 200, body = Log),
    (status = 400, body = ProblemText),
))]
pub async fn log(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
    Asked(look): Asked<Look>,
) -> Result<Json<Log>, Problem> {
    let limit = look.limit.unwrap_or(100);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "The limit must be 1 to {MAX_ENTRIES}."
        )));
    }
    let words = look.q.unwrap_or_default().to_lowercase();
    let user = look.user.map(UserId::from);
    let channel = look.channel.map(ChannelId::from);
    let is_wanted = move |entry: &Entry| {
        let by_or_about =
            |user: &UserId| entry.user.as_ref() == Some(user) || entry.by.as_ref() == Some(user);
        user.as_ref().is_none_or(by_or_about)
            && (channel.is_none() || entry.channel == channel)
            && words.split_whitespace().all(|word| {
                let text = [&entry.text, &entry.what, &entry.from, &entry.who];
                text.iter().any(|text| text.to_lowercase().contains(word))
            })
    };
    let store = api.store().clone();
    let entries = off_the_threads(move || {
        let (mut entries, mut seen) = (Vec::new(), 0);
        store.look_back(look.before, |seq, entry| {
            seen += 1;
            if is_wanted(&entry) {
                entries.push(view(seq, entry));
            }
            entries.len() < limit && seen < MAX_LOOKED_AT
        })?;
        Ok(entries)
    });
    Ok(Json(Log {
        entries: entries.await?,
    }))
}

fn view(seq: u64, entry: Entry) -> EntryView {
    EntryView {
        seq,
        at: entry.at,
        who: entry.who,
        what: entry.what,
        text: entry.text,
        from: entry.from,
        channel_id: entry.channel.map(|id| id.to_string()),
        user_id: entry.user.or(entry.by).map(|id| id.to_string()),
    }
}

#[derive(Serialize, ToSchema)]
pub struct RollCall {
    people: Vec<Called>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    user_id: String,
    name: String,
    /// When they were heard last today, UTC milliseconds since 1970.
    last_heard: Option<u64>,
    transmissions: u32,
    seconds: f64,
    /// The mean level of what they said, dBov; not set where their browsers do not tell.
    level_db: Option<f64>,
    /// Of their packets, on the way to the box.
    lost_percent: Option<f64>,
    /// A session of theirs is there now.
    online: bool,
}

/// Everyone on the roster: whether they were heard today, how well, and whether they are there.
#[utoipa::path(get, path = "/roll-call", security(("bearer" = [])), responses((status = 200, body = RollCall)))]
pub async fn roll_call(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
) -> Result<Json<RollCall>, Problem> {
    let spoken = match &api.running {
        Some(running) => running.roll.now(),
        None => {
            let store = api.store().clone();
            off_the_threads(move || Ok(crate::journal::Roll::of_today(&store)?.now())).await?
        }
    };
    let sessions = api.control.sessions().await;
    let online: BTreeSet<&UserId> = sessions.iter().map(|s| &s.user_id).collect();
    let roster = api.roster();
    // Who was heard and is off the roster since is called as well.
    let everyone: BTreeSet<&UserId> = roster.users.keys().chain(spoken.keys()).collect();
    let called = everyone.into_iter().map(|id| {
        let (user, spoken) = (roster.users.get(id), spoken.get(id));
        let of = spoken.cloned().unwrap_or_default();
        Called {
            user_id: id.to_string(),
            name: user.map_or_else(|| of.name.clone(), |user| user.name.clone()),
            last_heard: spoken.map(|spoken| spoken.last),
            transmissions: of.transmissions,
            seconds: of.ms as f64 / 1000.0,
            level_db: of.level(),
            lost_percent: of.lost_percent(),
            online: online.contains(id),
        }
    });
    Ok(Json(RollCall {
        people: called.collect(),
    }))
}
