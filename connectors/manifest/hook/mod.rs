//! Being called over HTTP, as a manifest says: prove the sender, split the body, answer as the sender needs.
//!
//! Invariants: the unguessable path is always needed, and every proof the manifest names must hold; a proven body that
//! can't be understood is kept whole; the answer means "stored", because the host sends it only then.

mod certificate;
pub mod config;
mod proof;
mod signature;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use priem_sdk::{Admission, ConfigError, HookRequest, Item, Receipt, Refusal, Reply};
use serde_json::Value;

use self::{
    config::{HookSettings, ReplySettings},
    proof::Proofs,
};
use super::poll::{Pick, Records};

/// Receives from one sender.
pub struct Receiver {
    proofs: Proofs,
    items: Pick,
    reply: ReplySettings,
    reply_body: Option<Pick>,
    /// Name of the format for bodies that can't be read.
    format: &'static str,
    records: Arc<dyn Records>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("proofs", &self.proofs)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Checks the settings and reads the secrets they name. `connector` is the name in the address; `format` names bodies
    /// that can't be read ([`Item::format`]). Relative paths start from `base_dir`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key below `webhook`.
    pub fn new(
        settings: &HookSettings,
        connector: &str,
        format: &'static str,
        base_dir: &Path,
        records: Arc<dyn Records>,
    ) -> Result<Self, ConfigError> {
        let reply = &settings.reply;
        if !(200..300).contains(&reply.status) {
            return Err(ConfigError::new(
                "reply.status",
                "must be 2xx: the reply is sent when everything is stored",
            ));
        }
        let reply_body = reply
            .body_jq
            .as_deref()
            .map(|source| Pick::compile(source, "reply.body_jq"));
        Ok(Self {
            proofs: Proofs::new(settings, connector, base_dir)?,
            items: Pick::compile(&settings.items, "items")?,
            reply_body: reply_body.transpose()?,
            reply: reply.clone(),
            format,
            records,
        })
    }

    /// Looks at a request before its body.
    ///
    /// # Errors
    /// A [`Refusal`] when what the head must show does not hold.
    pub fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        self.proofs.require_head(head)
    }

    /// Takes a request.
    ///
    /// # Errors
    /// A [`Refusal`] when the sender is not proven.
    pub fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        self.proofs.require(request)?;
        let records = match self.split(&request.body) {
            Ok(records) => records,
            Err(problem) => {
                let item = Item::malformed(self.format, request.body.clone(), problem);
                return Ok(Receipt {
                    items: vec![item],
                    reply: self.reply(&[]),
                });
            }
        };
        let reply = self.reply(&records);
        let items = records.into_iter().map(|record| self.records.item(record)).collect();
        Ok(Receipt { items, reply })
    }

    fn split(&self, body: &Bytes) -> Result<Vec<Value>, priem_sdk::NormalizeError> {
        let whole = self.records.read(body)?;
        let mut found = self.items.all(&whole).map_err(|_| {
            priem_sdk::NormalizeError::new("unexpected_shape", "the body has not the shape `items` expects")
        })?;
        if let [Value::Array(list)] = found.as_mut_slice() {
            return Ok(std::mem::take(list));
        }
        if found.iter().all(Value::is_null) && !found.is_empty() {
            return Err(priem_sdk::NormalizeError::new(
                "unexpected_shape",
                "`items` finds nothing in the body",
            ));
        }
        found.retain(|record| !record.is_null());
        Ok(found)
    }

    fn reply(&self, records: &[Value]) -> Reply {
        let made = self.reply_body.as_ref().and_then(|pick| {
            let list = Value::Array(records.to_vec());
            pick.first(&list).ok().flatten()
        });
        let body = match made {
            None => self.reply.body.clone(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        };
        Reply {
            status: self.reply.status,
            content_type: self.reply.content_type.as_str(),
            body: body.into(),
        }
    }
}
