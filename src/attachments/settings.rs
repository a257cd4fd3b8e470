//! Settings of the attachment store, documented where they are defined.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use priem_sdk::{ConfigError, SecretRef, message::AttachmentKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeping copies of the files that messages name. Leave the whole section out to keep none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttachmentSettings {
    /// Folder of the files and of the queue; made when missing. Holds personal data.
    pub dir: PathBuf,
    /// Kinds of attachments that are fetched.
    pub kinds: Vec<AttachmentKind>,
    /// Hosts files may come from: names, with `*.` for any name below, or `*` for any public host. The address of the
    /// platform's own API, from a connector's settings, need not be listed.
    pub hosts: Vec<String>,
    /// Ports files may come from.
    pub ports: Vec<u16>,
    /// Internal networks files may come from all the same (a media server of your own). Public addresses always may.
    #[schemars(with = "Vec<String>")]
    pub allow_networks: Vec<IpNet>,
    /// Media types that are kept, as the server names them; `*` at the end stands for anything.
    pub types: Vec<String>,
    /// Largest file, bytes.
    pub max_bytes: u64,
    /// Most bytes of all files; beyond it nothing is fetched until retention has made room.
    pub max_total_bytes: u64,
    /// Free space that must stay on the disk, bytes.
    pub min_free_bytes: u64,
    /// Days a file is kept after its message came.
    pub keep_days: u32,
    /// Files fetched at the same time; of one connector at most half of them.
    pub concurrency: NonZeroU32,
    /// Longest time for one file, seconds.
    pub timeout_s: NonZeroU32,
    /// Longest silence of a server, seconds.
    pub idle_timeout_s: NonZeroU32,
    /// Pause before the second attempt, seconds; each further pause is twice as long, up to six hours.
    pub first_pause_s: NonZeroU32,
    /// Hours after which a file is given up.
    pub give_up_h: NonZeroU32,
    /// PEM files with certificates to trust besides those of the system; relative to the configuration file.
    pub extra_root_certificates: Vec<PathBuf>,
    /// Listener from which handlers take files by their reference. Leave out when they read the folder.
    pub serve: Option<ServeSettings>,
}

/// Listener for handlers of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// What a handler must show as `Authorization: Bearer …`. Needed unless the listener is on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
}

impl Default for AttachmentSettings {
    fn default() -> Self {
        let text = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Self {
            dir: PathBuf::from("priem-attachments"),
            kinds: vec![
                AttachmentKind::Photo,
                AttachmentKind::Video,
                AttachmentKind::Voice,
                AttachmentKind::Audio,
                AttachmentKind::Document,
            ],
            // Media hosts of VK, Одноклассники and MAX.
            hosts: text(&[
                "*.userapi.com",
                "*.vkuser.net",
                "*.vkuseraudio.net",
                "*.mycdn.me",
                "*.okcdn.ru",
                "*.oneme.ru",
            ]),
            ports: vec![443, 80],
            allow_networks: Vec::new(),
            types: text(&[
                "image/*",
                "audio/*",
                "video/*",
                "text/plain",
                "text/csv",
                "application/octet-stream",
                "application/pdf",
                "application/rtf",
                "application/zip",
                "application/msword",
                "application/vnd.ms-*",
                "application/vnd.oasis.opendocument.*",
                "application/vnd.openxmlformats-officedocument.*",
            ]),
            max_bytes: 50 << 20,
            max_total_bytes: 20 << 30,
            min_free_bytes: 1 << 30,
            keep_days: 30,
            concurrency: at_least_one(4),
            timeout_s: at_least_one(300),
            idle_timeout_s: at_least_one(30),
            first_pause_s: at_least_one(30),
            give_up_h: at_least_one(24),
            extra_root_certificates: Vec::new(),
            serve: None,
        }
    }
}

const fn at_least_one(value: u32) -> NonZeroU32 {
    match NonZeroU32::new(value) {
        Some(value) => value,
        None => NonZeroU32::MIN,
    }
}

impl AttachmentSettings {
    /// The same with relative paths starting from `base_dir`.
    pub(super) fn starting_from(&self, base_dir: &Path) -> Self {
        let mut settings = self.clone();
        settings.dir = base_dir.join(&self.dir);
        for path in &mut settings.extra_root_certificates {
            *path = base_dir.join(&*path);
        }
        if let Some(serve) = &mut settings.serve {
            serve.token = serve.token.as_ref().map(|token| token.starting_from(base_dir));
        }
        settings
    }

    /// Checks what the types can't say. No I/O.
    ///
    /// # Errors
    /// [`ConfigError`] with the key below `attachments` and the cure.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: String| Err(ConfigError::new(key, problem));
        for (key, is_empty, cure) in [
            (
                "hosts",
                self.hosts.is_empty(),
                "name the hosts files may come from, or \"*\" for any public one",
            ),
            (
                "kinds",
                self.kinds.is_empty(),
                "name at least one, or leave the section out",
            ),
            (
                "types",
                self.types.is_empty(),
                "name at least one, or leave the section out",
            ),
            ("ports", self.ports.is_empty(), "name at least 443"),
        ] {
            if is_empty {
                return wrong(key, format!("nothing would be fetched: {cure}"));
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let is_name = name.contains('.') && !name.contains(['*', '/', ':', '@', ' ']) && name.is_ascii();
            if host != "*" && !is_name {
                return wrong(
                    &format!("hosts.{index}"),
                    format!("{host:?} is no host: write files.example.ru, *.example.ru or *"),
                );
            }
        }
        if self.max_bytes == 0 || self.max_bytes > self.max_total_bytes {
            return wrong("max_bytes", "must lie between 1 and max_total_bytes".into());
        }
        match &self.serve {
            Some(serve) if serve.token.is_none() && !serve.listen.ip().is_loopback() => wrong(
                "serve.token",
                format!(
                    "{} can be reached from outside: set a token, files are personal data",
                    serve.listen
                ),
            ),
            _ => Ok(()),
        }
    }

    /// How long a file is kept, milliseconds.
    pub(super) fn keep_ms(&self) -> i64 {
        i64::from(self.keep_days) * 24 * 60 * 60 * 1000
    }

    /// Longest time for one file.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.get().into())
    }

    /// Longest silence of a server.
    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s.get().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let settings: AttachmentSettings = priem_yaml::from_str(text).expect("fits the types");
        settings
            .validate()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_valid_and_take_nothing_internal() {
        let settings = AttachmentSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert!(settings.allow_networks.is_empty() && settings.serve.is_none());
        assert!(!settings.hosts.iter().any(|host| host == "*"));
    }

    #[test]
    fn problems_name_their_keys() {
        for (text, starts) in [
            ("hosts: []", "hosts:"),
            ("hosts: [ localhost ]", "hosts.0:"),
            ("hosts: [ a.ru, 'https://b.ru' ]", "hosts.1:"),
            ("kinds: []", "kinds:"),
            ("max_bytes: 0", "max_bytes:"),
            ("max_total_bytes: 5", "max_bytes:"),
            ("serve: { listen: '0.0.0.0:9465' }", "serve.token:"),
        ] {
            assert!(problem(text).starts_with(starts), "{text}: {}", problem(text));
        }
        assert_eq!(problem("hosts: [ '*' ]\nserve: { listen: '127.0.0.1:9465' }"), "");
    }
}
