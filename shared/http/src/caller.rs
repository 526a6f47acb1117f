//! What a request says of its caller besides its body: where it comes from, how it names itself, and
//! what entitles it to an upload.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName};
use framefair_app::account::{self, Person};
use framefair_app::fleet::{self, Member};
use framefair_app::uploads::{Pass, Proof};
use framefair_app::{Ctx, IdempotencyKey, Refusal, labelled};
use framefair_domain::id::UserId;
use framefair_domain::time::Timestamp;
use lambda_http::request::RequestContext;

use crate::{Api, Bearer, Face, Refused};

/// Carries the ingest's proof; taken off whatever comes from outside.
pub const PROOF: HeaderName = HeaderName::from_static("x-framefair-ingest");
const TOKEN: HeaderName = HeaderName::from_static("x-upload-token");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The address of the socket, or the one that the gateway names. No header says who is calling.
pub fn address(extensions: &Extensions) -> IpAddr {
    if let Some(ConnectInfo(from)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return from.ip();
    }
    let gateway = match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    let named = gateway.and_then(|address| address.parse().ok());
    named.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

/// Who calls, as far as anybody knows.
#[derive(Debug)]
pub struct Caller {
    pub from: IpAddr,
    token: Option<String>,
    proof: Option<Proof>,
    bearer: Option<String>,
}

impl Caller {
    /// What the caller shows for an upload, and for nothing else.
    pub fn shown(&self) -> Option<Pass> {
        let token = || self.token.clone().map(Pass::Token);
        self.proof.clone().map(Pass::Proof).or_else(token)
    }

    /// The account whose access token the request bears, if it bears any.
    pub async fn account(&self, api: &Api) -> Result<Option<UserId>, Refusal> {
        let Some(bearer) = self.bearer.as_deref() else { return Ok(None) };
        let call = api.call();
        let person = account::authenticate(&api.ctx, &call, Some(bearer));
        Ok(Some(labelled("account", person).await?.id))
    }

    /// By what the caller may use an upload. Who shows nothing is told that there is none.
    pub async fn pass(&self, api: &Api) -> Result<Pass, Refusal> {
        match self.shown() {
            Some(pass) => Ok(pass),
            None => self.account(api).await?.map(Pass::Owner).ok_or(Refusal::NotFound),
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Caller, Infallible> {
        let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let now = api.call().now;
        let proof = text(PROOF).and_then(|text| proof(&api.ctx, text, now));
        let from = proof.as_ref().map_or_else(|| address(&parts.extensions), |proof| proof.from);
        let token = text(TOKEN).map(str::to_owned);
        let Ok(Bearer(bearer)) = Bearer::from_request_parts(parts, api).await;
        Ok(Caller { from, token, proof, bearer })
    }
}

fn proof(ctx: &Ctx, text: &str, now: Timestamp) -> Option<Proof> {
    ctx.upload_secret().ok()?.read(text, now)
}

/// The person whose access token the request bears.
#[derive(Debug)]
pub struct User<F>(pub Person, pub std::marker::PhantomData<F>);

impl<F: Face> FromRequestParts<Api> for User<F> {
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<User<F>, Refused<F>> {
        let Ok(Bearer(token)) = Bearer::from_request_parts(parts, api).await;
        let person = account::authenticate(&api.ctx, &api.call(), token.as_deref()).await?;
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        api.accounts.admit(&api.ctx.platform, route, person.id)?;
        Ok(User(person, std::marker::PhantomData))
    }
}

/// The node whose token the request bears.
#[derive(Debug)]
pub struct Node<F>(pub Member, pub std::marker::PhantomData<F>);

impl<F: Face> FromRequestParts<Api> for Node<F> {
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Node<F>, Refused<F>> {
        let Ok(Bearer(token)) = Bearer::from_request_parts(parts, api).await;
        let member = fleet::authenticate(&api.ctx, &api.call(), token.as_deref())?;
        Ok(Node(member, std::marker::PhantomData))
    }
}

/// How the caller names its request, if it does.
#[derive(Debug)]
pub struct Named<F>(pub Option<IdempotencyKey>, pub std::marker::PhantomData<F>);

impl<F: Face, S: Send + Sync> FromRequestParts<S> for Named<F> {
    type Rejection = Refused<F>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Named<F>, Refused<F>> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else {
            return Ok(Named(None, std::marker::PhantomData));
        };
        // What is no text is refused as what is no key.
        let key = IdempotencyKey::new(value.to_str().unwrap_or_default())?;
        Ok(Named(Some(key), std::marker::PhantomData))
    }
}
