//! Files on the disk, named by the hash of their content: `files/ab/cd…`. The same content is kept once.
//!
//! A file is written under `tmp/` and renamed after its last byte is synced: what stands under `files/` is complete.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::AttachmentSettings;
use crate::{private, rights};

/// Hash of a content.
pub(super) type ContentHash = [u8; 32];

/// The folder.
pub(super) struct Files {
    dir: PathBuf,
    max_total_bytes: u64,
    min_free_bytes: u64,
    /// Bytes of complete files and of those being written.
    used: AtomicU64,
    /// Held for reading from the rename of a file to its row in the queue, for writing by retention.
    storing: tokio::sync::RwLock<()>,
}

impl Files {
    /// Makes the folders, forgets half-written files, counts the complete ones.
    pub fn open(settings: &AttachmentSettings) -> io::Result<Self> {
        let dir = settings.dir.clone();
        for folder in ["files", "tmp"] {
            private::folder(&dir.join(folder))?;
        }
        rights::own_folder(&dir)?;
        private::database(&dir.join(super::queue::FILE_NAME))?;
        for left in fs::read_dir(dir.join("tmp"))? {
            fs::remove_file(left?.path())?;
        }
        let mut used = 0;
        for folder in fs::read_dir(dir.join("files"))? {
            for file in fs::read_dir(folder?.path())? {
                used += file?.metadata()?.len();
            }
        }
        Ok(Self {
            dir,
            max_total_bytes: settings.max_total_bytes,
            min_free_bytes: settings.min_free_bytes,
            used: AtomicU64::new(used),
            storing: tokio::sync::RwLock::default(),
        })
    }

    /// Keeps retention away while this is held.
    pub async fn storing(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.storing.read().await
    }

    /// Waits until nobody is storing, and keeps it so while this is held.
    pub async fn quiet(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.storing.write().await
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Path of a content, present or not.
    pub fn path_of(&self, hash: &ContentHash) -> PathBuf {
        let name = blake3::Hash::from_bytes(*hash).to_hex();
        self.dir.join("files").join(&name[..2]).join(&name[2..])
    }

    /// Whether so many more bytes may be written; otherwise why not.
    pub fn room_for(&self, bytes: u64) -> Result<(), String> {
        let used = self.used();
        if used.saturating_add(bytes) > self.max_total_bytes {
            return Err(format!(
                "{used} bytes are used, attachments.max_total_bytes is {}",
                self.max_total_bytes
            ));
        }
        let free = rustix::fs::statvfs(&self.dir).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        if free < self.min_free_bytes.saturating_add(bytes) {
            return Err(format!(
                "{free} bytes are free on the disk, attachments.min_free_bytes is {}",
                self.min_free_bytes
            ));
        }
        Ok(())
    }

    /// Begins a file.
    pub async fn begin(&self, name: &str) -> io::Result<Part<'_>> {
        let path = self.dir.join("tmp").join(name);
        let mut options = tokio::fs::OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .await?;
        Ok(Part {
            files: self,
            path,
            file,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            is_kept: false,
        })
    }

    /// Removes a content.
    pub fn remove(&self, hash: &ContentHash) {
        let path = self.path_of(hash);
        let Ok(metadata) = fs::metadata(&path) else { return };
        match fs::remove_file(&path) {
            Ok(()) => drop(self.used.fetch_sub(metadata.len(), Ordering::Relaxed)),
            Err(error) => tracing::warn!(%error, "an attachment past its time can't be removed"),
        }
    }

    /// Hashes of all contents on the disk.
    pub fn all(&self) -> io::Result<Vec<ContentHash>> {
        let mut all = Vec::new();
        for folder in fs::read_dir(self.dir.join("files"))? {
            let folder = folder?;
            for file in fs::read_dir(folder.path())? {
                let name = format!(
                    "{}{}",
                    folder.file_name().to_string_lossy(),
                    file?.file_name().to_string_lossy()
                );
                all.extend(blake3::Hash::from_hex(&name).ok().map(|hash| *hash.as_bytes()));
            }
        }
        Ok(all)
    }
}

/// A file being written. Dropped before [`Part::keep`], it leaves nothing.
pub(super) struct Part<'a> {
    files: &'a Files,
    path: PathBuf,
    file: tokio::fs::File,
    hasher: blake3::Hasher,
    bytes: u64,
    is_kept: bool,
}

impl Part<'_> {
    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds bytes.
    pub async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWriteExt;
        self.files
            .room_for(chunk.len() as u64)
            .map_err(|why| io::Error::new(io::ErrorKind::StorageFull, why))?;
        self.files.used.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.bytes += chunk.len() as u64;
        self.hasher.update(chunk);
        self.file.write_all(chunk).await
    }

    /// Gives the file its name, after its last byte is on the disk.
    pub async fn keep(mut self) -> io::Result<ContentHash> {
        use tokio::io::AsyncWriteExt;
        self.file.flush().await?;
        self.file.sync_all().await?;
        let hash = *self.hasher.finalize().as_bytes();
        let (part, target) = (self.path.clone(), self.files.path_of(&hash));
        // Waits for the disk.
        let settled = tokio::task::spawn_blocking(move || settle(&part, &target)).await;
        self.is_kept = settled.map_err(io::Error::other)??;
        Ok(hash)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.files.used.fetch_sub(self.bytes, Ordering::Relaxed);
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives a part its name; whether its content was not there before. Of two that come at once one gives the name, the other
/// counts for nothing.
fn settle(part: &Path, target: &Path) -> io::Result<bool> {
    use rustix::{
        fs::{CWD, RenameFlags, renameat_with},
        io::Errno,
    };
    let folder = target.parent().unwrap_or(Path::new("."));
    private::folder(folder)?;
    let is_new = match renameat_with(CWD, part, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        // A file system without the flag.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let is_new = !target.exists();
            fs::rename(part, target)?;
            is_new
        }
        Err(error) => return Err(error.into()),
    };
    fs::File::open(folder)?.sync_all()?;
    Ok(is_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two downloads of one content that end at the same moment use the room of one.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_content_that_comes_several_times_at_once_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let settings = AttachmentSettings {
            dir: folder.path().to_owned(),
            min_free_bytes: 0,
            ..AttachmentSettings::default()
        };
        let files = std::sync::Arc::new(Files::open(&settings).unwrap());
        for round in 0..50_u64 {
            let content = [round.to_le_bytes(); 100].concat();
            let meeting = std::sync::Arc::new(tokio::sync::Barrier::new(8));
            let tasks = (0..8).map(|number| {
                let (files, content, meeting) = (files.clone(), content.clone(), meeting.clone());
                tokio::spawn(async move {
                    let mut part = files.begin(&format!("{round}-{number}")).await.unwrap();
                    part.write(&content).await.unwrap();
                    meeting.wait().await;
                    part.keep().await.unwrap()
                })
            });
            let hashes = futures::future::join_all(tasks).await;
            let hash = *hashes[0].as_ref().unwrap();
            assert!(hashes.iter().all(|other| *other.as_ref().unwrap() == hash));
            assert_eq!(files.used(), content.len() as u64 * (round + 1), "round {round}");
        }
        for hash in files.all().unwrap() {
            files.remove(&hash);
        }
        assert_eq!(files.used(), 0);
    }
}
