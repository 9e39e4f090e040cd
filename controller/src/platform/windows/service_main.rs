//! The entry that the service manager calls, which the crate's macro makes with `unsafe`.

use std::ffi::OsString;
use std::sync::OnceLock;

use windows_service::{define_windows_service, service_dispatcher};

/// What runs as the service.
static MAIN: OnceLock<fn()> = OnceLock::new();

define_windows_service!(entry, enter);

fn enter(_: Vec<OsString>) {
    if let Some(main) = MAIN.get() {
        main();
    }
}

/// Lets the service manager call `main`, and returns when the service has stopped. Fails in a
/// process that the service manager did not start.
pub fn serve(name: &str, main: fn()) -> windows_service::Result<()> {
    MAIN.get_or_init(|| main);
    service_dispatcher::start(name, entry)
}
