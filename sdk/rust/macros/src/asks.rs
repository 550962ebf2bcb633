//! What `plugin!` takes as `asks`: the powers that an administrator is asked to grant, in the shape of the descriptor.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitBool, LitInt, LitStr, Token, braced, bracketed, token};

#[derive(Default)]
pub(crate) struct Asks {
    hosts: Vec<Host>,
    models: Vec<LitStr>,
    tools: Vec<LitStr>,
    secrets: Vec<LitStr>,
    kv: Kv,
}

struct Host {
    host: LitStr,
    methods: Vec<LitStr>,
}

#[derive(Default)]
enum Kv {
    #[default]
    None,
    Some,
    Bytes(LitInt),
}

impl Parse for Asks {
    fn parse(stream: ParseStream<'_>) -> syn::Result<Self> {
        let mut asks = Self::default();
        fields(stream, |name, value| {
            match name.to_string().as_str() {
                "hosts" => asks.hosts = list(value)?,
                "models" => asks.models = list(value)?,
                "tools" => asks.tools = list(value)?,
                "secrets" => asks.secrets = list(value)?,
                "kv" => asks.kv = value.parse()?,
                _ => {
                    let message = "unknown power: there are hosts, models, tools, secrets and kv";
                    return Err(syn::Error::new(name.span(), message));
                }
            }
            Ok(())
        })?;
        Ok(asks)
    }
}

impl Parse for Host {
    fn parse(stream: ParseStream<'_>) -> syn::Result<Self> {
        if !stream.peek(token::Brace) {
            return Ok(Self { host: stream.parse()?, methods: Vec::new() });
        }
        let (mut host, mut methods, span) = (None, Vec::new(), stream.span());
        fields(stream, |name, value| {
            match name.to_string().as_str() {
                "host" => host = Some(value.parse()?),
                "methods" => methods = list(value)?,
                _ => return Err(syn::Error::new(name.span(), "unknown field: there are host and methods")),
            }
            Ok(())
        })?;
        let host = host.ok_or_else(|| syn::Error::new(span, "a host that is asked for needs a `host`"))?;
        Ok(Self { host, methods })
    }
}

impl Parse for Kv {
    fn parse(stream: ParseStream<'_>) -> syn::Result<Self> {
        if stream.peek(token::Brace) {
            let mut bytes = None;
            fields(stream, |name, value| {
                if name != "bytes" {
                    return Err(syn::Error::new(name.span(), "unknown field: there is bytes"));
                }
                bytes = Some(value.parse()?);
                Ok(())
            })?;
            return Ok(bytes.map_or(Self::Some, Self::Bytes));
        }
        let wanted: LitBool = stream.parse()?;
        match wanted.value {
            true => Ok(Self::Some),
            false => Err(syn::Error::new(wanted.span, "`kv` is `true` or `{ bytes: … }`; leave it out for none")),
        }
    }
}

/// Reads `{ name: value, … }`.
fn fields(
    stream: ParseStream<'_>,
    mut take: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let object;
    braced!(object in stream);
    while !object.is_empty() {
        let name: Ident = object.parse()?;
        object.parse::<Token![:]>()?;
        take(&name, &object)?;
        if !object.is_empty() {
            object.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

fn list<T: Parse>(stream: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let list;
    bracketed!(list in stream);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

impl ToTokens for Asks {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { hosts, models, tools, secrets, kv } = self;
        let hosts = hosts.iter().map(
            |Host { host, methods }| quote!(::weir_sdk::descriptor::Host { host: #host, methods: &[#(#methods),*] }),
        );
        let kv = match kv {
            Kv::None => quote!(::weir_sdk::descriptor::Kv::None),
            Kv::Some => quote!(::weir_sdk::descriptor::Kv::Some),
            Kv::Bytes(bytes) => quote!(::weir_sdk::descriptor::Kv::Bytes(#bytes)),
        };
        tokens.extend(quote! {
            ::weir_sdk::descriptor::Asks {
                hosts: &[#(#hosts),*],
                models: &[#(#models),*],
                tools: &[#(#tools),*],
                secrets: &[#(#secrets),*],
                kv: #kv,
            }
        });
    }
}
