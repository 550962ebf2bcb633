//! The pages behind links for one decision. Looking never decides: programs that read mail follow every link.

use std::time::Instant;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{Response, StatusCode, header},
};
use serde_json::json;
use weir_engine::json::Json as Document;

use super::approval_refusal::closed_words;
use crate::{
    approval_link::{self, Owner},
    driver::{Answer, DecideError, SignalError},
    identity::{Kind, Principal, Role, Roles},
    server::{
        App,
        act::Act,
        approval_page::{self as page, Draft},
        body::FormFields,
        error::ApiError,
        network::Peer,
        query::Names,
        view::ApprovalView,
    },
    store::{self, ApprovalRow, ApprovalStatus, Companion, LinkRow},
};

type Page = Response<Body>;

/// Somebody with a link that may still decide.
struct Holder {
    link: LinkRow,
    row: ApprovalRow,
    principal: Principal,
    invited: bool,
}

/// Shows what a link asks. Decides nothing.
#[utoipa::path(get, path = "/approve/{token}", tag = "approvals", params(("token" = String, Path, description = "of the link")),
    responses(
        (status = 200, description = "the question, with a form to answer it; or how it was decided", content_type = "text/html"),
        (status = 404, description = "there is no such link", content_type = "text/html"),
        (status = 410, description = "the link has expired, or was taken back", content_type = "text/html"),
        (status = 429, description = "too many links that do not exist; `retry-after` says how long to wait", content_type = "text/html"),
    ))]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Names(token): Names<String>,
) -> Result<Page, ApiError> {
    Ok(match holder(&app, peer, &token, StatusCode::OK).await? {
        Ok(holder) => {
            let Holder { link, row, .. } = &holder;
            let body = page::question(row, &link.name, link.option_id.as_deref(), &Draft::default());
            page::response(StatusCode::OK, body)
        }
        Err(page) => page,
    })
}

/// Decides what a link asks. A link decides once.
#[utoipa::path(post, path = "/approve/{token}", tag = "approvals", params(("token" = String, Path, description = "of the link")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`option`, `comment`, and `data` as JSON"),
    responses(
        (status = 200, description = "the answer counts", content_type = "text/html"),
        (status = 403, description = "whoever has the link may not decide this any more", content_type = "text/html"),
        (status = 404, description = "there is no such link", content_type = "text/html"),
        (status = 409, description = "it was decided before: by whom, and how", content_type = "text/html"),
        (status = 410, description = "the link has expired, or was taken back", content_type = "text/html"),
        (status = 429, description = "too many links that do not exist; `retry-after` says how long to wait", content_type = "text/html"),
        (status = 422, description = "the answer does not fit the question", content_type = "text/html"),
    ))]
pub(crate) async fn decide(
    State(app): State<App>,
    act: Act,
    Extension(peer): Extension<Peer>,
    Names(token): Names<String>,
    FormFields(form): FormFields,
) -> Result<Page, ApiError> {
    let _turn = app.links.read().await;
    let holder = match holder(&app, peer, &token, StatusCode::CONFLICT).await? {
        Ok(holder) => holder,
        Err(page) => return Ok(page),
    };
    let member =
        |name: &str| form.get(name).map(|text| text.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty());
    let (option_id, comment, data) = (member("option"), member("comment"), member("data"));
    let mut draft = Draft {
        comment: comment.clone().unwrap_or_default(),
        data: data.clone().unwrap_or_default(),
        problems: Vec::new(),
    };
    let data = match data.map(Document::parse).transpose() {
        Ok(data) => data,
        Err(error) => {
            draft.problems.push(format!("the data is {error}"));
            return Ok(again(&holder, &draft));
        }
    };
    if holder.link.option_id.is_some() && holder.link.option_id.as_deref() != option_id.as_deref() {
        draft.problems.push("this link is not for that option".to_owned());
        return Ok(again(&holder, &draft));
    }
    answer(&app, &act, holder, Given { option_id, comment, data }, draft).await
}

/// What somebody chose.
struct Given {
    option_id: Option<String>,
    comment: Option<String>,
    data: Option<Document>,
}

async fn answer(app: &App, act: &Act, holder: Holder, given: Given, mut draft: Draft) -> Result<Page, ApiError> {
    let Holder { link, row, principal, invited } = &holder;
    let object = format!("{}.{}", row.execution_id, row.call);
    let details = json!({ "option_id": given.option_id, "link_made_by": link.made_by });
    let entry = act.done_by(principal, object).with(details);
    let answer = Answer {
        approval_id: Some(row.call),
        option_id: given.option_id,
        comment: given.comment,
        data: given.data,
        decided_by: principal.clone(),
        invited: *invited,
        request_digest: Some(link.request_digest.to_string()),
        companions: vec![Companion::Audit(entry), Companion::LinkUsed(link.hash)],
    };
    match app.driver.decide(&row.execution_id, answer).await {
        Ok(answered) => Ok(taken(row, answered.decision.option_id.as_deref(), answered.missing)),
        Err(DecideError::Unfit(problems)) => {
            draft.problems = problems.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect();
            Ok(again(&holder, &draft))
        }
        Err(error @ DecideError::NotAllowed(_)) => {
            Ok(told(StatusCode::FORBIDDEN, "You may not decide this", &error.to_string()))
        }
        Err(DecideError::Voted(..)) => Ok(told(
            StatusCode::CONFLICT,
            "You answered already",
            "Your answer counts. The question waits for more people.",
        )),
        Err(error @ DecideError::Changed(_)) => {
            Ok(told(StatusCode::CONFLICT, "The question has changed", &error.to_string()))
        }
        Err(DecideError::NotOpen(_) | DecideError::NothingAsked | DecideError::Several(_))
        | Err(DecideError::Signal(SignalError::Ended(_) | SignalError::NotFound(_))) => {
            let row = app.store.approval(&row.execution_id, row.call).await?;
            Ok(row.map_or_else(gone, |row| closed(row, StatusCode::CONFLICT)))
        }
        Err(DecideError::Signal(error)) => Err(error.into()),
    }
}

