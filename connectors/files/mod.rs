//! The drop folder: exports in XLSX and CSV, row by row, restartable from the exact row.
//!
//! `inbox/` → `done/` or `failed/`. A file is moved only after the journal has all of its rows: the move follows the
//! commit of the cursor that says "read to the end". Whatever dies in between, the next poll finds the same cursor and
//! goes on from there; rows that come twice have the same key and fingerprint and change nothing.
//!
//! An open file is kept between polls as an optimisation only: the cursor alone is enough to go on.

mod as_of;
mod checking;
mod classifier;
pub mod config;
mod conformance;
mod cursor;
mod endings;
mod fold;
pub mod folder;
mod forbidden;
mod fz59;
mod guess;
pub mod headers;
mod inbox;
mod incident;
mod items;
mod key_column;
mod keys;
mod known;
mod layout;
mod left;
pub mod mapping;
mod meaning;
mod mss;
mod naming;
mod notes;
mod pos_registry;
pub mod probe;
mod probe_text;
mod problem;
mod reading;
mod refusals;
mod report;
mod row_body;
mod rows;
mod shared;
mod sheets;
mod table;
#[cfg(test)]
mod tests;
mod two_rows;
mod uv;
mod votes;
mod when;

use std::sync::Arc;

use priem_sdk::{
    BuildContext, CheckReport, ConfigError, Connector, ConnectorError, ConnectorType, Cursor, Cx, Message,
    NormalizeError, Page, RawItem, Stream, StreamKind,
    contract::{Claim, LeftAlone},
    registry,
};
use priem_tables::Stop;

use config::Checked;
pub use config::FilesSettings;
use cursor::FileCursor;
use inbox::Inbox;
use reading::Reading;

/// The only stream.
const INBOX: &str = "inbox";

/// How the registry knows the connector.
pub const TYPE: ConnectorType = ConnectorType {
    name: "files",
    title: "Папка выгрузок (XLSX, XLSB, ODS, XLS, CSV)",
    summary: "Reads exports of «Инцидент менеджмент», ПОС, «Управляем вместе», 59-ФЗ registries and votes from a drop folder, row by row",
    schema: || schemars::schema_for!(FilesSettings),
    example: include_str!("example.yaml"),
    build,
    conformance: conformance::subject,
};

fn build(settings: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Connector>, ConfigError> {
    let mut settings: FilesSettings = registry::settings(settings)?;
    settings.folder = context.base_dir.join(&settings.folder);
    for file in &mut settings.classifiers {
        *file = context.base_dir.join(&file);
    }
    Ok(Arc::new(FilesConnector::new(settings)?))
}

/// A drop folder.
pub struct FilesConnector {
    reading: Arc<Reading>,
}

impl FilesConnector {
    /// Builds the connector; reads the classifier files and touches no other.
    ///
    /// # Errors
    /// [`ConfigError`] with the key.
    pub fn new(settings: FilesSettings) -> Result<Self, ConfigError> {
        let checked = settings.open()?;
        Ok(Self {
            reading: Arc::new(Reading::new(settings, checked)),
        })
    }

    /// Runs blocking work on the pool made for it.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let reading = Arc::clone(&self.reading);
        // Whoever gives up waiting (the service ends) gives up the reading, too: it stops between two rows.
        let mut unfinished = Unfinished(Some(self.reading.stop()));
        let done = tokio::task::spawn_blocking(move || work(&reading)).await;
        unfinished.0 = None;
        done.map_err(|_| ConnectorError::transient("the reading of a file was interrupted"))?
    }
}

/// Stops the reading when nobody waits for its end.
struct Unfinished(Option<Stop>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.stop();
        }
    }
}

#[async_trait::async_trait]
impl Connector for FilesConnector {
    fn streams(&self) -> Vec<Stream> {
        vec![Stream {
            name: INBOX,
            key: String::new(),
            kind: StreamKind::Poll,
        }]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim {
            key: "folder",
            what: self.reading.real_folder().display().to_string(),
        }]
    }

    async fn check(&self, _cx: &Cx) -> Result<CheckReport, ConnectorError> {
        self.blocking(|reading| Ok(checking::check(reading.inbox()))).await
    }

    fn left_alone(&self) -> Option<LeftAlone> {
        self.reading.left_alone()
    }

    async fn poll(&self, _cx: &Cx, stream: &str, cursor: &Cursor) -> Result<Page, ConnectorError> {
        if stream != INBOX {
            return Err(ConnectorError::Unsupported("poll"));
        }
        let cursor = cursor.clone();
        self.blocking(move |reading| reading.poll(&cursor)).await
    }

    fn normalize(&self, raw: &RawItem) -> Result<Vec<Message>, NormalizeError> {
        items::normalize(raw, self.reading.checked())
    }

    fn left_out(&self, _stream: &str, older: usize) {
        self.reading.left_out(older);
    }

    async fn acknowledge(&self, _cx: &Cx, _stream: &str, cursor: &Cursor) -> Result<(), ConnectorError> {
        let Some(cursor) = FileCursor::decode(cursor) else {
            return Ok(());
        };
        self.blocking(move |reading| reading.put_away(&cursor)).await
    }
}
