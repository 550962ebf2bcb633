//! Tools for research on the web: addresses out of search results, and a library that remembers what was read.
//!
//! The library is the plugin's own store: all workflows share it.

mod library;
mod urls;

pub use library::{check_urls_in_library, data, read_from_library};
pub use urls::{extract_urls_from_search_results, filter_new_urls};

weir_sdk::plugin! {
    title: "Research",
    tools: [
        urls::extract_urls_from_search_results,
        urls::filter_new_urls,
        library::check_urls_in_library,
        library::data,
        library::read_from_library,
    ],
    asks: { kv: { bytes: 33_554_432 } },
}

/// Addresses that one call takes or answers.
const URLS_MAX: usize = 1_000;

/// Refuses more addresses than the tools are made for.
fn check_number(what: &str, number: usize) -> weir_sdk::Result<()> {
    if number <= URLS_MAX {
        return Ok(());
    }
    Err(weir_sdk::Failure::invalid_input(format!("{what} has {number} members, the most is {URLS_MAX}: split it")))
}
