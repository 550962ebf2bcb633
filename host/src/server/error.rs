//! The API's one error: what went wrong as RFC 9457 problem JSON with a stable code.
//!
//! A problem tells the client what to mend and nothing about the host: an internal error is logged once with its whole
//! chain, and the client gets the request's id to quote.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_engine::definition::Diagnostic;

use super::request_id::RequestId;

/// Every code of a problem, its HTTP status and its title. Closed and stable: clients branch on it.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $status:ident, $title:literal;)*) => {
        /// What kind of problem; stable, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as clients see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The problem's kind in a few words, the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON or YAML that we accept.
    InvalidBody, "invalid_body", BAD_REQUEST, "the body cannot be read";
    /// A query parameter is unknown or has no sound value.
    InvalidQuery, "invalid_query", BAD_REQUEST, "a query parameter is not acceptable";
    /// No credentials, or wrong ones.
    Unauthorized, "unauthorized", UNAUTHORIZED, "a valid bearer token is needed";
    /// A name and a password that do not go together.
    SignInFailed, "sign_in_failed", UNAUTHORIZED, "the name or the password is wrong";
    /// Whoever asks may not do this.
    Forbidden, "forbidden", FORBIDDEN, "you may not do this";
    /// Whoever wants another password does not know the current one.
    WrongPassword, "wrong_password", FORBIDDEN, "the current password is wrong";
    /// The request comes from a page of another origin.
    CrossOrigin, "cross_origin", FORBIDDEN, "the request comes from another site";
    /// No such path.
    RouteNotFound, "route_not_found", NOT_FOUND, "there is nothing at this path";
    /// No such workflow or version.
    WorkflowNotFound, "workflow_not_found", NOT_FOUND, "there is no such workflow";
    /// No such execution.
    ExecutionNotFound, "execution_not_found", NOT_FOUND, "there is no such execution";
    /// No such step, or it was not reached.
    StepNotFound, "step_not_found", NOT_FOUND, "there is no such step";
    /// No such question.
    ApprovalNotFound, "approval_not_found", NOT_FOUND, "there is no such approval";
    /// No such link to this question, or it was taken back before.
    LinkNotFound, "link_not_found", NOT_FOUND, "there is no such link";
    /// No such notice, or it was not given up.
    NoticeNotFound, "notice_not_found", NOT_FOUND, "there is no such notice";
    /// No such trigger.
    TriggerNotFound, "trigger_not_found", NOT_FOUND, "there is no such trigger";
    /// No such event.
    EventNotFound, "event_not_found", NOT_FOUND, "there is no such event";
    /// No such plugin or tool.
    PluginNotFound, "plugin_not_found", NOT_FOUND, "there is no such plugin or tool";
    /// No such model.
    ModelNotFound, "model_not_found", NOT_FOUND, "there is no such model";
    /// No such token.
    TokenNotFound, "token_not_found", NOT_FOUND, "there is no such token";
    /// No such user.
    UserNotFound, "user_not_found", NOT_FOUND, "there is no such user";
    /// No trigger takes webhooks at this path.
    WebhookNotFound, "webhook_not_found", NOT_FOUND, "there is no such webhook";
    /// No such delivery.
    DeliveryNotFound, "delivery_not_found", NOT_FOUND, "there is no such delivery";
    /// No such budget.
    BudgetNotFound, "budget_not_found", NOT_FOUND, "there is no such budget";
    /// No such secret.
    SecretNotFound, "secret_not_found", NOT_FOUND, "there is no such secret";
    /// The path exists, the method does not.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "this path has no such method";
    /// The body came too slowly.
    BodyTimeout, "body_timeout", REQUEST_TIMEOUT, "the body came too slowly";
    /// Something else has this name: another live workflow, token or user.
    NameTaken, "name_taken", CONFLICT, "the name is taken";
    /// Another workflow has a webhook with this path.
    PathTaken, "path_taken", CONFLICT, "the path of a webhook is taken";
    /// The workflow was changed since the version that the client had read.
    VersionConflict, "version_conflict", CONFLICT, "the workflow was changed meanwhile";
    /// The trigger, or its workflow, is switched off.
    TriggerDisabled, "trigger_disabled", CONFLICT, "the trigger is switched off";
    /// The body of a delivery was not kept, or its trigger is gone.
    NotResendable, "not_resendable", CONFLICT, "the delivery cannot be sent again";
    /// The trigger needs no secret.
    NoSecretNeeded, "no_secret_needed", CONFLICT, "the trigger needs no secret";
    /// An execution was started for this before.
    AlreadyStarted, "already_started", CONFLICT, "the same was started before";
    /// The workflow is switched off.
    WorkflowInactive, "workflow_inactive", CONFLICT, "the workflow is inactive";
    /// The execution is over.
    ExecutionEnded, "execution_ended", CONFLICT, "the execution has ended";
    /// The question was answered before, or lapsed.
    AlreadyDecided, "already_decided", CONFLICT, "this was decided before";
    /// The question is not the one that was shown.
    ApprovalChanged, "approval_changed", CONFLICT, "the question is another than the one that was shown";
    /// As many reminders, or links, as one question may have.
    TooManyNotices, "too_many_notices", CONFLICT, "there are too many notices or links of this question";
    /// Several questions are open, and the request names none.
    ApprovalAmbiguous, "approval_ambiguous", CONFLICT, "several approvals are open";
    /// This version of the plugin is installed with other bytes.
    PluginVersionTaken, "plugin_version_taken", CONFLICT, "this version of the plugin exists with other bytes";
    /// Unfinished executions need the plugin.
    PluginInUse, "plugin_in_use", CONFLICT, "the plugin is in use";
    /// There are as many of these as the host allows.
    TooMany, "too_many", CONFLICT, "there are too many of these";
    /// The first request with this idempotency key is still being answered.
    RequestInFlight, "request_in_flight", CONFLICT, "the first request with this key is being answered";
    /// The body is larger than the route takes.
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "the body is too large";
    /// The body is of a type or encoding that the route does not take.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "the body's type is not supported";
    /// The request is for another host: its `Host` is not one that this host is known by.
    Misdirected, "misdirected", MISDIRECTED_REQUEST, "this host is not known by that name";
    /// The body is JSON of a wrong shape.
    InvalidFields, "invalid_fields", UNPROCESSABLE_ENTITY, "the body has wrong fields";
    /// The definition has errors.
    InvalidWorkflow, "invalid_workflow", UNPROCESSABLE_ENTITY, "the workflow has errors";
    /// The input does not satisfy the workflow's `input_schema`.
    InvalidInput, "invalid_input", UNPROCESSABLE_ENTITY, "the input does not fit the workflow's input schema";
    /// The first delivery with this id started nothing.
    FailedBefore, "failed_before", UNPROCESSABLE_ENTITY, "the first of these deliveries failed";
    /// The guardrails of the request are wrong, or looser than those they override.
    InvalidGuardrails, "invalid_guardrails", UNPROCESSABLE_ENTITY, "the guardrails are not acceptable";
    /// The decision names no option, or its data does not satisfy the form.
    InvalidDecision, "invalid_decision", UNPROCESSABLE_ENTITY, "the decision is not acceptable";
    /// The uploaded bytes are not a plugin that we accept.
    InvalidPlugin, "invalid_plugin", UNPROCESSABLE_ENTITY, "the plugin is not acceptable";
    /// A plugin would be granted what it does not ask for.
    NotAskedFor, "not_asked_for", UNPROCESSABLE_ENTITY, "the plugin does not ask for all of this";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "the key was used for another request";
    /// Too many attempts failed.
    TooManyAttempts, "too_many_attempts", TOO_MANY_REQUESTS, "too many attempts failed";
    /// The workflow whose output was asked for did not complete.
    WorkflowFailed, "workflow_failed", BAD_GATEWAY, "the workflow did not complete";
    /// A fault of the host.
    Internal, "internal", INTERNAL_SERVER_ERROR, "the host made a mistake";
    /// The host starts, stops or is out of a resource for the moment.
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "the host cannot answer at the moment";
    /// As many event streams are open as the host allows.
    TooManyStreams, "too_many_streams", SERVICE_UNAVAILABLE, "too many event streams are open";
    /// The disk is full.
    StorageFull, "storage_full", INSUFFICIENT_STORAGE, "the host's disk is full";
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the body; empty for the whole of it.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The step it is about, in workflow definitions.
    pub step_id: Option<String>,
    /// What kind of problem; stable, for programs.
    pub code: String,
}

