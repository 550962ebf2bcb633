//! The command line.

use std::process::ExitCode;

use weir_host::runtime::compile;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == compile::SUBCOMMAND) {
        return compile::child_main(arguments);
    }
    ExitCode::FAILURE
}
