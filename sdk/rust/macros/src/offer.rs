//! `#[tool]` and `#[agent]`: beside the function stands a type of the same name that knows how to call and describe
//! it. (Functions and types have names of their own, so one path leads to both.)

use crate::options::Options;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, Meta, ReturnType, Safety, Type};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tool,
    Agent,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Agent => "agent",
        }
    }

    fn marker(self) -> TokenStream {
        match self {
            Self::Tool => quote!(::weir_sdk::IsTool),
            Self::Agent => quote!(::weir_sdk::IsAgent),
        }
    }
}

pub(crate) fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(kind, options)?;
    let function: ItemFn = syn::parse2(function)?;
    let offer = offer(kind, &options, &function)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let marker = kind.marker();
    let documentation = format!("The {} {name}, for `plugin!`.", kind.word());
    Ok(quote! {
        #function

        #[doc = #documentation]
        #[doc(hidden)]
        #[expect(non_camel_case_types, reason = "named like its function")]
        #visibility enum #name {}

        impl #marker for #name {
            const OFFER: ::weir_sdk::descriptor::Offer = #offer;
        }
    })
}

fn offer(kind: Kind, options: &Options, function: &ItemFn) -> syn::Result<TokenStream> {
    let name = function.sig.ident.to_string();
    crate::plugin::check_name(kind.word(), &name, function.sig.ident.span())?;
    check_plain(kind, function)?;
    let parameters = Parameters::of(kind, function)?;
    let output = output(kind, function)?;
    let text = documentation(&function.attrs);
    if text.is_empty() {
        let message = format!("document this {}: its doc comment becomes the description", kind.word());
        return Err(syn::Error::new(function.sig.ident.span(), message));
    }
    let title = match &options.title {
        Some(title) => title.value(),
        None => text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned(),
    };
    let (idempotent, read_only, tools, limits) =
        (options.idempotent, options.read_only, &options.tools, options.limits());
    let (input, config_schema) = (parameters.input, parameters.config_schema());
    let run = parameters.run(&function.sig.ident);
    Ok(quote! {
        ::weir_sdk::descriptor::Offer {
            name: #name,
            title: #title,
            description: #text,
            idempotent: #idempotent,
            read_only: #read_only,
            limits: #limits,
            tools: &[#(#tools),*],
            config_schema: #config_schema,
            input_schema: ::weir_sdk::descriptor::schema_to_read::<#input>,
            output_schema: ::weir_sdk::descriptor::schema_to_write::<<#output as ::weir_sdk::Answer>::Output>,
            run: #run,
        }
    })
}

/// Refuses what cannot be called from outside.
fn check_plain(kind: Kind, function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    let unsafe_token = match signature.safety {
        Safety::Unsafe(token) => Some(token),
        Safety::Safe(_) | Safety::Default => None,
    };
    let wrong = signature
        .asyncness
        .map(|token| (token.span(), "async"))
        .or(unsafe_token.map(|token| (token.span(), "unsafe")))
        .or((!signature.generics.params.is_empty()).then(|| (signature.generics.span(), "generic")));
    match wrong {
        Some((span, word)) => Err(syn::Error::new(span, format!("a {} cannot be {word}", kind.word()))),
        None => Ok(()),
    }
}

/// What the function takes, in its order.
struct Parameters<'a> {
    input: &'a Type,
    config: Option<&'a Type>,
    rest: Vec<Parameter>,
}

/// A parameter after the input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Config,
    Call,
}

impl<'a> Parameters<'a> {
    fn of(kind: Kind, function: &'a ItemFn) -> syn::Result<Self> {
        let mut types = Vec::new();
        for argument in &function.sig.inputs {
            match argument {
                FnArg::Typed(typed) => types.push(&*typed.ty),
                FnArg::Receiver(receiver) => {
                    return Err(syn::Error::new(receiver.span(), format!("a {} is a plain function", kind.word())));
                }
            }
        }
        let Some((input, rest)) = types.split_first() else {
            let message = format!("a {} takes its input as the first parameter", kind.word());
            return Err(syn::Error::new(function.sig.paren_token.span.join(), message));
        };
        let mut parameters = Self { input, config: None, rest: Vec::new() };
        for &of_type in rest {
            parameters.push(of_type)?;
        }
        Ok(parameters)
    }

