//! From a name to addresses that may be dialled. The one place where names are resolved.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use framefair_domain::reach::Reach;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A name with more addresses than this is not a provider's machine.
const ADDRESSES_MAX: usize = 32;

/// Resolves a name to all of its addresses.
pub trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: String)
    -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// As the system does.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).take(ADDRESSES_MAX + 1).collect())
        })
    }
}

/// Hands a connector only addresses that all passed.
pub(crate) struct Vetted {
    pub(crate) reach: Reach,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, lookup) = (self.reach.clone(), self.lookup.clone());
        Box::pin(async move {
            let found = lookup.lookup(name.as_str().to_owned()).await?;
            if found.is_empty() || found.len() > ADDRESSES_MAX {
                return Err(io::Error::other(format!("{} addresses", found.len())).into());
            }
            // One inner address among public ones is how a name slips past those who try the next.
            for address in &found {
                reach.address(*address)?;
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
