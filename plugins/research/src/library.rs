//! The library: documents by their addresses, in the plugin's own store.

use crate::check_number;
use crate::urls::canonical;
use sha2::{Digest as _, Sha256};
use weir_sdk::kv::Space;
use weir_sdk::prelude::*;

/// What one document may take as JSON, in bytes: the store takes at most 64 KiB.
const DOCUMENT_BYTES_MAX: usize = 60_000;
/// What everything but the text may take.
const ABOUT_BYTES_MAX: usize = 8_000;

/// What is kept of a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// Where it is from.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The folder that it was put into.
    pub folder: Option<String>,
    /// Whatever else is known of it.
    #[serde(default)]
    pub metadata: Value,
    /// The execution that stored it.
    #[serde(default)]
    pub stored_by: String,
    /// Its text, as much as there was room for.
    pub content: String,
    /// Whether there was not room for all of it.
    #[serde(default)]
    pub truncated: bool,
}

/// Addresses to look up.
#[derive(Deserialize, JsonSchema)]
pub struct CheckInput {
    /// The addresses.
    pub urls: Vec<String>,
}

/// Which addresses are known.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct CheckOutput {
    /// Those in the library.
    pub existing_urls: Vec<String>,
    /// The others.
    pub new_urls: Vec<String>,
    /// How many addresses there were.
    pub total_checked: usize,
    /// How many are in the library.
    pub existing_count: usize,
    /// How many are not.
    pub new_count: usize,
}

/// Checks which addresses are in the library.
///
/// The library holds what `data` stored, of all workflows.
#[tool(idempotent, read_only)]
pub fn check_urls_in_library(input: CheckInput) -> Result<CheckOutput> {
    check_number("urls", input.urls.len())?;
    let known = known_ids()?;
    let is_known = |url: &String| known.binary_search(&id_of(url)).is_ok();
    let total_checked = input.urls.len();
    let (existing_urls, new_urls): (Vec<_>, Vec<_>) = input.urls.into_iter().partition(is_known);
    let (existing_count, new_count) = (existing_urls.len(), new_urls.len());
    Ok(CheckOutput { existing_urls, new_urls, total_checked, existing_count, new_count })
}

/// The ids of all documents, in order. They are listed, not read: a document is long, an id is short.
fn known_ids() -> Result<Vec<String>> {
    let mut known: Vec<String> = Vec::new();
    loop {
        let page = kv::keys(Space::Plugin, "document/", known.last().map(String::as_str))?;
        if page.is_empty() {
            break;
        }
        known.extend(page);
    }
    Ok(known)
}

/// Where a document is kept: by its address, however that is written.
fn id_of(source: &str) -> String {
    let digest = Sha256::digest(canonical(source).unwrap_or_else(|| source.to_owned()));
    digest.iter().take(16).fold("document/".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// What to store.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct DataInput {
    /// The text. Without one nothing is stored: the arguments are passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The document's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where it is from. A document of the same address is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The folder to put it into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Whatever else is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Anything else is passed on as it is, but for the names of what the tool says itself.
    #[serde(flatten)]
    pub rest: weir_sdk::serde_json::Map<String, Value>,
}

/// The arguments, and what became of them.
#[derive(Serialize, JsonSchema)]
pub struct DataOutput {
    /// The arguments as they came.
    #[serde(flatten)]
    pub arguments: DataInput,
    /// The document's id; null where nothing was stored.
    pub document_id: Option<String>,
    /// Whether a document was stored.
    pub stored: bool,
    /// Whether none of its address was there before.
    pub is_new: bool,
    /// Whether there was not room for all of its text.
    pub truncated: bool,
}

/// Stores a document in the library, and passes its arguments on.
///
/// With `content` the text is stored under its `url`; without it the arguments become the output as they are, so that a
/// workflow can put an object together from what its steps found.
#[tool(idempotent)]
pub fn data(mut input: DataInput) -> Result<DataOutput> {
    for own in ["document_id", "stored", "is_new", "truncated"] {
        input.rest.remove(own);
    }
    let Some(content) = &input.content else {
        return Ok(DataOutput { arguments: input, document_id: None, stored: false, is_new: false, truncated: false });
    };
    let document = Document {
        url: input.url.clone(),
        title: input.title.clone(),
        folder: input.folder.clone(),
        metadata: input.metadata.clone().unwrap_or_default(),
        stored_by: context::execution_id(),
        ..Document::default()
    };
    let document = with_content(document, content)?;
    let id = id_of(input.url.as_deref().unwrap_or(content));
    // What this execution stored before, in an attempt that was interrupted, is as new as it was then.
    let before: Option<Document> = kv::get(Space::Plugin, &id)?;
    let is_new = before.is_none_or(|before| before.stored_by == document.stored_by);
    kv::set(Space::Plugin, &id, &document)?;
    let document_id = Some(id.trim_start_matches("document/").to_owned());
    Ok(DataOutput { arguments: input, document_id, stored: true, is_new, truncated: document.truncated })
}

/// The document with as much of the text as there is room for.
fn with_content(document: Document, content: &str) -> Result<Document> {
    let about = json!(document).to_string().len();
    if about > ABOUT_BYTES_MAX {
        let message = format!("url, title, folder and metadata have {about} bytes, the most is {ABOUT_BYTES_MAX}");
        return Err(Failure::invalid_input(message));
    }
    let mut end = content.floor_char_boundary(DOCUMENT_BYTES_MAX);
    loop {
        let kept = Document { content: content[..end].to_owned(), truncated: end < content.len(), ..document.clone() };
        // Escapes make a text longer, by six at most.
        if json!(kept).to_string().len() <= DOCUMENT_BYTES_MAX {
            return Ok(kept);
        }
        end = content.floor_char_boundary(end / 10 * 9);
    }
}

/// Which document to read.
#[derive(Deserialize, JsonSchema)]
pub struct ReadInput {
    /// Its address.
    pub url: String,
}

/// A document of the library.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct ReadOutput {
    /// Whether it is there.
    pub found: bool,
    /// The document.
    pub document: Option<Document>,
}

