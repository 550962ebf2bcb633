//! What is taken as a plugin, and what is not.

mod bombs;
mod grown;

use std::{
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use weir_engine::failure::FailureCode;
use weir_host::runtime::{PluginCall, UploadError, limits};

use grown::{Grown, component_types, leb};

use super::support::{Sandbox, guest, installed, perform, request, shared};

fn refused(bytes: &[u8]) -> UploadError {
    match shared().inspect(bytes) {
        Err(error) => error,
        Ok(_) => panic!("these bytes should be refused"),
    }
}

async fn refused_upload(sandbox: &Sandbox, bytes: Bytes) -> UploadError {
    match sandbox.runtime.validate_and_compile(bytes).await {
        Err(error) => error,
        Ok(_) => panic!("this component should be refused"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_taken_with_all_that_it_says() {
    let plugin = installed("echo").await;
    assert_eq!(plugin.digest.len(), 64);
    assert_eq!(plugin.descriptor.name, "echo");
    assert!(plugin.descriptor.offer("run").is_some() && plugin.descriptor.offer("act").is_some());
    assert_eq!(plugin.descriptor.agents[0].tools, ["echo.run"]);
    assert!(plugin.imports.contains(&"weir:plugin/log@0.1.0".to_owned()), "{:?}", plugin.imports);
    assert_eq!(plugin.size, guest("echo").len() as u64);
    assert_eq!(installed("echo").await.digest, plugin.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_not_stored_is_a_failure_of_its_own() {
    let mut call = request("echo", "1").await;
    for digest in ["0".repeat(64), "../../etc/passwd".to_owned(), String::new()] {
        call.digest = digest;
        assert_eq!(perform(call.clone()).await.result.unwrap_err().code, FailureCode::PluginNotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_large_beginning_is_refused() {
    for (module, named) in [
        ("(module (memory 65536))", "bytes of initial memory"),
        ("(module (table 100000000 funcref))", "table elements"),
        ("(module (memory 4097))", "bytes of initial memory"),
    ] {
        let error = refused(&Grown::from("echo").module(module, 1).bytes());
        assert_eq!(error.code(), "component_too_complex");
        assert!(error.to_string().contains(named), "{error:?}");
    }
    // Enough for an instance of the default size, and too much beside the plugin's own memory.
    let sandbox = Sandbox::new();
    let bytes = Grown::from("echo").module("(module (memory 1024))", 1).bytes();
    let error = refused_upload(&sandbox, bytes).await;
    assert!(matches!(&error, UploadError::Describe(failure) if failure.code == FailureCode::MemoryLimit), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_instances_and_memories_are_counted_together() {
    let error = refused(&Grown::from("echo").module("(module)", 500).bytes());
    assert!(error.to_string().contains("50") && error.to_string().contains("module instances"), "{error:?}");
    let error = refused(&Grown::from("echo").module("(module (memory 1))", 9).bytes());
    assert!(error.to_string().contains("memories"), "{error:?}");

    // Seven memories of 16 MiB each are below every limit of their own.
    let sandbox = Sandbox::new();
    let bytes = Grown::from("echo").module("(module (memory 256))", 7).bytes();
    let error = refused_upload(&sandbox, bytes).await;
    assert!(matches!(&error, UploadError::Describe(failure) if failure.code == FailureCode::MemoryLimit), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_what_is_not_our_world_is_refused_by_name() {
    let import = |name: &str| format!("(component (import \"{name}\" (instance)))");
    let cases = [
        ("(component)".to_owned(), "export `weir:plugin/plugin@0.1.x` is missing; exported: nothing"),
        (import("wasi:sockets/tcp@0.2.0"), "import `wasi:sockets/tcp@0.2.0` is not offered"),
        (import("wasi:http/incoming-handler@0.2.0"), "import `wasi:http/incoming-handler@0.2.0` is not offered"),
        (import("weir:plugin/log@0.2.0"), "import `weir:plugin/log@0.2.0` is not offered"),
        (import("weir:plugin/secrets@0.1.0"), "import `weir:plugin/secrets@0.1.0` is not offered"),
        (import("evil:corp/backdoor"), "import `evil:corp/backdoor` is not offered"),
        (
            "(component (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i)))".to_owned(),
            "missing; exported: wasi:cli/run@0.2.0",
        ),
        (import("wasi:cli/exit@0.3.0"), "import `wasi:cli/exit@0.3.0` is not offered"),
    ];
    for (text, expected) in cases {
        let error = refused(&wat::parse_str(&text).unwrap());
        assert_eq!(error.code(), "wrong_interface", "{error:?}");
        assert!(error.to_string().contains(expected), "{error:?}");
    }
    assert_eq!(refused(&wat::parse_str("(module)").unwrap()).code(), "core_module");
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_features_that_are_off_are_refused() {
    for module in [
        "(module (memory 1 2 shared))",
        "(module (memory i64 1))",
        "(module (memory 1) (memory 1))",
        "(module (tag))",
        "(module (type (struct)))",
        "(module (func (param (ref func))))",
    ] {
        let bytes = Grown::from("echo").module(module, 1).bytes();
        let error = refused(&bytes);
        assert_eq!(error.code(), "malformed_component", "{module}: {error}");
    }
}

/// The types of what is imported are compared, not only the names.
#[tokio::test(flavor = "multi_thread")]
async fn h16_an_import_of_another_type_is_refused() {
    let sandbox = Sandbox::new();
    let started = Instant::now();
    // Component section 10 adds imports: an instance `weir:plugin/log@0.1.9` with a function that we do not have.
    let types = [1, 0x42, 2, 1, 0x40, 0, 1, 0, 4, 0, 3, b'n', b'e', b'w', 1, 0];
    let index = component_types(&guest("echo"));
    let name = "weir:plugin/log@0.1.9";
    let mut import = vec![1, 0];
    import.extend(leb(name.len()));
    import.extend(name.bytes());
    import.push(5);
    import.extend(leb(index));
    let bytes = Grown::from("echo").section(7, &types).section(10, &import).bytes();
    let error = refused_upload(&sandbox, bytes).await;
    assert_eq!(error.code(), "wrong_interface", "{error:?}");
    assert!(error.to_string().contains("weir:plugin/log"), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn h17_ten_thousand_mutants_are_refused_or_harmless() {
    let good = guest("echo");
    for cut in (0..200).map(|part| good.len() * part / 200) {
        refused(&good[..cut]);
    }
    let survivors: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let halves = [0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d].map(|seed| {
            scope.spawn({
                let good = &good;
                move || unrefused(good, seed)
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(survivors.len() < 9_000, "{} of 10000 were not refused", survivors.len());
    let sandbox = Sandbox::new();
    for mutant in survivors.into_iter().step_by(500).take(10) {
        if let Ok(plugin) = sandbox.runtime.validate_and_compile(Bytes::from(mutant)).await {
            let call = PluginCall { digest: plugin.digest, fuel: Some(10_000_000), ..request("echo", "1").await };
            drop(sandbox.runtime.call(call, std::sync::Arc::new(weir_host::runtime::Powerless)).await);
        }
    }
}

/// Which of 5 000 components with one flipped bit are still sound.
fn unrefused(good: &[u8], seed: u64) -> Vec<Vec<u8>> {
    let mut random = Xorshift(seed);
    let mutants = (0..5_000).map(|_| {
        let mut mutant = good.to_vec();
        let at = usize::try_from(random.next()).unwrap() % mutant.len();
        mutant[at] ^= 1 << (random.next() % 8);
        mutant
    });
    mutants.filter(|mutant| shared().inspect(mutant).is_ok()).collect()
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_what_is_too_large_or_packed_is_named() {
    let error = refused(&vec![0; limits::COMPONENT_BYTES_MAX + 1]);
    assert_eq!(error.code(), "plugin_too_large");
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &str); 7] = [
        (b"", "an empty body"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\x1f\x8b\x08rest", "gzip data"),
        (&tar, "a tar archive"),
        (b"(component)", "WebAssembly text"),
        (b"#!/bin/sh", "not WebAssembly"),
        (b"\0asm\x02\0\0\0", "a version that is not known"),
    ];
    for (bytes, named) in cases {
        let error = refused(bytes);
        assert_eq!(error.code(), "not_webassembly");
        assert!(error.to_string().contains(named), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_compiled_code_is_refused_and_a_damaged_cache_is_made_again() {
    let sandbox = Sandbox::new();
    let bytes = guest("echo");
    let plugin = sandbox.runtime.validate_and_compile(bytes.clone()).await.unwrap();
    let other = sandbox.runtime.validate_and_compile(guest("failures")).await.unwrap();
    fs::write(sandbox.directory.path().join(format!("plugins/{}.wasm", plugin.digest)), &bytes).unwrap();
    let cached = |digest: &str| {
        let entries = fs::read_dir(sandbox.directory.path().join("compiled")).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(digest))
            .unwrap()
    };
    let (entry, foreign) = (cached(&plugin.digest), cached(&other.digest));
    let sound = fs::read(&entry).unwrap();
    assert_eq!(refused(&sound).code(), "precompiled");
    assert_eq!(refused(&sound[40..]).code(), "precompiled");

    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damages = [flipped, sound[..1_000].to_vec(), Vec::new(), fs::read(foreign).unwrap()];
    let mut sandbox = sandbox;
    for damaged in damages {
        fs::write(&entry, damaged).unwrap();
        sandbox = sandbox.reopened();
        let call = PluginCall { digest: plugin.digest.clone(), ..request("echo", "7").await };
        let outcome = sandbox.runtime.call(call, std::sync::Arc::new(weir_host::runtime::Powerless)).await;
        assert_eq!(outcome.result.unwrap().text(), "7");
        assert_eq!(fs::read(&entry).unwrap().len(), sound.len(), "the entry was made again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_engine_will_load_is_removed_and_what_a_compiler_is_writing_is_left() {
    let sandbox = Sandbox::new();
    let compiled = sandbox.directory.path().join("compiled");
    let (stale, fresh) = (compiled.join(".tmp-left-behind"), compiled.join(".tmp-under-way"));
    for file in [&stale, &fresh] {
        fs::write(file, "a component").unwrap();
    }
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    fs::File::options().append(true).open(&stale).unwrap().set_modified(hour_ago).unwrap();
    let _sandbox = sandbox.reopened();
    assert!(!stale.exists() && fresh.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn h20_a_stored_component_that_was_changed_is_not_run() {
    let sandbox = Sandbox::new();
    let bytes = guest("echo");
    let plugin = sandbox.runtime.validate_and_compile(bytes).await.unwrap();
    sandbox.runtime.forget(&plugin.digest);
    fs::write(sandbox.directory.path().join(format!("plugins/{}.wasm", plugin.digest)), guest("failures")).unwrap();
    let call = PluginCall { digest: plugin.digest, ..request("echo", "7").await };
    let outcome = sandbox.runtime.call(call, std::sync::Arc::new(weir_host::runtime::Powerless)).await;
    assert_eq!(outcome.result.unwrap_err().code, FailureCode::Internal);
}
