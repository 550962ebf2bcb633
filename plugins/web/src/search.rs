//! `web_search`: a search by an endpoint that speaks as SearXNG does.

use crate::check_url;
use crate::outline::one_line;
use std::collections::BTreeMap;
use url::Url;
use weir_sdk::kv::Space;
use weir_sdk::prelude::*;

const RESULTS_DEFAULT: usize = 10;
const RESULTS_MAX: usize = 50;
const QUERY_CHARS_MAX: usize = 500;
const SNIPPET_CHARS_MAX: usize = 1_000;
const TITLE_CHARS_MAX: usize = 300;
/// Under which key the endpoint is kept.
const ENDPOINT_KEY: &str = "search/endpoint";

/// What to search for.
#[derive(Deserialize, JsonSchema)]
pub struct SearchInput {
    /// The query.
    pub query: String,
    /// The most results; default 10, at most 50.
    #[serde(default, alias = "num_results")]
    pub max_results: Option<usize>,
    /// The language of the results: `en`, `de-CH`.
    #[serde(default)]
    pub language: Option<String>,
    /// How old a result may be.
    #[serde(default)]
    pub time_range: Option<TimeRange>,
    /// The server to ask, `http://localhost:8080`; by default the one that `configure_search` was given.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// How old a result may be.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeRange {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl TimeRange {
    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// What was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct SearchOutput {
    /// The query.
    pub query: String,
    /// The results, best first, each address once.
    pub results: Vec<Found>,
    /// How many there are.
    pub result_count: usize,
    /// What was searched for: the query.
    pub optimized_queries: Vec<String>,
    /// The search engines that found them.
    pub providers_used: Vec<String>,
    /// How many results each of them found.
    pub results_per_provider: BTreeMap<String, usize>,
}

/// A result.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
    /// A part of it.
    pub snippet: String,
    /// When it was published, where that is known, as the engine writes it.
    pub published: Option<String>,
}

/// What the server answers. It says more.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Hit>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hit {
    url: Option<String>,
    title: Option<String>,
    content: Option<String>,
    engine: Option<String>,
    #[serde(rename = "publishedDate")]
    published: Option<String>,
}

/// Searches the web.
///
/// Asks a server that speaks as SearXNG does, with its JSON format switched on: the one that `configure_search` was given,
/// or `endpoint`. An administrator has to grant its host.
#[tool(read_only, timeout_ms = 60_000, fuel = 4_000_000_000)]
pub fn web_search(input: SearchInput) -> Result<SearchOutput> {
    let query = input.query.trim();
    if query.is_empty() || query.chars().count() > QUERY_CHARS_MAX {
        return Err(Failure::invalid_input(format!("query must have 1 to {QUERY_CHARS_MAX} characters")));
    }
    let endpoint = match &input.endpoint {
        Some(endpoint) => search_url(endpoint)?,
        None => configured()?,
    };
    let answer: Answer =
        http::get(address(endpoint, query, &input)).header("accept", "application/json").send()?.success()?.json()?;
    let max = input.max_results.unwrap_or(RESULTS_DEFAULT).clamp(1, RESULTS_MAX);
    Ok(output(query, answer.results, max))
}

fn configured() -> Result<Url> {
    match kv::get::<String>(Space::Plugin, ENDPOINT_KEY)? {
        Some(endpoint) => search_url(&endpoint),
        None => Err(Failure::failed(
            "no search server is known: run tool web.configure_search with its endpoint once, or give endpoint",
        )),
    }
}

/// The address that answers searches: `/search` below the server's own.
fn search_url(endpoint: &str) -> Result<Url> {
    let mut url = check_url("endpoint", endpoint)?;
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/search") {
        url.set_path(&format!("{path}/search"));
    }
    Ok(url)
}

fn address(mut endpoint: Url, query: &str, input: &SearchInput) -> Url {
    let mut pairs = endpoint.query_pairs_mut();
    pairs.append_pair("q", query).append_pair("format", "json");
    if let Some(language) = &input.language {
        pairs.append_pair("language", language);
    }
    if let Some(range) = input.time_range {
        pairs.append_pair("time_range", range.word());
    }
    drop(pairs);
    endpoint
}

fn output(query: &str, hits: Vec<Hit>, max: usize) -> SearchOutput {
    let mut results: Vec<Found> = Vec::new();
    let mut results_per_provider = BTreeMap::new();
    for hit in hits {
        let Some(url) = hit.url.filter(|url| check_url("url", url).is_ok()) else { continue };
        if results.len() == max || results.iter().any(|known| known.url == url) {
            continue;
        }
        if let Some(engine) = hit.engine {
            *results_per_provider.entry(one_line(&engine, 100)).or_insert(0) += 1;
        }
        let title = one_line(&hit.title.unwrap_or_default(), TITLE_CHARS_MAX);
        let snippet = one_line(&hit.content.unwrap_or_default(), SNIPPET_CHARS_MAX);
        results.push(Found { title, url, snippet, published: hit.published });
    }
    SearchOutput {
        query: query.to_owned(),
        result_count: results.len(),
        results,
        optimized_queries: vec![query.to_owned()],
        providers_used: results_per_provider.keys().cloned().collect(),
        results_per_provider,
    }
}

