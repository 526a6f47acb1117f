//! Input as the faces read it: JSON bodies, forms, query strings and ids in paths. What the framework
//! would refuse in plain text is refused in the face's own words.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Query, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use framefair_app::Refusal;
use serde::de::DeserializeOwned;

use crate::{Face, JSON_BYTES_MAX, Refused};

/// A JSON body, read under the limit. Unknown members are ignored.
#[derive(Debug)]
pub struct JsonBody<F, T>(pub T, pub PhantomData<F>);

impl<F: Face, T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<F, T> {
    type Rejection = Refused<F>;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused<F>> {
        let bytes = to_bytes(request.into_body(), JSON_BYTES_MAX)
            .await
            .map_err(|_| Refusal::invalid("the body could not be read, or is longer than 1 MiB"))?;
        Ok(JsonBody(strict_json(&bytes)?, PhantomData))
    }
}

/// Reads JSON and says what is wrong with it in one sentence.
pub fn strict_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_data() { "does not fit" } else { "is not JSON" };
        Refusal::Invalid(format!("the body {what}: {error}"))
    })
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
        let parts = Multipart::from_request(request, state).await;
        let parts = parts.map_err(|_| Refusal::invalid("the body is not multipart/form-data"))?;
        Ok(FormParts(parts, PhantomData))
    }
}
