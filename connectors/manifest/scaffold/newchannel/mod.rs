//! newchannel: what it is and who runs it.
//!
//! One polled list. The cursor is the number of the last message read; the platform gives those after it, oldest first.

mod api;
mod config;
mod conformance;
mod normalize;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use priem_sdk::{
    BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx, HttpOptions, Item,
    Message, NormalizeError, Page, RawItem, Stream, StreamKind, Wait, contract, registry,
};

use config::NewchannelSettings;

/// Registry entry.
pub const TYPE: ConnectorType = ConnectorType {
    name: "newchannel",
    title: "newchannel",
    summary: "Messages of newchannel, by polling",
    schema: || schemars::schema_for!(NewchannelSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

/// The only stream.
const MESSAGES: &str = "messages";
/// [`Item::format`] of what the platform gives.
const MESSAGE: &str = "newchannel.message";

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let settings: NewchannelSettings = registry::settings(settings)?;
    settings.validate()?;
    let token = context.secret("token", &settings.token)?;
    let http = context.http(&settings.http, HttpOptions::default())?;
    Ok(Arc::new(Newchannel {
        api: api::Api::new(http, &settings.api_url, token),
        settings,
    }))
}

struct Newchannel {
    settings: NewchannelSettings,
    api: api::Api,
}

impl Newchannel {
    fn pause(&self) -> Duration {
        Duration::try_from(self.settings.every).unwrap_or(Duration::from_secs(60))
    }
}

#[async_trait::async_trait]
impl Connector for Newchannel {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream::new(MESSAGES, StreamKind::Poll)]
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        let mut report = CheckReport::default();
        let listed = self.api.after(0).await?;
        report.ok("list", format!("{} messages in the first page", listed.len()));
        Ok(report)
    }

    async fn poll(&self, _cx: &Cx, _stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        let after = cursor.0.parse().unwrap_or(0);
        let listed = self.api.after(after).await?;
        let last = listed.iter().filter_map(|raw| api::number(raw)).max();
        let wait = match listed.is_empty() {
            true => Wait::For(self.pause()),
            false => Wait::Now,
        };
        let next = Cursor(last.unwrap_or(after).max(after).to_string());
        Ok(Page {
            items: listed.into_iter().map(item).collect(),
            next,
            wait,
            ..Page::default()
        })
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        normalize::message(raw)
    }
}

/// The item of one listed message, before anything in it is understood.
fn item(body: Bytes) -> Item {
    let Some(number) = api::number(&body) else {
        return Item::malformed(MESSAGE, body, NormalizeError::new("no_id", "the message has no `id`"));
    };
    Item {
        external_id: number.to_string(),
        revision: None,
        fingerprint: Some(contract::fingerprint([body.as_ref()])),
        conversation: None,
        format: MESSAGE,
        body,
        problem: None,
    }
}
