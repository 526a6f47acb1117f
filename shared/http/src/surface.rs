//! A face as it is served: whole on one machine, one operation alone in a Lambda.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use framefair_app::labelled;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::rate::{Counters, Rates, limited};
use crate::{Api, Face};

/// A handler with its path and its documentation.
pub type Route = fn() -> UtoipaMethodRouter<Api>;

/// Operations by their operationIds.
pub type Operations = Vec<(&'static str, Route)>;

/// What a face is made of.
pub struct Surface {
    /// Stands before the name of every handler.
    pub name: &'static str,
    /// The head of its OpenAPI document.
    pub about: fn() -> OpenApi,
    pub operations: fn() -> Operations,
    /// How often each route may be asked.
    pub rates: Rates,
    /// What surrounds its routes.
    pub around: fn(Router<Api>, Api) -> Router,
    /// Lets pages of other origins read what is answered.
    pub open: fn(Router) -> Router,
}

impl Surface {
    /// The OpenAPI document of the whole face.
    pub fn document(&self) -> OpenApi {
        self.collected().1
    }

    /// All operations in one router.
    pub fn whole(&self, api: Api) -> Router {
        (self.around)(self.collected().0, api)
    }

    /// One operation alone, if there is one of that name.
    pub fn operation(&self, api: Api, name: &str) -> Option<Router> {
        let found = (self.operations)().into_iter().find(|(known, _)| *known == name)?;
        let (router, _) = OpenApiRouter::<Api>::new().routes(counted(found)).split_for_parts();
        Some((self.around)(router, api))
    }

    /// Its router with its limits, where calls are counted. Pages may read that they asked too often, too.
    pub fn guarded<F: Face>(&self, router: Router, counters: Option<&Arc<Counters>>) -> Router {
        (self.open)(match counters {
            Some(counters) => limited::<F>(router, counters, self.rates),
            None => router,
        })
    }

    fn collected(&self) -> (Router<Api>, OpenApi) {
        let empty = OpenApiRouter::<Api>::with_openapi((self.about)());
        let all = (self.operations)().into_iter();
        all.fold(empty, |router, one| router.routes(counted(one))).split_for_parts()
    }
}

/// What its calls to the cloud are counted under is its name.
fn counted((name, route): (&'static str, Route)) -> UtoipaMethodRouter<Api> {
    let (schemas, paths, router) = route();
    let named = from_fn(move |request: Request, next: Next| labelled(name, next.run(request)));
    (schemas, paths, router.layer(named))
}
