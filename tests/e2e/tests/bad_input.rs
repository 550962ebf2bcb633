//! Bad input of every kind gets a clear refusal with all problems, and nothing is half stored.

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Api, Data};

use crate::sample;

/// One request that must be refused.
struct Case {
    about: &'static str,
    method: Method,
    path: String,
    kind: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// JSON pointers that the problem must name, all of them.
    fields: &'static [&'static str],
}

const JSON: &str = "application/json";

impl Case {
    fn new(about: &'static str, method: Method, path: &str, status: u16, code: &'static str) -> Self {
        Self { about, method, path: path.to_owned(), kind: "", body: Vec::new(), status, code, fields: &[] }
    }

    fn post(about: &'static str, path: &str, status: u16, code: &'static str, body: &Value) -> Self {
        Self { kind: JSON, body: body.to_string().into(), ..Self::new(about, Method::POST, path, status, code) }
    }

    fn bytes(mut self, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        (self.kind, self.body) = (kind, body.into());
        self
    }

    fn naming(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    async fn check(self, api: &Api) -> Result<()> {
        let answer = api.send(self.method, &self.path, self.kind, self.body).await?;
        let problem = answer.refused(self.status, self.code)?;
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        for field in self.fields {
            let named =
                errors.iter().any(|error| error["field"].as_str().is_some_and(|found| found.starts_with(field)));
            ensure!(named, "{field} is not named: {problem}");
        }
        ensure!(errors.iter().all(|e| e["message"].as_str().is_some_and(|m| !m.is_empty())), "no words: {problem}");
        Ok(())
    }
}

/// Everything that could be half stored.
async fn stored(api: &Api) -> Result<Value> {
    let mut all = json!({});
    for path in ["/api/workflows", "/api/executions", "/api/plugins", "/api/approvals"] {
        // Plugins come as one page.
        all[path] = if path == "/api/plugins" { api.get(path).await? } else { api.all(path).await?.into() };
    }
    let versions = api.all("/api/workflows/asking/versions").await?;
    all["versions"] = versions.into();
    Ok(all)
}

#[tokio::test]
async fn bad_input_is_refused_and_leaves_nothing() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    let api = &host.api;
    api.post("/api/workflows", &sample::asking()).await?;
    let mut strict = sample::chain();
    strict["input_schema"] = json!({ "type": "object", "required": ["n", "who"],
        "properties": { "n": { "type": "integer" }, "who": { "type": "string", "maxLength": 3 } } });
    strict["name"] = "strict".into();
    api.post("/api/workflows", &strict).await?;
    let mut inactive = sample::asking();
    (inactive["name"], inactive["active"]) = ("inactive".into(), false.into());
    api.post("/api/workflows", &inactive).await?;
    let accepted = api.post("/api/workflows/asking/execute", &json!({ "input_data": { "n": 1 } })).await?;
    let open = accepted["execution_id"].as_str().context("an answer without an id")?.to_owned();
    api.asked(&open).await?;

    let before = stored(api).await?;
    let cases = definitions()
        .into_iter()
        .chain(saves())
        .chain(starts())
        .chain(answers(&open))
        .chain(plugins())
        .chain(odd_requests());
    let mut count = 0;
    for case in cases {
        let about = case.about;
        case.check(api).await.with_context(|| format!("on {about}"))?;
        count += 1;
    }
    let after = stored(api).await?;
    ensure!(before == after, "something was half stored: {before}\n{after}");
    eprintln!("bad input: {count} requests refused");
    let stranger = Api::new(&api.url, "wrong");
    for path in ["/api/workflows", "/api/executions", "/api/plugins", "/api/approvals", "/nowhere"] {
        stranger.ask(Method::GET, path).await?.refused(401, "unauthorized").with_context(|| path.to_owned())?;
    }
    ensure!(!data.said()?.contains("panicked"), "the host panicked: {}", data.said()?);
    Ok(())
}