/// Reads a document from the library by its address.
#[tool(idempotent, read_only)]
pub fn read_from_library(input: ReadInput) -> Result<ReadOutput> {
    let document: Option<Document> = kv::get(Space::Plugin, &id_of(&input.url))?;
    Ok(ReadOutput { found: document.is_some(), document })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plugin;
    use weir_sdk::testing::{Host, describe};

    fn call(host: &Host, tool: &str, input: Value) -> Value {
        host.call::<Plugin>(tool, &input).result.unwrap()
    }

    #[test]
    fn what_was_stored_is_known() {
        let host = Host::new();
        let document = json!({ "content": "Text", "title": "T", "url": "https://a.example/1", "folder": "f", "metadata": { "q": 1 } });
        let stored = call(&host, "data", document.clone());
        assert_eq!(
            (&stored["stored"], &stored["is_new"], &stored["truncated"]),
            (&json!(true), &json!(true), &json!(false))
        );
        assert_eq!(stored["document_id"].as_str().unwrap().len(), 32);
        let checked =
            call(&host, "check_urls_in_library", json!({ "urls": ["https://b.example", "https://a.example/1#top"] }));
        let expected = json!({ "existing_urls": ["https://a.example/1#top"], "new_urls": ["https://b.example"],
            "total_checked": 2, "existing_count": 1, "new_count": 1 });
        assert_eq!(checked, expected);
        let read = call(&host, "read_from_library", json!({ "url": "https://A.example/1" }));
        assert_eq!((&read["found"], &read["document"]["content"]), (&json!(true), &json!("Text")));
        assert_eq!(call(&host, "data", document.clone())["is_new"], json!(true), "the same execution again");
        assert_eq!(call(&host.clone().execution_id("later"), "data", document)["is_new"], json!(false));
        assert_eq!(call(&host, "read_from_library", json!({ "url": "https://c.example" }))["found"], json!(false));
    }

    #[test]
    fn without_content_arguments_are_passed_on() {
        let host = Host::new();
        let output = call(&host, "data", json!({ "digest": "D", "stored": "x", "sources": [1, 2], "title": "T" }));
        let expected = json!({ "title": "T", "digest": "D", "sources": [1, 2], "document_id": null, "stored": false,
            "is_new": false, "truncated": false });
        assert_eq!(output, expected);
        assert!(host.documents(Space::Plugin).is_empty());
    }

    #[test]
    fn long_texts_are_cut_and_long_metadata_is_refused() {
        let host = Host::new();
        for (n, text) in ["x".repeat(100_000), "\u{1}".repeat(100_000), "ä\"".repeat(60_000)].into_iter().enumerate() {
            let url = format!("https://a.example/{n}");
            let stored = call(&host, "data", json!({ "content": text, "url": url }));
            assert_eq!((&stored["truncated"], stored["content"].as_str()), (&json!(true), Some(text.as_str())));
        }
        for document in host.documents(Space::Plugin).values() {
            let bytes = document.to_string().len();
            assert!((50_000..=DOCUMENT_BYTES_MAX).contains(&bytes), "{bytes}");
        }
        let long = json!({ "content": "x", "metadata": "x".repeat(10_000) });
        assert_eq!(host.call::<Plugin>("data", &long).result.unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn libraries_have_many_documents() {
        let mut host = Host::new();
        for n in 0..2_500 {
            host = host.document(Space::Plugin, &id_of(&format!("https://a.example/{n}")), &json!({ "content": "" }));
        }
        let urls: Vec<String> = (2_000..3_000).map(|n| format!("https://a.example/{n}")).collect();
        let checked = call(&host, "check_urls_in_library", json!({ "urls": urls }));
        assert_eq!((&checked["existing_count"], &checked["new_count"]), (&json!(500), &json!(500)));
    }

    #[test]
    fn the_descriptor_asks_for_room() {
        let descriptor = describe::<Plugin>();
        assert_eq!(descriptor["asks"], json!({ "kv": { "bytes": 33_554_432 } }));
        assert_eq!((descriptor["name"].as_str(), descriptor["tools"].as_array().unwrap().len()), (Some("research"), 5));
    }
}
