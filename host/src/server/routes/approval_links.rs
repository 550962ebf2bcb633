//! The links to a question: listed, and taken back.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::json;

use super::approvals::existing;
use crate::{
    identity::{Principal, Role},
    server::{
        App,
        act::Act,
        error::{ApiError, Code, Problem},
        gate::Who,
        query::Names,
        view::{LinkSummary, Page},
    },
    store::{self, ApprovalRow, LinkRow},
};

/// Lists the links to a question, the oldest first; those that notices hold, too. Their addresses are not kept.
#[utoipa::path(get, path = "/api/approvals/{approval}/links", tag = "approvals", params(("approval" = String, Path, description = "its id")),
    responses((status = 200, description = "all links", body = Page<LinkSummary>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Names(approval): Names<String>,
) -> Result<Json<Page<LinkSummary>>, ApiError> {
    let row = existing(&app, &approval).await?;
    let (links, now) = (app.store.links(&row.execution_id, row.call).await?, store::now());
    Ok(Json(Page { items: links.iter().map(|link| LinkSummary::new(link, now)).collect(), next_cursor: None }))
}

/// Takes a link back: from the answer on nobody decides with it. What was decided with it before stays. Whoever made a
/// link or has it may do so, and an admin.
#[utoipa::path(delete, path = "/api/approvals/{approval}/links/{link}", tag = "approvals",
    params(("approval" = String, Path, description = "its id"), ("link" = String, Path, description = "the link's id")),
    responses(
        (status = 204, description = "it is of no use any more"),
        (status = 404, description = "there is no such question, or no such link to it that is not taken back", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn revoke(
    State(app): State<App>,
    Who(who): Who,
    act: Act,
    Names((approval, link)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let row = existing(&app, &approval).await?;
    let link = named(&app, &row, &link).await?;
    if !may_revoke(&who, &link) {
        let detail = "a link is taken back by whoever made it or has it, or by somebody with the role \"admin\"";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    let details = json!({ "link": link.id(), "for": link.name, "made_by": link.made_by });
    let entry = act.done(format!("{}.{}", row.execution_id, row.call)).with(details);
    let _alone = app.links.write().await;
    app.store.audited(entry).revoke_link(link.hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn named(app: &App, row: &ApprovalRow, id: &str) -> Result<LinkRow, ApiError> {
    let links = app.store.links(&row.execution_id, row.call).await?;
    links.into_iter().find(|link| link.id() == id).ok_or_else(|| {
        let detail = "this question has no such link; GET /api/approvals/{approval}/links lists them";
        ApiError::new(Code::LinkNotFound, detail)
    })
}

fn may_revoke(who: &Principal, link: &LinkRow) -> bool {
    let actor = who.actor();
    who.may(Role::Admin) || *link.made_by == *actor || *link.owner == *actor
}
