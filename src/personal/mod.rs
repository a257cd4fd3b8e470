//! Personal data in free text: numbers of documents, birth dates, telephones and addresses, however they are written.
//!
//! What they look like and how they are hidden, nothing more: what is hidden from whom is decided by who asks (`privacy`
//! for what leaves, the journal for what people read).

mod contacts;
mod numbers;
mod plain;

pub use contacts::{mask, mask_contacts};
pub use numbers::scrub;
