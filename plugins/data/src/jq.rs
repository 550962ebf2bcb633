//! jq filters.

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, Ctx, Exn, Vars, compile};
use jaq_json::{Val, read, write};
use weir_sdk::prelude::*;

/// A filter, and what to put through it.
#[derive(Deserialize, JsonSchema)]
pub struct JqInput {
    /// The filter: `.items | map(.price) | add`.
    #[schemars(length(max = 16_384))]
    pub filter: String,
    /// What the filter gets.
    pub value: Value,
    /// Values that the filter reads as `$name`.
    #[serde(default)]
    pub variables: serde_json::Map<String, Value>,
    /// The most outputs to take; more are an error.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_outputs: usize,
}

/// What the filter made.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct JqOutput {
    /// The first output; null where there is none.
    pub value: Value,
    /// All outputs, in order.
    pub outputs: Vec<Value>,
}

const FILTER_BYTES_MAX: usize = 16 << 10;
const OUTPUTS_MAX: usize = 100_000;
const VARIABLES_MAX: usize = 100;

/// What looks outside: at the environment, the clock, the machine's time zone, the process.
const ABSENT: [&str; 7] = ["env", "now", "localtime", "strflocaltime", "halt", "debug_empty", "stderr_empty"];

type Data = JustLut<Val>;
type Filter = jaq_core::Filter<Data>;

fn default_max() -> usize {
    10_000
}

/// Puts a value through a jq filter.
///
/// The language of jq 1.7, with its filters for objects, arrays, texts, numbers, regular expressions and dates, and
/// without those that look outside: `env`, `now`, `input`, `debug`, `halt`, modules. Answers the first output, and all.
#[tool(idempotent, read_only)]
pub fn jq(input: JqInput) -> Result<JqOutput> {
    check(&input)?;
    let names: Vec<_> = input.variables.keys().map(|name| format!("${name}")).collect();
    let filter = compile(&input.filter, &names)?;
    let variables = input.variables.values().map(to_jq).collect::<Result<Vec<_>>>()?;
    let context = Ctx::<Data>::new(&filter.lut, Vars::new(variables));
    let mut outputs = Vec::new();
    let mut bytes = 0;
    for output in filter.id.run((context, to_jq(&input.value)?)) {
        let text = to_text(&output.map_err(stopped)?)?;
        bytes += text.len();
        crate::check_length("the output", bytes)?;
        if outputs.len() == input.max_outputs {
            let message = format!(
                "the filter has more than {} outputs: raise max_outputs, or collect them by [ ]",
                outputs.len()
            );
            return Err(Failure::invalid_input(message));
        }
        outputs.push(from_text(&text)?);
    }
    Ok(JqOutput { value: outputs.first().cloned().unwrap_or_default(), outputs })
}

fn check(input: &JqInput) -> Result<()> {
    if input.filter.len() > FILTER_BYTES_MAX {
        let message = format!("filter has {} bytes, the most is {FILTER_BYTES_MAX}", input.filter.len());
        return Err(Failure::invalid_input(message));
    }
    if !(1..=OUTPUTS_MAX).contains(&input.max_outputs) {
        let message = format!("max_outputs is {}, but must be 1 to {OUTPUTS_MAX}", input.max_outputs);
        return Err(Failure::invalid_input(message));
    }
    if input.variables.len() > VARIABLES_MAX {
        return Err(Failure::invalid_input(format!(
            "there are more than {VARIABLES_MAX} variables: put them into one"
        )));
    }
    Ok(())
}

fn compile(code: &str, variables: &[String]) -> Result<Filter> {
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let functions = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let functions = functions.filter(|(name, ..)| !ABSENT.contains(name));
    // Definitions of the library that stand on what is absent are left out with it.
    let definitions = definitions.filter(|definition| !leans_on_absent(definition.name));
    let arena = Arena::default();
    let modules =
        Loader::new(definitions).load(&arena, File { path: (), code }).map_err(|errors| not_loaded(code, &errors))?;
    load::import(&modules, |_| Err("there are no files to import".into()))
        .map_err(|errors| not_loaded(code, &errors))?;
    Compiler::default()
        .with_funs(functions)
        .with_global_vars(variables.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| not_compiled(code, &errors))
}

fn leans_on_absent(name: &str) -> bool {
    matches!(name, "halt" | "halt_error" | "debug" | "stderr")
}

fn not_loaded(code: &str, errors: &load::Errors<&str, ()>) -> Failure {
    let problem = match errors.first() {
        Some((_, load::Error::Lex(errors))) => errors.first().map(|error| lexical(code, error)),
        Some((_, load::Error::Parse(errors))) => errors.first().map(|error| syntactic(code, error)),
        Some((_, load::Error::Io(errors))) => errors.first().map(|(path, text)| at(code, path, text)),
        None => None,
    };
    Failure::invalid_input(format!("filter cannot be read: {}", problem.unwrap_or_default()))
}

fn lexical(code: &str, (expected, found): &lex::Error<&str>) -> String {
    at(code, found, &format!("expected {}", expected.as_str()))
}

fn syntactic(code: &str, (expected, found): &parse::Error<&str>) -> String {
    at(code, found, &format!("expected {}", expected.as_str()))
}

