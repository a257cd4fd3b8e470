//! Refresh tokens that the server changes with every use.
//!
//! Invariants: the newest one is on the disk before it is used a first time, when a file is named for it; a file is
//! replaced whole or not at all, is readable by us alone, and a restart begins with what is in it; the one the operator
//! gave stays as the way back. Nothing here is ever printed.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use priem_sdk::{ConfigError, Secret};
use tracing::{error, warn};

/// Longest token that is believed to be one, bytes.
const LONGEST: u64 = 16 * 1024;

/// The refresh token in use.
pub struct Refresh {
    given: Secret<String>,
    newest: Option<Secret<String>>,
    store: Option<PathBuf>,
    /// The newest one is not in the file yet.
    unsaved: bool,
    warned: bool,
}

impl Refresh {
    /// Begins with what the file holds, or with the token the operator gave.
    ///
    /// # Errors
    /// [`ConfigError`] when the file is there and can't be read.
    pub fn new(given: Secret<String>, store: Option<PathBuf>) -> Result<Self, ConfigError> {
        let newest = match &store {
            Some(path) => read(path).map_err(|error| {
                ConfigError::new(
                    "auth.refresh_token_store",
                    format!(
                        "{} can't be read: {error}; name a file in a folder the daemon may write, or remove this one",
                        path.display()
                    ),
                )
            })?,
            None => None,
        };
        Ok(Self {
            given,
            newest,
            store,
            unsaved: false,
            warned: false,
        })
    }

    /// The one to use now.
    pub fn current(&self) -> &Secret<String> {
        self.newest.as_ref().unwrap_or(&self.given)
    }

    /// The newest one was refused: goes back to the given one. False when that is what was used.
    pub fn fall_back(&mut self) -> bool {
        self.newest.take().is_some_and(|newest| newest != self.given)
    }

    /// Takes what the server gave for the next time, and keeps it over a restart.
    pub async fn take(&mut self, next: Option<Secret<String>>) {
        if let Some(next) = next.filter(|next| next != self.current()) {
            self.newest = Some(next);
            self.unsaved = true;
        }
        let (true, Some(newest)) = (self.unsaved, self.newest.clone()) else {
            return;
        };
        let Some(path) = self.store.clone() else {
            if !self.warned {
                warn!(
                    "the server changes refresh tokens; without auth.refresh_token_store a restart may need a new one"
                );
                self.warned = true;
            }
            return;
        };
        let written = tokio::task::spawn_blocking(move || write(&path, &newest)).await;
        match written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked"))) {
            Ok(()) => self.unsaved = false,
            // It works on in memory and is tried again with the next token.
            Err(error) => {
                error!(%error, "auth.refresh_token_store can't be written; a restart may need a new refresh token")
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Secret<String>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > LONGEST => return Err(io::Error::other("too large for a token")),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path)?;
    let token = text.trim();
    Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
}

/// Beside the file, then over it.
fn write(path: &Path, token: &Secret<String>) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(token.expose().as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn the_newest_survives_a_restart_and_the_given_one_is_the_way_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let begin = || Refresh::new(secret("given"), Some(path.clone())).expect("readable");
        let mut refresh = begin();
        assert_eq!(refresh.current(), &secret("given"));
        assert!(!refresh.fall_back(), "there is nothing else to try");
        refresh.take(None).await;
        assert!(!path.exists(), "a server that changes nothing writes nothing");
        for newest in ["second", "third"] {
            refresh.take(Some(secret(newest))).await;
            assert_eq!(begin().current(), &secret(newest));
        }
        let mode = fs::metadata(&path).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut refresh = begin();
        assert!(refresh.fall_back());
        assert_eq!(refresh.current(), &secret("given"));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_costs_nothing_until_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("absent/token");
        let mut refresh = Refresh::new(secret("given"), Some(path.clone())).expect("nothing there");
        refresh.take(Some(secret("second"))).await;
        assert_eq!(refresh.current(), &secret("second"));
        fs::create_dir(folder.path().join("absent")).expect("a folder");
        refresh.take(None).await;
        let again = Refresh::new(secret("given"), Some(path)).expect("readable");
        assert_eq!(again.current(), &secret("second"), "made up for with the next token");
        let error = Refresh::new(secret("given"), Some(folder.path().to_owned()))
            .err()
            .expect("a folder");
        assert_eq!(error.key, "auth.refresh_token_store");
    }
}
