//! The API's own description, made from the handlers: OpenAPI 3.1.

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    error::{Code, Problem},
    live::EventView,
    router::{Access, ROUTES},
    routes::{
        agents, approval_acts, approval_links, approvals, audit, budgets, deliveries, events, executions, grants,
        health, links, metrics, models, notices, plugins, schema, secrets, session, tokens, transcripts, triggers,
        users, webhooks, workflows,
    },
    view::Page,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Weir", description = "Runs workflows whose tools and agents are sandboxed WebAssembly components."),
    paths(
        health::alive, health::ready, metrics::show, schema::openapi, schema::workflow,
        workflows::list, workflows::create, workflows::validate, workflows::show, workflows::update, workflows::delete,
        workflows::versions, workflows::version,
        executions::execute, executions::list_of_workflow, executions::list, executions::show, executions::steps,
        transcripts::show, executions::events, executions::cancel,
        approvals::list, approvals::list_of_execution, approvals::approve, approvals::show, approvals::approve_one,
        approval_acts::reassign, approval_acts::remind, approval_acts::link, approval_links::list, approval_links::revoke, links::show, links::decide,
        notices::list, notices::retry,
        triggers::list, triggers::show, triggers::enable, triggers::disable, triggers::fire, triggers::occurrences,
        triggers::next,
        webhooks::receive, deliveries::list, deliveries::show, deliveries::resend, deliveries::secrets,
        deliveries::add_secret, deliveries::delete_secret,
        events::list, events::send, events::show,
        plugins::list, plugins::upload, plugins::show, plugins::delete, plugins::enable, plugins::disable,
        plugins::try_tool, grants::list, grants::decide,
        secrets::list, secrets::set, secrets::delete,
        models::list, models::try_model, budgets::list, budgets::show, budgets::set, budgets::delete,
        session::create, session::show, session::delete, session::change_password, tokens::list, tokens::create, tokens::revoke,
        users::list, users::create, users::update, users::delete, users::set_password, audit::list, audit::verify,
        agents::workflows, agents::create_workflow, agents::workflow, agents::update_workflow, agents::delete_workflow,
        agents::execute, agents::executions_of_workflow, agents::execution, agents::steps, agents::stop, agents::approve,
        agents::webhook,
    ),
    components(schemas(Problem, Code, Page<EventView>)),
    tags(
        (name = "workflows", description = "what to run"),
        (name = "executions", description = "what runs and ran"),
        (name = "approvals", description = "what people are asked"),
        (name = "triggers", description = "what starts workflows by itself"),
        (name = "webhooks", description = "what comes in from outside, and what proves where it comes from"),
        (name = "events", description = "what happened elsewhere, and here, and starts workflows"),
        (name = "plugins", description = "tools and agents"),
        (name = "secrets", description = "what plugins and models prove themselves with elsewhere"),
        (name = "models", description = "language models"),
        (name = "budgets", description = "what many executions share for a while"),
        (name = "identity", description = "who may ask, and what they may do"),
        (name = "audit", description = "what was done, refused and failed"),
        (name = "agents", description = "the predecessor's API, for clients that exist"),
        (name = "host", description = "the host itself"),
    ),
    modifiers(&Security, &Problems),
)]
struct Api;

const SCHEME: &str = "token";
const PROBLEM_JSON: &str = "application/problem+json";

/// Everything needs the token but what says otherwise.
struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "a token from `POST /api/tokens`, or the admin token: the file `admin-token` in the host's data directory",
        ));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme.build()));
        for (path, operation) in operations(api) {
            if !is_public(&path) {
                operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
            }
        }
    }
}

/// The problems that follow from what an operation takes.
struct Problems;

impl Modify for Problems {
    fn modify(&self, api: &mut openapi::OpenApi) {
        for (path, operation) in operations(api) {
            let has_body = operation.request_body.is_some();
            let rows = [
                ("400", "the query or the body cannot be read", has_body || has_query(operation)),
                ("401", "no token, or a wrong one", !is_public(&path)),
                ("403", "the role that this needs is missing", !is_public(&path)),
                ("404", "what the path names does not exist", path.contains('{')),
                ("413", "the body is too large", has_body),
                ("415", "the body's type is not supported", has_body),
                ("422", "the body is not acceptable; `errors` lists everything that is wrong", has_body),
                ("500", "a fault of the host", !is_public(&path)),
                ("503", "the host cannot answer at the moment", !is_public(&path) || path == "/readyz"),
            ];
            for (status, description, applies) in rows {
                if applies && !operation.responses.responses.contains_key(status) {
                    operation.responses.responses.insert(status.to_owned(), problem(description).into());
                }
            }
        }
    }
}

fn has_query(operation: &Operation) -> bool {
    use openapi::path::ParameterIn;
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => matches!(parameter.parameter_in, ParameterIn::Query | ParameterIn::Header),
        RefOr::Ref(_) => false,
    })
}

fn problem(description: &str) -> openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()
}

fn is_public(path: &str) -> bool {
    // Paths are public as a whole, or for a method that signs in.
    ROUTES.iter().filter(|route| route.described() == path).all(|route| !matches!(route.access, Access::Needs(_)))
}

/// Every operation with its path.
fn operations(api: &mut openapi::OpenApi) -> impl Iterator<Item = (String, &mut Operation)> {
    api.paths.paths.iter_mut().flat_map(|(path, item)| {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        all.into_iter().flatten().map(|operation| (path.clone(), operation))
    })
}

/// The document, as it is checked in and served.
pub fn document() -> String {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The document as it is served.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().into());
    TEXT.clone()
}
