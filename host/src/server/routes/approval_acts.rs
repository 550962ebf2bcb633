//! What else can be done with an open question: ask others, remind, make a link.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use weir_engine::approvers::{APPROVERS_MAX, ROLES, person};

use super::{
    approval_refusal::{Refusal, closed_words},
    approvals::existing,
};
use crate::{
    approval_link::{self, Owner, Wanted},
    driver::{Reassign, may_decide},
    identity::{Kind, Principal, Role},
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, FieldProblem, Problem},
        gate::Who,
        query::Names,
        view::{ApprovalView, ApproversView, Time},
    },
    store::{self, ApprovalRow, ApprovalStatus, Companion, LINKS_MAX, NOTICES_MAX, NoticeRow, Reminded},
};

/// The most characters of a name.
const NAME_CHARS_MAX: usize = 256;
/// The most minutes that a link may be good.
const MINUTES_MAX: f64 = 366.0 * 24.0 * 60.0;

/// Whom to ask instead. Without roles and users that is every approver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReassignBody {
    /// Whoever has one of these roles.
    #[serde(default)]
    roles: Vec<String>,
    /// Whoever has one of these names.
    #[serde(default)]
    users: Vec<String>,
}

/// Who is asked now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reassigned {
    /// The question.
    id: String,
    /// Who may decide.
    approvers: ApproversView,
}

/// Asks others instead of those that a question names. How many must agree stays, and so does what they answered before.
#[utoipa::path(post, path = "/api/approvals/{approval}/reassign", tag = "approvals", params(("approval" = String, Path, description = "its id")),
    request_body = ReassignBody,
    responses(
        (status = 200, description = "others are asked", body = Reassigned),
        (status = 409, description = "it was decided before", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn reassign(
    State(app): State<App>,
    Who(who): Who,
    act: Act,
    Names(approval): Names<String>,
    Fields(body): Fields<ReassignBody>,
) -> Result<Json<Reassigned>, ApiError> {
    check_names(&app, &body)?;
    let row = existing(&app, &approval).await?;
    let id = id_of(&row);
    let users: Vec<String> = body.users.iter().map(|user| person(user).to_owned()).collect();
    let entry = act.done(id.as_str()).with(json!({ "roles": body.roles, "users": users }));
    let companions = vec![Companion::Audit(entry)];
    let principal = Principal::clone(&who);
    let reassign = Reassign { approval_id: row.call, roles: body.roles, users, principal, companions };
    match app.driver.reassign(&row.execution_id, reassign).await {
        Ok(approvers) => Ok(Json(Reassigned { id, approvers: approvers.into() })),
        Err(error) => Err(Refusal { id: &row.execution_id, asked: Some(row.call) }.of(&app, error).await),
    }
}

fn check_names(app: &App, body: &ReassignBody) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    let unknown = body.roles.iter().enumerate().filter(|(_, role)| !ROLES.contains(&role.as_str()));
    for (index, _) in unknown.take(APPROVERS_MAX) {
        let message = format!("there is no such role: it must be one of {}", ROLES.join(", "));
        problems.push(FieldProblem::new(format!("/roles/{index}"), "invalid_value", message));
    }
    if body.roles.len() > APPROVERS_MAX || body.users.len() > APPROVERS_MAX {
        problems.push(FieldProblem::new("", "too_many", format!("name at most {APPROVERS_MAX} roles and users")));
    }
    for (index, _) in body.users.iter().enumerate().filter(|(_, user)| !is_name(user)).take(APPROVERS_MAX) {
        let message = format!("a name has 1 to {NAME_CHARS_MAX} characters, and no control characters");
        problems.push(FieldProblem::new(format!("/users/{index}"), "invalid_value", message));
    }
    let users = body.users.iter().enumerate().take(APPROVERS_MAX);
    problems.extend(users.filter_map(|(index, user)| app.secret_in(&format!("/users/{index}"), user)));
    if problems.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(Code::InvalidFields, "could not ask others: the names are not acceptable").with_errors(problems))
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// How many notices go out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemindedView {
    /// The question.
    id: String,
    /// The channels that people are told over.
    channels: Vec<String>,
}

/// Tells people about an open question once more, over the channels that its step names.
#[utoipa::path(post, path = "/api/approvals/{approval}/remind", tag = "approvals", params(("approval" = String, Path, description = "its id")),
    responses(
        (status = 202, description = "notices go out", body = RemindedView),
        (status = 409, description = "it was decided before, or there were too many reminders", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn remind(
    State(app): State<App>,
    act: Act,
    Names(approval): Names<String>,
) -> Result<(StatusCode, Json<RemindedView>), ApiError> {
    let row = existing(&app, &approval).await?;
    let id = id_of(&row);
    let mut channels: Vec<String> = Vec::new();
    for channel in row.request.value()["channels"].as_array().into_iter().flatten().filter_map(|c| c.as_str()) {
        if !channels.iter().any(|known| known == channel) {
            channels.push(channel.to_owned());
        }
    }
    if channels.is_empty() {
        channels.push(NoticeRow::UI.to_owned());
    }
    let entry = act.done(id.as_str());
    match app.store.remind(Arc::clone(&row.execution_id), row.call, channels.clone(), entry).await? {
        Reminded::Notices(_) => Ok((StatusCode::ACCEPTED, Json(RemindedView { id, channels }))),
        Reminded::Closed => Err(not_open(&app, &id).await),
        Reminded::TooOften => {
            let detail = format!("could not remind anybody: there are {NOTICES_MAX} notices of this question already");
            Err(ApiError::new(Code::TooManyNotices, detail))
        }
    }
}

/// What a link is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkBody {
    /// Whom it is for; whoever asks, by default. Only an admin makes links for others: a user's link may do what the user
    /// may, and anybody else's may decide this question, whomever it names.
    #[serde(default)]
    name: Option<String>,
    /// The only option that it may choose.
    #[serde(default)]
    option_id: Option<String>,
    /// When it expires, at the latest with the question; by default then, or after a week.
    #[serde(default)]
    expires_in_minutes: Option<f64>,
}

/// A link that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// The question.
    id: String,
    /// The link's own id, to take it back.
    link_id: String,
    /// The address. It is told once, and whoever has it can decide.
    url: String,
    /// Whom it is for.
    name: String,
    /// When it expires.
    expires_at: Time,
}

