//! The table of contents: every route of the product, one line each, with who may use it and what it does.
//!
//! A line is: method, who may (`Open` to everyone at all times, `Public` once the host is ready, or a role), path, handler,
//! and for every method but GET the act that the audit log names, or `reads` for one that changes nothing. A line that
//! lacks one of them does not build.

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use super::{
    App,
    gate::Gate,
    no_method, no_route,
    routes::{
        agents, approval_acts, approval_links, approvals, audit, budgets, deliveries, events, executions, grants,
        health, links, metrics, models, notices, plugins, schema, secrets, session, tokens, transcripts, triggers,
        users, webhooks, workflows,
    },
};
use crate::identity::Role;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone, also while the host starts.
    Open,
    /// Everyone, once the host is ready; the handler looks at the request itself.
    Public,
    /// Who has this role.
    Needs(Role),
}

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// In lower case.
    pub method: &'static str,
    /// With its names in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, as the audit log names it; `None` where it only reads.
    pub act: Option<&'static str>,
}

impl Route {
    /// The path as the API's description has it, where a name that holds slashes looks like any other.
    #[must_use]
    pub fn described(&self) -> String {
        self.path.replace("{*", "{")
    }
}

macro_rules! access {
    (Open) => {
        Access::Open
    };
    (Public) => {
        Access::Public
    };
    ($role:ident) => {
        Access::Needs(Role::$role)
    };
}

macro_rules! act {
    (get) => {
        None
    };
    ($method:ident reads) => {
        None
    };
    (get $act:literal) => {
        compile_error!("a GET changes nothing")
    };
    ($method:ident $act:literal) => {
        Some($act)
    };
    ($method:ident) => {
        compile_error!("this route needs an act for the audit log, or `reads`")
    };
}

macro_rules! routes {
    ($($method:ident $access:ident $path:literal => $handler:path $(, $act:tt)?;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            access: access!($access),
            act: act!($method $($act)?),
        }),*];

        fn table(app: &App) -> Router<App> {
            let mut rows = ROUTES.iter();
            let mut router = Router::new();
            $(if let Some(route) = rows.next() {
                router = router.route($path, $method($handler).route_layer(Gate::new(app, route)));
            })*
            router
        }
    };
}

