//! Bytes that come and go in pieces. Knows lengths; nothing of keys.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::AsyncBufRead;

use crate::Broken;

/// The bytes of an object, as they arrive.
pub struct Body(ByteStream);

impl Body {
    pub(super) fn new(stream: ByteStream) -> Self {
        Self(stream)
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        self.0.next().await.transpose().map_err(|cause| Broken::new("GetObject", cause))
    }

    pub fn into_async_read(self) -> impl AsyncBufRead + Send {
        self.0.into_async_read()
    }

    /// For an HTTP answer: ends with an error where the object breaks off.
    pub fn into_stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        futures::stream::try_unfold(self, |mut body| async move {
            let piece = body.next().await.map_err(std::io::Error::other)?;
            Ok(piece.map(|bytes| (bytes, body)))
        })
    }
}

/// A stream that fails where it is longer or shorter than promised, so that a truncated object
/// never looks whole.
struct Sized<S> {
    /// The SDK wants `Sync`; the lock is only ever taken through `&mut`, so nobody waits for it.
    stream: Mutex<Pin<Box<S>>>,
    left: u64,
}

pub(super) fn sized<S>(stream: S, size: u64) -> ByteStream
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    ByteStream::new(SdkBody::from_body_1_x(Sized {
        stream: Mutex::new(Box::pin(stream)),
        left: size,
    }))
}

impl<S> HttpBody for Sized<S>
where
    S: Stream<Item = std::io::Result<Bytes>> + Send,
{
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = self
            .stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .poll_next(context);
        let wrong = |what| Poll::Ready(Some(Err(std::io::Error::other(what))));
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) if self.left == 0 => Poll::Ready(None),
            Poll::Ready(None) => wrong("the body ended before its length"),
            Poll::Ready(Some(Err(cause))) => Poll::Ready(Some(Err(cause))),
            Poll::Ready(Some(Ok(bytes))) => match self.left.checked_sub(bytes.len() as u64) {
                None => wrong("the body is longer than its length"),
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