impl FieldProblem {
    /// A problem with a field of a request.
    #[must_use]
    pub fn new(field: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), step_id: None, code: code.into() }
    }
}

impl From<Diagnostic> for FieldProblem {
    fn from(found: Diagnostic) -> Self {
        let code = serde_json::to_value(found.code).ok().and_then(|code| code.as_str().map(str::to_owned));
        Self { field: found.field, message: found.message, step_id: found.step_id, code: code.unwrap_or_default() }
    }
}

/// The body of every answer that is not a success (RFC 9457, `application/problem+json`).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the code as a URI: `urn:weir:problem:CODE`.
    pub r#type: String,
    /// The kind of problem in a few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem; stable, for programs.
    pub code: Code,
    /// What was attempted, on what, and what to do.
    pub detail: String,
    /// Names this request in the host's log.
    pub request_id: String,
    /// Everything that is wrong with the body, not only the first thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// What should be looked at though it is no error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<FieldProblem>,
    /// Facts for programs: the first decision, the open approvals, …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
}

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    detail: String,
    errors: Vec<FieldProblem>,
    warnings: Vec<FieldProblem>,
    details: Option<Value>,
    allow: Option<String>,
    retry_after: Option<Duration>,
    source: Option<anyhow::Error>,
}

impl ApiError {
    /// An error with a sentence for people: a lowercase fragment that says what to do.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            warnings: Vec::new(),
            details: None,
            allow: None,
            retry_after: None,
            source: None,
        }))
    }

    /// A fault of the host; `source` goes to the log, never to the client.
    #[must_use]
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::Internal, "the host's log tells more under this request's id");
        error.0.source = Some(source.into());
        error
    }

    /// A wrong query parameter.
    #[must_use]
    pub fn query(name: &str, message: impl Into<String>) -> Self {
        let problem = FieldProblem::new(name, "invalid_value", message);
        Self::new(Code::InvalidQuery, format!("the query parameter {name:?} is not acceptable: {}", problem.message))
            .with_errors(vec![problem])
    }

    /// The same error with every single problem.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same error with what is no error but should be looked at.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<FieldProblem>) -> Self {
        self.0.warnings = warnings;
        self
    }

    /// The same error with facts for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The same error with the methods that the path has.
    #[must_use]
    pub fn with_allow(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.0.allow = Some(methods.into_iter().map(|method| method.to_string()).collect::<Vec<_>>().join(", "));
        self
    }

    /// The same error with how long to wait before the next attempt.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same error with what caused it, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What was attempted, on what, and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What kind of problem.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    fn log(&self, id: &str) {
        let Some(source) = &self.0.source else { return };
        let code = self.0.code.as_str();
        if self.status().is_server_error() {
            tracing::error!(request.id = id, problem.code = code, "request {id} failed: {source:#}");
        } else {
            tracing::debug!(request.id = id, problem.code = code, "request {id} refused: {source:#}");
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let id = RequestId::next();
        self.log(id.as_str());
        let Inner { code, detail, errors, warnings, details, allow, retry_after, source: _ } = *self.0;
        let status = code.status();
        let problem = Problem {
            r#type: format!("urn:weir:problem:{}", code.as_str()),
            title: code.title(),
            status: status.as_u16(),
            code,
            detail,
            request_id: id.as_str().to_owned(),
            errors,
            warnings,
            details,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.extensions_mut().insert(code);
        add_headers(response.headers_mut(), code, allow, &id);
        if let Some(wait) = retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn add_headers(headers: &mut axum::http::HeaderMap, code: Code, allow: Option<String>, id: &RequestId) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(RequestId::HEADER, id.value());
    if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    match code.status() {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What is left of the body is not read, so the connection cannot be used again.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_serde_spells_them() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