#[rustfmt::skip]
routes! {
    get    Open     "/healthz"                                            => health::alive;
    get    Open     "/readyz"                                             => health::ready;
    get    Viewer   "/metrics"                                            => metrics::show;
    get    Open     "/api/openapi.json"                                   => schema::openapi;
    get    Viewer   "/api/schema/workflow"                                => schema::workflow;

    get    Viewer   "/api/workflows"                                      => workflows::list;
    post   Author   "/api/workflows"                                      => workflows::create, "workflow.create";
    post   Viewer   "/api/workflows/validate"                             => workflows::validate, reads;
    get    Viewer   "/api/workflows/{workflow}"                           => workflows::show;
    put    Author   "/api/workflows/{workflow}"                           => workflows::update, "workflow.update";
    delete Author   "/api/workflows/{workflow}"                           => workflows::delete, "workflow.delete";
    get    Viewer   "/api/workflows/{workflow}/versions"                  => workflows::versions;
    get    Viewer   "/api/workflows/{workflow}/versions/{version}"        => workflows::version;
    post   Operator "/api/workflows/{workflow}/execute"                   => executions::execute, "execution.start";
    get    Viewer   "/api/workflows/{workflow}/executions"                => executions::list_of_workflow;

    get    Viewer   "/api/executions"                                     => executions::list;
    get    Viewer   "/api/executions/{execution}"                         => executions::show;
    get    Viewer   "/api/executions/{execution}/steps"                   => executions::steps;
    get    Viewer   "/api/executions/{execution}/steps/{step}/transcript" => transcripts::show;
    get    Viewer   "/api/executions/{execution}/events"                  => executions::events;
    post   Operator "/api/executions/{execution}/cancel"                  => executions::cancel, "execution.cancel";
    get    Viewer   "/api/executions/{execution}/approvals"               => approvals::list_of_execution;
    post   Approver "/api/executions/{execution}/approve"                 => approvals::approve, "approval.decide";
    get    Viewer   "/api/approvals"                                      => approvals::list;
    get    Viewer   "/api/approvals/{approval}"                           => approvals::show;
    post   Approver "/api/approvals/{approval}/approve"                   => approvals::approve_one, "approval.decide";
    post   Approver "/api/approvals/{approval}/reassign"                  => approval_acts::reassign, "approval.reassign";
    post   Approver "/api/approvals/{approval}/remind"                    => approval_acts::remind, "approval.remind";
    post   Approver "/api/approvals/{approval}/links"                     => approval_acts::link, "approval.link";
    get    Viewer   "/api/approvals/{approval}/links"                     => approval_links::list;
    delete Approver "/api/approvals/{approval}/links/{link}"              => approval_links::revoke, "approval.revoke_link";
    get    Viewer   "/api/notices"                                        => notices::list;
    post   Operator "/api/notices/{notice}/retry"                         => notices::retry, "notice.retry";
    get    Public   "/approve/{token}"                                    => links::show;
    post   Public   "/approve/{token}"                                    => links::decide, "approval.decide";

    get    Viewer   "/api/triggers"                                       => triggers::list;
    get    Viewer   "/api/triggers/{trigger}"                             => triggers::show;
    post   Author   "/api/triggers/{trigger}/enable"                      => triggers::enable, "trigger.enable";
    post   Author   "/api/triggers/{trigger}/disable"                     => triggers::disable, "trigger.disable";
    post   Operator "/api/triggers/{trigger}/fire"                        => triggers::fire, "trigger.fire";
    get    Viewer   "/api/triggers/{trigger}/occurrences"                 => triggers::occurrences;
    get    Viewer   "/api/triggers/{trigger}/next"                        => triggers::next;

    get    Viewer   "/api/triggers/{trigger}/deliveries"                  => deliveries::list;
    get    Viewer   "/api/deliveries/{delivery}"                          => deliveries::show;
    post   Operator "/api/deliveries/{delivery}/resend"                   => deliveries::resend, "delivery.resend";
    get    Author   "/api/triggers/{trigger}/secrets"                     => deliveries::secrets;
    post   Author   "/api/triggers/{trigger}/secrets"                     => deliveries::add_secret, "secret.add";
    delete Author   "/api/triggers/{trigger}/secrets/{secret}"            => deliveries::delete_secret, "secret.delete";
    post   Public   "/webhooks/{*path}"                                   => webhooks::receive, reads;

    get    Viewer   "/api/events"                                         => events::list;
    post   Operator "/api/events"                                         => events::send, "event.send";
    get    Viewer   "/api/events/{seq}"                                   => events::show;

    get    Viewer   "/api/plugins"                                        => plugins::list;
    post   Admin    "/api/plugins"                                        => plugins::upload, "plugin.install";
    get    Viewer   "/api/plugins/{plugin}"                               => plugins::show;
    delete Admin    "/api/plugins/{plugin}"                               => plugins::delete, "plugin.delete";
    post   Admin    "/api/plugins/{plugin}/enable"                        => plugins::enable, "plugin.enable";
    post   Admin    "/api/plugins/{plugin}/disable"                       => plugins::disable, "plugin.disable";
    get    Viewer   "/api/plugins/{plugin}/grants"                        => grants::list;
    put    Admin    "/api/plugins/{plugin}/grants"                        => grants::decide, "plugin.grant";
    post   Author   "/api/plugins/{plugin}/tools/{tool}/try"              => plugins::try_tool, "plugin.try";

    get    Admin    "/api/secrets"                                        => secrets::list;
    put    Admin    "/api/secrets/{secret}"                               => secrets::set, "secret.set";
    delete Admin    "/api/secrets/{secret}"                               => secrets::delete, "secret.delete";
    get    Viewer   "/api/models"                                         => models::list;
    post   Admin    "/api/models/{alias}/try"                             => models::try_model, "model.try";
    get    Viewer   "/api/budgets"                                        => budgets::list;
    get    Viewer   "/api/budgets/{budget}"                               => budgets::show;
    put    Admin    "/api/budgets/{budget}"                               => budgets::set, "budget.set";
    delete Admin    "/api/budgets/{budget}"                               => budgets::delete, "budget.delete";

    post   Public   "/api/session"                                        => session::create, "session.create";
    get    Viewer   "/api/session"                                        => session::show;
    delete Viewer   "/api/session"                                        => session::delete, "session.delete";
    post   Viewer   "/api/session/password"                               => session::change_password, "user.change_password";
    get    Admin    "/api/tokens"                                         => tokens::list;
    post   Admin    "/api/tokens"                                         => tokens::create, "token.create";
    delete Admin    "/api/tokens/{token}"                                 => tokens::revoke, "token.revoke";
    get    Admin    "/api/users"                                          => users::list;
    post   Admin    "/api/users"                                          => users::create, "user.create";
    put    Admin    "/api/users/{user}"                                   => users::update, "user.update";
    delete Admin    "/api/users/{user}"                                   => users::delete, "user.delete";
    post   Admin    "/api/users/{user}/password"                          => users::set_password, "user.set_password";
    get    Admin    "/api/audit"                                          => audit::list;
    get    Admin    "/api/audit/verify"                                   => audit::verify;

    get    Viewer   "/agents/workflows"                                   => agents::workflows;
    post   Author   "/agents/workflows"                                   => agents::create_workflow, "workflow.create";
    get    Viewer   "/agents/workflows/{workflow}"                        => agents::workflow;
    put    Author   "/agents/workflows/{workflow}"                        => agents::update_workflow, "workflow.update";
    delete Author   "/agents/workflows/{workflow}"                        => agents::delete_workflow, "workflow.delete";
    post   Operator "/agents/workflows/{workflow}/execute"                => agents::execute, "execution.start";
    get    Viewer   "/agents/workflows/{workflow}/executions"             => agents::executions_of_workflow;
    get    Viewer   "/agents/workflows/executions/{execution}"            => agents::execution;
    get    Viewer   "/agents/workflows/executions/{execution}/steps"      => agents::steps;
    post   Operator "/agents/workflows/executions/{execution}/stop"       => agents::stop, "execution.cancel";
    post   Approver "/agents/workflows/executions/{execution}/approve"    => agents::approve, "approval.decide";
    post   Public   "/agents/webhooks/{*path}"                            => agents::webhook, reads;
}

/// All routes over `app`; what leads nowhere is answered with a problem.
pub fn router(app: App) -> Router {
    table(&app).fallback(no_route).method_not_allowed_fallback(no_method).with_state(app)
}
