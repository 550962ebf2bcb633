//! Calls tools through the host: as often as the number in its input says.

use weir_guests::{Call, Failure, tools};

fn run(call: Call) -> Result<String, Failure> {
    if call.input == "\"list\"" {
        return Ok(tools::list());
    }
    let digits: String = call.input.chars().filter(char::is_ascii_digit).collect();
    let count: u32 = digits.parse().map_err(|_| Failure::InvalidInput("not a number".to_owned()))?;
    let mut answers = Vec::new();
    for n in 0..count {
        answers.push(tools::call("echo.run", &n.to_string())?);
    }
    Ok(format!("[{}]", answers.join(",")))
}

weir_guests::guest!("h10_agent", run);
