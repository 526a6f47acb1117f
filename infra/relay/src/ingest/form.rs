//! A form is read while it comes: its texts into memory, its file wherever it is taken. And the
//! form without the file.

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
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
    let boundary =
        boundary.ok_or_else(|| Refusal::invalid("the body is not multipart/form-data"))?;
    let mut form = Multipart::new(one_by_one(body), boundary);
    let (mut texts, mut file) = (Vec::new(), None);
    while let Some(mut part) = form.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == file_part {
            if file.is_some() {
                return Err(Refusal::Invalid(format!("there is more than one part `{name}`")));
            }
            let file_name = part.file_name().unwrap_or_default().to_owned();
            let mut taken = taking.begin(file_name).await?;
            while let Some(chunk) = part.chunk().await.map_err(cut)? {
                taken.push(chunk).await?;
            }
            file = Some(taken);
            continue;
        }
        if texts.len() >= TEXTS_MAX {
            return Err(Refusal::invalid("the form has too many parts"));
        }
        let text = text(&mut part, &name).await?;
        texts.push((name, text));
    }
    Ok(Parts { texts, file })
}

/// The same stream, with a pause after each piece: who reads a form takes in whatever is ready before
/// giving anything out, and from a fast sender that is a lot of memory.
fn one_by_one<S: Stream>(body: S) -> impl Stream<Item = S::Item> {
    let (mut body, mut given) = (Box::pin(body), false);
    stream::poll_fn(move |context| {
        if std::mem::take(&mut given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(body.as_mut().poll_next(context));
        given = true;
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
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => broken_off(*cause),
            Err(_) => Refusal::invalid(otherwise),
        },
        _ => Refusal::invalid(otherwise),
    }
}

/// A body that did not come to its end: its sender's fault, or its line's.
pub(super) fn broken_off(cause: std::io::Error) -> Refusal {
    match cause.kind() {
        std::io::ErrorKind::TimedOut => Refusal::Invalid(cause.to_string()),
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
