//! Addresses: found in whatever a search answered, and sorted out.

use crate::{URLS_MAX, check_number};
use std::collections::HashSet;
use url::Url;
use weir_sdk::prelude::*;

/// Where to look.
#[derive(Deserialize, JsonSchema)]
pub struct ExtractInput {
    /// What a search answered: an object with `results` or `urls`, a list of such members, or a text with addresses in it.
    pub search_results: Value,
    /// The most addresses to answer; default 1,000.
    #[serde(default)]
    pub max_urls: Option<usize>,
}

/// The addresses, each once, in their order.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExtractOutput {
    /// The addresses.
    pub urls: Vec<String>,
    /// How many there are.
    pub url_count: usize,
    /// What was searched for, where the search says it.
    pub original_query: String,
    /// What the search made of it.
    pub optimized_queries: Vec<Value>,
    /// Who answered the search.
    pub providers_used: Vec<Value>,
    /// How many results each of them gave.
    pub results_per_provider: Value,
    /// How many results the search had.
    pub result_count: usize,
}

/// Extracts addresses from search results.
///
/// Takes what `web_search` answers, lists of addresses or of objects with `url` or `link`, and texts: Markdown links and
/// bare addresses are found in them. Only http and https are taken, and each address once, whatever stands after `#`.
#[tool(idempotent, read_only, fuel = 4_000_000_000)]
pub fn extract_urls_from_search_results(input: ExtractInput) -> Result<ExtractOutput> {
    let ExtractInput { search_results, max_urls } = input;
    let mut found = Found::new(max_urls.unwrap_or(URLS_MAX).min(URLS_MAX));
    found.value(&search_results);
    let text = |name: &str| search_results[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| search_results[name].as_array().cloned().unwrap_or_default();
    let results = search_results["results"].as_array().map_or(found.urls.len(), Vec::len);
    let counted = search_results["result_count"].as_u64().and_then(|count| usize::try_from(count).ok());
    Ok(ExtractOutput {
        url_count: found.urls.len(),
        urls: found.urls,
        original_query: text("query"),
        optimized_queries: list("optimized_queries"),
        providers_used: list("providers_used"),
        results_per_provider: json!(search_results["results_per_provider"].as_object().cloned().unwrap_or_default()),
        result_count: counted.filter(|count| *count > 0).unwrap_or(results),
    })
}

/// What is found so far.
struct Found {
    urls: Vec<String>,
    seen: HashSet<String>,
    max: usize,
}

impl Found {
    fn new(max: usize) -> Self {
        Self { urls: Vec::new(), seen: HashSet::new(), max }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(members) => members.iter().for_each(|member| self.value(member)),
            Value::Object(object) => {
                let name = ["url", "link", "href", "urls", "results", "content", "result"]
                    .into_iter()
                    .find(|name| object.get(*name).is_some_and(|value| !value.is_null()));
                if let Some(name) = name {
                    self.value(&object[name]);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Takes a text that is an address, or else the addresses in it.
    fn text(&mut self, text: &str) {
        let mut rest = text.trim();
        while let Some(start) = next_address(rest) {
            let (address, after) = split_address(&rest[start..]);
            self.take(address);
            rest = after;
        }
    }

    fn take(&mut self, address: &str) {
        let Some(key) = canonical(address).filter(|_| self.urls.len() < self.max) else { return };
        if self.seen.insert(key) {
            self.urls.push(address.to_owned());
        }
    }
}

fn next_address(text: &str) -> Option<usize> {
    [text.find("http://"), text.find("https://")].into_iter().flatten().min()
}

/// An address at the beginning of a text, and the rest. Brackets belong to it only where they open in it; what usually
/// ends a sentence does not.
fn split_address(text: &str) -> (&str, &str) {
    let mut open = 0_u32;
    let end = text.find(|character: char| {
        match character {
            '(' | '[' => open += 1,
            ')' | ']' if open == 0 => return true,
            ')' | ']' => open -= 1,
            _ => {}
        }
        character.is_whitespace() || character.is_control() || "<>\"'`{}|\\^".contains(character)
    });
    let (address, rest) = text.split_at(end.unwrap_or(text.len()));
    (address.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']), rest)
}

/// An address as it is compared: `None` for what is no address of the web.
pub(crate) fn canonical(address: &str) -> Option<String> {
    let mut url = Url::parse(address.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_fragment(None);
    Some(url.into())
}

/// What to sort out.
#[derive(Deserialize, JsonSchema)]
pub struct FilterInput {
    /// The addresses.
    pub urls: Vec<String>,
    /// Those that are known.
    #[serde(default)]
    pub existing_urls: Vec<String>,
    /// The most addresses to answer.
    #[serde(default)]
    pub max_urls: Option<usize>,
}

/// The addresses that are not known.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct FilterOutput {
    /// They, each once, in their order.
    pub new_urls: Vec<String>,
    /// How many addresses there were.
    pub original_count: usize,
    /// How many were known, or came twice, or were too many.
    pub filtered_count: usize,
    /// How many are left.
    pub remaining_count: usize,
}

/// Filters out addresses that are known.
///
/// Addresses are compared as the web does: what stands after `#`, and the case of a host's name, makes no difference.
#[tool(idempotent, read_only)]
pub fn filter_new_urls(input: FilterInput) -> Result<FilterOutput> {
    let FilterInput { urls, existing_urls, max_urls } = input;
    check_number("urls", urls.len())?;
    check_number("existing_urls", existing_urls.len())?;
    let key = |url: &String| canonical(url).unwrap_or_else(|| url.clone());
    let mut seen: HashSet<String> = existing_urls.iter().map(key).collect();
    let original_count = urls.len();
    let unknown = urls.into_iter().filter(|url| seen.insert(key(url)));
    let new_urls: Vec<String> = unknown.take(max_urls.unwrap_or(URLS_MAX)).collect();
    let remaining_count = new_urls.len();
    Ok(FilterOutput { new_urls, original_count, filtered_count: original_count - remaining_count, remaining_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(search_results: Value) -> ExtractOutput {
        extract_urls_from_search_results(ExtractInput { search_results, max_urls: None }).unwrap()
    }

    #[test]
    fn what_a_search_answers_is_read() {
        let output = extract(json!({
            "query": "rust", "result_count": 9, "optimized_queries": ["rust language"], "providers_used": ["a"],
            "results_per_provider": { "a": 9 },
            "results": [{ "url": "https://a.example/1" }, { "url": "https://a.example/1#top" }, { "url": null }, { "link": "http://b.example" },
                { "url": "ftp://c.example" }, { "url": "javascript:alert(1)" }, "https://d.example/x"],
        }));
        assert_eq!(output.urls, ["https://a.example/1", "http://b.example", "https://d.example/x"]);
        assert_eq!((output.url_count, output.result_count, &*output.original_query), (3, 9, "rust"));
        assert_eq!(
            (output.optimized_queries, output.results_per_provider),
            (vec![json!("rust language")], json!({ "a": 9 }))
        );
    }

    #[test]
    fn lists_and_texts_are_read() {
        assert_eq!(extract(json!(["https://a.example", { "urls": ["https://b.example"] }])).url_count, 2);
        let text = "See [this](https://a.example/x_(y)), https://b.example/z. And <http://c.example/q?a=1&b=2>!";
        let expected = ["https://a.example/x_(y)", "https://b.example/z", "http://c.example/q?a=1&b=2"];
        assert_eq!(extract(json!({ "content": text })).urls, expected);
        assert_eq!(extract(json!(text)).urls, expected);
        for nothing in [json!(null), json!({}), json!(7), json!("https://"), json!({ "results": [] })] {
            assert_eq!((extract(nothing.clone()).url_count, extract(nothing).result_count), (0, 0));
        }
    }

    #[test]
    fn addresses_are_bounded() {
        let many: Vec<String> = (0..2_000).map(|n| format!("https://a.example/{n}")).collect();
        assert_eq!(extract(json!(many)).url_count, URLS_MAX);
        let input = ExtractInput { search_results: json!(many), max_urls: Some(3) };
        assert_eq!(extract_urls_from_search_results(input).unwrap().url_count, 3);
        let input = FilterInput { urls: many, existing_urls: Vec::new(), max_urls: None };
        assert_eq!(filter_new_urls(input).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn known_addresses_are_left_out() {
        let urls = |list: &[&str]| list.iter().map(|url| (*url).to_owned()).collect();
        let all = ["https://A.example/1", "https://a.example/2#x", "https://a.example/2", "https://a.example/3", "odd"];
        let input = FilterInput { urls: urls(&all), existing_urls: urls(&["https://a.example/1#y"]), max_urls: None };
        let output = filter_new_urls(input).unwrap();
        assert_eq!(output.new_urls, ["https://a.example/2#x", "https://a.example/3", "odd"]);
        assert_eq!((output.original_count, output.filtered_count, output.remaining_count), (5, 2, 3));
        let input = FilterInput { urls: urls(&all), existing_urls: Vec::new(), max_urls: Some(1) };
        assert_eq!(filter_new_urls(input).unwrap().remaining_count, 1);
    }
}
