//! Commands, a file each.

pub mod rules;
