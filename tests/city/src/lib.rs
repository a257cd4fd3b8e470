//! A city in a box: simulators that behave like the platforms Priem listens to, and the citizens who write there.
//!
//! Used by tests and by `priem demo`. A simulator shares no code with the connector it tests.

pub mod broker;
pub mod clock;
pub mod exports;
pub mod max;
pub mod ok;
pub mod pos;
pub mod region;
pub mod senders;
pub mod telegram;
pub mod vk;
pub mod voices;
