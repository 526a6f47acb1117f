//! The way in for files that are larger than one request to a function may be. A filter, not an
//! endpoint: it takes the file out of the form and into the store, puts the number of an upload and
//! a proof in its place, and hands the same form on. Every decision is made behind it, and the
//! answer goes back as it comes.

mod form;
mod pace;
mod share;
mod taking;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use framefair_app::uploads::{INLINE_BYTES_MAX, Proof, UploadKind};
use framefair_app::{Call, Ctx, Refusal, network};
use framefair_domain::id::JobId;
use framefair_http::{Face, PROOF, Refused, TEXT_BYTES_MAX, TEXTS_MAX, address, drain};
use futures::{Stream, StreamExt};
use tokio::sync::{Mutex, Semaphore};

use form::{Parts, split};
use pace::{Pace, paced};
use share::Shares;
use taking::Taking;

/// Large files on their way in at once, and those of one caller. Each holds two parts in memory.
const AT_ONCE_MAX: usize = 64;
const AT_ONCE_EACH: usize = 16;
/// Requests that are being read before anybody knows how large they are. Each holds up to
/// [`INLINE_BYTES_MAX`], and a slow one does so for minutes.
const READING_MAX: usize = 128;
/// Those of one caller: whoever opens many and sends next to nothing keeps only itself waiting.
const READING_EACH: usize = 64;
/// What a form may hold beside its file: text, and the lines between the parts.
const BESIDE_FILE_MAX: u64 = (TEXT_BYTES_MAX as u64 + 1024) * TEXTS_MAX as u64 + 4096;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

struct Ingest {
    ctx: Ctx,
    places: Semaphore,
    reading: Semaphore,
    places_each: Shares,
    reading_each: Shares,
}

/// Which form has a file that may be large, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    file_part: &'static str,
    kind: UploadKind,
}

/// Puts the ingest in front of `router`, in the words of face `F`.
pub fn ingest<F: Face>(ctx: Ctx, router: Router) -> Router {
    let ingest = Arc::new(Ingest {
        ctx,
        places: Semaphore::new(AT_ONCE_MAX),
        reading: Semaphore::new(READING_MAX),
        places_each: Shares::new(AT_ONCE_EACH),
        reading_each: Shares::new(READING_EACH),
    });
    router.layer(from_fn_with_state(ingest, filter::<F>))
}

fn wanted(method: &Method, path: &str) -> Option<Wanted> {
    if method != Method::POST {
        return None;
    }
    let path = path.strip_prefix("/hub").unwrap_or(path);
    if path == "/render" {
        return Some(Wanted { file_part: "file", kind: UploadKind::Scene });
    }
    let job = path.strip_prefix("/provider/job/")?.strip_suffix("/complete")?;
    job.parse::<JobId>().ok()?;
    Some(Wanted { file_part: "result", kind: UploadKind::Result })
}

