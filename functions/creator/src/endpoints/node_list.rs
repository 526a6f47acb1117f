//! `GET /api/v1/nodes`: what the fleet can take at this moment, by type of job. An extension.

use axum::Json;
use axum::extract::State;
use framefair_app::fleet::{self, COUNTED_MAX, Capacity, Nodes};
use framefair_http::{Api, User};
use serde::Serialize;

use crate::Creator;
use crate::face::Error;

#[derive(Debug, Serialize)]
pub(crate) struct Fleet {
    job_types: Vec<JobType>,
    /// No number here is larger: where there are more, it says so many.
    counted_up_to: usize,
}

#[derive(Debug, Serialize)]
struct JobType {
    job_type: &'static str,
    /// Credits for one job.
    price: String,
    nodes: usize,
    free: usize,
    gpu_nodes: usize,
    gpu_free: usize,
    waiting: usize,
}

impl From<Capacity> for JobType {
    fn from(capacity: Capacity) -> JobType {
        let Capacity { job_type, price, any, gpu, waiting } = capacity;
        let Nodes { there: nodes, free } = any;
        let Nodes { there: gpu_nodes, free: gpu_free } = gpu;
        let (price, waiting) = (price.to_string(), waiting.min(COUNTED_MAX));
        JobType { job_type, price, nodes, free, gpu_nodes, gpu_free, waiting }
    }
}

#[utoipa::path(get, path = "/api/v1/nodes", operation_id = "nodeList", tag = "Nodes",
    responses((status = 200, description = "nodes and their free places, by type of job"),
        (status = 401, description = "not authenticated")))]
pub(crate) async fn node_list(
    State(api): State<Api>,
    User(_, _): User<Creator>,
) -> Result<Json<Fleet>, Error> {
    let capacity = fleet::capacity(&api.ctx, &api.call()).await?;
    let job_types = capacity.into_iter().map(JobType::from).collect();
    Ok(Json(Fleet { job_types, counted_up_to: COUNTED_MAX }))
}
