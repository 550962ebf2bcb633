//! Switches each limiter off, in a copy of the sources, and runs the tests that have to notice. What nobody notices is a
//! survivor, and a limit that may stop working without a word.
//!
//! `cargo run -p weir-mutants [WORD…]`: all limiters, or those whose name or file holds one of the words.

mod table;
mod workshop;

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use self::{
    table::{MUTANTS, Mutant, Tests},
    workshop::{Ended, Workshop},
};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("could not look for survivors: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every limiter that is switched off is noticed.
fn run() -> Result<bool> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_meant = |mutant: &&Mutant| {
        words.is_empty() || words.iter().any(|word| mutant.limiter.contains(word) || mutant.file.contains(word))
    };
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(is_meant).collect();
    let workshop = Workshop::open()?;
    check_tests(&workshop, &mutants)?;
    let mut survivors = Vec::new();
    for (number, mutant) in (1..).zip(&mutants) {
        let place = workshop.switch_off(mutant)?;
        let noticed = notices(&workshop, mutant);
        place.restore()?;
        let (word, survives) = if noticed? { ("noticed", false) } else { ("SURVIVES", true) };
        eprintln!("{number:3}/{} {word:9} {}", mutants.len(), mutant.limiter);
        if survives {
            survivors.push(mutant.limiter);
        }
    }
    eprintln!("{} limiters switched off, {} noticed", mutants.len(), mutants.len() - survivors.len());
    Ok(survivors.is_empty())
}

/// Sees that the tests pass while all limiters are on: else they would notice anything.
fn check_tests(workshop: &Workshop, mutants: &[&Mutant]) -> Result<()> {
    let mut checked: Vec<&Tests> = Vec::new();
    for tests in mutants.iter().map(|mutant| &mutant.tests) {
        if checked.contains(&tests) {
            continue;
        }
        ensure!(workshop.test(tests)? == Ended::Well, "{:?} of {} fail as it is", tests.names, tests.package);
        checked.push(tests);
    }
    Ok(())
}

/// Whether a test fails, or does not end, that passes while the limiter is on.
fn notices(workshop: &Workshop, mutant: &Mutant) -> Result<bool> {
    if workshop.build(&mutant.tests)? != Ended::Well {
        bail!("{:?} does not compile when it is switched off", mutant.limiter);
    }
    Ok(workshop.test(&mutant.tests)? != Ended::Well)
}