    fn push(&mut self, of_type: &'a Type) -> syn::Result<()> {
        let parameter = if matches!(of_type, Type::Reference(_)) { Parameter::Call } else { Parameter::Config };
        if self.rest.contains(&parameter) {
            let message = "after the input come at most one configuration and one `&Call`";
            return Err(syn::Error::new(of_type.span(), message));
        }
        if parameter == Parameter::Config {
            self.config = Some(of_type);
        }
        self.rest.push(parameter);
        Ok(())
    }

    fn config_schema(&self) -> TokenStream {
        match self.config {
            Some(config) => {
                quote!(::core::option::Option::Some(::weir_sdk::descriptor::schema_to_read::<#config>))
            }
            None => quote!(::core::option::Option::None),
        }
    }

    fn run(&self, function: &Ident) -> TokenStream {
        let input = self.input;
        let rest = self.rest.iter().map(|parameter| match (parameter, self.config) {
            (Parameter::Config, Some(config)) => quote!(::weir_sdk::dispatch::config::<#config>(call)?),
            _ => quote!(call),
        });
        quote! {
            |call| {
                let answer = #function(::weir_sdk::dispatch::input::<#input>(call)?, #(#rest),*);
                ::weir_sdk::dispatch::output(&::weir_sdk::Answer::into_result(answer)?)
            }
        }
    }
}

fn output(kind: Kind, function: &ItemFn) -> syn::Result<TokenStream> {
    match &function.sig.output {
        ReturnType::Type(_, output) => Ok(quote_spanned!(output.span()=> #output)),
        ReturnType::Default => {
            let message = format!("a {} returns `weir_sdk::Result<T>`", kind.word());
            Err(syn::Error::new(function.sig.ident.span(), message))
        }
    }
}

/// The doc comment, without the space that comes before each line.
fn documentation(attributes: &[Attribute]) -> String {
    let lines: Vec<_> = attributes.iter().filter_map(documentation_line).collect();
    lines.join("\n").trim().to_owned()
}

fn documentation_line(attribute: &Attribute) -> Option<String> {
    if let Meta::NameValue(pair) = &attribute.meta
        && pair.path.is_ident("doc")
        && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
    {
        let text = text.value();
        return Some(text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, options: TokenStream, function: TokenStream) -> String {
        expand(kind, options, function).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_offered_is_refused() {
        for (function, part) in [
            (
                quote!(
                    fn a(input: I) -> Result<O> {}
                ),
                "document this tool",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn a() -> Result<O> {}
                ),
                "takes its input as the first parameter",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn a(input: I) {}
                ),
                "returns `weir_sdk::Result<T>`",
            ),
            (
                quote!(
                    #[doc = "A."]
                    async fn a(input: I) -> Result<O> {}
                ),
                "cannot be async",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn a<T>(input: T) -> Result<O> {}
                ),
                "cannot be generic",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn a(&self) -> Result<O> {}
                ),
                "plain function",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn a(i: I, c: C, d: D) -> Result<O> {}
                ),
                "at most one configuration",
            ),
            (
                quote!(
                    #[doc = "A."]
                    fn CamelCase(input: I) -> Result<O> {}
                ),
                "cannot be the name of a tool",
            ),
        ] {
            let message = error(Kind::Tool, TokenStream::new(), function);
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn options_are_checked() {
        let function = quote!(
            #[doc = "A."]
            fn a(input: I) -> Result<O> {}
        );
        assert!(error(Kind::Tool, quote!(tools("x.y")), function.clone()).contains("make it an agent"));
        assert!(error(Kind::Agent, quote!(idempotant), function.clone()).contains("unknown option"));
        assert!(expand(Kind::Agent, quote!(idempotent, tools("x.y"), fuel = 5), function).is_ok());
    }

    #[test]
    fn documentation_keeps_its_shape() {
        let function: ItemFn = syn::parse_quote! {
            /// First.
            ///
            ///  Indented.
            fn a() {}
        };
        assert_eq!(documentation(&function.attrs), "First.\n\n Indented.");
    }
}