/// Makes a link with which somebody can decide a question once, without signing in.
#[utoipa::path(post, path = "/api/approvals/{approval}/links", tag = "approvals", params(("approval" = String, Path, description = "its id")),
    request_body = LinkBody,
    responses(
        (status = 201, description = "the link", body = LinkView),
        (status = 409, description = "it was decided before, or there are too many links", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn link(
    State(app): State<App>,
    Who(who): Who,
    act: Act,
    Names(approval): Names<String>,
    Fields(body): Fields<LinkBody>,
) -> Result<(StatusCode, Json<LinkView>), ApiError> {
    let row = existing(&app, &approval).await?;
    let id = id_of(&row);
    if row.status != ApprovalStatus::Pending {
        return Err(not_open(&app, &id).await);
    }
    let expires_at = checked(&app, &row, &body)?;
    let asked = Some(row.call);
    if let Err(error) = may_decide(&row.approvers, row.requester.as_deref(), &who, false) {
        return Err(Refusal { id: &row.execution_id, asked }.of(&app, error).await);
    }
    let owner = owner(&app, &who, body.name.as_deref())?;
    let name = owner.name().to_string();
    let option_id = body.option_id.map(Into::into);
    let wanted = Wanted { owner, option_id, made_by: who.actor(), expires_at };
    let entry = act.done(id.as_str()).with(json!({ "for": name }));
    let Some(made) = approval_link::make(&app.store, &row, wanted, entry).await? else {
        let detail = format!("could not make a link: there are {LINKS_MAX} of this question already");
        return Err(ApiError::new(Code::TooManyNotices, detail));
    };
    let url = format!("{}{}", app.public_url, approval_link::path(&made.token));
    Ok((StatusCode::CREATED, Json(LinkView { id, link_id: made.id, url, name, expires_at: Time(made.expires_at) })))
}

/// When a link is to expire, if the option that it is for is there.
fn checked(app: &App, row: &ApprovalRow, body: &LinkBody) -> Result<Option<weir_engine::id::Timestamp>, ApiError> {
    let mut problems = Vec::new();
    let options = row.request.value()["options"].as_array();
    let has = |id: &str| options.into_iter().flatten().any(|option| option["id"] == id);
    if body.option_id.as_deref().is_some_and(|id| !has(id)) {
        problems.push(FieldProblem::new("/option_id", "invalid_value", "the question has no such option"));
    }
    if body.name.as_deref().is_some_and(|name| !is_name(name)) {
        problems.push(FieldProblem::new("/name", "invalid_value", format!("it has 1 to {NAME_CHARS_MAX} characters")));
    }
    problems.extend(body.name.as_deref().and_then(|name| app.secret_in("/name", name)));
    if body.expires_in_minutes.is_some_and(|minutes| !(0.0..=MINUTES_MAX).contains(&minutes)) {
        problems.push(FieldProblem::new("/expires_in_minutes", "invalid_value", "it must be 0 to 527040"));
    }
    if !problems.is_empty() {
        return Err(ApiError::new(Code::InvalidFields, "could not make a link").with_errors(problems));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: 0 to a year")]
    Ok(body.expires_in_minutes.map(|minutes| store::now().plus_ms((minutes * 60_000.0) as u64)))
}

/// Whose right the link uses. The right of others is only for admins to give away.
fn owner(app: &App, who: &Principal, name: Option<&str>) -> Result<Owner, ApiError> {
    let own = person(&who.actor()).to_owned();
    let name = name.unwrap_or(&own);
    match &who.kind {
        Kind::User(_) if name == own => Ok(Owner::User(name.into())),
        Kind::AdminToken | Kind::Token(_) | Kind::User(_) if who.roles.contains(Role::Admin) => {
            let is_user = app.accounts.user(name).is_some_and(|user| *user.name == *name);
            Ok(if is_user { Owner::User(name.into()) } else { Owner::Guest(name.into()) })
        }
        Kind::AdminToken | Kind::Token(_) | Kind::User(_) | Kind::Link | Kind::Trigger(_) => {
            let detail = "users make links for themselves; links for others need the role \"admin\"";
            Err(ApiError::new(Code::Forbidden, detail))
        }
    }
}

fn id_of(row: &ApprovalRow) -> String {
    format!("{}.{}", row.execution_id, row.call)
}

/// The problem of a question that is not open, with how it was closed.
async fn not_open(app: &App, id: &str) -> ApiError {
    match existing(app, id).await {
        Ok(row) => {
            let view = ApprovalView::from(row);
            ApiError::new(Code::AlreadyDecided, closed_words(&view)).with_details(json!({ "approval": view }))
        }
        Err(error) => error,
    }
}
