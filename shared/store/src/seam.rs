//! The one place that every call to the cloud passes. Counts calls and what they cost, and can
//! make them fail; knows protocols, never rows.
//!
//! It sits under the SDK, as its HTTP client, so it sees each round trip: retries too. Off, it is
//! not there at all. Units are the service's own (`ReturnConsumedCapacity`): devcloud's database
//! charges tables and indexes as measured against DynamoDB, and a test holds it to
//! what the rules give for item sizes and index keys. A write that fails its
//! condition reports no units though it costs some: it is counted at one, a cancelled
//! transaction at two for each leg.

mod connector;
mod cost;
mod faults;
mod stale;
#[cfg(test)]
mod units;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use tokio::sync::Notify;

pub use cost::{Cost, Depth};
pub use faults::{ANY, Fault, Faults, Lag, WRITES};

use cost::Costs;
use stale::Journal;

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// One run of a labelled operation.
struct Scope {
    label: &'static str,
    calls: AtomicUsize,
    sequential: AtomicUsize,
    in_flight: AtomicUsize,
}

/// Runs `work` so that its calls are counted under `label`: the name of an API operation. Work
/// that is spawned inside is not: label it again.
pub async fn labelled<F: Future>(label: &'static str, work: F) -> F::Output {
    let none = || AtomicUsize::new(0);
    let scope = Scope { label, calls: none(), sequential: none(), in_flight: none() };
    // Boxed: labels stand in labels, and what is labelled is large for a stack.
    SCOPE.scope(Arc::new(scope), Box::pin(work)).await
}

/// What is done over, because somebody else was faster or the service said so, is counted apart.
pub async fn over_again<F: Future>(work: F) -> F::Output {
    labelled("over again", work).await
}

/// Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Seam(Option<Arc<Inner>>);

struct Inner {
    costs: Mutex<Costs>,
    faults: Mutex<Option<Faults>>,
    journal: Mutex<Journal>,
    /// Told when a fault stops the process.
    stopped: Notify,
    /// Told when what sleeps shall go on.
    woken: Notify,
    /// How long every call to the table is held up.
    pause: Duration,
    /// A client that does not pass here, to see items before and after a write.
    observer: OnceLock<stale::Observer>,
}

impl std::fmt::Debug for Seam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_on() { "Seam(on)" } else { "Seam(off)" })
    }
}

impl Seam {
    /// Not there: production.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts, and fails calls when told to.
    pub fn on() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// The same over a slow network, so that calls that are made at once overlap however busy the
    /// machine is: what [`Seam::depths`] says is then exact.
    pub fn slow(pause: Duration) -> Self {
        Self(Some(Arc::new(Inner {
            costs: Mutex::default(),
            faults: Mutex::default(),
            journal: Mutex::default(),
            stopped: Notify::new(),
            woken: Notify::new(),
            pause,
            observer: OnceLock::new(),
        })))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What was counted since the last [`Seam::reset`], by label and operation.
    pub fn snapshot(&self) -> Vec<Cost> {
        self.0.as_ref().map(|inner| locked(&inner.costs).rows()).unwrap_or_default()
    }

    /// How many of a label's calls had to wait for one another, by label.
    pub fn depths(&self) -> Vec<Depth> {
        self.0.as_ref().map(|inner| locked(&inner.costs).depths()).unwrap_or_default()
    }

    pub fn reset(&self) {
        if let Some(inner) = &self.0 {
            *locked(&inner.costs) = Costs::default();
        }
    }

    /// From now on calls fail as `faults` says. Without effect on a seam that is off.
    pub fn inject(&self, faults: Faults) {
        if let Some(inner) = &self.0 {
            *locked(&inner.faults) = Some(faults);
        }
    }

    /// Ends all injection; returns how many faults there were.
    pub fn calm(&self) -> u64 {
        let Some(inner) = &self.0 else { return 0 };
        let faults = locked(&inner.faults).take();
        *locked(&inner.journal) = Journal::default();
        inner.woken.notify_waiters();
        faults.map_or(0, |faults| faults.injected())
    }

    /// Waits for a [`Fault::DieBefore`] or [`Fault::DieAfter`], at which whoever runs the work
    /// drops it, or for a [`Fault::Sleep`].
    pub async fn stopped(&self) {
        match &self.0 {
            Some(inner) => inner.stopped.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn wrap(&self, plain: SharedHttpClient) -> SharedHttpClient {
        match &self.0 {
            None => plain,
            Some(inner) => connector::wrap(inner.clone(), plain),
        }
    }

    pub(crate) fn observe_with(&self, client: Option<aws_sdk_dynamodb::Client>, table: &str) {
        if let (Some(inner), Some(client)) = (&self.0, client) {
            let observer = stale::Observer { client, table: table.to_owned() };
            // A second store on one seam sees the same table: the first observer serves both.
            let _ = inner.observer.set(observer);
        }
    }

    pub(crate) fn capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.is_on().then_some(ReturnConsumedCapacity::Indexes)
    }
}

impl Inner {
    fn plan(&self, op: &connector::Op) -> Option<Fault> {
        locked(&self.faults).as_mut().and_then(|faults| faults.plan(op))
    }

    /// Nothing of this process goes on.
    async fn die<T>(&self) -> T {
        self.stopped.notify_one();
        std::future::pending().await
    }

    async fn sleep(&self) {
        let woken = self.woken.notified();
        self.stopped.notify_one();
        woken.await;
    }

    /// Whether index reads may lag, so that writes must be watched.
    fn lag(&self) -> Option<Lag> {
        locked(&self.faults).as_ref().and_then(Faults::lag_of_indexes)
    }
}

/// Counts one call to the table into its scope for as long as it lives.
struct InFlight(Option<Arc<Scope>>);

impl InFlight {
    /// Also says whether a call to the table starts a run, and whether it waited for those before it.
    fn enter(to_table: bool) -> (Self, &'static str, cost::Step) {
        let Ok(scope) = SCOPE.try_with(Arc::clone) else {
            return (Self(None), "", cost::Step::default());
        };
        let label = scope.label;
        if !to_table {
            return (Self(None), label, cost::Step::default());
        }
        let sequential = scope.in_flight.fetch_add(1, Ordering::Relaxed) == 0;
        let before = scope.sequential.fetch_add(usize::from(sequential), Ordering::Relaxed);
        let step = cost::Step {
            first: scope.calls.fetch_add(1, Ordering::Relaxed) == 0,
            sequential,
            of_run: before + usize::from(sequential),
        };
        (Self(Some(scope)), label, step)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(scope) = &self.0 {
            scope.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A panic elsewhere leaves counts, not invariants: go on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
