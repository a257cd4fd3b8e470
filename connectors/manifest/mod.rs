//! One connector for every HTTP interface an integrator can describe in a YAML file.

pub mod jq;
mod values;
