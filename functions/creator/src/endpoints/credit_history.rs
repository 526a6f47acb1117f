//! `GET /api/v1/credits/history`: movements, newest first, by offset or by page.

use axum::Json;
use axum::extract::State;
use framefair_app::credits;
use framefair_http::{Api, CheckedQuery, User};
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::Creator;
use crate::face::Error;
use crate::shapes::{CreditEntry, CreditItem};

const LIMIT: u64 = 50;
const PER_PAGE: u64 = 10;

#[derive(Debug, Deserialize, Validate)]
pub(crate) struct Slice {
    #[garde(inner(range(min = 1, max = 100)))]
    limit: Option<u64>,
    #[garde(skip)]
    offset: Option<u64>,
    #[garde(inner(range(min = 1)))]
    page: Option<u64>,
    #[garde(inner(range(min = 1, max = 100)))]
    per_page: Option<u64>,
}

impl Slice {
    /// How many, and after how many. The page style wins where a page is asked for.
    fn limit_and_offset(&self) -> (u64, u64) {
        match self.page {
            Some(page) => {
                let per_page = self.per_page.unwrap_or(PER_PAGE);
                (per_page, (page - 1).saturating_mul(per_page))
            }
            None => (self.limit.unwrap_or(LIMIT), self.offset.unwrap_or(0)),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    entries: Vec<CreditEntry>,
    count: u64,
    items: Vec<CreditItem>,
    total: u64,
    page: u64,
    per_page: u64,
    has_more: bool,
}

#[utoipa::path(get, path = "/api/v1/credits/history", operation_id = "creditHistory", tag = "Credits",
    params(("limit" = Option<u64>, Query), ("offset" = Option<u64>, Query),
        ("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query)),
    responses((status = 200, description = "movements"), (status = 401, description = "not authenticated"),
        (status = 422, description = "bad query")))]
pub(crate) async fn credit_history(
    State(api): State<Api>,
    User(person, _): User<Creator>,
    CheckedQuery(slice, _): CheckedQuery<Creator, Slice>,
) -> Result<Json<Answer>, Error> {
    let (limit, offset) = slice.limit_and_offset();
    let found = credits::history(&api.ctx, person.id, offset, limit).await?;
    let shown = offset.saturating_add(found.entries.len() as u64);
    Ok(Json(Answer {
        count: found.total,
        items: found.entries.iter().map(CreditItem::from).collect(),
        entries: found.entries.into_iter().map(CreditEntry::from).collect(),
        total: found.total,
        page: slice.page.unwrap_or((offset / limit).saturating_add(1)),
        per_page: limit,
        has_more: shown < found.total,
    }))
}
