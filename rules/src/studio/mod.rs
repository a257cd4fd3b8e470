//! What rule authors need around the engine: measuring rules on labelled history ([`evaluate`]), proposing rules from it
//! ([`learn`]) and comparing two sets before the new one goes live ([`preview`]).
//!
//! Nothing here decides about a message in the daemon. The engine is used through its public face only, so what is
//! measured is what runs.

mod corpus;
mod decision_list;
pub mod evaluate;
pub mod history;
pub mod labels;
pub mod learn;
pub mod mask;
pub mod preview;
pub mod preview_page;
