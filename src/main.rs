//! The binary: arguments in, one verb, one exit code.

fn main() -> std::process::ExitCode {
    shardcast::cli::main()
}
