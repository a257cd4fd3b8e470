//! The registry: every channel Priem knows, one folder each.
//!
//! A new connector adds its folder and two lines here; config schema, reference page, `check`, metrics and the
//! conformance run follow from the list.

#[cfg(test)]
mod fields;
pub mod files;
#[cfg(test)]
mod golden;
pub mod manifest;
pub mod max;
pub mod ok;
pub mod telegram;
#[cfg(test)]
mod testing;
pub mod vk;

use priem_sdk::ConnectorType;

/// Every channel Priem knows, in the order of the reference page.
pub static CONNECTORS: &[ConnectorType] = &[
    telegram::TYPE,
    vk::TYPE,
    ok::TYPE,
    max::TYPE,
    manifest::TYPE,
    files::TYPE,
];
