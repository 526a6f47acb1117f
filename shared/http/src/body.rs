//! Input as the faces read it: JSON bodies, forms, query strings and ids in paths. What the framework
//! would refuse in plain text is refused in the face's own words.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Query, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bytes::Bytes;
use framefair_app::Refusal;
use futures::{Stream, StreamExt};
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::{BODY_WITHIN, FORM_BYTES_MAX, Face, JSON_BYTES_MAX, Refused};

/// A JSON body, read under the limit. Unknown members are ignored.
#[derive(Debug)]
pub struct JsonBody<F, T>(pub T, pub PhantomData<F>);

impl<F: Face, T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<F, T> {
    type Rejection = Refused<F>;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused<F>> {
        let bytes = whole(request.into_body(), JSON_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| Refusal::invalid("the body is longer than 1 MiB"))?;
        Ok(JsonBody(strict_json("the body", &bytes)?, PhantomData))
    }
}

/// A JSON body whose members are held to their rules: what is wrong is said member by member.
#[derive(Debug)]
pub struct Checked<F, T>(pub T, pub PhantomData<F>);

impl<F, T, S> FromRequest<S> for Checked<F, T>
where
    F: Face,
    T: DeserializeOwned + Validate<Context = ()>,
    S: Send + Sync,
{
    type Rejection = Refused<F>;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused<F>> {
        let bytes = whole(request.into_body(), JSON_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| Refusal::field("", "The body is longer than 1 MiB"))?;
        let read: T = strict_json("The body", &bytes)?;
        read.validate().map_err(Refusal::from)?;
        Ok(Checked(read, PhantomData))
    }
}

/// Reads a JSON object and says what is wrong with it: with `what` as a whole, or with which member of it.
pub fn strict_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Refusal> {
    if !is_object(bytes) {
        return Err(Refusal::field("", format!("{what} is no JSON object")));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match cause.is_data() {
            true => misfit("body", &path, &cause.to_string()),
            false => Refusal::field("", format!("{what} is not JSON: {cause}")),
        }
    })?;
    json.end().map_err(|_| Refusal::field("", format!("Something follows the JSON of {what}")))?;
    Ok(read)
}

/// Whether it begins as one. A list would otherwise be taken for the members in their order.
fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_none_or(|first| *first == b'{')
}

/// What serde says of a member that does not fit, under the member's name.
fn misfit(within: &'static str, path: &str, said: &str) -> Refusal {
    let path = path.trim_matches('.');
    let missing = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (missing, path) {
        (Some(name), "") => Refusal::bad(within, name, said),
        (Some(name), _) => Refusal::bad(within, format!("{path}.{name}"), said),
        (None, "") => Refusal::bad(within, "", without_value(said)),
        (None, _) => Refusal::bad(within, path, format!("{path}: {}", without_value(said))),
    }
}

/// The sentence without what was sent: that may be a password.
fn without_value(said: &str) -> String {
    let shows = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !shows.iter().any(|start| said.starts_with(start)) {
        return said.to_owned();
    }
    let what = said.split(['`', '"']).next().unwrap_or_default().trim_end();
    let wanted = said.rfind(", expected").map_or("", |at| &said[at..]);
    format!("{}{wanted}", what.split(", expected").next().unwrap_or_default())
}

/// Members of the query string, held to their rules. Unknown ones are ignored.
#[derive(Debug)]
pub struct CheckedQuery<F, T>(pub T, pub PhantomData<F>);

impl<F, T, S> FromRequestParts<S> for CheckedQuery<F, T>
where
    F: Face,
    T: DeserializeOwned + Validate<Context = ()>,
    S: Send + Sync,
{
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused<F>> {
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(query));
        let members: T = read.map_err(|error| {
            misfit("query", &error.path().to_string(), &error.inner().to_string())
        })?;
        members.validate().map_err(|report| Refusal::broken_rules("query", &report))?;
        Ok(CheckedQuery(members, PhantomData))
    }
}

