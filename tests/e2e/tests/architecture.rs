//! What ARCHITECTURE.md says about who knows whom, read from the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// The most lines of a source file.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below a directory, with its text.
fn sources(directory: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// The host's sources by part: `store`, `runtime`, …
fn parts() -> Result<BTreeMap<String, Vec<(PathBuf, String)>>> {
    let directory = root().join("host/src");
    let mut parts: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (path, text) in sources(&directory)? {
        let inside = path.strip_prefix(&directory)?.to_owned();
        let first = inside.components().next().context("a file without a name")?.as_os_str().to_string_lossy();
        parts.entry(first.trim_end_matches(".rs").to_owned()).or_default().push((inside, text));
    }
    Ok(parts)
}

/// The lines of code: neither comments nor what stands in them.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Whether code names `crate::part`, also inside `use crate::{part, …}`.
fn names_part(text: &str, part: &str) -> bool {
    let code: String = code(text).collect::<Vec<_>>().join("\n");
    let direct = format!("crate::{part}::");
    if code.contains(&direct) || code.contains(&format!("crate::{part};")) {
        return true;
    }
    let groups = code.split("use crate::{").skip(1).filter_map(|rest| rest.split("};").next());
    groups.flat_map(top_level).any(|item| item == part)
}

/// The first words of a `use` group's members.
fn top_level(group: &str) -> Vec<String> {
    let (mut depth, mut words, mut word) = (0_i32, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(std::mem::take(&mut word)),
            _ if depth == 0 => word.push(c),
            _ => {}
        }
    }
    words.push(word);
    words.iter().map(|word| word.trim().split("::").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn imports_go_one_way() -> Result<()> {
    // Each part, and the parts that it must not know.
    let forbidden: [(&str, &[&str]); 17] = [
        ("identity", &["store", "runtime", "driver", "trigger", "accounts", "server", "cli", "client", "host"]),
        ("names", &["store", "runtime", "driver", "trigger", "accounts", "egress", "server", "cli", "client", "host"]),
        ("grants", &["store", "runtime", "driver", "trigger", "accounts", "vault", "server", "cli", "client", "host"]),
        ("store", &["runtime", "driver", "trigger", "accounts", "server", "cli", "client", "host"]),
        ("accounts", &["runtime", "driver", "trigger", "server", "cli", "client", "host"]),
        ("runtime", &["store", "driver", "trigger", "accounts", "server", "cli", "client", "host"]),
        ("driver", &["trigger", "accounts", "server", "cli", "client", "host"]),
        ("trigger", &["accounts", "server", "cli", "client", "host"]),
        ("server", &["cli", "client", "host"]),
        ("client", &["store", "runtime", "driver", "trigger", "server", "cli", "host"]),
        ("egress", &["store", "runtime", "driver", "trigger", "notify", "config", "server", "cli", "client", "host"]),
        (
            "models",
            &["store", "runtime", "driver", "trigger", "notify", "vault", "config", "server", "cli", "client", "host"],
        ),
        ("vault", &["store", "runtime", "driver", "trigger", "config", "server", "cli", "client", "host"]),
        ("secrets", &["runtime", "driver", "trigger", "notify", "config", "server", "cli", "client", "host"]),
        (
            "metrics",
            &["store", "runtime", "driver", "trigger", "notify", "egress", "config", "server", "cli", "client", "host"],
        ),
        ("spans", &["store", "runtime", "driver", "trigger", "notify", "config", "server", "cli", "client", "host"]),
        ("notify", &["store", "runtime", "driver", "trigger", "config", "server", "cli", "client", "host"]),
    ];
    let parts = parts()?;
    for (part, unknown) in forbidden {
        for (path, text) in parts.get(part).with_context(|| format!("there is no part {part}"))? {
            for other in unknown {
                ensure!(!names_part(text, other), "{} knows {other}", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn each_technique_has_one_home() -> Result<()> {
    // A crate, and the parts that may name it.
    let homes: [(&str, &[&str]); 15] = [
        ("axum", &["server", "client"]),
        // WASI's HTTP is made of its types.
        ("hyper", &["server", "client", "egress", "runtime"]),
        ("tower", &["server", "egress"]),
        ("wasmtime", &["runtime"]),
        ("wasmtime_wasi", &["runtime"]),
        ("wasmparser", &["runtime"]),
        ("sqlx", &["store"]),
        ("prometheus_client", &["metrics"]),
        ("prost", &["spans"]),
        ("lettre", &["notify"]),
        ("chacha20poly1305", &["vault"]),
        ("hmac", &["trigger", "webhook_signature"]),
        ("rustls", &["egress"]),
        ("tokio_rustls", &["egress"]),
        ("chrono", &["trigger"]),
    ];
    for (part, files) in parts()? {
        // What only tests name does not bind the product.
        for (path, text) in files.into_iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
            for (technique, parts) in homes {
                let named = code(&text).any(|line| line.contains(&format!("{technique}::")));
                ensure!(!named || parts.contains(&part.as_str()), "{} names {technique}", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn everything_that_leaves_the_host_passes_the_egress_guard() -> Result<()> {
    // Each way to resolve a name or to connect. The command line's client talks with the host itself.
    let ways = [
        "TcpStream::connect",
        "TcpSocket",
        "UdpSocket",
        "lookup_host",
        "ToSocketAddrs",
        "to_socket_addrs",
        "HttpConnector",
        "connect_tokio1",
        "SmtpTransport",
        "reqwest::",
        "ureq",
    ];
    for (part, files) in parts()? {
        let client = if part == "client" { "HttpConnector" } else { "" };
        for (path, text) in files {
            let named = ways.iter().find(|way| **way != client && code(&text).any(|line| line.contains(**way)));
            ensure!(named.is_none() || part == "egress", "{} goes out by itself: {named:?}", path.display());
        }
    }
    Ok(())
}

#[test]
fn the_engine_knows_nothing_of_the_outside() -> Result<()> {
    let outside = [
        "tokio",
        "sqlx",
        "wasmtime",
        "axum",
        "hyper",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "use rand",
    ];
    for (path, text) in sources(&root().join("host/engine/src"))? {
        let named = outside.iter().find(|name| code(&text).any(|line| line.contains(**name)));
        ensure!(named.is_none(), "{} names {named:?}", path.display());
    }
    Ok(())
}

#[test]
fn no_file_is_too_long_to_read() -> Result<()> {
    for directory in ["host", "plugins", "sdk", "tests"] {
        for (path, text) in sources(&root().join(directory))? {
            let lines = text.lines().count();
            ensure!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
        }
    }
    Ok(())
}

#[test]
fn tests_are_neither_skipped_nor_slept_through() -> Result<()> {
    let ignore = concat!("#[", "ignore");
    for directory in ["host", "plugins", "sdk", "tests"] {
        for (path, text) in sources(&root().join(directory))? {
            ensure!(!code(&text).any(|line| line.contains(ignore)), "{} skips a test", path.display());
        }
    }
    Ok(())
}

#[test]
fn groups_of_imports_are_understood() {
    let text = "use crate::{\n    driver::{Answer, store},\n    server::App,\n};\n// crate::cli::x\n";
    assert!(names_part(text, "driver") && names_part(text, "server"));
    assert!(!names_part(text, "store") && !names_part(text, "cli"));
    assert!(names_part("use crate::store::Store;", "store") && !names_part("use crate::restore::X;", "store"));
}
