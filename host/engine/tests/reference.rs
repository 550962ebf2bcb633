//! References, templates and conditions: what they select, what they refuse, and that nothing hostile hurts.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_engine::{
    condition::Condition,
    definition::DiagnosticCode,
    reference::{MissingReason, Reference, Template, View},
};

/// A scope that is an object.
struct Scope(Value);

impl View for Scope {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
    fn names(&self) -> Vec<&str> {
        self.0.as_object().unwrap().keys().map(String::as_str).collect()
    }
}

fn scope() -> Scope {
    Scope(json!({
        "input": {
            "a": 1, "text": "hello", "list": [1, 2, 3, 4], "null": null, "with space": true,
            "people": [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 17}, {"name": "Cyd"}],
            "evil": "$.input.a {{ $.input.a }}"
        },
        "trigger": {"type": "manual"},
        "my-step": {"result": "done"}
    }))
}

fn select(query: &str) -> Option<Value> {
    let scope = scope();
    Reference::parse(query).unwrap().resolve(&scope).map(Cow::into_owned)
}

fn render(template: &Value) -> Result<Value, String> {
    let template = Template::compile(template).map_err(|errors| format!("{errors:?}"))?;
    template.resolve(&scope()).map_err(|missing| missing.to_string())
}

fn holds(condition: &Value) -> (bool, Vec<String>) {
    let (condition, diagnostics) = Condition::parse(condition);
    assert!(diagnostics.iter().all(|d| !d.is_error()), "{diagnostics:?}");
    let mut warnings = Vec::new();
    let result = condition.unwrap().evaluate(&scope(), &mut warnings);
    (result, warnings)
}

#[test]
fn a_singular_query_is_its_value_and_any_other_an_array() {
    let table = [
        ("$.input.a", Some(json!(1))),
        ("$['input']['with space']", Some(json!(true))),
        ("$.input.list[0]", Some(json!(1))),
        ("$.input.list[-1]", Some(json!(4))),
        ("$.input.list[9]", None),
        ("$.input.list[-9]", None),
        ("$.input.null", Some(Value::Null)),
        ("$.input.text.length", None),
        ("$.nobody", None),
        ("$.my-step.result", Some(json!("done"))),
        ("$.input.list[*]", Some(json!([1, 2, 3, 4]))),
        ("$.input.list[1:3]", Some(json!([2, 3]))),
        ("$.input.list[::-1]", Some(json!([4, 3, 2, 1]))),
        ("$.input.list[::0]", Some(json!([]))),
        ("$.input.list[0, -1]", Some(json!([1, 4]))),
        ("$.input.people[?@.age >= 18].name", Some(json!(["Ada"]))),
        ("$.input.people[?!@.age].name", Some(json!(["Cyd"]))),
        ("$.input.people[?@.age < 18 || @.name == 'Cyd'].name", Some(json!(["Bob", "Cyd"]))),
        ("$.input.people[?length(@.name) == 3 && !(@.age == 17)].name", Some(json!(["Ada", "Cyd"]))),
        ("$.input.people[?count(@.*) == 1].name", Some(json!(["Cyd"]))),
        ("$.input.people[?value(@..age) == 36].name", Some(json!(["Ada"]))),
        ("$.input.list[?@ > $.input.a]", Some(json!([2, 3, 4]))),
        ("$..name", Some(json!(["Ada", "Bob", "Cyd"]))),
        ("$.*.type", Some(json!(["manual"]))),
        ("$.input[?@.nothing]", Some(json!([]))),
    ];
    for (query, expected) in table {
        assert_eq!(select(query), expected, "{query}");
    }
}

#[test]
fn a8_hostile_queries_are_refused() {
    let nested = |n: usize, open: &str, close: &str| format!("$.a[?{}@{}]", open.repeat(n), close.repeat(n));
    let corpus = [
        nested(1_000, "(", ")"),
        nested(9, "(", ")"),
        format!("$.a{}@{}", "[?@".repeat(26), "]".repeat(26)),
        format!("$.a{}", "[?@".repeat(100)),
        "$..a..b".to_owned(),
        "$.a[?@..b && $..c]".to_owned(),
        format!("$.{}", "a".repeat(511)),
        "$.a[?match(@, 'x*')]".to_owned(),
        "$.a[?search(@.b, '(a+)+$')]".to_owned(),
        "$.a[9007199254740992]".to_owned(),
        "$.a[-0]".to_owned(),
        "$.a[01]".to_owned(),
        "$.a['\\ud800']".to_owned(),
        "$.a['\u{1}']".to_owned(),
        "$.a[?@.* == 1]".to_owned(),
        "$.a[?length(@.*) == 1]".to_owned(),
        "$.a[?1]".to_owned(),
        "$.a[?$]".to_owned(),
        "$.a[?!!@]".to_owned(),
        "$.a[]".to_owned(),
        "$.a.".to_owned(),
        "$.a ".to_owned(),
        "$.a[?@.x==1e999]".to_owned(),
        "$".to_owned(),
        "a".to_owned(),
        String::new(),
    ];
    for query in corpus {
        assert!(Reference::parse(&query).is_err(), "{query}");
    }
}

