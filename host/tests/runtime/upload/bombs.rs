//! H18: components that are small and cost much to compile.

use std::{
    fs,
    time::{Duration, Instant},
};

use weir_host::runtime::{CompileLimits, UploadError};

use super::{
    super::support::{Sandbox, guest},
    grown::Grown,
    refused,
};

#[tokio::test(flavor = "multi_thread")]
async fn h18_nested_instances_are_counted_before_compiling() {
    for levels in [16, 24, 40] {
        let mut inner = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
        for level in 1..levels {
            let below = level - 1;
            inner = format!(
                "(component $c{level} {inner} (instance (instantiate $c{below})) (instance (instantiate $c{below})))"
            );
        }
        let text = format!("(component {inner} (instance (instantiate $c{})))", levels - 1);
        let started = Instant::now();
        let error = refused(&wat::parse_str(&text).unwrap());
        assert_eq!(error.code(), "component_too_complex", "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_counts_above_the_limits_are_refused_before_compiling() {
    let functions = "(func)".repeat(100_001);
    let error = refused(&Grown::from("echo").module(&format!("(module {functions})"), 0).bytes());
    assert!(error.to_string().contains("functions"), "{error:?}");
    let types: String = (0..200_001).map(|_| "(type (func))").collect();
    let error = refused(&Grown::from("echo").module(&format!("(module {types})"), 0).bytes());
    assert!(error.to_string().contains("types"), "{error:?}");
}

#[test]
fn h18_a_compiler_may_use_what_is_promised() {
    let CompileLimits { memory_bytes, cpu_s, wall } = CompileLimits::default();
    assert_eq!((memory_bytes, cpu_s), (2 << 30, 30));
    // Builds for debugging compile plugins slowly, and get more time for it.
    assert_eq!(wall.as_secs(), if cfg!(debug_assertions) { 180 } else { 60 });
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_a_compiler_that_runs_away_is_stopped() {
    let ifs = "local.get 0 if ".repeat(80_000) + &"end ".repeat(80_000);
    let table = (0..60_000).map(|n| (n % 50).to_string()).collect::<Vec<_>>().join(" ");
    let tables = format!("{} local.get 0 br_table {table} {}", "block ".repeat(60), "end ".repeat(60));
    let many: String = (0..2_000).map(|n| format!("(func (param i32) (result i32) {})", arithmetic(n, 300))).collect();
    let bombs = [
        format!("(module (func (param i32) {ifs}))"),
        format!("(module {})", format!("(func (param i32) {tables})").repeat(8)),
        format!("(module {many})"),
    ];
    let tight = CompileLimits { memory_bytes: 1 << 30, cpu_s: 2, wall: Duration::from_secs(10) };
    let sandbox = Sandbox::with_limits(tight);
    let mut stopped = 0;
    for bomb in bombs {
        let bytes = Grown::from("echo").module(&bomb, 1).bytes();
        let started = Instant::now();
        match sandbox.runtime.validate_and_compile(bytes).await {
            Ok(_) => {}
            Err(error) => {
                assert!(["compile_limit", "malformed_component"].contains(&error.code()), "{error:?}");
                stopped += u32::from(error.code() == "compile_limit");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
    assert!(stopped > 0, "no bomb was heavy enough to be stopped");
    assert_eq!(fs::read_dir(sandbox.directory.path().join("compiled")).unwrap().count(), 3 - stopped as usize);
    let plugin = sandbox.runtime.validate_and_compile(guest("h9_sleep")).await;
    assert!(plugin.is_ok() || matches!(plugin, Err(UploadError::CompileLimit(_))), "the next upload gets its turn");
}

fn arithmetic(seed: u32, steps: u32) -> String {
    (0..steps).fold("local.get 0".to_owned(), |text, step| {
        format!("{text} i32.const {} i32.rotl local.get 0 i32.xor", seed ^ step)
    })
}
