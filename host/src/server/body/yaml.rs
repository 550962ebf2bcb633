//! Definitions in YAML.

use serde_json::Value;
use weir_engine::definition::JSON_DEPTH_MAX;

use super::{
    super::error::{ApiError, Code},
    JSON_BYTES_MAX,
};

/// The stack of the thread that reads. The reader recurses with every level and uses tens of kibibytes for each where
/// it is not optimised: more, at the deepest, than the host's other threads have.
const STACK_BYTES: usize = 32 << 20;

/// JSON text of a definition in YAML, read within a budget so that aliases cannot make it large.
///
/// # Errors
/// [`Code::InvalidBody`] with the place; no thread can be started to read it.
pub fn from_yaml(text: &str) -> Result<String, ApiError> {
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("yaml".to_owned()).stack_size(STACK_BYTES);
        let reading = reader.spawn_scoped(scope, || read(text)).map_err(ApiError::internal)?;
        reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read(text: &str) -> Result<String, ApiError> {
    let refuse = |message: String| ApiError::new(Code::InvalidBody, format!("not acceptable as YAML: {message}"));
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: JSON_DEPTH_MAX,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_nodes: 100_000,
            max_events: 400_000,
            max_total_scalar_bytes: JSON_BYTES_MAX,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|e| refuse(e.to_string()))?;
    let json = value.to_string();
    if json.len() > 2 * JSON_BYTES_MAX {
        return Err(refuse("it is too large once its aliases are written out".to_owned()));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use weir_engine::json;

    use super::*;

    #[test]
    fn yaml_becomes_json_and_bombs_are_refused() {
        let json = from_yaml("name: a\nsteps:\n  - id: x\n    timeout: 1.5\n    on: yes\n").unwrap();
        assert_eq!(json, r#"{"name":"a","steps":[{"id":"x","timeout":1.5,"on":"yes"}]}"#);
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let inner = vec![format!("*a{}", n - 1); 10].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{inner}]\n"));
        }
        assert!(from_yaml(&bomb).is_err());
        assert!(from_yaml(&"[".repeat(10_000)).is_err());
        assert!(from_yaml("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn deep_yaml_does_not_overflow_the_stack() {
        let flow = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let maps = |levels: usize| format!("{}1{}", "{a: ".repeat(levels), "}".repeat(levels));
        let block = |levels: usize| (0..levels).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
        for written in [flow, maps, block] {
            let json = from_yaml(&written(JSON_DEPTH_MAX)).unwrap();
            json::check_within(&json, JSON_DEPTH_MAX).unwrap();
            let deeper = from_yaml(&written(JSON_DEPTH_MAX + 1)).unwrap_err();
            assert_eq!(deeper.code(), Code::InvalidBody);
        }
    }

    /// Each anchored list holds the one before: deep only once the aliases are written out.
    #[test]
    fn yaml_that_aliases_make_deep_does_not_overflow_the_stack() {
        for levels in [100, 200, 999] {
            let lists: String = (1..levels).map(|n| format!("- &a{n} [*a{}]\n", n - 1)).collect();
            match from_yaml(&format!("- &a0 []\n{lists}")) {
                Ok(json) => assert_eq!(json::check_within(&json, JSON_DEPTH_MAX).is_ok(), levels < JSON_DEPTH_MAX),
                Err(error) => assert_eq!(error.code(), Code::InvalidBody, "{levels}"),
            }
        }
    }
}