/// Of a body that is refused this much is still read, for this long.
const DRAINED_BYTES_MAX: usize = 16 << 20;
const DRAINED_WITHIN: Duration = Duration::from_secs(3);

/// Reads on in a body that is refused: who is still sending would otherwise find the line broken,
/// and not the answer. Within limits; beyond them the line is broken.
pub async fn drain<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = body.next().await {
            bytes += chunk.len();
            if bytes > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAINED_WITHIN, reading).await;
}

/// The whole body; none if it is longer than `bytes_max`. One that does not arrive in time ends.
async fn whole(body: Body, bytes_max: usize) -> Result<Option<Bytes>, Refusal> {
    let mut body = body.into_data_stream();
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|_| Refusal::invalid("the body was cut off before its end"))?;
            if bytes.len() + chunk.len() > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok::<_, Refusal>(Some(Bytes::from(bytes)))
    };
    let read = tokio::time::timeout(BODY_WITHIN, reading).await;
    let read = read.map_err(|_| Refusal::invalid("the body took longer than a minute"))??;
    if read.is_none() {
        drain(body).await;
    }
    Ok(read)
}

/// A body byte for byte as it came, none if it is longer than `MAX`.
#[derive(Debug)]
pub struct RawBody<F, const MAX: usize>(pub Option<Bytes>, pub PhantomData<F>);

impl<F: Face, const MAX: usize, S: Send + Sync> FromRequest<S> for RawBody<F, MAX> {
    type Rejection = Refused<F>;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused<F>> {
        Ok(RawBody(whole(request.into_body(), MAX).await?, PhantomData))
    }
}

/// An id in the path. One that is no id at all is missing like any other.
#[derive(Debug)]
pub struct PathId<F, T>(pub T, pub PhantomData<F>);

impl<F: Face, T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for PathId<F, T> {
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused<F>> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        Ok(PathId(id.ok_or(Refusal::NotFound)?, PhantomData))
    }
}

/// The bearer token of a caller who shows one.
#[derive(Clone)]
pub struct Bearer(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        Ok(Bearer(token))
    }
}

/// Members of the query string. Unknown ones are ignored.
#[derive(Debug)]
pub struct QueryOf<F, T>(pub T, pub PhantomData<F>);

impl<F: Face, T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<F, T> {
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused<F>> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(members)) => Ok(QueryOf(members, PhantomData)),
            Err(why) => Err(Refusal::Invalid(format!("the query does not fit: {why}")).into()),
        }
    }
}

/// The parts of a form, still to be read.
#[derive(Debug)]
pub struct FormParts<F>(pub Multipart, pub PhantomData<F>);

impl<F: Face, S: Send + Sync> FromRequest<S> for FormParts<F> {
    type Rejection = Refused<F>;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused<F>> {
        let (head, body) = request.into_parts();
        let bytes = whole(body, FORM_BYTES_MAX).await?.ok_or(Refusal::TooLarge)?;
        let request = Request::from_parts(head, Body::from(bytes));
        let parts = Multipart::from_request(request, state).await;
        let parts = parts.map_err(|_| Refusal::invalid("the body is not multipart/form-data"))?;
        Ok(FormParts(parts, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_without_what_was_sent() {
        for (said, shown) in [
            (
                "invalid type: integer `12345678`, expected a string",
                "invalid type: integer, expected a string",
            ),
            (
                "invalid type: string \"a, expected b\", expected u64",
                "invalid type: string, expected u64",
            ),
            (
                "invalid value: floating point `1.5`, expected u32",
                "invalid value: floating point, expected u32",
            ),
            (
                "unknown variant `hunter2`, expected `a` or `b`",
                "unknown variant, expected `a` or `b`",
            ),
            ("invalid type: null, expected a string", "invalid type: null, expected a string"),
            ("missing field `email`", "missing field `email`"),
        ] {
            assert_eq!(without_value(said), shown);
        }
    }
}
