//! Starts a program and looks on at what it does to its disk (`hcs_tests::tracer`).

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    hcs_tests::tracer::run(std::env::args_os().skip(1))
}

#[cfg(not(unix))]
fn main() {}
