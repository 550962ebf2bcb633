//! How a host is set up: one struct, read from a file, the environment and the command line, the later the stronger.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

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
    /// The program `weir`, which is started to compile plugins; by default the running one.
    #[serde(skip)]
    pub program: Option<PathBuf>,
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
            program: None,
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
}

impl Config {
    /// Reads a configuration file (YAML, or JSON); what it does not name keeps its default.
    ///
    /// # Errors
    /// The file cannot be read, or holds a field that is unknown or wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        serde_saphyr::from_str(&text).map_err(|e| ConfigError::Parse { path: path.to_owned(), reason: e.to_string() })
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
    fn unknown_fields_are_refused() {
        let error = read("lisen: 127.0.0.1:0\n").unwrap_err().to_string();
        assert!(error.contains("lisen"), "{error}");
    }
}
