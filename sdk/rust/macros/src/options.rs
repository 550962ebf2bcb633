//! What stands in the brackets of `#[tool(…)]` and `#[agent(…)]`.

use crate::offer::Kind;
use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{LitInt, LitStr, Token};

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) title: Option<LitStr>,
    pub(crate) idempotent: bool,
    pub(crate) read_only: bool,
    pub(crate) tools: Vec<LitStr>,
    timeout_ms: Option<LitInt>,
    fuel: Option<LitInt>,
    memory_bytes: Option<LitInt>,
}

impl Options {
    pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> syn::Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.take(kind, meta)).parse2(tokens)?;
        Ok(options)
    }

    fn take(&mut self, kind: Kind, meta: ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match (name.as_str(), kind) {
            ("title", _) => self.title = Some(meta.value()?.parse()?),
            ("idempotent", _) => self.idempotent = true,
            ("read_only", _) => self.read_only = true,
            ("timeout_ms", _) => self.timeout_ms = Some(meta.value()?.parse()?),
            ("fuel", _) => self.fuel = Some(meta.value()?.parse()?),
            ("memory_bytes", _) => self.memory_bytes = Some(meta.value()?.parse()?),
            ("tools", Kind::Agent) => self.tools = tools(&meta)?,
            ("tools", Kind::Tool) => return Err(meta.error("a tool calls no tools: make it an agent by `#[agent]`")),
            _ => {
                return Err(meta.error(
                    "unknown option: there are title, idempotent, read_only, timeout_ms, fuel, memory_bytes, and \
                     tools for agents",
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> TokenStream {
        let [timeout_ms, fuel, memory_bytes] =
            [&self.timeout_ms, &self.fuel, &self.memory_bytes].map(|limit| match limit {
                Some(number) => quote!(::core::option::Option::Some(#number)),
                None => quote!(::core::option::Option::None),
            });
        quote!(::weir_sdk::descriptor::Limits { timeout_ms: #timeout_ms, fuel: #fuel, memory_bytes: #memory_bytes })
    }
}

fn tools(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let list;
    syn::parenthesized!(list in meta.input);
    let tools = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
    Ok(tools.into_iter().collect())
}
