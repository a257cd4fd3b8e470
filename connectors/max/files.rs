//! Files: `payload.url` needs no authorisation; a film without one is asked for by its token. Our own authorisation is
//! never sent to media hosts.

use priem_sdk::{
    ConnectorError, FileRequest, FileSource,
    message::{Attachment, AttachmentKind},
};

use super::client::{Client, Trouble};

/// Where the file of an attachment is now.
pub(super) async fn source_of(client: &Client, attachment: &Attachment) -> Result<FileSource, ConnectorError> {
    if let Some(source) = FileSource::public(attachment) {
        return Ok(source);
    }
    let (AttachmentKind::Video, Some(token)) = (attachment.kind, attachment.external_id.as_deref()) else {
        return Ok(FileSource::Unavailable("no_address"));
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if token.is_empty() || !token.bytes().all(is_plain) {
        return Ok(FileSource::Unavailable("no_address"));
    }
    match client.video(token).await {
        Ok(Some(url)) => Ok(FileSource::Fetch(FileRequest::named_by_message(url))),
        Ok(None) => Err(ConnectorError::transient("the film is still being converted")),
        Err(Trouble::Refused { .. }) => Ok(FileSource::Unavailable("gone")),
        Err(Trouble::Decision(error)) => Err(error),
    }
}
