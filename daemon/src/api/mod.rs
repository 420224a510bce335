//! `/api/v1`: everything an admin, a dispatcher or a page may ask of the box beside talking, with the OpenAPI
//! document that describes it.
//!
//! ```text
//!  https, localhost ─ bearer ──┐
//!  control.sock ─── operator ──┼─> Caller ─> may they? ─> store (on disk) ─> reactor (in effect) ─> answer
//!  pttd without a daemon ──────┘
//! ```
//! One router behind all three doors: what a command can do the page can do, and both are checked by the same
//! code.

mod caller;
mod channels;
mod crowd;
mod devices;
mod door;
mod gateway;
mod invitations;
mod log;
mod me;
mod members;
mod posters;
mod problem;
mod radios;
pub mod recordings;
mod sessions;
mod setup;
mod sign_in;
mod users;
mod wizard;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use pttd_core::authority::Roster;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Control;
use crate::config::{Limits, Settings};
use crate::health::Health;
use crate::invite::Inviter;
use crate::journal::{self, Roll};
use crate::radio::Radios;
use crate::setup::Code;
use crate::sign_in::SignIn;
use crate::store::Store;
use crate::tokens::Tokens;
use crate::wizard::Wizard;

pub use self::caller::{Admin, Caller, Dispatcher, Operator, Refusals, SignedIn, Stranger};
pub use self::crowd::Crowd;
pub use self::problem::{Asked, Body, Path, Problem, ProblemText, off_the_threads, sentence};
pub use self::radios::streams as radio_streams;

/// A roster of a thousand people fits easily.
const MAX_BODY: usize = 1 << 20;
/// Of someone who has shown no credential.
const MAX_STRANGERS_BODY: usize = 4 * 1024;

/// What the handlers know.
pub struct Api {
    pub control: Arc<Control>,
    pub sign_in: Arc<SignIn>,
    /// The folder of the recordings.
    pub recordings: PathBuf,
    pub limits: Limits,
    /// What makes the first admin; `None` where the box had one when it started.
    pub setup: Option<Code>,
    /// Who came by a poster lately.
    pub crowd: Crowd,
    /// `None` where no daemon runs, and a command asks the store alone.
    pub running: Option<Running>,
}

/// What only a running daemon has.
pub struct Running {
    pub health: Health,
    pub journal: journal::Inbox,
    pub roll: Roll,
    pub refusals: Refusals,
    /// What the recordings take.
    pub recordings_bytes: Arc<AtomicU64>,
    pub since: Instant,
    pub radios: Radios,
    pub wizard: Wizard,
    /// Room for pages that look at the radios.
    pub radio_streams: Arc<Semaphore>,
    /// Ends what goes on longer than a request.
    pub stop: CancellationToken,
}

impl Api {
    /// For a command that finds no daemon running. Blocking.
    pub fn of_store(store: Arc<Store>, settings: &Settings) -> anyhow::Result<Api> {
        let sign_in = SignIn::new(store.clone(), Tokens::default())?;
        let inviter = Inviter::of_settings(store, settings)?;
        Ok(Api {
            control: Arc::new(Control::new(inviter, None)),
            sign_in: Arc::new(sign_in),
            recordings: settings.recorder().folder,
            limits: settings.limits,
            setup: None,
            crowd: Crowd::default(),
            running: None,
        })
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.control.inviter.store
    }

    pub fn roster(&self) -> Arc<Roster> {
        self.store().roster()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pttd",
        description = "What admins, dispatchers and pages may ask of a box. A bearer is a device credential or a \
            token (JWT); what its owner may do is looked up in the roster each time. A change is on disk and in \
            effect before it is answered."
    ),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme);
    }
}

/// All of `/api/v1`. Where it is served on the control socket, a layer says so with [`Operator`].
pub fn router(api: Arc<Api>) -> Router {
    let strangers = OpenApiRouter::new()
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(door::join))
        .routes(routes!(door::greet))
        .routes(routes!(door::ask))
        .routes(routes!(setup::is_needed, setup::set_up))
        .layer(DefaultBodyLimit::max(MAX_STRANGERS_BODY));
    let routes = OpenApiRouter::new()
        .merge(strangers)
        .routes(routes!(me::me))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::one))
        .routes(routes!(recordings::audio))
        .routes(routes!(channels::list, channels::add))
        .routes(routes!(channels::set, channels::remove))
        .routes(routes!(members::list, members::set_many))
        .routes(routes!(members::set, members::remove))
        .routes(routes!(members::set_all))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::set, users::remove))
        .routes(routes!(invitations::list, invitations::add))
        .routes(routes!(invitations::remove))
        .routes(routes!(devices::list))
        .routes(routes!(devices::remove))
        .routes(routes!(posters::list, posters::add))
        .routes(routes!(posters::remove))
        .routes(routes!(posters::sheet))
        .routes(routes!(door::arrivals))
        .routes(routes!(door::decide))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::remove))
        .routes(routes!(log::log))
        .routes(routes!(log::roll_call))
        .routes(routes!(gateway::gateway))
        .routes(routes!(radios::list))
        .routes(routes!(radios::live))
        .routes(routes!(radios::test_tone, radios::stop_test_tone))
        .routes(routes!(radios::handheld))
        .routes(routes!(radios::heard))
        .routes(routes!(wizard::look, wizard::start, wizard::stop))
        .routes(routes!(wizard::write))
        .routes(routes!(wizard::reload))
        .routes(routes!(openapi))
        .fallback(no_such_route);
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", routes)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state::<()>(api)
        .split_for_parts();
    say_who_is_refused(&mut document);
    let router = router.method_not_allowed_fallback(no_such_method);
    router.layer(axum::Extension(Arc::new(document)))
}

/// Whoever needs a bearer may show none, one of somebody who may not, or too many wrong ones.
fn say_who_is_refused(document: &mut utoipa::openapi::OpenApi) {
    for path in document.paths.paths.values_mut() {
        let methods = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.patch,
            &mut path.delete,
        ];
        let operations = methods.into_iter().flatten();
        for operation in operations.filter(|operation| operation.security.is_some()) {
            for (status, why) in [
                ("401", "no bearer, or none that is good"),
                ("403", "the caller may not do this"),
                ("429", "too many wrong bearers from this address"),
            ] {
                let body = Content::new(Some(Ref::from_schema_name("ProblemText")));
                let refused = ResponseBuilder::new()
                    .description(why)
                    .content("application/json", body);
                let responses = &mut operation.responses.responses;
                let known = responses.entry(status.to_string());
                known.or_insert_with(|| refused.build().into());
            }
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "the OpenAPI document")))]
async fn openapi(
    axum::Extension(document): axum::Extension<Arc<utoipa::openapi::OpenApi>>,
) -> Response {
    Json(&*document).into_response()
}

async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This route is asked in another way. GET /api/v1/openapi.json says how.",
    )
}

async fn no_such_route() -> Problem {
    Problem::not_found("This box has no such route. GET /api/v1/openapi.json names them all.")
}

#[cfg(test)]
mod tests;
