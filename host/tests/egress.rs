//! The way out: what the guard lets through, and what it does not.

mod client;
mod forms;
mod inside;
mod limits;
mod netlink;
pub(crate) mod tls;

use std::{collections::HashMap, io, net::IpAddr, sync::Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use weir_host::egress::{Caller, Egress, EgressConfig, HeaderMap, Method, Policy, Request, Resolve, Roots};

/// Names and what they lead to: one answer after the other, the last one for ever.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
}

impl Names {
    fn new(names: &[(&str, &[&[&str]])]) -> Box<Self> {
        let address = |text: &&str| text.parse().unwrap();
        let answers = |answers: &[&[&str]]| answers.iter().map(|one| one.iter().map(address).collect()).collect();
        let answers = names.iter().map(|(name, given)| ((*name).to_owned(), answers(given))).collect();
        Box::new(Self { answers: Mutex::new(answers) })
    }
}

impl Resolve for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut answers = self.answers.lock().unwrap();
        let given = answers.get_mut(name).map(|left| if left.len() > 1 { left.remove(0) } else { left[0].clone() });
        Box::pin(async move { given.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name")) })
    }
}

fn egress(config: EgressConfig, names: &[(&str, &[&[&str]])]) -> Egress {
    Egress::with(config, Names::new(names), Roots::Only(Vec::new()))
}

fn get(url: &str) -> Request {
    Request { method: Method::GET, url: url.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
}

/// A caller that may go anywhere and follows some redirects.
fn wanderer() -> Caller {
    Caller::new(Policy { requests_max: 100, redirects_max: 5, ..Policy::any_public() })
}