fn not_compiled(code: &str, errors: &compile::Errors<&str, ()>) -> Failure {
    let problem = errors.iter().flat_map(|(_, errors)| errors).next().map(|(found, undefined)| {
        at(code, found, &format!("there is no {} {}", undefined.as_str(), signature(found, undefined)))
    });
    Failure::invalid_input(format!("filter cannot be compiled: {}", problem.unwrap_or_default()))
}

fn signature(name: &str, undefined: &compile::Undefined) -> String {
    if let compile::Undefined::Filter(arity) = undefined { format!("{name}/{arity}") } else { name.to_owned() }
}

/// The problem with its place: `found` is a part of the code.
fn at(code: &str, found: &str, problem: &str) -> String {
    let start = load::span(code, found).start.min(code.len());
    let before = code.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{problem} (line {line}, column {column})")
}

fn stopped(exception: Exn<'_, Val>) -> Failure {
    match exception.get_err() {
        Ok(error) => Failure::failed(format!("the filter stopped with an error: {error}")),
        Err(_) => Failure::failed("the filter broke off"),
    }
}

fn to_jq(value: &Value) -> Result<Val> {
    read::parse_single(value.to_string().as_bytes())
        .map_err(|error| Failure::invalid_input(format!("value cannot be read: {error}")))
}

fn to_text(value: &Val) -> Result<String> {
    let mut bytes = Vec::new();
    write::write(&mut bytes, &write::Pp::default(), 0, value)?;
    String::from_utf8(bytes).map_err(|_| Failure::failed("an output of the filter holds bytes that are no text"))
}

/// jq knows values that JSON does not have: objects with keys that are no texts, and numbers that are none.
fn from_text(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let start: String = text.chars().take(80).collect();
        Failure::failed(format!("an output of the filter is no JSON ({error}): {start}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &str, value: Value) -> Result<JqOutput> {
        let variables = serde_json::Map::from_iter([("limit".to_owned(), json!(2))]);
        jq(JqInput { filter: filter.into(), value, variables, max_outputs: 5 })
    }

    #[test]
    fn filters_run() {
        let value = json!({ "items": [{ "name": "Tea", "price": 3.5 }, { "name": "Cup", "price": 12 }] });
        for (filter, expected) in [
            (".items | map(.price) | add", json!(15.5)),
            (".items[0].name | ascii_downcase", json!("tea")),
            ("[.items[] | select(.price > $limit) | .name]", json!(["Tea", "Cup"])),
            (".items | sort_by(.price) | last | .name", json!("Cup")),
            (".items | group_by(.price > 10) | map(length)", json!([1, 1])),
            (".items[0] | to_entries | map(.key)", json!(["name", "price"])),
            (".items | map(.name | test(\"^c\"; \"i\"))", json!([false, true])),
            ("\"\\(.items | length) items\"", json!("2 items")),
            ("\"2026-11-22T10:00:00Z\" | fromdate | todate", json!("2026-11-22T10:00:00Z")),
            ("\"aGk=\" | @base64d", json!("hi")),
            (".missing", json!(null)),
        ] {
            assert_eq!(run(filter, value.clone()).map(|output| output.value), Ok(expected), "{filter}");
        }
    }

    #[test]
    fn all_outputs_are_answered_and_counted() {
        assert_eq!(run(".[]", json!([1, 2, 3])).unwrap().outputs, [json!(1), json!(2), json!(3)]);
        assert_eq!(run("empty", json!(0)).unwrap(), JqOutput { value: Value::Null, outputs: vec![] });
        assert_eq!(run("range(9)", json!(0)).unwrap_err().code(), "invalid_input");
        assert_eq!(run("repeat(1)", json!(0)).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn problems_have_a_place() {
        for (filter, part) in [
            (".a |", "line 1, column"),
            (".a\n| nothing(1)", "no filter nothing/1 (line 2, column 3)"),
            ("$nobody", "no variable $nobody (line 1, column 1)"),
            ("\"open", "closing quote"),
            ("import \"x\" as x; .", "cannot be read"),
        ] {
            let failure = run(filter, json!(0)).unwrap_err();
            assert_eq!(failure.code(), "invalid_input");
            assert!(failure.message().contains(part), "{filter}: {failure}");
        }
    }

    #[test]
    fn errors_of_the_filter_are_failures() {
        let failure = run(".a", json!([1])).unwrap_err();
        assert_eq!(failure.code(), "failed");
        assert!(run("error(\"no luck\")", json!(0)).unwrap_err().message().contains("no luck"));
    }

    #[test]
    fn nothing_outside_can_be_seen() {
        for filter in
            ["env", "$ENV", "now", "input", "inputs", "debug", "stderr", "halt", "localtime", "get_search_list"]
        {
            let failure = run(filter, json!(0)).unwrap_err();
            assert!(failure.message().contains("cannot be compiled"), "{filter}: {failure}");
        }
    }

    #[test]
    fn what_json_does_not_have_is_refused() {
        assert!(run("{(1 | tostring): 2}", json!(0)).is_ok());
        for filter in ["infinite", "-infinite", "nan", "[1, {a: infinite}]"] {
            let refused = run(filter, json!(0));
            assert!(matches!(&refused, Err(Failure::Failed(_))), "{filter}: {refused:?}");
        }
    }
}