/// Where to search.
#[derive(Deserialize, JsonSchema)]
pub struct ConfigureInput {
    /// The server's address: `http://localhost:8080`.
    pub endpoint: String,
}

/// What is configured.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ConfigureOutput {
    /// Where searches go from now on.
    pub endpoint: String,
}

/// Says which server answers searches.
///
/// It is kept in the plugin's store, for all workflows, until it is said again. Nothing is asked of the server yet.
#[tool(idempotent)]
pub fn configure_search(input: ConfigureInput) -> Result<ConfigureOutput> {
    let endpoint = String::from(search_url(&input.endpoint)?);
    kv::set(Space::Plugin, ENDPOINT_KEY, &endpoint)?;
    Ok(ConfigureOutput { endpoint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plugin;
    use weir_sdk::testing::{Host, describe};

    fn host() -> Host {
        Host::new().http(|_| {
            Ok(http::Response::of_json(200, &json!({ "query": "q", "number_of_results": 0, "results": [
                { "url": "https://a.example/1", "title": "One\n", "content": "First  part", "engine": "x", "score": 2.5 },
                { "url": "https://a.example/1", "title": "again", "engine": "y" },
                { "url": "javascript:alert(1)", "title": "bad" },
                { "title": "nowhere" },
                { "url": "https://b.example", "title": null, "content": null, "engine": "y", "publishedDate": "2026-01-02" },
                { "url": "https://c.example", "engine": "x" },
            ] })))
        })
    }

    #[test]
    fn results_are_tidied() {
        let ran = host().call::<Plugin>("web_search", &json!({ "query": "a b", "endpoint": "http://s.example:8080", "language": "de", "time_range": "week", "max_results": 2 }));
        assert_eq!(ran.requests[0].url, "http://s.example:8080/search?q=a+b&format=json&language=de&time_range=week");
        let expected = json!({
            "query": "a b", "result_count": 2, "optimized_queries": ["a b"], "providers_used": ["x", "y"],
            "results_per_provider": { "x": 1, "y": 1 },
            "results": [
                { "title": "One", "url": "https://a.example/1", "snippet": "First part", "published": null },
                { "title": "", "url": "https://b.example", "snippet": "", "published": "2026-01-02" },
            ],
        });
        assert_eq!(ran.result, Ok(expected));
    }

    #[test]
    fn the_endpoint_is_said_once() {
        let host = host();
        let search = |host: &Host| host.call::<Plugin>("web_search", &json!({ "query": "q" }));
        assert!(search(&host).result.unwrap_err().message().contains("web.configure_search"));
        let said = host.call::<Plugin>("configure_search", &json!({ "endpoint": "https://s.example/searx/" }));
        assert_eq!(said.result, Ok(json!({ "endpoint": "https://s.example/searx/search" })));
        assert_eq!(search(&host).requests[0].url, "https://s.example/searx/search?q=q&format=json");
        for wrong in ["file:///etc/passwd", "s.example"] {
            let ran = host.call::<Plugin>("configure_search", &json!({ "endpoint": wrong }));
            assert_eq!(ran.result.unwrap_err().code(), "invalid_input");
        }
    }

    #[test]
    fn what_cannot_be_searched_fails() {
        let search = |host: Host, input: Value| host.call::<Plugin>("web_search", &input).result.unwrap_err();
        for query in ["", " ", &"x".repeat(501)] {
            assert_eq!(
                search(host(), json!({ "query": query, "endpoint": "http://s.example" })).code(),
                "invalid_input"
            );
        }
        let busy = Host::new().http(|_| Ok(http::Response::of(429, "text/plain", "too many")));
        assert_eq!(search(busy, json!({ "query": "q", "endpoint": "http://s.example" })).code(), "unavailable");
        let html = Host::new().http(|_| Ok(http::Response::of(200, "text/html", "<html>")));
        assert_eq!(search(html, json!({ "query": "q", "endpoint": "http://s.example" })).code(), "failed");
        assert_eq!(search(Host::new(), json!({ "query": "q", "endpoint": "http://s.example" })).code(), "denied");
    }

    #[test]
    fn the_descriptor_asks_for_any_host_and_a_store() {
        let descriptor = describe::<Plugin>();
        assert_eq!(descriptor["asks"], json!({ "hosts": ["*"], "kv": true }));
        let names: Vec<_> = descriptor["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        assert_eq!(names, [json!("web_scraper"), json!("web_search"), json!("configure_search")]);
    }
}
