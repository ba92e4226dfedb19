//! The binary: arguments in, one verb, one exit code.

fn main() -> std::process::ExitCode {
    #[cfg(panic = "unwind")]
    end_with_a_panic();
    shardcast::cli::main()
}

/// A shard that unwinds would free memory that the kernel still reads. Release builds abort by
/// themselves; others are compiled as tests are, and say here that they do.
#[cfg(panic = "unwind")]
fn end_with_a_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |why| {
        told(why);
        std::process::abort();
    }));
}
