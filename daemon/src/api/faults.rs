//! Faults over the API: what one would hit, injecting it, healing it.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use chaos::blast_radius::blast_radius;
use chaos::fault::{Fault, FaultError};
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::oneshot;
use topologies::id::FaultId;

use super::error::{ApiError, Code};
use super::{Api, names, views};
use crate::stack::{Request, Stack};

/// No fault takes longer to inject or to heal.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InjectQuery {
    #[serde(default)]
    preview: bool,
}

/// Faults in force.
pub(super) async fn list(State(api): State<Api>) -> Json<views::FaultsView> {
    let world = api.stack.world.borrow().clone();
    Json(views::faults(&world))
}

/// Injects a fault and answers when it is in force; with `preview` tells what it would hit.
pub(super) async fn inject(
    State(api): State<Api>,
    query: Result<Query<InjectQuery>, QueryRejection>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Result<(StatusCode, Json<views::InjectedView>), ApiError> {
    let Query(query) = query?;
    let Json(fault) = fault?;
    let world = api.stack.world.borrow().clone();
    let presence = api.stack.presence(&world);
    let fault = fault
        .resolve(&api.stack.plan(), &presence)
        .map_err(|errors| {
            if let [FaultError::UnknownInstance { instance, .. }] = errors.as_slice() {
                let told = names::no_instance(&api.stack.plan(), instance);
                return ApiError {
                    code: Code::InvalidFault,
                    ..told
                };
            }
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            ApiError::new(Code::InvalidFault, errors.join("; "))
        })?;
    crate::aws::known(&fault).map_err(|why| ApiError::new(Code::InvalidFault, why))?;
    let mut view = views::InjectedView {
        id: None,
        fault: fault.to_string(),
        kind: fault.kind().to_owned(),
        target: fault.target(),
        consequences: blast_radius(&fault, &api.stack.plan(), &presence)
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    if query.preview {
        ask(&api.stack, |answer| Request::Preview(fault, answer)).await?;
        return Ok((StatusCode::OK, Json(view)));
    }
    let by = None;
    let injected = ask(&api.stack, |answer| Request::Inject { fault, by, answer }).await?;
    view.id = Some(injected.fault);
    view.consequences = injected.consequences;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Heals one fault.
pub(super) async fn heal(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<views::HealedView>, ApiError> {
    let id = FaultId::from(id);
    {
        let world = api.stack.world.borrow();
        if !world.faults.contains_key(&id) {
            let known = world.faults.keys().map(FaultId::as_str);
            return Err(ApiError::new(
                Code::NotFound,
                format!("fault `{id}` is not in force: it never was, or it is healed"),
            )
            .hint(names::known("faults in force", known)));
        }
    }
    let healed = ask(&api.stack, |answer| Request::Heal(Some(id), answer)).await?;
    Ok(Json(views::HealedView { healed }))
}

/// Heals every fault. None in force is fine.
pub(super) async fn heal_all(State(api): State<Api>) -> Result<Json<views::HealedView>, ApiError> {
    let healed = heal_every(&api.stack).await?;
    Ok(Json(views::HealedView { healed }))
}

/// Heals every fault; which those were.
pub(super) async fn heal_every(stack: &Stack) -> Result<Vec<FaultId>, ApiError> {
    ask(stack, |answer| Request::Heal(None, answer)).await
}

/// Asks the driver and waits for its answer, within bounds.
async fn ask<T>(
    stack: &Stack,
    request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Request,
) -> Result<T, ApiError> {
    let (answer, answered) = oneshot::channel();
    let gone = || ApiError::new(Code::Unavailable, "the stack is being taken down");
    let asked = async {
        stack
            .requests
            .send(request(answer))
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    };
    tokio::time::timeout(ANSWER_WITHIN, asked)
        .await
        .map_err(|_| ApiError::new(Code::Unavailable, "the stack did not answer in time"))??
        .map_err(|why| ApiError::new(Code::Refused, why))
}
