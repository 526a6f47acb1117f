//! A port that answers requests. Whoever opens a connection and says nothing, or half of what belongs before a
//! body, loses it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longer than load balancers keep a connection that is not used: they are to be the ones who close it.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// Serves until `closing`, and then until the requests in flight have ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    // hyper counts from the first byte, this from the beginning.
    let mut server = axum_server::from_tcp(listener.into_std()?)?
        .first_request_timeout(HEAD_WITHIN)
        .handle(handle.clone());
    // Its own `http1_only` serves no sockets.
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    *server.http_builder() = http;
    let serving = server.serve(router.into_make_service_with_connect_info::<SocketAddr>());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = closing.cancelled() => handle.graceful_shutdown(None),
    }
    serving.await
}
