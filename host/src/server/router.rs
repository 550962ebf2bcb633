//! The table of contents: every route of the product, one line each.

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use super::{
    App, no_method, no_route,
    routes::{approvals, executions, health, plugins, schema, triggers, workflows},
};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        /// Every route: its method in lower case, and its path.
        pub const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn table() -> Router<App> {
            Router::new()$(.route($path, $method($handler)))*
        }
    };
}

#[rustfmt::skip]
routes! {
    get    "/healthz"                                => health::alive;
    get    "/readyz"                                 => health::ready;
    get    "/api/openapi.json"                       => schema::openapi;
    get    "/api/schema/workflow"                    => schema::workflow;

    get    "/api/workflows"                          => workflows::list;
    post   "/api/workflows"                          => workflows::create;
    post   "/api/workflows/validate"                 => workflows::validate;
    get    "/api/workflows/{workflow}"               => workflows::show;
    put    "/api/workflows/{workflow}"               => workflows::update;
    delete "/api/workflows/{workflow}"               => workflows::delete;
    get    "/api/workflows/{workflow}/versions"      => workflows::versions;
    get    "/api/workflows/{workflow}/versions/{version}" => workflows::version;
    post   "/api/workflows/{workflow}/execute"       => executions::execute;
    get    "/api/workflows/{workflow}/executions"    => executions::list_of_workflow;

    get    "/api/executions"                         => executions::list;
    get    "/api/executions/{execution}"             => executions::show;
    get    "/api/executions/{execution}/steps"       => executions::steps;
    get    "/api/executions/{execution}/events"      => executions::events;
    post   "/api/executions/{execution}/cancel"      => executions::cancel;
    get    "/api/executions/{execution}/approvals"   => approvals::list_of_execution;
    post   "/api/executions/{execution}/approve"     => approvals::approve;
    get    "/api/approvals"                          => approvals::list;

    get    "/api/triggers"                           => triggers::list;
    get    "/api/triggers/{trigger}"                 => triggers::show;
    post   "/api/triggers/{trigger}/enable"          => triggers::enable;
    post   "/api/triggers/{trigger}/disable"         => triggers::disable;
    post   "/api/triggers/{trigger}/fire"            => triggers::fire;
    get    "/api/triggers/{trigger}/occurrences"     => triggers::occurrences;
    get    "/api/triggers/{trigger}/next"            => triggers::next;

    get    "/api/plugins"                            => plugins::list;
    post   "/api/plugins"                            => plugins::upload;
    get    "/api/plugins/{plugin}"                   => plugins::show;
    delete "/api/plugins/{plugin}"                   => plugins::delete;
    post   "/api/plugins/{plugin}/enable"            => plugins::enable;
    post   "/api/plugins/{plugin}/disable"           => plugins::disable;
    post   "/api/plugins/{plugin}/tools/{tool}/try"  => plugins::try_tool;
}

/// All routes over `app`; what leads nowhere is answered with a problem.
pub fn router(app: App) -> Router {
    table().fallback(no_route).method_not_allowed_fallback(no_method).with_state(app)
}