fn definitions() -> Vec<Case> {
    let to = "/api/workflows";
    let save = |about, body: Value| Case::post(about, to, 422, "invalid_workflow", &body);
    let step = |step: Value| json!({ "name": "x", "steps": [step] });
    let tool = |id: &str| json!({ "id": id, "type": "tool", "tool": "echo.run" });
    let many: Vec<Value> = (0..1_000).map(|n| tool(&format!("s{n}"))).collect();
    vec![
        save("no name and no steps", json!({})).naming(&["/name", "/steps"]),
        save("no steps", json!({ "name": "x", "steps": [] })).naming(&["/steps"]),
        save("an empty name", json!({ "name": "", "steps": [tool("a")] })).naming(&["/name"]),
        save("a name that is too long", json!({ "name": "x".repeat(129), "steps": [tool("a")] })).naming(&["/name"]),
        save("a number as definition", json!(1)),
        save("a list as definition", json!([])),
        save(
            "several wrong steps",
            json!({ "name": "x", "steps": [
            { "id": "a", "type": "tool" }, { "id": "a", "type": "teleport" }, { "type": "tool", "tool": "echo.run" },
            { "id": "1x", "type": "agent", "agent": "none.none" },
            { "id": "c", "type": "condition", "condition": { "field": "$.a", "operator": "almost", "value": 1 } },
        ] }),
        )
        .naming(&["/steps/0", "/steps/1", "/steps/2", "/steps/3", "/steps/4"]),
        save("an unknown tool", step(json!({ "id": "a", "type": "tool", "tool": "echo.rnu" })))
            .naming(&["/steps/0/tool"]),
        save("a jump to nowhere", step(json!({ "id": "a", "type": "tool", "tool": "echo.run", "next_step": "b" })))
            .naming(&["/steps/0/next_step"]),
        save("a reserved id", step(json!({ "id": "input", "type": "tool", "tool": "echo.run" })))
            .naming(&["/steps/0/id"]),
        save(
            "a broken reference",
            step(json!({ "id": "a", "type": "tool", "tool": "echo.run", "tool_args": { "x": "$.a[" } })),
        )
        .naming(&["/steps/0/tool_args/x"]),
        save(
            "a reference of 1,000 parentheses",
            step(json!({ "id": "a", "type": "tool", "tool": "echo.run",
            "tool_args": { "x": format!("$[?{}@.a{}]", "(".repeat(1_000), ")".repeat(1_000)) } })),
        )
        .naming(&["/steps/0/tool_args/x"]),
        save(
            "a wrong guardrail",
            json!({ "name": "x", "guardrails": { "timeout_seconds": -1, "max_steps": "many" }, "steps": [tool("a")] }),
        )
        .naming(&["/guardrails/timeout_seconds", "/guardrails/max_steps"]),
        save("too many steps", json!({ "name": "x", "steps": many })),
        save(
            "an input schema that is none",
            json!({ "name": "x", "input_schema": { "type": "sausage" }, "steps": [tool("a")] }),
        )
        .naming(&["/input_schema"]),
    ]
}

/// Bodies that are refused before anybody asks what they mean, and definitions that come at the wrong time.
fn saves() -> Vec<Case> {
    let to = "/api/workflows";
    let deep = (0..60).fold(json!({ "id": "in", "type": "tool", "tool": "echo.run" }), |inner, n| {
        json!({ "id": format!("l{n}"), "type": "loop", "loop_config": { "items_path": "$.input", "steps": [inner] } })
    });
    vec![
        Case::post("too much nesting", to, 400, "invalid_body", &json!({ "name": "x", "steps": [deep] })),
        Case::post("a taken name", to, 409, "name_taken", &sample::asking()),
        Case::new("JSON that breaks off", Method::POST, to, 400, "invalid_body").bytes(JSON, &b"{\"name\": "[..]),
        Case::new("text that is no UTF-8", Method::POST, to, 400, "invalid_body")
            .bytes(JSON, &b"{\"name\": \"\xff\"}"[..]),
        Case::new("a member twice", Method::POST, to, 400, "invalid_body")
            .bytes(JSON, &b"{\"name\": \"a\", \"name\": \"b\"}"[..]),
        Case::new("deep nesting", Method::POST, to, 400, "invalid_body").bytes(JSON, "[".repeat(10_000)),
        Case::new("broken YAML", Method::POST, to, 400, "invalid_body").bytes("application/yaml", &b"name: [x"[..]),
        Case::new("YAML that multiplies", Method::POST, to, 400, "invalid_body").bytes("application/yaml", laughs()),
        Case::new("more than 1 MiB", Method::POST, to, 413, "body_too_large").bytes(JSON, vec![b' '; 1024 * 1024 + 1]),
        Case::new("a form", Method::POST, to, 415, "unsupported_media_type")
            .bytes("application/x-www-form-urlencoded", &b"name=x"[..]),
        Case::new("an update of nothing", Method::PUT, "/api/workflows/none", 404, "workflow_not_found")
            .bytes(JSON, sample::chain().to_string()),
        Case::new("an update with errors", Method::PUT, "/api/workflows/asking", 422, "invalid_workflow")
            .bytes(JSON, &b"{\"name\": \"asking\", \"steps\": []}"[..]),
        Case::new(
            "an update of another version",
            Method::PUT,
            "/api/workflows/asking?expected_version=7",
            409,
            "version_conflict",
        )
        .bytes(JSON, sample::asking().to_string()),
        Case::new("a deletion of nothing", Method::DELETE, "/api/workflows/none", 404, "workflow_not_found"),
    ]
}

