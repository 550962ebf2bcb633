//! How a host is set up: one struct, read from a file, the environment and the command line, the later the stronger.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{egress::EgressConfig, models::ModelConfig, notify::ChannelConfig, secrets::Masker, spans::OtelConfig};

mod model_variables;

/// The address where the host listens and clients look for it, unless somebody says otherwise.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

/// How a host is set up. The defaults are safe: it listens on this machine only, and plugins may do nothing outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory where everything lies: database, plugins, token. Made if it is missing.
    pub data: PathBuf,
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What to log: `info`, `debug`, `weir_host=debug,info`, …
    pub log: String,
    /// Whether log lines are JSON, for machines.
    pub log_json: bool,
    /// Names by which clients may call the host, beside `localhost` and the address that it listens on: `weir.example.com`,
    /// or `*.example.com` for all below it.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may act in the name of a user who is signed in, beside the host's own: `https://ui.example.com`.
    pub allowed_origins: Vec<String>,
    /// Addresses and networks of proxies that are believed when they say for whom they ask (`X-Forwarded-For`,
    /// `X-Forwarded-Proto`): `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    /// The most connections from one address at a time, other than from a trusted proxy.
    pub connections_per_address: usize,
    /// A file with the key that secrets are sealed with: 32 bytes in base64. The environment variable `WEIR_SECRET_KEY` is
    /// stronger; without both the key is made once and kept in the data directory.
    pub secret_key_file: Option<PathBuf>,
    /// What may be reached beyond public addresses.
    pub egress: EgressConfig,
    /// The ways to reach people, by the names under which human steps list them.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Language models, by the names under which plugins and workflows know them.
    pub models: BTreeMap<String, ModelConfig>,
    /// A file of prices of models, stronger than the one that comes with the program.
    pub prices: Option<PathBuf>,
    /// Whether schedules and events start workflows.
    pub schedules: bool,
    /// Where OpenTelemetry is told what executions do; nowhere by default.
    pub otel: Option<OtelConfig>,
    /// Whether everybody may read `GET /metrics`; otherwise it takes the role `viewer`.
    pub metrics_public: bool,
    /// Whether a workflow, its triggers and their secrets are changed by its owner alone, and by administrators; otherwise
    /// by every author.
    pub owners_only: bool,
    /// What links to this host begin with: `https://weir.example.com`; by default `http://` and the address that it listens on.
    pub public_url: Option<String>,
    /// The program `weir`, which is started to compile plugins; by default the running one.
    #[serde(skip)]
    pub program: Option<PathBuf>,
    /// Masks the host's secrets, also in what the program logs. A new one by default.
    #[serde(skip)]
    pub masker: Masker,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "data".into(),
            listen: LISTEN_DEFAULT,
            log: "info".to_owned(),
            log_json: false,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            connections_per_address: 512,
            secret_key_file: None,
            egress: EgressConfig::default(),
            channels: BTreeMap::new(),
            models: BTreeMap::new(),
            prices: None,
            schedules: true,
            otel: None,
            metrics_public: false,
            owners_only: false,
            public_url: None,
            program: None,
            masker: Masker::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("could not understand the configuration file {}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A setting is understood, and cannot work.
    #[error("could not use the configuration file {}: {setting}: {reason}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: String,
        /// What is wrong with it, and what it should be.
        reason: String,
    },
}

impl Config {
    /// Reads a configuration file (YAML, or JSON); what it does not name keeps its default.
    ///
    /// # Errors
    /// The file cannot be read, or holds a field that is unknown, wrong, or cannot work.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parsed: Result<Self, _> = serde_saphyr::from_str(&text);
        let config = parsed.map_err(|e| ConfigError::Parse { path: path.to_owned(), reason: e.to_string() })?;
        let refused = |setting: String, reason: String| ConfigError::Setting { path: path.to_owned(), setting, reason };
        for (name, channel) in &config.channels {
            channel.check().map_err(|e| refused(format!("channels.{name}"), e.to_string()))?;
        }
        for (alias, model) in &config.models {
            model.check(alias).map_err(|e| refused(format!("models.{alias}"), e.to_string()))?;
        }
        if let Some(otel) = &config.otel {
            otel.check().map_err(|e| refused("otel".to_owned(), e.to_string()))?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.yaml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn a_file_names_what_differs_from_the_defaults() {
        let config = read("listen: 127.0.0.1:0\n").unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.data, Config::default().data);
    }

    #[test]
    fn the_way_out_and_the_ways_to_people_are_set_up_here() {
        let config = read(
            "egress:
  allow: [\"10.0.0.5:8080\", \"SMTP.internal:25\"]
channels:
  inbox: ui
  team:
    email: {host: smtp.internal, tls: none, from: Weir <weir@example.com>, to: [a@example.com]}
  chat:
    slack: {url: \"https://hooks.example/services/secret\"}
",
        )
        .unwrap();
        assert_eq!(config.egress.allow, ["10.0.0.5:8080".parse().unwrap(), "smtp.internal:25".parse().unwrap()]);
        assert_eq!(config.channels["inbox"], ChannelConfig::Ui);
        let shown = serde_json::to_string(&config).unwrap();
        assert!(shown.contains("smtp.internal:25") && !shown.contains("services/secret"), "{shown}");
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let refused = |text: &str| read(text).unwrap_err().to_string();
        let allow = refused("egress: {allow: [\"10.0.0.5\"]}\n");
        assert!(allow.contains("there is no port"), "{allow}");
        let channel = refused("channels: {chat: {slack: {url: \"ftp://hooks.example\"}}}\n");
        assert!(channel.contains("channels.chat: url:"), "{channel}");
        let unknown = refused("channels: {chat: {fax: {}}}\n");
        assert!(unknown.contains("fax"), "{unknown}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error = read("lisen: 127.0.0.1:0\n").unwrap_err().to_string();
        assert!(error.contains("lisen"), "{error}");
    }
}
