//! Reaches for files, the environment, standard input and the clock.

use std::{fs, io::Read as _, time::SystemTime};

use weir_guests::{Call, Failure};

fn run(_: Call) -> Result<String, Failure> {
    let mut typed = String::new();
    let read = std::io::stdin().read_to_string(&mut typed).unwrap_or(0);
    let files = ["/etc/passwd", "/", ".", "/proc/self/environ"]
        .into_iter()
        .filter(|path| fs::metadata(path).is_ok() || fs::read(path).is_ok() || fs::read_dir(path).is_ok())
        .count();
    let written = fs::write("/tmp/weir-h15", "x").is_ok() || fs::write("weir-h15", "x").is_ok();
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let environment = std::env::vars().count();
    Ok(format!(r#"{{"stdin":{read},"files":{files},"written":{written},"clock":{clock},"environment":{environment}}}"#))
}

weir_guests::guest!("h15_reach", run);