/// Aliases of aliases of aliases.
fn laughs() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{list}]\n"));
    }
    text
}

fn starts() -> Vec<Case> {
    let strict = "/api/workflows/strict/execute";
    let asking = "/api/workflows/asking/execute";
    vec![
        Case::post("no such workflow", "/api/workflows/none/execute", 404, "workflow_not_found", &json!({})),
        Case::post("an inactive workflow", "/api/workflows/inactive/execute", 409, "workflow_inactive", &json!({})),
        Case::post(
            "an input with two problems",
            strict,
            422,
            "invalid_input",
            &json!({ "input_data": { "n": "x", "who": "long" } }),
        )
        .naming(&["/input_data/n", "/input_data/who"]),
        Case::post("no input", strict, 422, "invalid_input", &json!({})).naming(&["/input_data"]),
        Case::post("an unknown member", asking, 422, "invalid_fields", &json!({ "input": {} })),
        Case::post("a list as body", asking, 422, "invalid_fields", &json!([])),
        Case::post(
            "wrong guardrails",
            asking,
            422,
            "invalid_guardrails",
            &json!({ "guardrails": { "max_steps": -1, "timeout_seconds": "long", "wishes": 3 } }),
        )
        .naming(&["/guardrails/max_steps", "/guardrails/timeout_seconds", "/guardrails/wishes"]),
        Case::post("guardrails that are none", asking, 422, "invalid_guardrails", &json!({ "guardrails": 1 })),
        Case::post("too long a wait", &format!("{asking}?wait=61"), 400, "invalid_query", &json!({})),
        Case::post("a wait that is no number", &format!("{asking}?wait=NaN"), 400, "invalid_query", &json!({})),
        Case::post("an unknown parameter", &format!("{asking}?await=1"), 400, "invalid_query", &json!({})),
        Case::new("JSON that breaks off", Method::POST, asking, 400, "invalid_body")
            .bytes(JSON, &b"{\"input_data\": {"[..]),
        Case::new("no content type", Method::POST, asking, 415, "unsupported_media_type").bytes("", &b"{}"[..]),
        Case::new("half a surrogate", Method::POST, asking, 400, "invalid_body")
            .bytes(JSON, &br#"{"input_data": "\ud800"}"#[..]),
    ]
}

fn answers(open: &str) -> Vec<Case> {
    let approve = format!("/api/executions/{open}/approve");
    let none = "/api/executions/019a0000-0000-7000-8000-000000000000";
    vec![
        Case::post("an option that is none", &approve, 422, "invalid_decision", &json!({ "option_id": "perhaps" })),
        Case::post("no option", &approve, 422, "invalid_decision", &json!({})),
        Case::post(
            "another question",
            &approve,
            404,
            "approval_not_found",
            &json!({ "option_id": "yes", "approval_id": 999 }),
        ),
        Case::post(
            "a negative question",
            &approve,
            422,
            "invalid_fields",
            &json!({ "option_id": "yes", "approval_id": -1 }),
        ),
        Case::post("a number as option", &approve, 422, "invalid_fields", &json!({ "option_id": 1 })),
        Case::post("an unknown member", &approve, 422, "invalid_fields", &json!({ "option": "yes" })),
        Case::post(
            "no such execution",
            &format!("{none}/approve"),
            404,
            "execution_not_found",
            &json!({ "option_id": "yes" }),
        ),
        Case::post("a cancel of nothing", &format!("{none}/cancel"), 404, "execution_not_found", &json!({})),
        Case::post(
            "a wrong reason",
            &format!("/api/executions/{open}/cancel"),
            422,
            "invalid_fields",
            &json!({ "reason": 1 }),
        ),
        Case::new("an id that is none", Method::GET, "/api/executions/1", 404, "execution_not_found"),
        Case::new("a path as id", Method::GET, "/api/executions/..%2f..%2fetc%2fpasswd", 404, "execution_not_found"),
        Case::new("events of nothing", Method::GET, &format!("{none}/events"), 404, "execution_not_found"),
        Case::new(
            "a format that is none",
            Method::GET,
            &format!("/api/executions/{open}/events?format=xml"),
            400,
            "invalid_query",
        ),
    ]
}

fn plugins() -> Vec<Case> {
    let upload = |about, status, code, body: &[u8]| {
        Case::new(about, Method::POST, "/api/plugins", status, code).bytes("application/wasm", body)
    };
    vec![
        upload("nothing", 422, "invalid_plugin", b""),
        upload("only the magic", 422, "invalid_plugin", b"\0asm"),
        upload("a module", 422, "invalid_plugin", b"\0asm\x01\0\0\0"),
        upload("an empty component", 422, "invalid_plugin", b"\0asm\x0d\0\x01\0"),
        upload("text", 422, "invalid_plugin", b"(component)"),
        upload("a program", 422, "invalid_plugin", b"\x7fELF\x02\x01\x01"),
        upload("a zip archive", 422, "invalid_plugin", b"PK\x03\x04"),
        Case::new("JSON", Method::POST, "/api/plugins", 415, "unsupported_media_type").bytes(JSON, &b"{}"[..]),
        Case::new("no such plugin", Method::GET, "/api/plugins/none", 404, "plugin_not_found"),
        Case::new("no such version", Method::GET, "/api/plugins/echo?version=9.9.9", 404, "plugin_not_found"),
        Case::new("a deletion of nothing", Method::DELETE, "/api/plugins/none", 404, "plugin_not_found"),
        Case::post("no such tool", "/api/plugins/echo/tools/none/try", 404, "plugin_not_found", &json!({})),
        Case::post(
            "an unknown member",
            "/api/plugins/echo/tools/run/try",
            422,
            "invalid_fields",
            &json!({ "inputs": 1 }),
        ),
    ]
}

fn odd_requests() -> Vec<Case> {
    vec![
        Case::new("no such path", Method::GET, "/api/nothing", 404, "route_not_found"),
        Case::new("no such method", Method::PATCH, "/api/workflows", 405, "method_not_allowed"),
        Case::new("an unknown parameter", Method::GET, "/api/executions?sort=id", 400, "invalid_query"),
        Case::new("a parameter twice", Method::GET, "/api/executions?limit=1&limit=2", 400, "invalid_query"),
        Case::new("a limit of nothing", Method::GET, "/api/executions?limit=0", 400, "invalid_query"),
        Case::new("too large a limit", Method::GET, "/api/workflows?limit=100000", 400, "invalid_query"),
        Case::new(
            "a cursor that is none",
            Method::GET,
            "/api/executions?cursor=%27%20OR%201=1--",
            400,
            "invalid_query",
        ),
        Case::new("a status that is none", Method::GET, "/api/executions?status=great", 400, "invalid_query"),
        Case::new("a time that is none", Method::GET, "/api/executions?since=yesterday", 400, "invalid_query"),
        Case::new("an order that is none", Method::GET, "/api/workflows?order=random", 400, "invalid_query"),
    ]
}
