//! `plugin!`: lists what the crate offers, and exports it.

use crate::asks::Asks;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, bracketed};

#[derive(Default)]
struct Input {
    name: Option<LitStr>,
    title: Option<LitStr>,
    description: Option<LitStr>,
    tools: Vec<Path>,
    agents: Vec<Path>,
    asks: Asks,
}

impl Parse for Input {
    fn parse(stream: ParseStream<'_>) -> syn::Result<Self> {
        let mut input = Self::default();
        while !stream.is_empty() {
            let field: Ident = stream.parse()?;
            stream.parse::<Token![:]>()?;
            match field.to_string().as_str() {
                "name" => input.name = Some(stream.parse()?),
                "title" => input.title = Some(stream.parse()?),
                "description" => input.description = Some(stream.parse()?),
                "tools" => input.tools = paths(stream)?,
                "agents" => input.agents = paths(stream)?,
                "asks" => input.asks = stream.parse()?,
                _ => {
                    let message = "unknown field: there are name, title, description, tools, agents and asks";
                    return Err(syn::Error::new(field.span(), message));
                }
            }
            if !stream.is_empty() {
                stream.parse::<Token![,]>()?;
            }
        }
        Ok(input)
    }
}

fn paths(stream: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let list;
    bracketed!(list in stream);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

pub(crate) fn expand(tokens: TokenStream) -> syn::Result<TokenStream> {
    let Input { name, title, description, tools, agents, asks } = syn::parse2(tokens)?;
    if tools.is_empty() && agents.is_empty() {
        return Err(syn::Error::new(Span::call_site(), "a plugin offers at least one tool or agent"));
    }
    let span = name.as_ref().map_or_else(Span::call_site, LitStr::span);
    let name = name.map_or_else(name_of_crate, |name| name.value());
    check_name("plugin", &name, span)?;
    check_distinct(&tools, &agents)?;
    let title = title.map_or_else(|| name.clone(), |title| title.value());
    let description = match description {
        Some(text) => quote!(#text),
        None => quote!(::core::env!("CARGO_PKG_DESCRIPTION")),
    };
    Ok(quote! {
        /// The plugin that this crate is, for its tests and those of other plugins.
        pub struct Plugin;

        impl ::weir_sdk::Plugin for Plugin {
            const HEADER: ::weir_sdk::descriptor::Header = ::weir_sdk::descriptor::Header {
                name: #name,
                version: ::core::env!("CARGO_PKG_VERSION"),
                title: #title,
                description: #description,
                asks: #asks,
            };
            const TOOLS: &'static [::weir_sdk::descriptor::Offer] = &[#(<#tools as ::weir_sdk::IsTool>::OFFER),*];
            const AGENTS: &'static [::weir_sdk::descriptor::Offer] = &[#(<#agents as ::weir_sdk::IsAgent>::OFFER),*];
        }

        #[cfg(target_arch = "wasm32")]
        ::weir_sdk::bindings::export!(Plugin with_types_in ::weir_sdk::bindings);
    })
}

fn name_of_crate() -> String {
    let name = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    name.strip_prefix("weir-plugin-").unwrap_or(&name).replace('-', "_")
}

/// Refuses two offers of one name: the host finds them by it.
fn check_distinct(tools: &[Path], agents: &[Path]) -> syn::Result<()> {
    let mut seen = Vec::new();
    for segment in tools.iter().chain(agents).filter_map(|path| path.segments.last()) {
        if seen.contains(&&segment.ident) {
            return Err(syn::Error::new(segment.ident.span(), format!("{} is listed twice", segment.ident)));
        }
        seen.push(&segment.ident);
    }
    Ok(())
}

/// Refuses a name that the host would refuse.
pub(crate) fn check_name(what: &str, name: &str, span: Span) -> syn::Result<()> {
    let sound = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_');
    if sound {
        return Ok(());
    }
    let message = format!(
        "{name:?} cannot be the name of a {what}: use 1 to 64 lower-case letters, digits and underscores, a letter first"
    );
    Err(syn::Error::new(span, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plugin_is_refused() {
        for (input, part) in [
            (quote!(name: "x"), "at least one tool or agent"),
            (quote!(name: "X", tools: [a]), "cannot be the name of a plugin"),
            (quote!(name: "a-b", tools: [a]), "cannot be the name of a plugin"),
            (quote!(name: "x", tools: [a, b::a]), "a is listed twice"),
            (quote!(name: "x", tools: [a], agents: [a]), "a is listed twice"),
            (quote!(nome: "x", tools: [a]), "unknown field"),
            (quote!(tools: [a], asks: { host: [] }), "unknown power"),
            (quote!(tools: [a], asks: { hosts: ["h": "GET"] }), "expected"),
            (quote!(tools: [a], asks: { hosts: [{ methods: ["GET"] }] }), "needs a `host`"),
            (quote!(tools: [a], asks: { kv: false }), "`kv` is `true`"),
            (quote!(tools: [a], asks: { kv: { megabytes: 1 } }), "unknown field"),
        ] {
            let message = expand(input).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn the_crate_gives_the_name() {
        assert_eq!(name_of_crate(), "weir_sdk_macros");
    }
}
