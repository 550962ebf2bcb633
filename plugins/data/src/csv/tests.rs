use super::*;

fn read(input: Value) -> Result<CsvToJsonOutput> {
    csv_to_json(serde_json::from_value(input).unwrap())
}

fn write(input: Value) -> Result<JsonToCsvOutput> {
    json_to_csv(serde_json::from_value(input).unwrap())
}

#[test]
fn header_quotes_and_line_breaks() {
    let output = read(json!({ "csv": "\u{feff}id,text\r\n1,\"Hello, \"\"you\"\"\nthere\"\r\n2,\r\n" })).unwrap();
    assert_eq!(output.columns, ["id", "text"]);
    assert_eq!(output.rows, [json!({ "id": "1", "text": "Hello, \"you\"\nthere" }), json!({ "id": "2", "text": "" })]);
}

#[test]
fn types_are_inferred_where_asked_for() {
    let output = read(
        json!({ "csv": "a;b;c;d;e;f;g\n1;-2.5;true;;007;x;99999999999999999999\n", "delimiter": ";", "types": true }),
    );
    let row = json!({ "a": 1, "b": -2.5, "c": true, "d": null, "e": "007", "f": "x", "g": "99999999999999999999" });
    assert_eq!(output.unwrap().rows, [row]);
}

#[test]
fn without_header_rows_are_arrays_or_named() {
    assert_eq!(read(json!({ "csv": "1,2\n", "header": false })).unwrap().rows, [json!(["1", "2"])]);
    let named = read(json!({ "csv": "1,2\n", "header": false, "columns": ["a", "b"] })).unwrap();
    assert_eq!(named.rows, [json!({ "a": "1", "b": "2" })]);
}

#[test]
fn problems_name_their_place() {
    for (input, part) in [
        (json!({ "csv": "a,b\n1,2\n3\n" }), "line 3 has 1 fields"),
        (json!({ "csv": "1\n", "header": false, "columns": ["a", "b"] }), "line 1 has 1 fields"),
        (json!({ "csv": "a,a\n" }), "\"a\" is there twice"),
        (json!({ "csv": "a,\n" }), "column 2 has no name"),
        (json!({ "csv": "a,b\n", "columns": ["x"] }), "columns has 1 names"),
        (json!({ "csv": "a", "delimiter": "ab" }), "delimiter"),
        (json!({ "csv": "a", "delimiter": "é" }), "delimiter"),
    ] {
        let failure = read(input).unwrap_err();
        assert_eq!(failure.code(), "invalid_input");
        assert!(failure.message().contains(part), "{failure}");
    }
}

#[test]
fn empty_documents_have_no_rows() {
    assert_eq!(read(json!({ "csv": "" })).unwrap().count, 0);
    assert_eq!(read(json!({ "csv": "a,b\n" })).unwrap().count, 0);
    assert_eq!(write(json!({ "rows": [] })).unwrap().csv, "");
}

#[test]
fn writes_objects_in_order_of_columns() {
    let rows = json!([{ "a": 1, "b": "x, y" }, { "b": null, "c": { "d": [1] } }]);
    let output = write(json!({ "rows": rows })).unwrap();
    assert_eq!(output.csv, "a,b,c\n1,\"x, y\",\n,,\"{\"\"d\"\":[1]}\"\n");
    let chosen = write(json!({ "rows": rows, "columns": ["b", "a"], "header": false, "delimiter": "\t" })).unwrap();
    assert_eq!(chosen.csv, "x, y\t1\n\t\n");
}

#[test]
fn formulas_are_guarded_where_asked_for() {
    let rows = json!([{ "a": "=1+1", "b": -3, "c": "@x", "d": "fine" }]);
    assert_eq!(write(json!({ "rows": rows, "header": false })).unwrap().csv, "=1+1,-3,@x,fine\n");
    let guarded = write(json!({ "rows": rows, "header": false, "guard_formulas": true })).unwrap();
    assert_eq!(guarded.csv, "'=1+1,-3,'@x,fine\n");
}

#[test]
fn rows_that_are_no_rows_are_refused() {
    assert!(write(json!({ "rows": [7] })).unwrap_err().message().contains("rows[0]"));
    assert!(write(json!({ "rows": [["a"]], "columns": ["x", "y"] })).unwrap_err().message().contains("rows[0]"));
}

#[test]
fn what_is_written_reads_back() {
    let rows = json!([{ "a": "1", "b": "\"q\"\n" }, { "a": "", "b": "ü" }]);
    let csv = write(json!({ "rows": rows })).unwrap().csv;
    assert_eq!(json!(read(json!({ "csv": csv })).unwrap().rows), rows);
}
