//! Files: `getFile` gives a path for at least an hour; the address made of it holds the token and never leaves as text.

use priem_sdk::{ConnectorError, FileRequest, FileSource, message::Attachment};

use super::client::{Client, Trouble};

/// Where the file of an attachment is now.
pub(super) async fn source_of(client: &Client, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
    if let Some(source) = FileSource::public(attachment) {
        return Ok(source);
    }
    let Some(file_id) = attachment.external_id.as_deref().filter(|_| attachment.needs_token) else {
        return Ok(FileSource::Unavailable("no_address"));
    };
    let path = match client.get_file(file_id).await {
        Ok(path) => path,
        Err(Trouble::Refused { description, .. }) if description.to_ascii_lowercase().contains("too big") => {
            return Ok(FileSource::Unavailable("too_large"));
        }
        // The same words stand for a wrong id and for a file that is away for a moment.
        Err(Trouble::Refused { description, .. }) => {
            return Err(ConnectorError::transient(format_args!(
                "Telegram does not give the file: {description}"
            )));
        }
        Err(Trouble::Decision(error)) => return Err(error),
    };
    match path {
        // A server in local mode names a path on its own disk.
        Some(path) if path.starts_with('/') => Ok(FileSource::Unavailable("local_file")),
        Some(path) => Ok(FileSource::Fetch(FileRequest {
            url: client.file_address(&path),
            headers: Vec::new(),
            trusted_host: true,
            tls: None,
        })),
        None => Ok(FileSource::Unavailable("no_address")),
    }
}
