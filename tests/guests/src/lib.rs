//! What the guest programs share: the bindings of the plugin interface, and a descriptor that is sound.
//!
//! Each program is one file in `examples/`, built as a component for `wasm32-wasip2`, and has a test of the same name
//! in the host's tests, which do not compile without it.

/// Generated from the plugin interface.
#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "agent",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "weir_guests::bindings",
    });
}

/// The parts of WASI that these programs use without the standard library.
#[expect(missing_docs, reason = "generated")]
pub mod wasi {
    wit_bindgen::generate!({
        inline: "
            package weir:guests;

            world raw {
                import wasi:clocks/monotonic-clock@0.2.6;
                import wasi:random/random@0.2.6;
            }

            package wasi:io@0.2.6 {
                interface poll {
                    resource pollable {
                        ready: func() -> bool;
                        block: func();
                    }
                    poll: func(in: list<borrow<pollable>>) -> list<u32>;
                }
            }

            package wasi:clocks@0.2.6 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.6.{pollable};
                    type instant = u64;
                    type duration = u64;
                    now: func() -> instant;
                    resolution: func() -> duration;
                    subscribe-instant: func(when: instant) -> pollable;
                    subscribe-duration: func(when: duration) -> pollable;
                }
            }

            package wasi:random@0.2.6 {
                interface random {
                    get-random-bytes: func(len: u64) -> list<u8>;
                    get-random-u64: func() -> u64;
                }
            }
        ",
        world: "raw",
        generate_all,
    });
}

pub use bindings::{
    exports::weir::plugin::plugin::{Call, Guest},
    weir::plugin::{context, http, kv, log, model, tools, types::Failure},
};

pub use wasi::wasi::{clocks::monotonic_clock::subscribe_duration, random::random::get_random_bytes as random_bytes};

/// A descriptor with one tool and one agent that take and answer anything, and what they ask for.
#[must_use]
pub fn descriptor(name: &str, asks: &str) -> String {
    format!(
        r#"{{"name":"{name}","version":"0.1.0","title":"{name}","description":"a guest program of the tests",
        "tools":[{{"name":"run","title":"run","description":"runs","input_schema":{{}},"output_schema":{{}}}}],
        "agents":[{{"name":"act","title":"act","description":"acts","input_schema":{{}},"output_schema":{{}},
        "tools":["{name}.run"]}}],"asks":{asks}}}"#
    )
}

/// A failure as text: its kind, and what it says.
#[must_use]
pub fn described(failure: &Failure) -> String {
    match failure {
        Failure::InvalidInput(text) => format!("invalid_input: {text}"),
        Failure::Denied(text) => format!("denied: {text}"),
        Failure::Unavailable(text) => format!("unavailable: {text}"),
        Failure::Failed(text) => format!("failed: {text}"),
        Failure::Other((code, text)) => format!("{code}: {text}"),
    }
}

/// The text that an input is, by itself or as the only member `order` of an object.
#[must_use]
pub fn order(input: &str) -> String {
    let text = input.trim_start_matches("{\"order\":").trim_end_matches('}');
    text.trim_matches('"').replace("\\\\", "\\")
}

/// An array of texts as JSON.
#[must_use]
pub fn json_array(texts: &[String]) -> String {
    let mut out = String::from("[");
    for (n, text) in texts.iter().enumerate() {
        out.push_str(if n == 0 { "\"" } else { ",\"" });
        for character in text.chars() {
            match character {
                '"' | '\\' => out.extend(['\\', character]),
                control if control.is_control() => out.push('?'),
                _ => out.push(character),
            }
        }
        out.push('"');
    }
    out.push(']');
    out
}

/// Makes a component of a function `fn(Call) -> Result<String, Failure>`, and of what it asks for as JSON.
#[macro_export]
macro_rules! guest {
    ($name:literal, $run:path) => {
        $crate::guest!($name, $run, "{}");
    };
    ($name:literal, $run:path, $asks:literal) => {
        struct Program;
        impl $crate::Guest for Program {
            fn describe() -> String {
                $crate::descriptor($name, $asks)
            }
            fn run(call: $crate::Call) -> Result<String, $crate::Failure> {
                $run(call)
            }
        }
        const _: () = {
            $crate::bindings::export! { Program with_types_in $crate::bindings }
        };
    };
}
