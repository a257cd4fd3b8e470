//! The `priem` command.

fn main() {}
