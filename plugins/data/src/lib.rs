//! Tools over data: jq filters, CSV, JSON Schema, hashes, base64, and dates.
//!
//! All of them are plain computations: the same input gives the same output.

pub mod base64;
pub mod csv;
pub mod date;
pub mod hash;
pub mod jq;
pub mod schema;

weir_sdk::plugin! {
    title: "Data",
    tools: [
        jq::jq,
        csv::csv_to_json,
        csv::json_to_csv,
        schema::validate_schema,
        hash::hash,
        base64::base64_encode,
        base64::base64_decode,
        date::date,
        date::date_difference,
    ],
}

use weir_sdk::Failure;

/// The longest text that a tool takes or makes, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Refuses a text that is longer than the tools are made for.
fn check_length(what: &str, bytes: usize) -> Result<(), Failure> {
    if bytes <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::invalid_input(format!("{what} has {bytes} bytes, the most is {TEXT_BYTES_MAX}: split it")))
}
