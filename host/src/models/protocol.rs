//! What providers send, frame by frame: a line or an event of their streams becomes what was heard.
//!
//! Each protocol says in its own way that an answer is complete. A stream that ends without it was cut, whatever came
//! before; a token count is only one if the provider gave it.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use serde::de::DeserializeOwned;

use super::{Problem, Provider, heard::Heard};

/// Reads a frame of a provider's stream.
pub(super) fn read(provider: Provider, heard: &mut Heard, frame: &str) {
    if heard.is_whole || !heard.admits(frame.len()) {
        return;
    }
    match provider {
        Provider::Openai => openai::read(heard, frame),
        Provider::Anthropic => anthropic::read(heard, frame),
        Provider::Gemini => gemini::read(heard, frame),
        Provider::Ollama => ollama::read(heard, frame),
        Provider::Scripted => {}
    }
}

/// A frame as a document; what is none ends the answer.
fn document<T: DeserializeOwned>(heard: &mut Heard, frame: &str) -> Option<T> {
    match serde_json::from_str(frame) {
        Ok(document) => Some(document),
        Err(error) => {
            heard.fail(Problem::failed(format!("the provider sent what is no answer: {error}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Provider; 4] = [Provider::Openai, Provider::Anthropic, Provider::Gemini, Provider::Ollama];

    #[test]
    fn an_answer_has_a_largest_size() {
        for provider in ALL {
            let mut heard = Heard::default();
            let frame = format!("\"{}\"", "a".repeat(1024 * 1024));
            (0..9).for_each(|_| read(provider, &mut heard, &frame));
            let problem = heard.problem.unwrap().to_string();
            assert!(problem.contains("no answer") || problem.contains("bytes at most"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn hostile_frames_do_no_harm(frames in prop::collection::vec(".{0,80}|\\{\"choices\":\\[.{0,40}\\]\\}", 0..8)) {
            for provider in ALL {
                let mut heard = Heard::default();
                frames.iter().for_each(|frame| read(provider, &mut heard, frame));
                drop(heard.finish(&Default::default()));
            }
        }
    }
}
