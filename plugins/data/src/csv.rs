//! CSV to JSON and back.

use serde_json::{Map, Number};
use std::collections::BTreeSet;
use weir_sdk::prelude::*;

const ROWS_MAX: usize = 100_000;
const COLUMNS_MAX: usize = 1_000;

/// A CSV document, and how to read it.
#[derive(Deserialize, JsonSchema)]
pub struct CsvToJsonInput {
    /// The document.
    pub csv: String,
    /// What stands between two fields; one ASCII character, `\t` for tables from spreadsheets.
    #[serde(default = "comma")]
    #[schemars(length(equal = 1))]
    pub delimiter: String,
    /// Whether the first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// Names for the columns, in place of the header's.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub columns: Vec<String>,
    /// Whether to make numbers, booleans and null of fields that look like them; otherwise every field is a string.
    /// Numbers with leading zeros or a plus stay strings: they are codes.
    #[serde(default)]
    pub types: bool,
    /// Whether to take white space from both ends of fields.
    #[serde(default)]
    pub trim: bool,
}

/// The rows of a CSV document.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct CsvToJsonOutput {
    /// An object for each row; an array where the columns have no names.
    pub rows: Vec<Value>,
    /// The columns' names.
    pub columns: Vec<String>,
    /// How many rows there are.
    pub count: usize,
}

/// Rows, and how to write them.
#[derive(Deserialize, JsonSchema)]
pub struct JsonToCsvInput {
    /// The rows: objects, or arrays of fields.
    #[schemars(length(max = 100_000))]
    pub rows: Vec<Value>,
    /// The columns and their order; by default all that occur, in the order in which they occur.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub columns: Vec<String>,
    /// What to put between two fields; one ASCII character.
    #[serde(default = "comma")]
    #[schemars(length(equal = 1))]
    pub delimiter: String,
    /// Whether to begin with a line of the columns' names.
    #[serde(default = "yes")]
    pub header: bool,
    /// Whether to put an apostrophe before texts that a spreadsheet would take for a formula. For files that people
    /// open in one, with texts from strangers.
    #[serde(default)]
    pub guard_formulas: bool,
}

/// A CSV document.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct JsonToCsvOutput {
    /// The document, with a line feed after each line.
    pub csv: String,
    /// The columns that it has.
    pub columns: Vec<String>,
    /// How many rows it has, without the header.
    pub count: usize,
}

fn comma() -> String {
    ",".into()
}

fn yes() -> bool {
    true
}

/// Reads a CSV document into JSON.
///
/// Quoted fields, line breaks within them, and any delimiter (RFC 4180). A row with too many or too few fields is an
/// error that names its line; nothing is guessed.
#[tool(idempotent, read_only)]
pub fn csv_to_json(input: CsvToJsonInput) -> Result<CsvToJsonOutput> {
    crate::check_length("csv", input.csv.len())?;
    let text = input.csv.strip_prefix('\u{feff}').unwrap_or(&input.csv);
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter(&input.delimiter)?)
        .has_headers(input.header)
        .trim(if input.trim { ::csv::Trim::All } else { ::csv::Trim::None })
        .from_reader(text.as_bytes());
    let columns = columns(&mut reader, &input)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| explain(&error))?;
        if rows.len() == ROWS_MAX {
            return Err(Failure::invalid_input(format!("csv has more than {ROWS_MAX} rows: split it")));
        }
        rows.push(row(&record, &columns, input.types)?);
    }
    Ok(CsvToJsonOutput { count: rows.len(), rows, columns })
}

fn columns(reader: &mut ::csv::Reader<&[u8]>, input: &CsvToJsonInput) -> Result<Vec<String>> {
    let header =
        if input.header { reader.headers().map_err(|error| explain(&error))?.clone() } else { Default::default() };
    let columns: Vec<String> = match input.columns.is_empty() {
        true => header.iter().map(str::to_owned).collect(),
        false => input.columns.clone(),
    };
    if input.header && !input.columns.is_empty() && header.len() != columns.len() {
        let message = format!("columns has {} names, but the header has {} fields", columns.len(), header.len());
        return Err(Failure::invalid_input(message));
    }
    check_columns(&columns)?;
    Ok(columns)
}

fn check_columns(columns: &[String]) -> Result<()> {
    if columns.len() > COLUMNS_MAX {
        return Err(Failure::invalid_input(format!("there are more than {COLUMNS_MAX} columns")));
    }
    let mut seen = BTreeSet::new();
    for (at, column) in columns.iter().enumerate() {
        if column.is_empty() {
            let message = format!("column {} has no name: give names by `columns`", at + 1);
            return Err(Failure::invalid_input(message));
        }
        if !seen.insert(column) {
            let message = format!("column {column:?} is there twice: give other names by `columns`");
            return Err(Failure::invalid_input(message));
        }
    }
    Ok(())
}

