//! `POST /api/v1/nodes/heartbeat`: a node shows that it lives.

use axum::Json;
use axum::extract::State;
use framefair_app::fleet::{self, Beat};
use framefair_domain::id::ProviderId;
use framefair_http::{Api, Checked, Node};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    node_id: ProviderId,
    status: &'static str,
    acknowledged: bool,
}

#[utoipa::path(post, path = "/api/v1/nodes/heartbeat", operation_id = "nodeHeartbeat", tag = "Nodes",
    request_body(content_type = "application/json", description = "current_load, metadata"),
    responses((status = 200, description = "recorded"), (status = 401, description = "no good node token"),
        (status = 422, description = "bad input")))]
pub(crate) async fn node_heartbeat(
    State(api): State<Api>,
    Node(node, _): Node<Creator>,
    Checked(beat, _): Checked<Creator, Beat>,
) -> Result<Json<Recorded>, Error> {
    let health = fleet::beat(&api.ctx, &api.call(), node, &beat).await?;
    Ok(Json(Recorded { node_id: node.id, status: health.word(), acknowledged: true }))
}
