//! Clients for servers of connectors that want a certificate of ours or have an authority of their own.
//!
//! A client is built once for each pair of files and kept; what is in the files is never quoted: a key is among it.

use std::{collections::HashMap, io};

use parking_lot::Mutex;
use priem_sdk::file::FileTls;
use reqwest::{Certificate, Client, Identity};

use super::fetch::builder;

/// Most different pairs of files; past it all are forgotten at once.
const MOST_CLIENTS: usize = 64;

/// Clients by what they show and trust.
pub(super) struct OwnClients {
    /// Trusted by every client of the store.
    common: Vec<Certificate>,
    built: Mutex<HashMap<FileTls, Client>>,
}

impl OwnClients {
    pub fn new(common: Vec<Certificate>) -> Self {
        Self {
            common,
            built: Mutex::default(),
        }
    }

    /// The client for these certificates; reads the files the first time.
    ///
    /// # Errors
    /// When a file can't be read or is not what it must be; the connector itself said so at its start.
    pub fn client(&self, tls: &FileTls) -> io::Result<Client> {
        if let Some(known) = self.built.lock().get(tls) {
            return Ok(known.clone());
        }
        let wrong = |_| io::Error::from(io::ErrorKind::InvalidData);
        let mut certificates = self.common.clone();
        for path in &tls.extra_root_certificates {
            certificates.extend(Certificate::from_pem_bundle(&std::fs::read(path)?).map_err(wrong)?);
        }
        let mut client = builder(certificates);
        if let Some(path) = &tls.client_certificate {
            client = client.identity(Identity::from_pem(&std::fs::read(path)?).map_err(wrong)?);
        }
        let client = client.build().map_err(wrong)?;
        let mut built = self.built.lock();
        if built.len() >= MOST_CLIENTS {
            built.clear();
        }
        built.insert(tls.clone(), client.clone());
        Ok(client)
    }
}
