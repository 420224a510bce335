//! An invitation for a device credential.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pttd_core::authority::{SignInError, User};
use pttd_core::ids::UserId;
use pttd_core::wire::signal::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, Body, Problem, ProblemText, Stranger};
use crate::sign_in::{Admitted, Refused, is_credential};

#[derive(Deserialize, ToSchema)]
pub struct Invited {
    /// The secret in the invitation's link.
    invitation: String,
    /// The credential the device has made itself (256 bits in base64url), so that it can ask again when the
    /// answer is lost. Not set: the box makes one.
    device: Option<String>,
}

/// Someone's device that was let in.
#[derive(Serialize, ToSchema)]
pub struct LetIn {
    /// What readmits this device; it shall keep it.
    device: String,
    user: LetInUser,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LetInUser {
    user_id: String,
    name: Option<String>,
    #[schema(value_type = Option<String>, example = "user")]
    role: Option<Role>,
}

impl From<&Admitted> for LetIn {
    fn from(admitted: &Admitted) -> LetIn {
        LetIn {
            device: admitted.device.clone(),
            user: LetInUser::new(&admitted.user, admitted.entry()),
        }
    }
}

impl LetInUser {
    pub fn new(user: &UserId, entry: Option<&User>) -> LetInUser {
        LetInUser {
            user_id: user.to_string(),
            name: entry.map(|user| user.name.clone()),
            role: entry.map(|user| user.role),
        }
    }
}

/// Uses an invitation on one more device.
#[utoipa::path(post, path = "/sign-in", request_body = Invited, responses(
    (status = 200, body = LetIn),
    (status = 400, body = ProblemText),
    (status = 403, body = ProblemText),
    (status = 429, body = ProblemText),
))]
pub async fn sign_in(
    State(api): State<Arc<Api>>,
    Stranger(from): Stranger,
    body: Result<Body<Invited>, Problem>,
) -> Result<Json<LetIn>, Problem> {
    let not_understood =
        || Problem::bad_request("The page sent something this box does not understand. Reload it.");
    let Ok(Body(asked)) = body else {
        return Err(not_understood());
    };
    let Some(from) = from else {
        return Err(not_understood());
    };
    if !asked.device.as_deref().is_none_or(is_credential) {
        return Err(not_understood());
    }
    let admitted = {
        let api = api.clone();
        tokio::task::spawn_blocking(move || {
            let device = asked.device.as_deref();
            api.sign_in.with_invitation(&asked.invitation, device, from)
        })
        .await
        .unwrap_or_else(|panic| Err(Refused::Store(panic.into())))
    };
    let outcome = match &admitted {
        Ok(_) => "admitted",
        Err(_) => "refused",
    };
    metrics::counter!("pttd_sign_ins_total", "outcome" => outcome).increment(1);
    match admitted {
        Ok(admitted) => {
            tracing::info!(user = %admitted.user, %from, "signed in with an invitation");
            Ok(Json(LetIn::from(&admitted)))
        }
        Err(refused) => {
            tracing::info!(%from, why = %refused, "sign-in refused");
            Err(problem(&refused))
        }
    }
}

/// What a refusal at the door is called.
pub fn problem(refused: &Refused) -> Problem {
    let (status, code, message) = match refused {
        Refused::SignIn(refused) => {
            let (code, message) = match refused {
                SignInError::UnknownInvitation => (
                    "unknown_invitation",
                    "This box does not know the invitation. Ask for a new one.",
                ),
                SignInError::Ended => ("ended", "This invitation has ended. Ask for a new one."),
                SignInError::UsedUp => (
                    "used_up",
                    "This invitation was already used on another device. Ask for a new one.",
                ),
                SignInError::Withdrawn => (
                    "withdrawn",
                    "This invitation was withdrawn. Ask for a new one.",
                ),
                SignInError::NotOnRoster => (
                    "not_on_roster",
                    "You are no longer on this box's list. Ask its operator.",
                ),
                SignInError::DeviceTaken => (
                    "device_taken",
                    "This device was known to the box under another name. Reload the page, then try again.",
                ),
                SignInError::UnknownDevice | SignInError::LockedOut => (
                    "unknown_device",
                    "This device may not come in any more. Ask for a new invitation.",
                ),
            };
            (StatusCode::FORBIDDEN, code, message)
        }
        Refused::Token(_) => (
            StatusCode::FORBIDDEN,
            "bad_token",
            "This box does not accept the token. Sign in anew where it came from.",
        ),
        Refused::TooManyTries => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_tries",
            "Too many wrong tries. Wait a minute, then try again.",
        ),
        Refused::Store(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "internal",
            "The box cannot let anybody in right now. Tell its operator, then try again.",
        ),
    };
    Problem::new(status, code, message)
}
