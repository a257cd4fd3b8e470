//! One connector for every HTTP interface an integrator can describe in a YAML file.
//!
//! The manifest says how to ask the source (`poll`) or how it calls us (`hook`), what bodies are written in
//! (`format`), and, in jq, how a record becomes an item and a message (`mapping`). Nothing of any system is written
//! in Rust here.

mod config;
mod conformance;
pub mod format;
pub mod hook;
pub mod jq;
mod load;
mod mapping;
mod message;
pub mod model;
pub mod poll;
pub mod proving;
pub mod scaffold;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use priem_sdk::{
    Admission, BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx,
    FileSource, HookRequest, Message, NormalizeError, Page, RawItem, Receipt, Refusal, Stream, StreamKind,
    message::Attachment, registry,
};

pub use config::ManifestSettings;
use hook::Receiver;
pub use load::{LoadError, Loaded, load};
use mapping::Mapping;
use poll::{Poller, Records};

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "manifest",
    title: "Манифест",
    summary: "Any HTTP interface, asked or calling, described in one YAML file",
    schema: || schemars::schema_for!(ManifestSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

/// Stream of what we ask for.
const POLLED: &str = "list";
/// Stream of what is sent to us.
const SENT: &str = "webhook";

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let mut settings: ManifestSettings = registry::settings(settings)?;
    settings.manifest = context.base_dir.join(&settings.manifest);
    let loaded = load::load_with(&settings).map_err(LoadError::into_config_error)?;
    Ok(Arc::new(ManifestConnector::new(loaded, context.id.as_str())?))
}

/// A channel described by a manifest.
#[derive(Debug)]
pub struct ManifestConnector {
    manifest: model::Manifest,
    mapping: Arc<Mapping>,
    poller: Option<Poller>,
    receiver: Option<Receiver>,
}

impl ManifestConnector {
    /// Builds the connector under its name in the settings; reads the secrets, makes no connection.
    ///
    /// # Errors
    /// [`ConfigError`] with the key, below `poll` or `webhook`.
    pub fn new(loaded: Loaded, id: &str) -> Result<Self, ConfigError> {
        let Loaded {
            manifest,
            mapping,
            folder,
        } = loaded;
        let mapping = Arc::new(mapping);
        let below =
            |section: &str, error: ConfigError| ConfigError::new(format!("{section}.{}", error.key), error.problem);
        let poller = match &manifest.poll {
            None => None,
            Some(poll) if poll.base_url.trim().is_empty() => {
                return Err(ConfigError::new(
                    "base_url",
                    format!(
                        "the profile `{}` has no address yet; write here the one its operator gave you, like \
                         https://host.example.ru",
                        manifest.name
                    ),
                ));
            }
            Some(poll) => {
                let records = Arc::clone(&mapping) as Arc<dyn Records>;
                Some(Poller::new(poll, &folder, records).map_err(|error| below("poll", error))?)
            }
        };
        let receiver = match &manifest.webhook {
            None => None,
            Some(hook) => {
                let records = Arc::clone(&mapping) as Arc<dyn Records>;
                let receiver = Receiver::new(hook, id, mapping::BODY, &folder, records);
                Some(receiver.map_err(|error| below("webhook", error))?)
            }
        };
        Ok(Self {
            manifest,
            mapping,
            poller,
            receiver,
        })
    }
}

#[async_trait::async_trait]
impl Connector for ManifestConnector {
    fn streams(&self) -> Vec<Stream> {
        let polled = self.poller.iter().map(|_| Stream::new(POLLED, StreamKind::Poll));
        let sent = self.receiver.iter().map(|_| Stream::new(SENT, StreamKind::Webhook));
        polled.chain(sent).collect()
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        let mut report = CheckReport::default();
        let fixtures = proving::prove(&self.manifest, &self.mapping);
        let (failed, all) = (fixtures.failed(), fixtures.fixtures.len());
        let title = match self.manifest.title.as_str() {
            "" => &self.manifest.name,
            title => title,
        };
        match (failed, all) {
            (0, 0) => report.warn(
                "manifest",
                format!("{title}: nothing proves its mapping"),
                "add `fixtures:` with invented records and what must become of them",
            ),
            (0, _) => report.ok("manifest", format!("{title}: {all} fixtures hold")),
            _ => report.fail(
                "manifest",
                format!("{title}: {failed} of {all} fixtures fail"),
                "run `priem connectors test` on the manifest",
            ),
        }
        if let Some(poller) = &self.poller {
            poller.check(&mut report).await;
        }
        Ok(report)
    }

    async fn poll(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        match &self.poller {
            Some(poller) if stream == POLLED => poller.poll(cursor).await,
            _ => Err(ConnectorError::Unsupported("poll")),
        }
    }

    fn admit(&self, head: &HookRequest) -> Result<Admission, Refusal> {
        let receiver = self.receiver.as_ref().ok_or(Refusal::NotFound)?;
        receiver.admit(head)
    }

    fn receive(&self, request: &HookRequest) -> Result<Receipt, Refusal> {
        match &self.receiver {
            Some(receiver) => receiver.receive(request),
            None => Err(Refusal::NotFound),
        }
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        self.mapping.normalize(raw)
    }

    async fn acknowledge(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<(), ConnectorError> {
        match &self.poller {
            Some(poller) if stream == POLLED => poller.acknowledge(cursor).await,
            _ => Ok(()),
        }
    }

    async fn file(&self, _cx: &Cx, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
        match &self.poller {
            Some(poller) => poller.file(attachment).await,
            None => Ok(FileSource::public(attachment).unwrap_or(FileSource::Unavailable("no_address"))),
        }
    }
}