/// Who has this link, if it may still decide; else the page that says why not. A question that is closed is shown with
/// the status `when_closed`.
async fn holder(app: &App, peer: Peer, token: &str, when_closed: StatusCode) -> Result<Result<Holder, Page>, ApiError> {
    let Some(link) = app.store.link(&approval_link::hash(token)).await? else { return Ok(Err(no_link(app, peer))) };
    let Some(row) = app.store.approval(&link.execution_id, link.call).await? else { return Ok(Err(gone())) };
    if row.status != ApprovalStatus::Pending {
        return Ok(Err(closed(row, when_closed)));
    }
    if link.used_at.is_some() {
        let words = "Your answer counts. The question waits for more people.";
        return Ok(Err(told(when_closed, "This link was used already", words)));
    }
    if link.revoked_at.is_some() {
        return Ok(Err(told(StatusCode::GONE, "This link was taken back", "Ask whoever sent it to you.")));
    }
    if link.expires_at <= store::now() {
        return Ok(Err(told(
            StatusCode::GONE,
            "This link has expired",
            "Ask for a new one if a decision is still needed.",
        )));
    }
    let principal = |roles: Roles| Principal { kind: Kind::Link, name: link.name.clone(), roles };
    let (principal, invited) = match Owner::read(&link.owner) {
        Some(Owner::Guest(_)) => (principal(Role::Approver.into()), true),
        Some(Owner::Channel(_)) => (principal(Role::Approver.into()), false),
        Some(Owner::User(name)) => (principal(roles_of(app, &name)), false),
        None => (principal(Roles::default()), false),
    };
    Ok(Ok(Holder { link, row, principal, invited }))
}

/// What a user may do now; nothing where there is no such user any more, or they may not come in.
fn roles_of(app: &App, name: &str) -> Roles {
    let user = app.accounts.user(name).filter(|user| *user.name == *name && !user.disabled);
    user.map_or_else(Roles::default, |user| user.roles)
}

fn again(holder: &Holder, draft: &Draft) -> Page {
    let Holder { link, row, .. } = holder;
    let body = page::question(row, &link.name, link.option_id.as_deref(), draft);
    page::response(StatusCode::UNPROCESSABLE_ENTITY, body)
}

fn taken(row: &ApprovalRow, option_id: Option<&str>, missing: u32) -> Page {
    let words = match missing {
        0 => "Your decision counts, and the workflow goes on with it.".to_owned(),
        1 => "Your answer counts. One more person must choose the same.".to_owned(),
        more => format!("Your answer counts. {more} more people must choose the same."),
    };
    let mut facts = vec![("Workflow", row.workflow_name.to_string()), ("Step", row.path.to_string())];
    facts.extend(option_id.map(|option| ("Your choice", label(row, option))));
    page::response(StatusCode::OK, page::message("Thank you", &words, &facts))
}

/// How a question was closed.
fn closed(row: ApprovalRow, status: StatusCode) -> Page {
    let decision = row.decision.clone();
    let mut facts = vec![("Workflow", row.workflow_name.to_string()), ("Step", row.path.to_string())];
    if let Some(decision) = decision {
        facts.extend(decision.option_id.as_deref().map(|option| ("Decision", label(&row, option))));
        facts.push(("By", decision.decided_by));
        facts.push(("At", decision.decided_at));
        facts.extend(decision.comment.map(|comment| ("Comment", comment)));
        return page::response(status, page::message("This was decided", "The first decision counts.", &facts));
    }
    let words = closed_words(&ApprovalView::from(row));
    page::response(status, page::message("Nothing to decide any more", &words, &facts))
}

/// There is no link with this token. It cannot be guessed, and whoever tries has to wait all the same.
fn no_link(app: &App, peer: Peer) -> Page {
    let Err(wait) = app.wrong_links.take(&peer.counted_as(), Instant::now()) else {
        return told(StatusCode::NOT_FOUND, "There is no such link", "It may be incomplete: copy the whole of it.");
    };
    let seconds = wait.as_secs() + 1;
    let words = format!("Too many links that do not exist were tried from your address. Wait {seconds} s.");
    let mut page = told(StatusCode::TOO_MANY_REQUESTS, "There is no such link", &words);
    page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    page
}

/// The question is not there any more.
fn gone() -> Page {
    told(StatusCode::NOT_FOUND, "There is no such question any more", "Its execution was deleted.")
}

fn told(status: StatusCode, title: &str, words: &str) -> Page {
    page::response(status, page::message(title, words, &[]))
}

/// An option as people see it.
fn label(row: &ApprovalRow, id: &str) -> String {
    let options = row.request.value()["options"].as_array();
    let option = options.into_iter().flatten().find(|option| option["id"] == id);
    option.and_then(|option| option["label"].as_str()).unwrap_or(id).to_owned()
}
