//! The `priem` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(priem::cli::main())
}