#[test]
fn a8_an_evaluation_is_bounded_whatever_the_data() {
    let many: Vec<Value> = (0..2_000).map(|n| json!({ "n": n, "self": [n] })).collect();
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner, 2]));
    let scope = Scope(json!({ "a": many, "deep": deep, "text": "x".repeat(500_000) }));
    let too_much = [
        "$.a[?$.a[?$.a[?@.n == 5]]]",
        "$.a[?count($.a[?count($.a[*]) > 1]) > 0]",
        "$.a[*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*]",
        "$.deep[*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*][*,*]",
        "$.a[?length($.text) > 1 && $.text == $.text && $.a == $.a]",
        "$['text','text','text','text','text','text','text','text','text','text','text','text','text','text','text',\
         'text','text','text','text','text','text','text','text','text','text','text','text','text','text','text',\
         'text','text','text','text','text','text','text','text','text','text','text','text','text','text']",
    ];
    for query in too_much {
        assert_eq!(Reference::parse(query).unwrap().resolve(&scope), None, "{query}");
        let missing = Template::compile(&json!(query)).unwrap().resolve(&scope).unwrap_err();
        assert_eq!(missing.reason, MissingReason::TooLarge, "{query}");
    }
    let text = "$.text ".repeat(40);
    let missing = Template::compile(&json!(text)).unwrap().resolve(&scope).unwrap_err();
    assert_eq!(missing.reason, MissingReason::TooLarge);
}

#[test]
fn templates_keep_types_and_fill_in_text() {
    let table = [
        (json!("$.input.a"), json!(1)),
        (json!("$.input.people[0]"), json!({"name": "Ada", "age": 36})),
        (json!("a is $.input.a."), json!("a is 1.")),
        (json!("$.input.a$.input.text"), json!("1hello")),
        (json!("$.input.a, and more"), json!("1, and more")),
        (json!("first: $.input.list[0], last: $.input.list[-1]"), json!("first: 1, last: 4")),
        (json!("{{ $.input.people[?@.age > 20].name }}!"), json!("[\"Ada\"]!")),
        (json!("{{$.input['with space']}}"), json!("true")),
        (json!("person: $.input.people[2]"), json!("person: {\"name\":\"Cyd\"}")),
        (json!("$.my-step.result-$.input.a"), json!("done-1")),
        (json!({"x": ["$.input.a", {"y": "$.input.text"}, null]}), json!({"x": [1, {"y": "hello"}, null]})),
        (json!({"$path": "$.input.a", "default": 5}), json!(1)),
        (json!({"$path": "$.input.b", "default": "$.input.a"}), json!("$.input.a")),
        (json!({"$path": "$.input.null", "default": 5}), json!(null)),
        (json!("$.input.evil"), json!("$.input.a {{ $.input.a }}")),
        (json!("> $.input.evil"), json!("> $.input.a {{ $.input.a }}")),
    ];
    for (template, expected) in table {
        assert_eq!(render(&template), Ok(expected), "{template}");
    }
}

#[test]
fn what_is_no_reference_stays_as_it_is() {
    let literals = [
        "",
        "costs $.50",
        "$5",
        "$",
        "$$",
        "$.",
        "$.5 a piece",
        "a $. b",
        "US$ 3",
        "ada$example.org",
        "{{",
        "{{ name }}",
        "{{ $.input.a",
        "{{}}",
        "}}",
        "{ $ }",
        "\\",
        "a\\b",
        "C:\\$HOME",
        "$...",
        "price: $[5]",
    ];
    for text in literals {
        let expected = text.replace("$.input.a", "1");
        assert_eq!(render(&json!(text)), Ok(json!(expected)), "{text}");
    }
    let escaped = [
        ("\\$.input.a", "$.input.a"),
        ("\\$..name", "$..name"),
        ("\\$['x']", "$['x']"),
        ("say \\$.input.a or $.input.a", "say $.input.a or 1"),
        ("\\{{ $.input.a }}", "{{ 1 }}"),
    ];
    for (text, expected) in escaped {
        assert_eq!(render(&json!([text])), Ok(json!([expected])), "{text}");
    }
}

