//! A city in a box.

pub mod broker;
