//! Asking what a plugin may do, as it happens before every effect.

use std::{hint::black_box, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir_host::{
    egress::{HostPort, Method},
    grants::{Asks, Granted},
    store::{FirstGrant, NewPlugin, Store, StoreOptions},
};

use super::Bench;
use crate::numbers::{median, us};

/// Checks that are timed together: one alone takes less than the clock can tell.
const TOGETHER: u32 = 1_000;
/// Times that the median is of.
const ROUNDS: usize = 200;

impl Bench {
    /// Measures checks: of one grant that asks for little, and of the last of as many as there may be.
    pub(crate) async fn measure_grants(&mut self) -> Result<()> {
        self.check("grant_check_us", 1).await?;
        self.check("grant_check_64_us", 64).await
    }

    /// Each check looks the version up, and asks about a request, a model, a tool and a secret.
    async fn check(&mut self, name: &'static str, count: usize) -> Result<()> {
        let folder = self.folder()?;
        let store = Store::open(StoreOptions::new(folder.path())).await.context("opening a store")?;
        let digest = install(&store, count).await?;
        let last = count - 1;
        let (model, tool, secret) = (format!("model-{last}"), format!("text.tool_{last}"), format!("secret-{last}"));
        let target: HostPort = format!("api.host-{last}.example:443").parse().context("a host")?;
        let may = |granted: &Granted| {
            granted.http(&Method::POST, &target)
                && granted.model(&model)
                && granted.tool(&tool).is_some()
                && granted.secret(&secret)
        };
        ensure!(may(&store.grants().of(&digest)), "what was granted is denied");
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..TOGETHER {
                black_box(may(&store.grants().of(black_box(&digest))));
            }
            times.push(start.elapsed() / TOGETHER);
        }
        self.report.add(name, us(median(&mut times)), "µs");
        store.close().await;
        Ok(())
    }
}

/// A plugin that is granted `count` of everything that has a name.
async fn install(store: &Store, count: usize) -> Result<String> {
    let named = |make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<Vec<_>>();
    let hosts: Vec<_> = named(&|n| format!("*.host-{n}.example"))
        .into_iter()
        .map(|host| json!({ "host": host, "methods": ["GET", "POST"] }))
        .collect();
    let asks = json!({
        "hosts": hosts,
        "models": named(&|n| format!("model-{n}")),
        "tools": named(&|n| format!("text.tool_{n}")),
        "secrets": named(&|n| format!("secret-{n}")),
    });
    let descriptor = json!({ "name": "asking", "version": "0.1.0", "asks": asks });
    ensure!(Asks::of_descriptor(&descriptor).is_ok(), "the descriptor is not sound");
    let digest = EMPTY_DIGEST.to_owned();
    let new = NewPlugin {
        name: "asking".to_owned(),
        version: "0.1.0".to_owned(),
        digest: digest.clone(),
        descriptor: weir_engine::json::Json::from_value(descriptor),
        imports: Vec::new(),
        bytes: Default::default(),
        installed_by: "bench".to_owned(),
    };
    store.install_plugin_with(new, FirstGrant::All).await.context("installing a plugin")?;
    Ok(digest)
}

/// SHA-256 of nothing: the component is never run.
const EMPTY_DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
