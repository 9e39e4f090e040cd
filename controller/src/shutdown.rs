//! The signal to stop.

use tokio::sync::Notify;

/// Asked from within, as the service manager has it done.
static ASKED: Notify = Notify::const_new();

/// Asks the program to stop.
#[cfg(windows)]
pub fn ask() {
    ASKED.notify_one();
}

/// Returns on Ctrl-C, on SIGTERM where there is one, and when the service manager asks for it.
pub async fn requested() {
    tokio::select! {
        () = ASKED.notified() => {}
        () = signalled() => {}
    }
}

async fn signalled() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C will not be noticed");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                () = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    interrupt.await;
}