async fn filter<F: Face>(
    State(ingest): State<Arc<Ingest>>,
    mut request: Request,
    next: Next,
) -> Response {
    // Only we may say this, whatever the path.
    request.headers_mut().remove(PROOF);
    let Some(wanted) = wanted(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    match ingest.pass(wanted, request, next).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = Refused::<F>::new(refusal).into_response();
            // What is left of the body is not read, so nothing can follow on this connection.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

impl Ingest {
    async fn pass(
        &self,
        wanted: Wanted,
        request: Request,
        next: Next,
    ) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        let body = paced(body.into_data_stream(), Pace::default());
        let body = Arc::new(Mutex::new(Box::pin(body)));
        let answer = self.read(wanted, head, shared(&body), next).await;
        if answer.is_err() {
            drain(Box::pin(shared(&body))).await;
        }
        answer
    }

    async fn read<S>(
        &self,
        wanted: Wanted,
        head: request::Parts,
        body: S,
        next: Next,
    ) -> Result<Response, Refusal>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let declared = declared(&head.headers);
        let most = self.ctx.platform.scene_bytes_max + BESIDE_FILE_MAX;
        if declared.is_some_and(|bytes| bytes > most) {
            let max = self.ctx.platform.scene_bytes_max >> 20;
            return Err(Refusal::Invalid(format!("the file is larger than {max} MiB")));
        }
        let mut body = Box::pin(body);
        let who = network(address(&head.extensions));
        let share = self.reading_each.take(who.clone()).ok_or(Refusal::Busy)?;
        let reading = self.reading.try_acquire().map_err(|_| Refusal::Busy)?;
        let begun = match begin_of(&mut body).await? {
            // Small enough to go on as it is.
            Beginning::All(bytes) => {
                return Ok(next.run(Request::from_parts(head, Body::from(bytes))).await);
            }
            Beginning::Some(chunks) => chunks,
        };
        let _share = self.places_each.take(who).ok_or(Refusal::Busy)?;
        let _place = self.places.try_acquire().map_err(|_| Refusal::Busy)?;
        drop((reading, share));
        let body = futures::stream::iter(begun.into_iter().map(Ok)).chain(body);
        self.large(wanted, head, declared, body, next).await
    }

    /// Splits a form whose file goes to the store.
    async fn large<S>(
        &self,
        wanted: Wanted,
        head: request::Parts,
        declared: Option<u64>,
        body: S,
        next: Next,
    ) -> Result<Response, Refusal>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let from = address(&head.extensions);
        let bytes_max = declared.unwrap_or(u64::MAX).min(self.ctx.platform.scene_bytes_max);
        let taking = Taking::of(&self.ctx, wanted.kind, from, bytes_max);
        let Parts { texts, file } = split(&head.headers, body, wanted.file_part, taking).await?;
        let Some(file) = file else {
            let part = wanted.file_part;
            return Err(Refusal::Invalid(format!("the part `{part}` is missing")));
        };
        let (mut file, facts) = file.finish().await?;
        let now = Call::live().now;
        let proof = Proof {
            time: now,
            id: facts.id,
            bytes: facts.bytes,
            sha256: facts.sha256,
            tree: facts.tree,
            from,
        };
        let proof = self.ctx.upload_secret()?.sign(&proof);
        let named = head.headers.contains_key(IDEMPOTENCY_KEY);
        let response = next.run(form::without_file(head, &texts, proof, facts.id)?).await;
        // Refused for certain, so nobody will come back to this upload. One that has a name may be
        // another request's by now; that one, like whatever is in doubt, is the sweeper's.
        let refused = response.status().is_client_error()
            && response.status() != StatusCode::PAYMENT_REQUIRED;
        if !refused || named {
            file.keep();
        }
        Ok(response)
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

enum Beginning {
    All(Bytes),
    Some(Vec<Bytes>),
}

/// The body for one reader, who may stop before its end.
fn shared<S>(body: &Arc<Mutex<S>>) -> impl Stream<Item = S::Item> + use<S>
where
    S: Stream + Unpin,
{
    futures::stream::unfold(body.clone(), |body| async {
        let chunk = body.lock().await.next().await;
        chunk.map(|chunk| (chunk, body))
    })
}

/// Reads until the body ends or is too long to go on in one piece.
async fn begin_of<S>(body: &mut S) -> Result<Beginning, Refusal>
where
    S: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    let (mut chunks, mut bytes) = (Vec::new(), 0_u64);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(form::broken_off)?;
        bytes += chunk.len() as u64;
        chunks.push(chunk);
        if bytes > INLINE_BYTES_MAX {
            return Ok(Beginning::Some(chunks));
        }
    }
    Ok(Beginning::All(chunks.concat().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_forms_with_files_are_filtered() {
        let post = |path: &str| wanted(&Method::POST, path).map(|wanted| wanted.file_part);
        let complete = "/provider/job/0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001/complete";
        assert_eq!(post("/render"), Some("file"));
        assert_eq!(post("/hub/render"), Some("file"));
        assert_eq!(post(complete), Some("result"));
        assert_eq!(post(&format!("/hub{complete}")), Some("result"));
        for path in ["/", "/render/", "/render/pay", "/hubrender", "/provider/job/x/complete"] {
            assert_eq!(post(path), None, "{path}");
        }
        assert_eq!(wanted(&Method::GET, "/render"), None);
    }
}
