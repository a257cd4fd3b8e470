//! Marks at the beginning of a body that tell its encoding.

use bytes::Bytes;
use encoding_rs::Encoding;

/// UTF-8's own mark.
const UTF8: &[u8] = b"\xEF\xBB\xBF";

/// UTF-16 by its mark.
pub(super) fn utf16(body: &[u8]) -> Option<&'static Encoding> {
    match body {
        [0xFF, 0xFE, ..] => Some(encoding_rs::UTF_16LE),
        [0xFE, 0xFF, ..] => Some(encoding_rs::UTF_16BE),
        _ => None,
    }
}

/// The body after a mark of UTF-8.
pub(super) fn after(body: &[u8]) -> &[u8] {
    body.strip_prefix(UTF8).unwrap_or(body)
}

/// The body as UTF-8 without a mark, as far as a mark tells what it is.
pub fn without(body: &Bytes) -> Bytes {
    match utf16(body) {
        Some(encoding) => encoding.decode_with_bom_removal(body).0.into_owned().into(),
        None => body.slice_ref(after(body)),
    }
}
