//! `GET /providers`: who renders, and for how much.

use axum::extract::State;
use framefair_app::provider::Status;
use framefair_app::{Refusal, provider};
use framefair_http::{Api, QueryOf};
use serde::{Deserialize, Serialize};

use crate::Market;
use crate::face::Error;
use crate::shapes::{Data, ProviderView, data};

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    status: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Providers {
    providers: Vec<ProviderView>,
    total: usize,
}

#[utoipa::path(get, path = "/providers", operation_id = "providersList", tag = "Public",
    params(("status" = Option<String>, Query, description = "online, offline, busy or maintenance")),
    responses((status = 200, description = "providers"), (status = 400, description = "unknown status")))]
pub(crate) async fn providers_list(
    State(api): State<Api>,
    QueryOf(filter, _): QueryOf<Market, Filter>,
) -> Result<Data<Providers>, Error> {
    let unknown = || Refusal::invalid("status: online, offline, busy or maintenance");
    let status = filter.status.as_deref().map(|word| Status::from_word(word).ok_or_else(unknown));
    let found = provider::list(&api.ctx, status.transpose()?).await?;
    let providers: Vec<_> = found.into_iter().map(ProviderView::from).collect();
    Ok(data(Providers { total: providers.len(), providers }))
}
