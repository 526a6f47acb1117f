//! `GET /providers/{id}`.

use axum::extract::State;
use framefair_app::provider;
use framefair_domain::id::ProviderId;
use framefair_http::{Api, PathId};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, ProviderView, data};

#[utoipa::path(get, path = "/providers/{id}", operation_id = "providerGet", tag = "Public",
    params(("id" = String, Path)),
    responses((status = 200, description = "the provider"), (status = 404, description = "no such provider")))]
pub(crate) async fn provider_get(
    State(api): State<Api>,
    PathId(id, _): PathId<Market, ProviderId>,
) -> Result<Data<ProviderView>, Error> {
    Ok(data(provider::get(&api.ctx, id).await?.into()))
}
