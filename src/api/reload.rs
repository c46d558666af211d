//! `POST /-/reload`: the agent reads its configuration again and says what came of it.

use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::config::Diagnostic;
use crate::net::{Body, with_type};
use crate::topology::Changes;

/// What came of reading the configuration again.
#[derive(Debug)]
pub enum Reloaded {
    /// It runs; these are its changes.
    Done(Changes),
    /// It cannot be used, and nothing was changed.
    Refused(Vec<Diagnostic>),
    /// It cannot be started; the text says why, and what runs now.
    Failed(String),
}

/// Asks the agent to read its configuration again, and for what came of it.
pub type AskReload = mpsc::Sender<oneshot::Sender<Reloaded>>;

/// Asks, and waits for the answer.
pub(super) async fn reload(ask: &AskReload) -> Response<Body> {
    let (reply, answer) = oneshot::channel();
    let asked = ask.send(reply).await.is_ok();
    let reloaded = if asked { answer.await.ok() } else { None };
    let (status, text) = match reloaded {
        Some(Reloaded::Done(changes)) => (StatusCode::OK, json!(changes)),
        Some(Reloaded::Refused(problems)) => {
            let errors = problems.iter().filter(|problem| problem.is_error());
            let errors: Vec<String> = errors.map(ToString::to_string).collect();
            (StatusCode::BAD_REQUEST, json!({ "errors": errors }))
        }
        Some(Reloaded::Failed(why)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, json!({ "errors": [why] }))
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, json!({ "errors": ["the agent stops"] })),
    };
    let content_type = HeaderValue::from_static("application/json");
    with_type(status, content_type, Body::from(text.to_string()))
}
