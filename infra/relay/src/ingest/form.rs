//! A form is read while it comes: its texts into memory, its file wherever it is taken. And the
//! form without the file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header, request};
use framefair_app::{Broken, Refusal};
use framefair_domain::id::UploadId;
use framefair_http::{PROOF, TEXT_BYTES_MAX, TEXTS_MAX};
use futures::{Stream, stream};
use multer::{Field, Multipart};

use super::taking::{Taken, Taking};

/// What a form may come to between two things that it gives: the longest piece that a connection hands over, and
/// a boundary or the head of a part with room to spare. Without its boundary a form would be kept whole.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A part as text, with its name as it came.
pub(super) type Text = (String, Bytes);

pub(super) struct Parts {
    pub(super) texts: Vec<Text>,
    pub(super) file: Option<Taken>,
}

/// Reads the whole form. Whatever ends it early ends the taking of its file, too.
pub(super) async fn split<S>(
    headers: &HeaderMap,
    body: S,
    file_part: &str,
    mut taking: Taking<'_>,
) -> Result<Parts, Refusal>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
    let boundary =
        boundary.ok_or_else(|| Refusal::invalid("the body is not multipart/form-data"))?;
    let kept = Arc::new(AtomicUsize::new(0));
    let given = || kept.store(0, Relaxed);
    let mut form = Multipart::new(one_by_one(body, kept.clone()), boundary);
    let (mut texts, mut file) = (Vec::new(), None);
    while let Some(mut part) = form.next_field().await.map_err(malformed)? {
        given();
        let name = part.name().unwrap_or_default().to_owned();
        if name == file_part {
            if file.is_some() {
                return Err(Refusal::Invalid(format!("there is more than one part `{name}`")));
            }
            let file_name = part.file_name().unwrap_or_default().to_owned();
            let mut taken = taking.begin(file_name).await?;
            while let Some(chunk) = part.chunk().await.map_err(cut)? {
                given();
                taken.push(chunk).await?;
            }
            file = Some(taken);
            continue;
        }
        if texts.len() >= TEXTS_MAX {
            return Err(Refusal::invalid("the form has too many parts"));
        }
        let text = text(&mut part, &name).await?;
        given();
        texts.push((name, text));
    }
    Ok(Parts { texts, file })
}

/// The same stream, with a pause after each piece: who reads a form takes in whatever is ready before
/// giving anything out, and from a fast sender that is a lot of memory. What it has `kept` it counts down itself.
fn one_by_one<S>(body: S, kept: Arc<AtomicUsize>) -> impl Stream<Item = io::Result<Bytes>>
where
    S: Stream<Item = io::Result<Bytes>>,
{
    let (mut body, mut given) = (Box::pin(body), false);
    stream::poll_fn(move |context| {
        if std::mem::take(&mut given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(body.as_mut().poll_next(context));
        given = true;
        let bytes = piece.as_ref().and_then(|piece| piece.as_ref().ok()).map_or(0, Bytes::len);
        if kept.fetch_add(bytes, Relaxed) > KEPT_BYTES_MAX {
            let why = "the form has no boundary, or a part with a very long head";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, why))));
        }
        Poll::Ready(piece)
    })
}

async fn text(part: &mut Field<'_>, name: &str) -> Result<Bytes, Refusal> {
    let mut text = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(malformed)? {
        text.extend_from_slice(&chunk);
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::Invalid(format!("the part `{name:.50}` is over 64 KiB")));
        }
    }
    Ok(text.into())
}

fn malformed(error: multer::Error) -> Refusal {
    refused(error, "the multipart body is cut short or malformed")
}

fn cut(error: multer::Error) -> Refusal {
    refused(error, "the file was cut off before its end")
}

fn refused(error: multer::Error, otherwise: &str) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => broken_off(*cause),
            Err(_) => Refusal::invalid(otherwise),
        },
        _ => Refusal::invalid(otherwise),
    }
}

/// A body that did not come to its end: its sender's fault, or its line's.
pub(super) fn broken_off(cause: io::Error) -> Refusal {
    match cause.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::InvalidData => Refusal::Invalid(cause.to_string()),
        _ => Refusal::invalid("the body was cut off before its end"),
    }
}

/// The request as it goes on: the texts, the number of the upload, and the proof.
pub(super) fn without_file(
    mut head: request::Parts,
    texts: &[Text],
    proof: String,
    id: UploadId,
) -> Result<Request, Refusal> {
    let boundary = format!("framefair-{id}-{}", uuid::Uuid::new_v4().simple());
    let mut body = Vec::new();
    let upload = ("uploadId".to_owned(), Bytes::from(id.to_string()));
    for (name, text) in texts.iter().chain([&upload]) {
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let lines =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(lines.as_bytes());
        body.extend_from_slice(text);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let value = |text: String| {
        HeaderValue::try_from(text).map_err(|error| Broken(format!("a header of ours: {error}")))
    };
    let headers = &mut head.headers;
    headers.remove(header::TRANSFER_ENCODING);
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    let kind = format!("multipart/form-data; boundary={boundary}");
    headers.insert(header::CONTENT_TYPE, value(kind)?);
    headers.insert(PROOF, value(proof)?);
    Ok(Request::from_parts(head, Body::from(body)))
}
