//! Personal data on its way out (152-ФЗ): what of a message goes to the queue, and what people see.
//!
//! Invariants:
//! - rules decide on the full message; the policy is applied afterwards, to each recipient's copy of its own;
//! - СНИЛС, numbers of medical insurance policies and birth dates never leave, in no field and under no setting;
//! - the same message gives the same bytes for ever: hashes are keyed, encryption is deterministic;
//! - everything is compiled at the start; what does not fit stops the start with key and cure.

mod fields;
mod policy;
mod seal;
mod settings;
mod words;

pub use policy::{Policy, PolicyError};
pub use seal::{SealError, Sealer};
pub use settings::{Action, PrivacyOverride, PrivacySettings};
