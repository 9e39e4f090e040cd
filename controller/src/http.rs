//! `/healthz`, `/readyz` and `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Tells whether the program is ready, or what is missing.
pub type Ready = Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>;

/// Listens, and writes the address that it got to `address_file` (the port may have been 0).
pub async fn listen(address: SocketAddr, address_file: Option<&Path>) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    if let Some(file) = address_file {
        std::fs::write(file, bound.to_string())?;
    }
    tracing::info!(address = %bound, "serving /healthz, /readyz and /metrics");
    Ok(listener)
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, ready: Ready, metrics: Metrics) -> io::Result<()> {
    let readyz = move || {
        let answer = match ready() {
            Ok(()) => (StatusCode::OK, "ok"),
            Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
        };
        std::future::ready(answer)
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route(
            "/metrics",
            get(move || std::future::ready(metrics.render())),
        );
    axum::serve(listener, router).await
}
