//! Plugins: rows here, components as files named by their digest.

use std::{path::PathBuf, sync::Arc};

use weir_engine::{id::Timestamp, json::Json};

use super::{Store, StoreError};

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// Its name.
    pub name: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// SHA-256 of the component, in hex.
    pub digest: Arc<str>,
    /// What it offers.
    pub descriptor: Json,
    /// Size of the component.
    pub size_bytes: u64,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether new executions may use it.
    pub enabled: bool,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
}

/// A plugin to install; it was validated.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of `bytes`, in hex; checked.
    pub digest: String,
    /// What it offers.
    pub descriptor: Json,
    /// What it imports.
    pub imports: Vec<String>,
    /// The component.
    pub bytes: bytes::Bytes,
    /// Who installs it.
    pub installed_by: String,
}

/// What installing did.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// The row.
    pub plugin: PluginRow,
    /// Whether it was installed now: not where the same version with the same bytes was there before.
    pub new: bool,
}

impl Store {
    /// Installs a version of a plugin: first its file is on disk, then its row.
    ///
    /// # Errors
    /// [`StoreError::VersionTaken`]; the digest is wrong; the file or the database cannot be written.
    pub async fn install_plugin(&self, new: NewPlugin) -> Result<Installed, StoreError> {
        drop((new, &self.inner));
        unimplemented!()
    }

    /// Every version of every plugin: by name, then the newest installed first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        drop(&self.inner);
        unimplemented!()
    }

    /// The enabled versions that a catalog offers: of each plugin, the highest version first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn enabled_plugins(&self) -> Result<Vec<PluginRow>, StoreError> {
        drop(&self.inner);
        unimplemented!()
    }

    /// A plugin: this version, or the highest enabled one, or, if none is enabled, the highest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plugin(&self, name: &str, version: Option<&str>) -> Result<Option<PluginRow>, StoreError> {
        drop((name, version, &self.inner));
        unimplemented!()
    }

    /// The plugin with these bytes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plugin_by_digest(&self, digest: &str) -> Result<Option<PluginRow>, StoreError> {
        drop((digest, &self.inner));
        unimplemented!()
    }

    /// Switches a version on or off for executions to come.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the database cannot be written.
    pub async fn set_plugin_enabled(&self, name: &str, version: &str, enabled: bool) -> Result<PluginRow, StoreError> {
        drop((name, version, enabled, &self.inner));
        unimplemented!()
    }

    /// Deletes a version that no unfinished execution is pinned to: first its row, then its file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InUse`]; the database cannot be written.
    pub async fn delete_plugin(&self, name: &str, version: &str) -> Result<(), StoreError> {
        drop((name, version, &self.inner));
        unimplemented!()
    }

    /// Where the component with this digest lies; `None` where the digest is not 64 hexadecimal digits.
    #[must_use]
    pub fn plugin_path(&self, digest: &str) -> Option<PathBuf> {
        drop((digest, &self.inner));
        unimplemented!()
    }
}
