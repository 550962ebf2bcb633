//! `web_scraper`: a page as text that a model can read.

use crate::outline::Link;
use crate::page::Page;
use crate::{charset, check_url};
use url::Url;
use weir_sdk::prelude::*;

/// Characters of the content where a step says nothing.
const CHARS_DEFAULT: usize = 20_000;
/// The most characters of the content.
const CHARS_MAX: usize = 200_000;
/// How long a page may take, in milliseconds.
const TIMEOUT_MS: u64 = 20_000;

/// Which page to read.
#[derive(Deserialize, JsonSchema)]
pub struct ScrapeInput {
    /// Its address.
    pub url: String,
    /// The longest content, in characters; default 20,000, at most 200,000.
    #[serde(default, alias = "max_content_length", alias = "max_length")]
    #[schemars(extend("x-aliases" = ["max_content_length"]))]
    pub max_chars: Option<usize>,
    /// Whether to answer the page's links.
    #[serde(default = "yes")]
    pub links: bool,
}

fn yes() -> bool {
    true
}

/// What the page says.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ScrapeOutput {
    /// Where it was found, after redirects.
    pub url: String,
    /// Its title.
    pub title: String,
    /// What there is to read, as Markdown.
    pub content: String,
    /// The words of the content, before it was shortened.
    pub word_count: usize,
    /// Whether the content was shortened.
    pub truncated: bool,
    /// Where its links lead, at most 200.
    pub links: Vec<Link>,
    /// Who wrote it, where the page says so.
    pub byline: Option<String>,
    /// Its language, where the page says so.
    pub language: Option<String>,
    /// When it was published, where the page says so, as the page writes it.
    pub published: Option<String>,
    /// The type that the server gave it.
    pub content_type: String,
}

/// Reads a web page as Markdown.
///
/// Finds the part that people come for, without navigation and advertisements, and its title and links. Where a page has
/// no such part it is read whole. Texts and JSON are read as they are. Whatever the server answers but success fails.
#[tool(read_only, timeout_ms = 60_000, fuel = 40_000_000_000, memory_bytes = 201_326_592)]
pub fn web_scraper(input: ScrapeInput) -> Result<ScrapeOutput> {
    let url = check_url("url", &input.url)?;
    let answer = http::get(url)
        .header("accept", "text/html,application/xhtml+xml,text/plain;q=0.9,text/markdown;q=0.9,*/*;q=0.1")
        .header("user-agent", concat!("weir-plugin-web/", env!("CARGO_PKG_VERSION")))
        .timeout_ms(TIMEOUT_MS)
        .send()?
        .success()?;
    let content_type = answer.header("content-type").unwrap_or_default().to_owned();
    let url = check_url("the page's address", &answer.url)?;
    let page = read(&answer.body, &content_type, &url)?;
    Ok(output(page, url, content_type, &input))
}

fn read(body: &[u8], content_type: &str, url: &Url) -> Result<Page> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_markup = matches!(essence.as_str(), "text/html" | "application/xhtml+xml")
        || (essence.is_empty() && body.trim_ascii_start().starts_with(b"<"));
    let is_text = essence.is_empty()
        || essence.starts_with("text/")
        || ["json", "+json", "xml", "+xml", "yaml", "javascript"].iter().any(|kind| essence.ends_with(kind));
    if is_markup {
        return Ok(Page::of_html(&charset::decode(body, content_type), url));
    }
    if is_text {
        return Ok(Page { content: charset::decode(body, content_type), ..Page::default() });
    }
    Err(Failure::failed(format!("{url} is {essence}: only pages and texts can be read")))
}

fn output(page: Page, url: Url, content_type: String, input: &ScrapeInput) -> ScrapeOutput {
    let chars_max = input.max_chars.unwrap_or(CHARS_DEFAULT).min(CHARS_MAX);
    let word_count = page.content.split_whitespace().count();
    let end = page.content.char_indices().nth(chars_max).map(|(end, _)| end);
    let mut content = page.content;
    content.truncate(end.unwrap_or(content.len()));
    ScrapeOutput {
        url: url.into(),
        title: page.title,
        content,
        word_count,
        truncated: page.cut || end.is_some(),
        links: if input.links { page.links } else { Vec::new() },
        byline: page.byline,
        language: page.language,
        published: page.published,
        content_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plugin;
    use weir_sdk::testing::{Host, Ran};

    fn scrape(input: Value) -> Ran<Result<Value>> {
        let host = Host::new().http(|request| {
            Ok(match request.url.as_str() {
                "https://a.example/text" => {
                    http::Response::of(200, "text/plain; charset=latin1", vec![b'1', b' ', 0xe4])
                }
                "https://a.example/json" => http::Response::of_json(200, &json!({ "a": 1 })),
                "https://a.example/pdf" => http::Response::of(200, "application/pdf", "%PDF"),
                "https://a.example/gone" => http::Response::of(404, "text/html", "<h1>Gone</h1>"),
                "https://a.example/moved" => http::Response {
                    url: "https://b.example/new".into(),
                    ..http::Response::of(200, "text/html", "<a href=x>y</a>")
                },
                _ => http::Response::of(200, "", "  <!doctype html><title>T</title><p>One two three</p>"),
            })
        });
        host.call::<Plugin>("web_scraper", &input)
    }

    #[test]
    fn pages_become_markdown() {
        let ran = scrape(json!({ "url": " https://a.example/page " }));
        let page = ran.result.unwrap();
        assert_eq!(
            (&page["title"], &page["content"], &page["word_count"]),
            (&json!("T"), &json!("One two three"), &json!(3))
        );
        assert_eq!((&page["url"], &page["truncated"]), (&json!("https://a.example/page"), &json!(false)));
        let sent = &ran.requests[0];
        assert_eq!((&*sent.method, sent.timeout_ms), ("GET", Some(20_000)));
    }

    #[test]
    fn content_is_shortened_under_any_of_its_names() {
        for name in ["max_chars", "max_content_length", "max_length"] {
            let page = scrape(json!({ "url": "https://a.example/page", name: 5 })).result.unwrap();
            assert_eq!(
                (&page["content"], &page["word_count"], &page["truncated"]),
                (&json!("One t"), &json!(3), &json!(true))
            );
        }
    }

    #[test]
    fn links_are_relative_to_where_the_page_was_found() {
        let page = scrape(json!({ "url": "https://a.example/moved" })).result.unwrap();
        let links = json!([{ "url": "https://b.example/x", "text": "y" }]);
        assert_eq!((&page["url"], &page["links"]), (&json!("https://b.example/new"), &links));
        assert_eq!(
            scrape(json!({ "url": "https://a.example/moved", "links": false })).result.unwrap()["links"],
            json!([])
        );
    }

    #[test]
    fn texts_are_read_as_they_are_and_others_not() {
        assert_eq!(scrape(json!({ "url": "https://a.example/text" })).result.unwrap()["content"], json!("1 ä"));
        assert_eq!(scrape(json!({ "url": "https://a.example/json" })).result.unwrap()["content"], json!("{\"a\":1}"));
        for (url, code) in [
            ("https://a.example/pdf", "failed"),
            ("https://a.example/gone", "failed"),
            ("ftp://a.example", "invalid_input"),
            ("page", "invalid_input"),
        ] {
            assert_eq!(scrape(json!({ "url": url })).result.unwrap_err().code(), code, "{url}");
        }
        let denied = Host::new().call::<Plugin>("web_scraper", &json!({ "url": "https://a.example" }));
        assert_eq!(denied.result.unwrap_err().code(), "denied");
    }
}
