//! Lists the guest programs of the tests, so that a guest without a test does not compile.

use std::{env, error::Error, fs, path::Path};

const GUESTS: &str = "../tests/guests/examples";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={GUESTS}");
    let mut names = Vec::new();
    if Path::new(GUESTS).is_dir() {
        for entry in fs::read_dir(GUESTS)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
            }
        }
    }
    names.sort();
    let list = format!("macro_rules! foreach_guest {{ ($each:ident) => {{ $each! {{ {} }} }} }}\n", names.join(" "));
    fs::write(Path::new(&env::var("OUT_DIR")?).join("guests.rs"), list)?;
    Ok(())
}
