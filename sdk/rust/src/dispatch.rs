//! From the host's call to the author's function and back.

use crate::failure::Failure;
use crate::{Call, Plugin};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Finds the tool or agent that the call names, and runs it. The answer is a JSON document.
pub(crate) fn run<P: Plugin>(call: &Call) -> Result<String, Failure> {
    let offer = P::TOOLS.iter().chain(P::AGENTS).find(|offer| offer.name == call.name);
    let Some(offer) = offer else {
        return Err(Failure::invalid_input(format!("plugin {:?} offers no {:?}", P::HEADER.name, call.name)));
    };
    (offer.run)(call)
}

/// Reads the call's input.
pub fn input<T: DeserializeOwned>(call: &Call) -> Result<T, Failure> {
    decode("input", &call.input)
}

/// Reads the step's configuration.
pub fn config<T: DeserializeOwned>(call: &Call) -> Result<T, Failure> {
    decode("config", &call.config)
}

/// Writes the function's answer.
pub fn output<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::failed(format!("could not write the output as JSON: {error}")))
}

/// Reads a document. The path to what is wrong is looked for only once something is: keeping track of it costs.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(located) if located.path().iter().next().is_some() => {
                Failure::invalid_input(format!("{what}.{}: {}", located.path(), without_position(located.inner())))
            }
            _ => Failure::invalid_input(format!("{what}: {}", without_position(&error))),
        }
    })
}

/// The error's text. Line and column stay only where the text is no JSON: the document is one that a workflow made,
/// so its author never saw the lines.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return text;
    }
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
