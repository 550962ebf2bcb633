//! The generated bindings to `weir:plugin`. [`plugin!`](crate::plugin!) exports them from the author's crate; nothing
//! else should need them.
//!
//! The world is `agent`, the larger one: what a plugin does not call is dropped when it is linked, so a plugin of
//! tools alone does not import `tools`.

wit_bindgen::generate!({
    path: "wit",
    world: "agent",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "weir_sdk::bindings",
    runtime_path: "weir_sdk::bindings::runtime",
    generate_all,
});

/// What the generated code calls, for crates that do not depend on it themselves.
pub use wit_bindgen::rt as runtime;

use crate::failure::Failure;
use exports::weir::plugin::plugin as exported;
use weir::plugin::types::Failure as WireFailure;

/// Every plugin is exported as the component's `plugin` interface.
impl<P: crate::Plugin> exported::Guest for P {
    fn describe() -> String {
        crate::descriptor::describe::<P>().to_string()
    }

    fn run(call: exported::Call) -> Result<String, WireFailure> {
        let exported::Call { name, config, input, idempotency_key, attempt } = call;
        crate::dispatch::run::<P>(&crate::Call { name, config, input, idempotency_key, attempt }).map_err(Into::into)
    }
}

impl From<Failure> for WireFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidInput(text) => Self::InvalidInput(text),
            Failure::Denied(text) => Self::Denied(text),
            Failure::Unavailable(text) => Self::Unavailable(text),
            Failure::Failed(text) => Self::Failed(text),
            Failure::Other { code, message } => Self::Other((code, message)),
        }
    }
}

/// The failure of an import. (No `From`: the generated type is an error, and those convert in their own way.)
pub(crate) fn failure_from(failure: WireFailure) -> Failure {
    match failure {
        WireFailure::InvalidInput(text) => Failure::InvalidInput(text),
        WireFailure::Denied(text) => Failure::Denied(text),
        WireFailure::Unavailable(text) => Failure::Unavailable(text),
        WireFailure::Failed(text) => Failure::Failed(text),
        WireFailure::Other((code, message)) => Failure::Other { code, message },
    }
}
