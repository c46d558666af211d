//! The accounts of records: what came in is somewhere, at any time.
//!
//! Of a pipeline: received + created = forwarded + dropped + absorbed + in flight. Of an exporter:
//! received = delivered + dropped + in flight. Each term is counted where it happens.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::Counter;

/// Why records are dropped whose answer nobody gave.
const LOST: &str = "lost";

/// All accounts. Cheap to clone; all clones are one ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Arc<Mutex<Accounts>>,
}

#[derive(Debug, Default)]
struct Accounts {
    pipelines: BTreeMap<String, Arc<PipelineLedger>>,
    exporters: BTreeMap<String, Arc<ExporterLedger>>,
}

/// The account of a pipeline, or of a connector.
#[derive(Debug, Default)]
pub struct PipelineLedger {
    received: Counter,
    forwarded: Counter,
    created: Named,
    absorbed: Named,
    dropped: Named,
    in_flight: Arc<InFlight>,
}

/// The account of an exporter for one signal.
#[derive(Debug, Default)]
pub struct ExporterLedger {
    received: Counter,
    delivered: Counter,
    dropped: Named,
    in_flight: Arc<InFlight>,
}

/// Counters by name.
#[derive(Debug, Default)]
struct Named {
    counters: Mutex<BTreeMap<String, Counter>>,
}

/// Records that are on their way.
#[derive(Debug, Default)]
struct InFlight {
    num_records: AtomicU64,
    lost: Counter,
}

/// Records that are counted as in flight until this is dropped.
#[derive(Debug, Default)]
#[must_use = "records are in flight as long as this lives"]
pub struct Live {
    account: Option<Arc<InFlight>>,
    num_records: usize,
}

impl Ledger {
    /// The account of the pipeline or connector called `name`.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> Arc<PipelineLedger> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.pipelines.entry(name.to_owned()).or_default())
    }

    /// The account of the exporter called `name`.
    #[must_use]
    pub fn exporter(&self, name: &str) -> Arc<ExporterLedger> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.exporters.entry(name.to_owned()).or_default())
    }

    /// The names of all accounts that do not balance. While records move one may seem not to for
    /// a moment; at rest there are none.
    #[must_use]
    pub fn unbalanced(&self) -> Vec<String> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let pipelines = accounts.pipelines.iter().filter(|(_, account)| !account.is_balanced());
        let exporters = accounts.exporters.iter().filter(|(_, account)| !account.is_balanced());
        let names = pipelines.map(|(name, _)| name).chain(exporters.map(|(name, _)| name));
        names.cloned().collect()
    }

    /// All accounts as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let pipelines: Map<String, Value> = accounts
            .pipelines
            .iter()
            .map(|(name, account)| (name.clone(), account.to_json()))
            .collect();
        let exporters: Map<String, Value> = accounts
            .exporters
            .iter()
            .map(|(name, account)| (name.clone(), account.to_json()))
            .collect();
        json!({ "pipelines": pipelines, "exporters": exporters }).to_string()
    }
}

impl PipelineLedger {
    /// Records that came in.
    #[must_use]
    pub const fn received(&self) -> &Counter {
        &self.received
    }

    /// Records that went on to exporters and connectors, each counted once.
    #[must_use]
    pub const fn forwarded(&self) -> &Counter {
        &self.forwarded
    }

    /// Records that `component` made.
    #[must_use]
    pub fn created(&self, component: &str) -> Counter {
        self.created.get(component)
    }

    /// Records that live on only in what `component` made of them.
    #[must_use]
    pub fn absorbed(&self, component: &str) -> Counter {
        self.absorbed.get(component)
    }

    /// Records that went no further at `component`, and why.
    #[must_use]
    pub fn dropped(&self, component: &str, reason: &str) -> Counter {
        self.dropped.get(&format!("{component}: {reason}"))
    }

    /// Counts records as in flight.
    pub fn live(&self, num_records: usize) -> Live {
        Live::new(&self.in_flight, num_records)
    }

    /// Records in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.num_records.load(Ordering::Acquire)
    }

    /// Whether everything that came in or was made is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let came = self.received.get() + self.created.sum();
        let went = self.forwarded.get() + self.dropped.sum() + self.in_flight.lost.get();
        came == went + self.absorbed.sum() + self.in_flight()
    }

    fn to_json(&self) -> Value {
        json!({
            "received": self.received.get(),
            "created": self.created.to_json(None),
            "forwarded": self.forwarded.get(),
            "dropped": self.dropped.to_json(Some(&self.in_flight.lost)),
            "absorbed": self.absorbed.to_json(None),
            "in_flight": self.in_flight(),
            "balanced": self.is_balanced(),
        })
    }
}

impl ExporterLedger {
    /// Records that came in.
    #[must_use]
    pub const fn received(&self) -> &Counter {
        &self.received
    }

