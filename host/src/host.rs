//! A running host: its parts put together, started, and stopped in order.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    accounts::Accounts,
    config::Config,
    driver::{Driver, DriverConfig, Reach},
    egress::{Egress, HostPort},
    metrics::Metrics,
    models::{self, Gateway, Key, Keys, PriceTable, PriceTableError},
    notices::Notices,
    runtime::{Runtime, RuntimeConfig, RuntimeError},
    secrets::{self, Masker, OpenVaultError, Secrets},
    server::{
        self, App, AppParts,
        auth::{AdminToken, TokenError},
        network::Network,
        shutdown::{self, Trigger},
    },
    spans::{Exporter, Spans},
    store::{Store, StoreError, StoreOptions},
    trigger::{
        Triggers,
        webhook::{self, Webhooks},
    },
    vault::{KEY_VARIABLE, KeySource, Secret},
};

mod housekeeping;

/// Starts hosts.
#[derive(Debug)]
pub struct Host;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartHostError {
    /// A setting makes no sense.
    #[error("could not use the configuration: {0}")]
    Config(String),
    /// The store cannot be opened.
    #[error("could not open the store")]
    Store(#[from] StoreError),
    /// The runtime cannot be set up.
    #[error("could not set up the plugin runtime")]
    Runtime(#[from] RuntimeError),
    /// The program's own path is not known, so that it cannot start itself to compile plugins.
    #[error("could not find this program's own file")]
    Program(#[source] io::Error),
    /// The secrets cannot be opened.
    #[error(transparent)]
    Vault(#[from] OpenVaultError),
    /// A configured model cannot work.
    #[error("could not set up the models: {0}")]
    Models(#[source] models::Problem),
    /// The prices of models cannot be read.
    #[error(transparent)]
    Prices(#[from] PriceTableError),
    /// There is no admin token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address is taken, or not this machine's.
    #[error("could not listen on {address}: choose another address with --listen, or stop what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A host that runs. Dropping it stops it without grace.
pub struct Running {
    address: SocketAddr,
    token: AdminToken,
    store: Store,
    driver: Driver,
    accounts: Accounts,
    notices: JoinHandle<()>,
    triggers: Triggers,
    trigger: Trigger,
    serving: JoinHandle<()>,
    recovering: JoinHandle<Result<(), StoreError>>,
    keeping: JoinHandle<()>,
    /// Brings spans to a collector, until it is told that nothing more comes.
    exporting: Option<(Trigger, JoinHandle<()>)>,
}

impl Host {
    /// Starts a host: opens its store, listens, and takes up its executions in the background. Requests are answered
    /// with 503 until that is done.
    ///
    /// # Errors
    /// Says which part did not start, and what to do.
    pub async fn start(config: Config) -> Result<Running, StartHostError> {
        let metrics = Metrics::default();
        let options = StoreOptions { metrics: metrics.clone(), ..StoreOptions::new(&config.data) };
        let store = Store::open(options).await?;
        let token = AdminToken::load_or_create(&config.data)?;
        let vault = secrets::open_vault(&key_source(&config), &store).await?;
        let secrets = Secrets::open(store.clone(), vault.clone(), config.masker.clone()).await?;
        learn_own(&config, &token.token, secrets.masker());
        let runtime = Arc::new(Runtime::new(runtime_config(&config, metrics)?)?);
        let listen = |source| StartHostError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let egress = Egress::new(config.egress.clone());
        let (spans, exporter) = spans(&config, &egress, &store)?;
        let models = models(&config, &egress, &secrets)?;
        let reach = Reach { models: models.clone(), egress: Some(egress.clone()), secrets: Some(secrets.clone()) };
        let masker = secrets.masker().clone();
        let driver_config = DriverConfig { masker, reach, spans, ..DriverConfig::default() };
        let driver = Driver::new(store.clone(), Arc::clone(&runtime), driver_config);
        let (trigger, stop) = shutdown::pair();
        let triggers = Triggers::new(store.clone(), driver.clone());
        let accounts = Accounts::open(store.clone(), &token.token).await?;
        let network = Network::new(&config, address).map_err(StartHostError::Config)?;
        let public_url = public_url(&config, address);
        let notices = Notices {
            store: store.clone(),
            egress,
            channels: config.channels.clone(),
            public_url: Arc::clone(&public_url),
        };
        let webhooks = Webhooks::new(store.clone(), triggers.clone(), vault, secrets.masker().clone());
        let app = App::new(AppParts {
            store: store.clone(),
            driver: driver.clone(),
            triggers: triggers.clone(),
            webhooks,
            secrets,
            models,
            runtime,
            accounts: accounts.clone(),
            network,
            connections_per_address: config.connections_per_address,
            shutdown: stop.clone(),
            metrics_public: config.metrics_public,
            owners_only: config.owners_only,
            public_url,
        });
        let notices = tokio::spawn(async move { notices.run(stop.begun()).await });
        tokio::spawn(webhook::sweep(store.clone()));
        let keeping = tokio::spawn(housekeeping::run(accounts.clone(), store.clone()));
        let serving = tokio::spawn(server::serve(listener, app.clone()));
        let recovering = tokio::spawn(recover(driver.clone(), triggers.clone(), app, config.schedules));
        let exporting = exporter.map(export);
        Ok(Running {
            address,
            token,
            store,
            driver,
            accounts,
            triggers,
            trigger,
            serving,
            recovering,
            keeping,
            notices,
            exporting,
        })
    }
}

/// Where it is told what executions do, and what brings it there.
fn spans(config: &Config, egress: &Egress, store: &Store) -> Result<(Spans, Option<Exporter>), StartHostError> {
    let Some(otel) = &config.otel else { return Ok((Spans::default(), None)) };
    let wrong = |error| StartHostError::Config(format!("otel: {error}"));
    let (spans, exporter) = Spans::to(otel, egress.clone(), store.metrics().clone()).map_err(wrong)?;
    Ok((spans, Some(exporter)))
}

/// What links to this host begin with, without a slash at the end.
fn public_url(config: &Config, address: SocketAddr) -> Arc<str> {
    let url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    url.trim_end_matches('/').into()
}

fn runtime_config(config: &Config, metrics: Metrics) -> Result<RuntimeConfig, StartHostError> {
    let (components, cache) = (config.data.join("plugins"), config.data.join("cache"));
    let mut runtime = RuntimeConfig::new(components, cache).map_err(StartHostError::Program)?;
    runtime.metrics = metrics;
    if let Some(program) = &config.program {
        runtime.compiler.clone_from(program);
    }
    Ok(runtime)
}

fn export(exporter: Exporter) -> (Trigger, JoinHandle<()>) {
    let (trigger, stop) = shutdown::pair();
    (trigger, tokio::spawn(async move { exporter.run(stop.begun()).await }))
}

/// The gateway to the configured models. Keys that are secrets are looked up at each request.
fn models(config: &Config, egress: &Egress, secrets: &Secrets) -> Result<Gateway, StartHostError> {
    let prices = PriceTable::load(config.prices.as_deref())?;
    let keys: Arc<dyn Keys> = Arc::new(SecretKeys(secrets.clone()));
    Gateway::new(&config.models, &prices, egress, &keys).map_err(StartHostError::Models)
}

/// Keys of models that are kept as secrets.
struct SecretKeys(Secrets);

impl Keys for SecretKeys {
    fn key(&self, name: &str, target: &HostPort) -> Option<Key> {
        self.0.key_to(name, target).map(|secret| Key::new(secret.reveal().to_owned()))
    }
}

/// What the host itself holds and nobody should see.
fn learn_own(config: &Config, admin_token: &str, masker: &Masker) {
    masker.learn("admin-token", &Secret::new(admin_token));
    for (alias, model) in &config.models {
        if let Some(key) = model.key_of_environment() {
            masker.learn(&format!("model/{alias}"), &Secret::new(key));
        }
    }
    for (name, channel) in &config.channels {
        for secret in channel.secrets() {
            masker.learn(&format!("channel/{name}"), &secret);
        }
    }
}

/// Where the key of the secrets is to be found.
fn key_source(config: &Config) -> KeySource {
    let text = std::env::var(KEY_VARIABLE).ok().filter(|text| !text.is_empty()).map(Secret::new);
    KeySource { text, file: config.secret_key_file.clone(), data_dir: config.data.clone() }
}

async fn recover(driver: Driver, triggers: Triggers, app: App, schedules: bool) -> Result<(), StoreError> {
    triggers.recover().await?;
    let recovered = driver.recover().await?;
    if recovered.running + recovered.waiting > 0 {
        tracing::info!(
            "took up {} executions that were running and {} that wait",
            recovered.running,
            recovered.waiting
        );
    }
    if schedules {
        triggers.start_schedules();
        triggers.start_dispatching();
    }
    app.set_ready();
    Ok(())
}

impl Running {
    /// Where the host listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The admin token, and whether this start made it.
    #[must_use]
    pub fn token(&self) -> &AdminToken {
        &self.token
    }

    /// The store of the host.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Resolves once recovery is done and requests are answered.
    ///
    /// # Errors
    /// Recovery failed: the host is of no use.
    pub async fn ready(&mut self) -> Result<(), anyhow::Error> {
        (&mut self.recovering).await??;
        Ok(())
    }

    /// Stops: takes no more requests, lets those under way and the running calls end for a few seconds, and closes the
    /// store. What did not end is taken up at the next start.
    pub async fn stop(self) {
        self.trigger.begin();
        let (served, noticed, (), ()) =
            tokio::join!(self.serving, self.notices, self.driver.stop(), self.triggers.stop());
        if let Err(error) = served.and(noticed) {
            tracing::error!("a part of the host broke off: {error}");
        }
        self.keeping.abort();
        if let Some((trigger, exporting)) = self.exporting {
            trigger.begin();
            // It ends within seconds, and what it could not bring was counted.
            exporting.await.ok();
        }
        if let Err(error) = self.accounts.flush().await {
            tracing::warn!("could not note what was used last: {error}");
        }
        self.store.close().await;
    }
}
