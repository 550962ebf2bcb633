//! Agents with models and the web, end to end: the predecessor's research workflows against a server of our own, and an
//! agent with tools. The model is a script.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weir_e2e::{Api, Data, Host, program};

/// A search engine and the pages that it finds. It ends with the test.
struct Web {
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Web {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listening for the web")?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answers = service_fn(move |request| async move { answer(address, &request) });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answers),
                );
            }
        });
        Ok(Self { address, server })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The configuration of a host that may reach it, with a script as its model.
    fn config(&self, script: &str) -> String {
        let script = program::workflows().join("scripts").join(script);
        let model = json!({ "provider": "scripted", "script": script });
        json!({ "models": { "default": model }, "egress": { "allow": [self.address.to_string()] } }).to_string()
    }
}

fn answer(address: SocketAddr, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = "Weirs are low dams across rivers, which raise the water a little and let it pass over. ".repeat(6);
    let page = |title: &str, body: &str| {
        let body = format!("<title>{title}</title><body><nav><a href=/imprint>Imprint</a></nav>{body}</body>");
        ("text/html; charset=utf-8", body)
    };
    let hit = |path: &str| json!({ "url": format!("http://{address}{path}"), "title": path, "content": "…", "engine": "own" });
    let (kind, body) = match request.uri().path() {
        "/search" => {
            let results = [hit("/weirs"), hit("/list"), hit("/weirs#top"), hit("/gone")];
            ("application/json", json!({ "query": request.uri().query(), "results": results }).to_string())
        }
        "/weirs" => page("Weirs", &format!("<article><h1>Weirs</h1><p>{text}</p></article>")),
        "/list" => {
            ("text/html", "<title>List</title><p>This page only leads on</p><a href=/mills>mills</a>".to_owned())
        }
        "/mills" => page("Mills", "<article><h1>Mills</h1><p>Mills stand beside weirs.</p></article>"),
        _ => return Ok(plain(404, "text/plain", "not here".to_owned())),
    };
    Ok(plain(200, kind, body))
}

fn plain(status: u16, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// A host with a script as its model, and the example workflows saved.
async fn host(data: &Data, web: &Web, script: &str, workflows: &[&str]) -> Result<Host> {
    data.configure(&web.config(script))?;
    let host = data.start().await?;
    for name in workflows {
        let text = std::fs::read(program::workflows().join(name)).with_context(|| format!("reading {name}"))?;
        let kind = if name.ends_with("yaml") { "application/yaml" } else { "application/json" };
        host.api.send(hyper::Method::POST, "/api/workflows", kind, text).await?.good().context("saving it")?;
    }
    Ok(host)
}

async fn run(api: &Api, workflow: &str, input: Value) -> Result<Value> {
    let accepted = api.post(&format!("/api/workflows/{workflow}/execute"), &json!({ "input_data": input })).await?;
    let execution = api.ended(accepted["execution_id"].as_str().context("an answer without an id")?).await?;
    ensure!(execution["status"] == "completed", "{workflow} ended badly: {execution:#}");
    Ok(execution)
}

/// Says where searches go: once, by a workflow, as an operator would.
async fn configure_search(api: &Api, web: &Web) -> Result<()> {
    let step = json!({ "id": "say", "type": "tool", "tool": "web.configure_search", "tool_args": { "endpoint": web.url("") } });
    api.post("/api/workflows", &json!({ "name": "configure", "steps": [step] })).await?;
    let said = run(api, "configure", json!({})).await?;
    ensure!(said["output"]["endpoint"] == web.url("/search"), "another endpoint: {said}");
    Ok(())
}

#[tokio::test]
async fn web_research_reads_what_is_new_and_remembers_it() -> Result<()> {
    let (data, web) = (Data::with_bundled().await?, Web::start().await?);
    let host = host(&data, &web, "research.yaml", &["web_research.json"]).await?;
    configure_search(&host.api, &web).await?;

    let first = run(&host.api, "web_research", json!({ "query": "weirs and mills" })).await?;
    let output = &first["output"];
    ensure!(output["new_urls"] == json!([web.url("/weirs"), web.url("/list"), web.url("/gone")]), "{output:#}");
    let report = output["report"].as_str().context("no report")?;
    for part in ["Report on weirs and mills", "It is about Weirs.", "It leads to mills.", "Mills stand beside weirs."] {
        ensure!(report.contains(part), "the report lacks {part:?}: {report}");
    }
    let loops = &first["step_outputs"]["read_loop"]["results"];
    ensure!(loops[0]["page"]["content"].as_str().is_some_and(|text| text.contains("low dams")), "{loops:#}");
    ensure!(loops[2]["error"].is_object(), "a page that is gone was read: {loops:#}");
    ensure!(first["usage"]["requests"] == 3, "two pages are judged, and one report is written: {}", first["usage"]);

    let second = run(&host.api, "web_research", json!({ "query": "weirs and mills" })).await?;
    let known = json!([web.url("/weirs"), web.url("/list")]);
    ensure!(second["output"]["known_urls"] == known, "what was read is not known: {:#}", second["output"]);
    ensure!(second["output"]["new_urls"] == json!([web.url("/gone")]), "{:#}", second["output"]);
    Ok(())
}

#[tokio::test]
async fn web_research_simple_answers_from_pages() -> Result<()> {
    let (data, web) = (Data::with_bundled().await?, Web::start().await?);
    let host = host(&data, &web, "research.yaml", &["web_research_simple.json"]).await?;
    configure_search(&host.api, &web).await?;
    let execution = run(&host.api, "web_research_simple", json!({ "query": "What is a weir?" })).await?;
    let answer = execution["output"]["answer"].as_str().context("no answer")?;
    for part in ["Question: What is a weir?", "found 4 pages", "low dams across rivers"] {
        ensure!(answer.contains(part), "the answer lacks {part:?}: {answer}");
    }
    ensure!(execution["output"]["sources"].as_array().is_some_and(|sources| sources.len() == 3), "{execution:#}");
    Ok(())
}

#[tokio::test]
async fn ask_agent_looks_with_its_tools_before_it_answers() -> Result<()> {
    let (data, web) = (Data::with_bundled().await?, Web::start().await?);
    let host = host(&data, &web, "demo.yaml", &["ask_agent.yaml"]).await?;
    let input = serde_json::from_slice(&std::fs::read(program::workflows().join("ask_agent.input.json"))?)?;
    let execution = run(&host.api, "ask_agent", input).await?;
    ensure!(execution["output"]["mood"] == "negative", "another mood: {execution:#}");
    ensure!(execution["usage"]["requests"] == 2 && execution["usage"]["tool_calls"] == 3, "{}", execution["usage"]);
    Ok(())
}
