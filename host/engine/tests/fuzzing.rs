//! The fuzz targets over their corpus and a few thousand mutations of it, as an ordinary test.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own for the fuzzer")]
mod targets;

use std::{fs, path::PathBuf};

use crate::support::{dice::Dice, generator};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Changes a text a little: bytes, spans, and words that mean something.
fn mutate(dice: &mut Dice, data: &mut Vec<u8>, others: &[Vec<u8>]) {
    const WORDS: [&str; 14] = [
        "null",
        "-1",
        "18446744073709551615",
        "1e308",
        "\"$end\"",
        "$..*",
        "[?@.a==1]",
        "{{",
        "}}",
        "[",
        "{",
        "\"",
        "\\",
        "\n",
    ];
    let at = dice.below(data.len() + 1);
    let to = (at + dice.below(24)).min(data.len());
    match dice.below(6) {
        0 => drop(data.drain(at..to)),
        1 => drop(data.splice(at..to, dice.pick(&WORDS).unwrap().bytes())),
        2 => {
            let span = data[at..to].to_vec();
            drop(data.splice(at..at, span));
        }
        3 => {
            let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
            let (a, b) = (dice.below(lines.len()), dice.below(lines.len()));
            let mut lines: Vec<Vec<u8>> = lines.into_iter().map(<[u8]>::to_vec).collect();
            lines.swap(a, b);
            *data = lines.join(&b'\n');
        }
        4 => {
            let other = dice.pick(others).unwrap();
            let from = dice.below(other.len() + 1);
            let span = other[from..(from + 40).min(other.len())].to_vec();
            drop(data.splice(at..to, span));
        }
        _ => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= u8::try_from(dice.below(256)).unwrap();
            }
        }
    }
}

fn run_mutations(target: fn(&[u8]), corpus: &[Vec<u8>], rounds: u64) {
    corpus.iter().for_each(|data| target(data));
    for seed in 0..rounds {
        let mut dice = Dice::new(seed);
        let mut data = dice.pick(corpus).unwrap().clone();
        for _ in 0..=dice.below(4) {
            mutate(&mut dice, &mut data, corpus);
        }
        let shown = String::from_utf8_lossy(&data).into_owned();
        let held = std::panic::catch_unwind(|| target(&data));
        assert!(held.is_ok(), "seed {seed} makes it panic:\n{shown}");
    }
}

#[test]
fn no_definition_makes_the_engine_panic() {
    let mut corpus = corpus("definition");
    for seed in 0..20 {
        let sample = generator::sample(&mut Dice::new(seed), generator::Style::Wild);
        corpus.push(sample.definition.to_string().into_bytes());
    }
    run_mutations(targets::definition, &corpus, 4_000);
}

#[test]
fn no_reference_makes_the_engine_panic() {
    run_mutations(targets::reference, &corpus("reference"), 20_000);
}

#[test]
fn no_log_makes_the_engine_panic() {
    let mut corpus = corpus("log");
    corpus.push(targets::sample_log().into_bytes());
    run_mutations(targets::log, &corpus, 6_000);
}
