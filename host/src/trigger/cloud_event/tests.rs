use super::*;

fn event() -> Value {
    json!({
        "specversion": "1.0", "type": "com.github.pull_request.opened",
        "source": "https://github.com/cloudevents/spec/pull", "subject": "123", "id": "A234-1234-1234",
        "time": "2018-04-05T17:31:00Z", "comexampleextension1": "value", "comexampleothervalue": 5,
        "datacontenttype": "text/xml", "data": "<much wow=\"xml\"/>"
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut event = event();
    event[name] = value;
    event
}

#[track_caller]
fn refused(event: &Value, field: &str, said: &str) {
    let problems = structured(event).unwrap_err();
    let hit = problems.iter().any(|problem| problem.field == field && problem.message.contains(said));
    assert!(hit, "nothing at {field} says {said:?}: {problems:?}");
}

#[test]
fn the_specs_example_is_read_as_it_is() {
    let read = structured(&event()).unwrap();
    assert_eq!(
        (read.source.as_str(), read.id.as_str()),
        ("https://github.com/cloudevents/spec/pull", "A234-1234-1234")
    );
    assert_eq!((read.event_type.as_str(), read.subject.as_deref()), ("com.github.pull_request.opened", Some("123")));
    assert_eq!(read.event.value(), &event());
    assert_eq!(input(read.event.value()), json!("<much wow=\"xml\"/>"));
    assert!(!attributes(read.event.value()).contains_key("data"));
}

#[test]
fn null_is_absent_and_data_may_be_missing() {
    let read = structured(&with("subject", Value::Null)).unwrap();
    assert_eq!(read.subject, None);
    let bare = json!({ "specversion": "1.0", "type": "t", "source": "/s", "id": "1" });
    assert_eq!(input(structured(&bare).unwrap().event.value()), json!({}));
}

#[test]
fn every_problem_is_told_with_its_place() {
    let problems = structured(&json!({ "specversion": "0.3", "type": "", "time": "today", "Bad": 1 })).unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["/id", "/source", "/specversion", "/type", "/time", "/Bad"], "{problems:?}");
    refused(&with("id", json!(5)), "/id", "a text");
    refused(&with("source", json!("a b")), "/source", "URI reference");
    refused(&with("source", json!("WEIR:host")), "/source", "host itself");
    refused(&with("subject", json!("a\u{7}")), "/subject", "U+0007");
    refused(&with("type", json!("\u{ffff}")), "/type", "U+FFFF");
    refused(&with("type", json!("t".repeat(257))), "/type", "256");
    refused(&with("dataschema", json!("/relative")), "/dataschema", "absolute");
    refused(&with("datacontenttype", json!("json")), "/datacontenttype", "media type");
    refused(&with("data_base64", json!("aGk=")), "/data_base64", "leave one");
    refused(&with("deep", json!({})), "/deep", "32 bits");
    refused(&with("large", json!(1_u64 << 31)), "/large", "32 bits");
    refused(&with("half", json!(0.5)), "/half", "32 bits");
    refused(&with("a/b", json!("x")), "/a~1b", "extension");
    refused(&with(&"x".repeat(21), json!("x")), &format!("/{}", "x".repeat(21)), "extension");
    refused(&json!([]), "", "object");
}

#[test]
fn times_are_those_of_rfc_3339() {
    for good in
        ["2018-04-05T17:31:00Z", "2018-04-05t17:31:00.123456789z", "1990-12-31T23:59:60Z", "2020-01-01T00:00:00-08:00"]
    {
        assert!(structured(&with("time", json!(good))).is_ok(), "{good}");
    }
    for bad in [
        "2018-04-05",
        "2018-04-05T17:31Z",
        "2018-04-05T17:31:00",
        "2018-04-05T17:31:00.Z",
        "20180405T173100Z",
        "2018-04-05T17:31:00Z[UTC]",
        "2018-13-05T17:31:00Z",
        "2018-04-05T17:31:00+0100",
        "é018-04-05T17:31:00Z",
    ] {
        refused(&with("time", json!(bad)), "/time", "RFC 3339");
    }
}

#[test]
fn a_batch_is_good_as_a_whole_or_not_at_all() {
    assert_eq!(batch(&json!([event(), event()])).unwrap().len(), 2);
    assert!(batch(&json!([])).unwrap().is_empty());
    let problems = batch(&json!([event(), with("id", json!("")), 3])).unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["/1/id", "/2"]);
    assert!(batch(&Value::Array(vec![event(); BATCH_MAX + 1])).is_err());
    assert!(batch(&event()).is_err());
}

fn headers(more: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let needed = [("specversion", "1.0"), ("type", "t"), ("source", "/s"), ("id", "1")];
    needed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

#[test]
fn headers_are_decoded() {
    let given = headers(&[("subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"), ("note", "\"a \\\"b\\\" %41\"")]);
    let read = binary(&given, Some("application/json; charset=utf-8"), br#"{"n":1}"#).unwrap();
    assert_eq!(read.subject.as_deref(), Some("Euro € 😀"));
    assert_eq!(read.event.value()["note"], "a \"b\" A");
    assert_eq!(read.event.value()["data"], json!({ "n": 1 }));
    let problems = binary(&headers(&[("subject", "%ff"), ("id", "2")]), None, b"").unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["ce-subject", "ce-id"]);
    let problems = binary(&headers(&[("data", "x")])[1..], Some("x"), b"").unwrap_err();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["ce-data", "ce-specversion", "content-type"]);
}

#[test]
fn a_body_is_what_its_type_says() {
    let data = |kind: &str, body: &[u8]| binary(&headers(&[]), Some(kind), body).unwrap().event.value().clone();
    assert_eq!(data("application/vnd.x+json", b"[1]")["data"], json!([1]));
    assert_eq!(data("text/plain", "é".as_bytes())["data"], "é");
    assert_eq!(data("image/png", &[0, 255])["data_base64"], "AP8=");
    assert_eq!(input(&data("image/png", &[0, 255])), json!({ "data_base64": "AP8=" }));
    assert_eq!(data("application/json", b"").get("data"), None);
    for (kind, body) in
        [("application/json", &b"{"[..]), ("application/json", b"{\"a\":1,\"a\":2}"), ("text/plain", b"\xff")]
    {
        let problems = binary(&headers(&[]), Some(kind), body).unwrap_err();
        assert_eq!(problems[0].field, "", "{problems:?}");
    }
}
