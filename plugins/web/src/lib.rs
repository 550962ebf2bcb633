//! Tools over the web: a page as Markdown, and a search.

mod charset;
mod outline;
mod page;
mod scrape;
mod search;

pub use scrape::{ScrapeInput, ScrapeOutput, web_scraper};
pub use search::{ConfigureInput, SearchInput, SearchOutput, configure_search, web_search};

weir_sdk::plugin! {
    title: "Web",
    tools: [scrape::web_scraper, search::web_search, search::configure_search],
    asks: { hosts: ["*"], kv: true },
}

/// Refuses what is no address of the web.
fn check_url(what: &str, text: &str) -> weir_sdk::Result<url::Url> {
    let url = url::Url::parse(text.trim())
        .map_err(|error| weir_sdk::Failure::invalid_input(format!("{what} {text:?} is no URL: {error}")))?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(weir_sdk::Failure::invalid_input(format!("{what} {text:?} is no URL of the web: it must be http or https")))
}
