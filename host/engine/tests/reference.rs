//! References, templates and conditions: what they select, what they refuse, and that nothing hostile hurts.

mod conditions;
mod random;

use std::borrow::Cow;

use serde_json::{Value, json};
use weir_engine::reference::{MissingReason, Reference, Template, View};

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