fn row(record: &::csv::StringRecord, columns: &[String], types: bool) -> Result<Value> {
    let value = |field: &str| if types { typed(field) } else { Value::from(field) };
    if columns.is_empty() {
        if record.len() > COLUMNS_MAX {
            return Err(Failure::invalid_input(format!("there are more than {COLUMNS_MAX} columns")));
        }
        return Ok(record.iter().map(value).collect());
    }
    if record.len() != columns.len() {
        let line = record.position().map_or(0, ::csv::Position::line);
        let message = format!("line {line} has {} fields, but there are {} columns", record.len(), columns.len());
        return Err(Failure::invalid_input(message));
    }
    let members = columns.iter().cloned().zip(record.iter().map(value));
    Ok(Value::Object(members.collect()))
}

/// The value that a field looks like.
fn typed(field: &str) -> Value {
    match field {
        "" => return Value::Null,
        "true" | "TRUE" | "True" => return Value::Bool(true),
        "false" | "FALSE" | "False" => return Value::Bool(false),
        _ => {}
    }
    number(field).map_or_else(|| Value::from(field), Value::Number)
}

fn number(field: &str) -> Option<Number> {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if code || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    // An integer that does not fit would lose digits as a float.
    if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return field.parse::<i64>().ok().map(Number::from);
    }
    field.parse::<f64>().ok().and_then(Number::from_f64)
}

fn delimiter(text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => {
            Err(Failure::invalid_input(format!("delimiter {text:?} is not one ASCII character such as \",\" or \";\"")))
        }
    }
}

fn explain(error: &::csv::Error) -> Failure {
    if let ::csv::ErrorKind::UnequalLengths { pos, expected_len, len } = error.kind() {
        let line = pos.as_ref().map_or(0, ::csv::Position::line);
        return Failure::invalid_input(format!(
            "line {line} has {len} fields, but the lines before it have {expected_len}"
        ));
    }
    Failure::invalid_input(format!("csv cannot be read: {error}"))
}

/// Writes JSON rows as a CSV document.
///
/// Objects and arrays within a row become compact JSON, null becomes an empty field. Fields are quoted where they must
/// be.
#[tool(idempotent, read_only)]
pub fn json_to_csv(input: JsonToCsvInput) -> Result<JsonToCsvOutput> {
    if input.rows.len() > ROWS_MAX {
        return Err(Failure::invalid_input(format!("there are more than {ROWS_MAX} rows: split them")));
    }
    let columns = if input.columns.is_empty() { occurring(&input.rows) } else { input.columns.clone() };
    check_columns(&columns)?;
    let mut writer =
        ::csv::WriterBuilder::new().delimiter(delimiter(&input.delimiter)?).flexible(true).from_writer(Vec::new());
    if input.header && !columns.is_empty() {
        writer.write_record(columns.iter().map(|column| guard(column.clone(), input.guard_formulas)))?;
    }
    for (at, row) in input.rows.iter().enumerate() {
        writer.write_record(fields(at, row, &columns, input.guard_formulas)?)?;
        crate::check_length("the csv", writer.get_ref().len())?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::failed(format!("could not write the csv: {error}")))?;
    crate::check_length("the csv", bytes.len())?;
    Ok(JsonToCsvOutput { csv: String::from_utf8(bytes)?, columns, count: input.rows.len() })
}

/// The names of all members, in the order in which they occur.
fn occurring(rows: &[Value]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if seen.insert(name) {
            columns.push(name.clone());
        }
    }
    columns
}

fn fields(at: usize, row: &Value, columns: &[String], guarded: bool) -> Result<Vec<String>> {
    let field = |value: Option<&Value>| field(value.unwrap_or(&Value::Null), guarded);
    if let Some(members) = row.as_object() {
        return Ok(columns.iter().map(|column| field(members.get(column))).collect());
    }
    let Some(values) = row.as_array() else {
        return Err(Failure::invalid_input(format!("rows[{at}] is neither an object nor an array")));
    };
    if !columns.is_empty() && values.len() != columns.len() {
        let message = format!("rows[{at}] has {} fields, but there are {} columns", values.len(), columns.len());
        return Err(Failure::invalid_input(message));
    }
    Ok(values.iter().map(|value| field(Some(value))).collect())
}

fn field(value: &Value, guarded: bool) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => guard(text.clone(), guarded),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Keeps a text from being a formula. Tabs and carriage returns are skipped by spreadsheets, so they count too.
fn guard(text: String, guarded: bool) -> String {
    if guarded && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests;
