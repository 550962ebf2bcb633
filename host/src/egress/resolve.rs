//! From a name to addresses.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use futures_util::future::BoxFuture;

/// Says which addresses a name has. What it answers is only dialled after each address was checked.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a name, in the order in which to try them.
    ///
    /// # Errors
    /// There is no such name, or nobody could be asked.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver: its `/etc/hosts` and its name servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address: SocketAddr| address.ip()).collect())
        })
    }
}
