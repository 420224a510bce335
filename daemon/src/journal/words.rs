//! What happened, as a sentence.

use std::time::Duration;

use pttd_core::authority::Roster;
use pttd_core::edge::Happening;
use pttd_core::ids::{ChannelId, SessionId, UserId};
use pttd_core::media::Heard;
use pttd_core::wire::signal::{EndReason, Level, Person};

use crate::store::{Entry, TalkFigures};

/// The level of a microphone that sends nothing but silence.
const SILENT: i8 = -127;

fn channel_name(roster: &Roster, id: &ChannelId) -> String {
    let channel = roster.channels.get(id);
    channel.map_or_else(|| id.to_string(), |channel| channel.name.clone())
}

fn user_name(roster: &Roster, id: &UserId) -> String {
    let user = roster.users.get(id);
    user.map_or_else(|| id.to_string(), |user| user.name.clone())
}

/// A transmission that is over.
#[allow(clippy::too_many_arguments, reason = "all that is known of it")]
pub fn talk(
    roster: &Roster,
    channel: &ChannelId,
    talker: &Person,
    level: Level,
    reason: EndReason,
    duration: Duration,
    from: String,
    at: u64,
) -> Entry {
    let mut text = format!(
        "{} talked on {} for {:.1} s",
        talker.name,
        channel_name(roster, channel),
        duration.as_secs_f64()
    );
    match level {
        Level::Normal => {}
        Level::Dispatch => text.push_str(" as a dispatcher"),
        Level::Imminent => text.push_str(" urgently"),
        Level::Emergency => text.push_str(" in an emergency"),
    }
    if reason != EndReason::Released {
        text.push_str("; ");
        text.push_str(why(reason));
    }
    Entry {
        at,
        who: talker.name.clone(),
        by: Some(talker.user_id.clone()),
        what: "talk".to_string(),
        text,
        from,
        channel: Some(channel.clone()),
        user: Some(talker.user_id.clone()),
        talk: Some(TalkFigures {
            ms: duration.as_millis() as u64,
            ..TalkFigures::default()
        }),
    }
}

/// Adds how a transmission was heard.
pub fn heard(entry: &mut Entry, heard: &Heard) {
    if let Some(talk) = &mut entry.talk {
        (talk.packets, talk.lost) = (heard.packets, heard.lost);
        talk.level = heard.level.filter(|level| *level != SILENT);
    }
    match heard.level {
        Some(SILENT) => entry.text.push_str("; silent"),
        Some(level) => entry.text.push_str(&format!("; at {level} dB")),
        None => {}
    }
    if heard.lost > 0 {
        let percent = 100.0 * heard.lost as f64 / (heard.packets + heard.lost) as f64;
        entry.text.push_str(&format!("; {percent:.1} % lost"));
    }
}

fn why(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Released => "let go",
        EndReason::Preempted => "a more urgent one took the floor",
        EndReason::TalkLimit => "the talk limit was reached",
        EndReason::NoMedia => "no audio came",
        EndReason::Silence => "the audio stopped",
        EndReason::Disconnected => "the connection was lost",
        EndReason::Left => "left",
        EndReason::Removed => "taken off",
        EndReason::Ended => "ended by a dispatcher",
        EndReason::Silenced => "silenced by a dispatcher",
    }
}

/// Everything but transmissions.
pub fn entry(
    roster: &Roster,
    what: &Happening,
    from: impl Fn(SessionId) -> String,
    at: u64,
) -> Option<Entry> {
    let on = |channel: &ChannelId| channel_name(roster, channel);
    let by = |person: &Person, what: &str, text: String| Entry {
        at,
        who: person.name.clone(),
        by: Some(person.user_id.clone()),
        what: what.to_string(),
        text,
        from: from(person.session_id),
        channel: None,
        user: None,
        talk: None,
    };
    let session = |session: SessionId, user: &UserId, what: &str, did: &str| {
        let who = user_name(roster, user);
        Entry {
            at,
            text: format!("{who} {did}"),
            who,
            by: Some(user.clone()),
            what: what.to_string(),
            from: from(session),
            channel: None,
            user: Some(user.clone()),
            talk: None,
        }
    };
    Some(match what {
        Happening::TalkBegan { .. } | Happening::TalkEnded { .. } | Happening::Heard { .. } => {
            return None;
        }
        Happening::SignedIn { resumed: true, .. } => return None,
        Happening::SignedIn {
            session: id, user, ..
        } => session(*id, user, "signed_in", "signed in"),
        Happening::SessionEnded {
            session: id,
            user,
            reason,
        } => {
            let did = format!("is gone: {}", why(*reason));
            session(*id, user, "session_over", &did)
        }
        Happening::TalkCut {
            channel,
            talker,
            by: person,
        } => {
            let text = format!(
                "{} ended the transmission of {} on {}",
                person.name,
                user_name(roster, talker),
                on(channel)
            );
            by(person, "talk_cut", text).on(channel).about(talker)
        }
        Happening::Silenced {
            channel,
            user,
            minutes,
            by: person,
        } => {
            let (who, whom, on) = (&person.name, user_name(roster, user), on(channel));
            let text = match minutes {
                0 => format!("{who} let {whom} talk on {on} again"),
                minutes => format!("{who} silenced {whom} on {on} for {minutes} min"),
            };
            by(person, "silenced", text).on(channel).about(user)
        }
        Happening::Called {
            channel, caller, ..
        } => {
            let text = format!("{} asked to be called on {}", caller.name, on(channel));
            by(caller, "called", text)
                .on(channel)
                .about(&caller.user_id)
        }
        Happening::CallTaken {
            call,
            channel,
            by: person,
        } => {
            let text = format!("{} took call {call} on {}", person.name, on(channel));
            by(person, "call_taken", text).on(channel)
        }
        Happening::CallClosed {
            call,
            channel,
            by: person,
        } => {
            let text = format!("{} closed call {call} on {}", person.name, on(channel));
            by(person, "call_closed", text).on(channel)
        }
        Happening::EmergencyRaised {
            channel, raiser, ..
        } => {
            let text = format!("{} raised an emergency on {}", raiser.name, on(channel));
            by(raiser, "emergency_raised", text)
                .on(channel)
                .about(&raiser.user_id)
        }
        Happening::EmergencyAcknowledged {
            channel,
            by: person,
            ..
        } => {
            let text = format!("{} has seen the emergency on {}", person.name, on(channel));
            by(person, "emergency_acknowledged", text).on(channel)
        }
        Happening::EmergencyCleared {
            channel,
            by: person,
            ..
        } => {
            let text = format!("{} cleared the emergency on {}", person.name, on(channel));
            by(person, "emergency_cleared", text).on(channel)
        }
        Happening::PositionTaken {
            position,
            by: person,
            from: before,
        } => {
            let text = match before {
                Some(before) => format!(
                    "{} took over the position {position} from {}",
                    person.name, before.name
                ),
                None => format!("{} took the position {position}", person.name),
            };
            let entry = by(person, "position_taken", text);
            match before {
                Some(before) => entry.about(&before.user_id),
                None => entry,
            }
        }
    })
}