#[test]
fn mistakes_in_templates_are_reported_all_with_their_places() {
    let template = json!({
        "a/b": ["$.input.list[?(", "fine"],
        "c": "text {{ $.input[ }} more",
        "d": {"$path": "$.x", "other": 1},
        "e": {"$path": 5},
        "f": "$..a..b"
    });
    let errors = Template::compile(&template).unwrap_err();
    let pointers: Vec<&str> = errors.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/a~1b/0", "/c", "/d", "/e", "/f"]);
}

#[test]
fn a_missing_value_names_the_reference() {
    assert_eq!(render(&json!(["$.input.b"])), Err("reference `$.input.b` selects nothing".to_owned()));
    assert_eq!(render(&json!("hello $.nobody.name.")), Err("reference `$.nobody.name` selects nothing".to_owned()));
}

#[test]
fn conditions_compare_as_the_format_says() {
    let test = |field: &str, operator: &str, value: Value| {
        holds(&json!({"field": field, "operator": operator, "value": value, "then_step": "x", "else_step": null}))
    };
    let table = [
        ("$.input.a", "eq", json!(1.0), true),
        ("$.input.a", "ne", json!("1"), true),
        ("$.input.a", "gt", json!(0.5), true),
        ("$.input.a", "lt", json!(1), false),
        ("$.input.a", "gte", json!(1), true),
        ("$.input.a", "lte", json!(0), false),
        ("$.input.text", "lt", json!("help"), true),
        ("$.input.text", "contains", json!("ell"), true),
        ("$.input.list", "contains", json!(4.0), true),
        ("$.input", "contains", json!("text"), true),
        ("$.input.a", "contains", json!(1), false),
        ("$.input.a", "exists", Value::Null, true),
        ("$.input.null", "exists", Value::Null, false),
        ("$.input.none", "exists", Value::Null, false),
        ("$.input.none", "eq", Value::Null, true),
        ("$.input.people[?@.age > 20]", "eq", json!([{"age": 36, "name": "Ada"}]), true),
        ("$.input.list[1]", "gt", json!("$.input.a"), true),
    ];
    for (field, operator, value, expected) in table {
        assert_eq!(test(field, operator, value), (expected, vec![]), "{field} {operator}");
    }
}

#[test]
fn comparisons_that_make_no_sense_are_false_and_leave_a_warning() {
    for (field, operator, value) in [
        ("$.input.none", "gt", json!(1)),
        ("$.input.a", "lte", json!("1")),
        ("$.input.list", "lt", json!([9])),
        ("$.input.a", "gte", Value::Null),
    ] {
        let (result, warnings) = holds(&json!({"field": field, "operator": operator, "value": value}));
        assert!(!result);
        assert_eq!(warnings.len(), 1, "{field}: {warnings:?}");
    }
    let (result, warnings) = holds(&json!({"field": "$.input.null", "operator": "eq", "value": "$.input.none"}));
    assert!(result);
    assert!(warnings[0].contains("$.input.none"), "{warnings:?}");
}

#[test]
fn groups_of_conditions() {
    let yes = json!({"field": "$.input.a", "operator": "eq", "value": 1});
    let no = json!({"not": yes});
    assert!(holds(&json!({"all": [yes, yes]})).0);
    assert!(!holds(&json!({"all": [yes, no]})).0);
    assert!(holds(&json!({"any": [no, yes], "then_step": "a"})).0);
    assert!(!holds(&json!({"any": [no, {"not": {"all": [yes]}}]})).0);
    let (condition, _) = Condition::parse(&json!({"all": [yes, {"any": [no]}]}));
    let sources: Vec<String> = condition.unwrap().references().iter().map(|r| r.source().to_owned()).collect();
    assert_eq!(sources, ["$.input.a", "$.input.a"]);
}

