//! One connector for every HTTP interface an integrator can describe in a YAML file.

pub mod hook;
pub mod jq;
pub mod poll;
mod values;
