//! The macros of `weir-sdk`: `#[tool]`, `#[agent]` and `plugin!`. Use them through that crate, which documents them.

mod asks;
mod offer;
mod options;
mod plugin;

use proc_macro::TokenStream;

/// Makes a function a tool that [`plugin!`] can list.
///
/// The function takes the input (a type that derives `Deserialize` and `JsonSchema`), and where it wants them, in any
/// order, the step's configuration (another such type) and `&Call`. It returns `weir_sdk::Result<T>`.
///
/// Its doc comment becomes the description; the comment's first line, without the period, becomes the title.
///
/// Options: `idempotent` (twice is the same as once), `read_only` (it changes nothing outside), `title = "…"`, and
/// the limits that it wishes for: `timeout_ms = …`, `fuel = …`, `memory_bytes = …`.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(offer::expand(offer::Kind::Tool, options.into(), function.into()))
}

/// Makes a function an agent that [`plugin!`] can list.
///
/// As [`macro@tool`], with one more option: `tools("plugin.tool", …)` names the tools that it asks to call.
#[proc_macro_attribute]
pub fn agent(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(offer::expand(offer::Kind::Agent, options.into(), function.into()))
}

/// Makes the crate a plugin: it names the tools and agents, and exports them from the component.
///
/// ```text
/// weir_sdk::plugin! {
///     name: "text",               // default: the crate's name without `weir-plugin-`
///     title: "Text",              // default: the name
///     description: "…",           // default: the manifest's description
///     tools: [count, language::detect],
///     agents: [],
///     asks: {                     // what an administrator is asked to grant; default: nothing
///         hosts: ["api.example.com", { host: "hooks.example.com:8443", methods: ["POST"] }],
///         models: ["fast"],
///         tools: ["other.tool"],
///         secrets: ["api_key"],
///         kv: true,               // or { bytes: 4_194_304 }
///     },
/// }
/// ```
///
/// A host without methods is asked for with `GET` and `HEAD`; `"*"` asks for any host, or any model.
///
/// The version is the crate's. Once in a crate, at its root.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    expand(plugin::expand(input.into()))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}