#[test]
fn conditions_are_checked() {
    use DiagnosticCode::{Empty, ImpliedReference, InvalidCondition, InvalidReference, TooMany, UnknownOperator};
    let test = json!({"field": "$.a", "operator": "eq", "value": 1});
    let deep = (0..9).fold(test.clone(), |inner, _| json!({ "not": inner }));
    let table = [
        (json!({"field": "input.a", "operator": "exists"}), ImpliedReference, ""),
        (json!({"field": "{{ input.a }}", "operator": "exists"}), ImpliedReference, ""),
        (json!({"field": "$.a[", "operator": "eq"}), InvalidReference, "/field"),
        (json!({"field": "", "operator": "eq"}), InvalidReference, "/field"),
        (json!({"field": "$.a", "operator": "like"}), UnknownOperator, "/operator"),
        (json!({"field": "$.a", "all": [test]}), InvalidCondition, ""),
        (json!({}), InvalidCondition, ""),
        (json!({"all": []}), Empty, "/all"),
        (json!({"any": vec![test.clone(); 101]}), TooMany, "/any"),
        (deep, TooMany, "/not/not/not/not/not/not/not/not/not"),
        (json!({"not": {"field": "$.a", "operator": "eq", "value": "$..a..b"}}), InvalidReference, "/not/value"),
    ];
    for (condition, code, field) in table {
        let (_, diagnostics) = Condition::parse(&condition);
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        let field = if code == ImpliedReference { "/field" } else { field };
        assert_eq!(found, [(code, field)], "{condition}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        (-3..3_i64).prop_map(|n| json!(n as f64 / 2.0)),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Queries of the part of the language that we take.
fn queries() -> impl Strategy<Value = String> {
    let query = "[@$]\\.[a-c]";
    let function = prop_oneof!["length\\(@\\.[a-c]\\)", "count\\(@\\.\\*\\)", "value\\(@\\.\\*\\)"];
    let operand = prop_oneof![query, "-?[0-3]", "'[a-c]'", "true|null", function.clone()];
    let equality = (operand.clone(), "==|!=", operand).prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    // Of what is neither a number nor a string the other implementation has its own order, against the RFC.
    let ordered = (prop_oneof![query, function], "<|<=|>|>=", prop_oneof!["-?[0-3]", "'[a-c]'"]);
    let order = ordered.prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let test = prop_oneof![equality, order, "!?@\\.[a-c]", "@\\[[0-2]\\]"];
    let filter = (test.clone(), "&&|\\|\\|", test.clone()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let selector = prop_oneof![
        "'[a-c]'",
        "-?[1-3]",
        Just("0".to_owned()),
        Just("*".to_owned()),
        "(-?[1-4])?:(-?[1-4])?(:(-?[1-2])?)?",
        prop_oneof![test, filter].prop_map(|filter| format!("?{filter}")),
    ];
    let bracket = prop::collection::vec(selector, 1..3).prop_map(|selectors| format!("[{}]", selectors.join(", ")));
    let segment = prop_oneof!["\\.[a-c]", Just(".*".to_owned()), bracket];
    (prop::collection::vec(segment, 1..5), any::<bool>()).prop_map(|(segments, descend)| {
        let text: String = segments.concat();
        if descend && !text.starts_with('.') { format!("$..{text}") } else { format!("${text}") }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn queries_select_what_another_implementation_selects(
        query in queries(),
        data in prop::collection::btree_map("[a-c]", values(), 1..4),
    ) {
        let data: Value = data.into_iter().collect();
        let other = serde_json_path::JsonPath::parse(&query).unwrap();
        let expected: Vec<Value> = other.query(&data).all().into_iter().cloned().collect();
        let reference = Reference::parse(&query).unwrap();
        let scope = Scope(data);
        let found = reference.resolve(&scope).map(Cow::into_owned);
        // The scope has no order of its own: names come sorted here, and so do they in the data.
        let expected = if reference.is_singular() { expected.into_iter().next() } else { Some(expected.into()) };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn strings_never_hurt(text in "\\PC{0,200}", data in values()) {
        let scope = Scope(json!({ "a": data }));
        if let Ok(reference) = Reference::parse(&text) {
            reference.resolve(&scope);
        }
        if let Ok(template) = Template::compile(&json!(text)) {
            drop(template.resolve(&scope));
        }
    }

    #[test]
    fn strings_that_look_like_queries_never_hurt(text in "[$@.*?!()\\[\\]'\"ab{} 01:,=<>&|\\\\-]{0,80}", data in values()) {
        let scope = Scope(json!({ "a": data }));
        for text in [format!("$.a{text}"), format!("$[{text}"), text] {
            if let Ok(reference) = Reference::parse(&text) {
                reference.resolve(&scope);
            }
            if let Ok(template) = Template::compile(&json!(text)) {
                drop(template.resolve(&scope));
            }
        }
    }

    #[test]
    fn conditions_never_hurt(condition in values(), data in values()) {
        let (condition, _) = Condition::parse(&json!({"field": "$.a", "operator": "lt", "value": condition}));
        condition.unwrap().evaluate(&Scope(json!({ "a": data })), &mut Vec::new());
    }
}