    /// Records that the destination has.
    #[must_use]
    pub const fn delivered(&self) -> &Counter {
        &self.delivered
    }

    /// Records that went no further, and why.
    #[must_use]
    pub fn dropped(&self, reason: &str) -> Counter {
        self.dropped.get(reason)
    }

    /// Counts records as in flight.
    pub fn live(&self, num_records: usize) -> Live {
        Live::new(&self.in_flight, num_records)
    }

    /// Records in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.num_records.load(Ordering::Acquire)
    }

    /// Whether everything that came in is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let went = self.delivered.get() + self.dropped.sum() + self.in_flight.lost.get();
        self.received.get() == went + self.in_flight()
    }

    fn to_json(&self) -> Value {
        json!({
            "received": self.received.get(),
            "delivered": self.delivered.get(),
            "dropped": self.dropped.to_json(Some(&self.in_flight.lost)),
            "in_flight": self.in_flight(),
            "balanced": self.is_balanced(),
        })
    }
}

impl Named {
    fn get(&self, name: &str) -> Counter {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(name) {
            return counter.clone();
        }
        counters.entry(name.to_owned()).or_default().clone()
    }

    fn sum(&self) -> u64 {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.values().map(Counter::get).sum()
    }

    fn to_json(&self, lost: Option<&Counter>) -> Value {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map: Map<String, Value> =
            counters.iter().map(|(name, counter)| (name.clone(), counter.get().into())).collect();
        if let Some(lost) = lost.filter(|lost| lost.get() > 0) {
            map.insert(LOST.to_owned(), lost.get().into());
        }
        map.into()
    }
}

impl Live {
    /// No records of nobody.
    pub const fn none() -> Self {
        Self { account: None, num_records: 0 }
    }

    fn new(account: &Arc<InFlight>, num_records: usize) -> Self {
        account.num_records.fetch_add(num_records as u64, Ordering::AcqRel);
        Self { account: Some(Arc::clone(account)), num_records }
    }

    /// How many records these are.
    #[must_use]
    pub const fn num_records(&self) -> usize {
        self.num_records
    }

    /// Splits off `num_records` of them, at most all.
    pub fn split(&mut self, num_records: usize) -> Self {
        let num_records = num_records.min(self.num_records);
        self.num_records -= num_records;
        Self { account: self.account.clone(), num_records }
    }

    /// Adds `other`'s records to these.
    pub fn merge(&mut self, mut other: Self) {
        let Some(account) = &self.account else {
            *self = other;
            return;
        };
        let is_same = other.account.as_ref().is_some_and(|other| Arc::ptr_eq(account, other));
        if !is_same {
            account.num_records.fetch_add(other.num_records as u64, Ordering::AcqRel);
        }
        self.num_records += other.num_records;
        if is_same {
            // They stay counted, with these.
            other.num_records = 0;
        }
    }

    /// Takes out all of them.
    pub fn take(&mut self) -> Self {
        mem::take(self)
    }

    /// Counts them as dropped, for nobody said what became of them.
    pub fn lose(self) {
        if let Some(account) = &self.account {
            account.lost.add(self.num_records as u64);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.num_records.fetch_sub(self.num_records as u64, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_flight_until_they_are_accounted_for() {
        let ledger = Ledger::default();
        let logs = ledger.pipeline("logs");
        logs.received().add(10);
        let mut live = logs.live(10);
        assert!(logs.is_balanced());
        let part = live.split(4);
        logs.dropped("filter", "filtered").add(4);
        drop(part);
        logs.created("count").add(1);
        live.merge(logs.live(1));
        assert_eq!((live.num_records(), logs.in_flight()), (7, 7));
        assert!(ledger.unbalanced().is_empty());
        logs.forwarded().add(7);
        assert_eq!(ledger.unbalanced(), ["logs"]);
        drop(live.take());
        assert!(ledger.unbalanced().is_empty());
        assert_eq!(live.num_records(), 0);
    }

    #[test]
    fn lost_records_are_dropped() {
        let ledger = Ledger::default();
        let exporter = ledger.exporter("otlp logs");
        exporter.received().add(3);
        exporter.live(3).lose();
        assert!(exporter.is_balanced());
        let json: Value = serde_json::from_str(&ledger.to_json()).unwrap();
        assert_eq!(json["exporters"]["otlp logs"]["dropped"]["lost"], 3);
    }

    #[test]
    fn records_of_another_account_move_when_merged() {
        let ledger = Ledger::default();
        let (first, second) = (ledger.exporter("a"), ledger.exporter("b"));
        let mut live = first.live(2);
        live.merge(second.live(3));
        assert_eq!((first.in_flight(), second.in_flight()), (5, 0));
        let mut none = Live::none();
        none.merge(live);
        assert_eq!(none.num_records(), 5);
        drop(none);
        assert_eq!(first.in_flight(), 0);
    }
}
