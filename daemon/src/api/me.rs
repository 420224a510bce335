//! Who the caller is.

use axum::Json;
use pttd_core::wire::signal::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Caller, ProblemText, SignedIn};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Not set for the operator at the box's own shell.
    user_id: Option<String>,
    name: String,
    #[schema(value_type = String, example = "user")]
    role: Role,
}

/// Who the bearer is, by the roster now.
#[utoipa::path(get, path = "/me", security(("bearer" = [])), responses(
    (status = 200, body = Me),
    (status = 401, body = ProblemText),
))]
pub async fn me(SignedIn(caller): SignedIn) -> Json<Me> {
    let role = match &caller {
        Caller::Operator => Role::Admin,
        Caller::Person(person) => person.role,
    };
    Json(Me {
        user_id: caller.user().map(ToString::to_string),
        name: caller.name().to_string(),
        role,
    })
}
