//! Connectors as the daemon builds them, with planted secrets: for the kit and for a connector's own tests.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BoxFuture, PollSubject, ScriptedAnswer, ScriptedRequest, ScriptedServer, Subject};
use crate::{
    context::BuildContext,
    contract::{Connector, ConnectorId, Cx},
    error::ConfigError,
    registry::ConnectorType,
    secret::Secret,
};

/// The public address of the webhook listener.
const PUBLIC_URL: &str = "https://priem.example.ru";

/// Settings of a connector whose secrets lie in a folder that lives as long as this. Settings name them as
/// `{"file": "<name>"}`.
#[derive(Debug)]
pub struct Planted {
    kind: ConnectorType,
    id: ConnectorId,
    folder: TempDir,
    secrets: Vec<Secret<String>>,
    settings: Value,
}

impl Planted {
    /// Plants `secrets`, by the names of their files. `settings` are the least that fit; each connector may have more.
    ///
    /// # Panics
    /// When the system's temporary folder can't be written.
    pub fn new(kind: ConnectorType, id: &str, secrets: &[(&str, &str)], settings: Value) -> Self {
        let planted = Self {
            kind,
            id: ConnectorId::new(id),
            folder: tempfile::tempdir().expect("the temporary folder of the system can be written"),
            secrets: secrets
                .iter()
                .map(|(_, secret)| Secret::new((*secret).to_owned()))
                .collect(),
            settings,
        };
        for (name, secret) in secrets {
            planted.write(name, secret);
        }
        planted
    }

    /// Writes a file into the folder: another secret, or one in place of a planted one.
    ///
    /// # Panics
    /// When the folder can't be written.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a fresh folder can be written");
    }

    /// How settings name a file of the folder.
    pub fn file(&self, name: &str) -> Value {
        json!({ "file": name })
    }

    /// The settings, with `more` over them, key by key.
    pub fn settings(&self, more: &Value) -> Value {
        let mut settings = self.settings.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            settings[key] = value.clone();
        }
        settings
    }

    /// Builds a connector with `more` over the settings.
    ///
    /// # Errors
    /// Those of the connector.
    pub fn build(&self, more: Value) -> Result<Arc<dyn Connector>, ConfigError> {
        self.build_at(Some(PUBLIC_URL), more)
    }

    /// The same with another public address of the listener, or none.
    ///
    /// # Errors
    /// Those of the connector.
    pub fn build_at(&self, public_url: Option<&str>, more: Value) -> Result<Arc<dyn Connector>, ConfigError> {
        let context = BuildContext {
            id: self.id.clone(),
            base_dir: self.folder.path().to_owned(),
            public_url: public_url.map(str::to_owned),
        };
        (self.kind.build)(self.settings(&more), &context)
    }

    /// The same with settings that fit.
    ///
    /// # Panics
    /// When they don't.
    pub fn connector(&self, more: Value) -> Arc<dyn Connector> {
        self.build(more).expect("planted settings fit")
    }

    /// The same that talks to a server, by its setting `api_url`.
    ///
    /// # Panics
    /// When the settings don't fit.
    pub fn against(&self, api_url: impl Into<String>, mut more: Value) -> Arc<dyn Connector> {
        more["api_url"] = api_url.into().into();
        self.connector(more)
    }

    /// What the host lends to these connectors.
    pub fn cx(&self) -> Cx {
        Cx::new(self.id.clone())
    }

    /// A subject without samples: a connector with `more` over the settings, and all planted secrets.
    ///
    /// # Panics
    /// When the settings don't fit.
    pub fn subject(&self, more: Value) -> Subject {
        let mut subject = Subject::new(self.connector(more), self.id.clone());
        subject.secrets.clone_from(&self.secrets);
        subject
    }

    /// Something to poll: a scripted server that holds so many different items in the stream of this name.
    pub fn polls(
        self,
        stream: &'static str,
        items: usize,
        script: impl Fn(&ScriptedRequest) -> ScriptedAnswer + Send + Sync + 'static,
    ) -> BoxFuture<PollSubject> {
        Box::pin(async move {
            let server = ScriptedServer::start(script).await.expect("loopback has a free port");
            let api_url = server.url();
            PollSubject {
                cx: self.cx(),
                open: Box::new(move || self.against(&api_url, json!({}))),
                stream,
                items,
                keep: Box::new(server),
            }
        })
    }
}
