//! The plugin that the bench calls: one tool that answers its input, so that what is measured is the host.

#[expect(unsafe_code, reason = "generated from the plugin interface")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/0.1", world: "tool" });
    use super::Echo;
    export!(Echo);
}

use bindings::exports::weir::plugin::plugin::{Call, Failure, Guest};

const DESCRIPTOR: &str = r#"{
    "name": "echo",
    "version": "0.1.0",
    "title": "Echo",
    "description": "Answers what it is given.",
    "tools": [{
        "name": "echo",
        "title": "Echo",
        "description": "Answers its input unchanged.",
        "input_schema": { "type": "object" },
        "output_schema": { "type": "object" },
        "idempotent": true,
        "read_only": true
    }],
    "agents": [],
    "asks": {}
}"#;

struct Echo;

impl Guest for Echo {
    fn describe() -> String {
        DESCRIPTOR.to_owned()
    }

    fn run(call: Call) -> Result<String, Failure> {
        match call.name.as_str() {
            "echo" => Ok(call.input),
            other => {
                Err(Failure::InvalidInput(format!("could not find tool {other:?}: this plugin has only \"echo\"")))
            }
        }
    }
}
