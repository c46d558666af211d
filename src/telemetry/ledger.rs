//! Where every record went: double-entry accounts of pipelines and exporters.
//!
//! The law: received + created = forwarded (or delivered or kept) + dropped + absorbed + in flight. Each
//! term is counted where it happens, and records in flight by guards that live as long as they do,
//! so a difference shows an error and is not hidden by a subtraction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use super::Counter;

/// Why records are dropped whose answer nobody gave.
const LOST: &str = "lost";

/// The accounts of all pipelines and exporters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Arc<RwLock<Accounts>>,
}

#[derive(Debug, Default)]
struct Accounts {
    pipelines: BTreeMap<String, Arc<PipelineLedger>>,
    exporters: BTreeMap<String, Arc<ExporterLedger>>,
}

/// The account of one pipeline, from its receivers to its fan-out; also of one connector.
#[derive(Debug, Default)]
pub struct PipelineLedger {
    received: Counter,
    forwarded: Counter,
    created: Entries,
    dropped: Entries,
    absorbed: Entries,
    flight: Arc<Flight>,
}

/// The account of one exporter, from its queue to its destination.
#[derive(Debug, Default)]
pub struct ExporterLedger {
    received: Counter,
    delivered: Counter,
    kept: Counter,
    dropped: Entries,
    flight: Arc<Flight>,
}

/// Counts records as in flight in an account for as long as it lives.
#[must_use = "records are in flight while this lives"]
#[derive(Debug, Default)]
pub struct Live {
    flight: Option<Arc<Flight>>,
    num_records: usize,
}

/// Counters by component and reason; found by a short search.
#[derive(Debug, Default)]
struct Entries {
    entries: RwLock<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    component: Box<str>,
    reason: &'static str,
    records: Counter,
}

/// Records on their way in one account.
#[derive(Debug, Default)]
struct Flight {
    num_records: AtomicU64,
    lost: Counter,
}

impl Ledger {
    /// The account of the pipeline called `id`, opened when it is first asked for.
    #[must_use]
    pub fn pipeline(&self, id: &str) -> Arc<PipelineLedger> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.pipelines.entry(id.to_owned()).or_default())
    }

    /// The account of the exporter called `id`, opened when it is first asked for.
    #[must_use]
    pub fn exporter(&self, id: &str) -> Arc<ExporterLedger> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.exporters.entry(id.to_owned()).or_default())
    }

    /// All accounts as they stand.
    ///
    /// The terms are read one after the other: while records move, a small difference may show.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let pipelines: BTreeMap<_, _> = accounts
            .pipelines
            .iter()
            .map(|(id, account)| (id.clone(), account.balance()))
            .collect();
        let exporters: BTreeMap<_, _> = accounts
            .exporters
            .iter()
            .map(|(id, account)| (id.clone(), account.balance()))
            .collect();
        let is_balanced = pipelines.values().all(|account| account.is_balanced)
            && exporters.values().all(|account| account.is_balanced);
        Balance { is_balanced, pipelines, exporters }
    }

    /// The ids of the accounts where the law does not hold; see [`Ledger::balance`].
    #[must_use]
    pub fn unbalanced(&self) -> Vec<String> {
        let Balance { pipelines, exporters, .. } = self.balance();
        let pipelines = pipelines.into_iter().filter(|(_, account)| !account.is_balanced);
        let exporters = exporters.into_iter().filter(|(_, account)| !account.is_balanced);
        pipelines.map(|(id, _)| id).chain(exporters.map(|(id, _)| id)).collect()
    }

    /// All accounts as they stand, as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps with keys of text and whole numbers can always be written.
        serde_json::to_string_pretty(&self.balance()).unwrap_or_default()
    }
}

impl PipelineLedger {
    /// Records that came in.
    #[must_use]
    pub const fn received(&self) -> &Counter {
        &self.received
    }

    /// Records that left the chain for the exporters and connectors, counted once for all.
    #[must_use]
    pub const fn forwarded(&self) -> &Counter {
        &self.forwarded
    }

    /// Records that `component` made.
    #[must_use]
    pub fn created(&self, component: &str) -> Counter {
        self.created.counter(component, "")
    }

    /// Records that `component` let go no further.
    #[must_use]
    pub fn dropped(&self, component: &str, reason: &'static str) -> Counter {
        self.dropped.counter(component, reason)
    }

    /// Records that live on only in what `component` made of them.
    #[must_use]
    pub fn absorbed(&self, component: &str) -> Counter {
        self.absorbed.counter(component, "")
    }

    /// Counts `num_records` as in flight while the guard lives.
    pub fn live(&self, num_records: usize) -> Live {
        Live::new(&self.flight, num_records)
    }

    /// Records that are on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.flight.num_records.load(Ordering::Acquire)
    }

    /// Whether the law holds; it may seem not to while records move.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.balance().is_balanced
    }

    fn balance(&self) -> PipelineBalance {
        // Ends are read before beginnings: a record that moves meanwhile is rather missed than
        // seen twice.
        let forwarded = self.forwarded.get();
        let absorbed = self.absorbed.records();
        let mut dropped = self.dropped.records();
        dropped.extend(self.flight.lost());
        let in_flight = self.in_flight();
        let created = self.created.records();
        let received = self.received.get();
        let incoming = received + created.values().sum::<u64>();
        let outgoing =
            forwarded + dropped.values().sum::<u64>() + absorbed.values().sum::<u64>() + in_flight;
        PipelineBalance {
            received,
            created,
            forwarded,
            dropped,
            absorbed,
            in_flight,
            difference: difference(incoming, outgoing),
            is_balanced: incoming == outgoing,
        }
    }
}

impl ExporterLedger {
    /// Records that pipelines gave to the exporter.
    #[must_use]
    pub const fn received(&self) -> &Counter {
        &self.received
    }

    /// Records that the destination took.
    #[must_use]
    pub const fn delivered(&self) -> &Counter {
        &self.delivered
    }

    /// Records that stay on disk for the next driver, which counts them as received again.
    #[must_use]
    pub const fn kept(&self) -> &Counter {
        &self.kept
    }

    /// Records that did not arrive.
    #[must_use]
    pub fn dropped(&self, reason: &'static str) -> Counter {
        self.dropped.counter("", reason)
    }

    /// Counts `num_records` as in flight while the guard lives.
    pub fn live(&self, num_records: usize) -> Live {
        Live::new(&self.flight, num_records)
    }

    /// Records that are on their way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.flight.num_records.load(Ordering::Acquire)
    }

    /// Whether the law holds; it may seem not to while records move.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.balance().is_balanced
    }

    fn balance(&self) -> ExporterBalance {
        let (delivered, kept) = (self.delivered.get(), self.kept.get());
        let mut dropped = self.dropped.records();
        dropped.extend(self.flight.lost());
        let in_flight = self.in_flight();
        let received = self.received.get();
        let outgoing = delivered + kept + dropped.values().sum::<u64>() + in_flight;
        ExporterBalance {
            received,
            delivered,
            kept,
            dropped,
            in_flight,
            difference: difference(received, outgoing),
            is_balanced: received == outgoing,
        }
    }
}

impl Live {
    /// Counts nothing anywhere.
    pub const fn none() -> Self {
        Self { flight: None, num_records: 0 }
    }

    fn new(flight: &Arc<Flight>, num_records: usize) -> Self {
        flight.num_records.fetch_add(num_records as u64, Ordering::AcqRel);
        Self { flight: Some(Arc::clone(flight)), num_records }
    }

    /// The number of records that this counts.
    #[must_use]
    pub const fn num_records(&self) -> usize {
        self.num_records
    }

    /// Splits off a guard for `num_records` of these records, at most all of them.
    pub fn split(&mut self, num_records: usize) -> Self {
        let num_records = num_records.min(self.num_records);
        self.num_records -= num_records;
        Self { flight: self.flight.clone(), num_records }
    }

    /// Takes out everything and leaves nothing.
    pub fn take(&mut self) -> Self {
        let num_records = self.num_records;
        self.split(num_records)
    }

    /// Adds the records of `other`, which are in the same account.
    ///
    /// Those of another account are lost there, as by [`Live::lose`]: each account keeps its law.
    pub fn merge(&mut self, mut other: Self) {
        let is_same = match (&self.flight, &other.flight) {
            (Some(flight), Some(others)) => Arc::ptr_eq(flight, others),
            (None, _) => true,
            (Some(_), None) => return,
        };
        if !is_same {
            debug_assert!(other.num_records == 0, "records are merged within one account");
            other.lose();
            return;
        }
        if self.flight.is_none() {
            self.flight.clone_from(&other.flight);
        }
        self.num_records += other.num_records;
        other.num_records = 0;
    }

    /// Counts the records as dropped because nobody said what became of them.
    pub fn lose(self) {
        if let (Some(flight), 1..) = (&self.flight, self.num_records) {
            flight.lost.add(self.num_records as u64);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight {
            flight.num_records.fetch_sub(self.num_records as u64, Ordering::AcqRel);
        }
    }
}

/// All accounts at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Whether the law holds in every account.
    #[serde(rename = "balanced")]
    pub is_balanced: bool,
    /// Pipelines and connectors, by id.
    pub pipelines: BTreeMap<String, PipelineBalance>,
    /// Exporters, by id.
    pub exporters: BTreeMap<String, ExporterBalance>,
}

/// The account of a pipeline at one time; numbers are records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PipelineBalance {
    /// Came in.
    pub received: u64,
    /// Made, by component.
    pub created: BTreeMap<String, u64>,
    /// Left for the exporters and connectors.
    pub forwarded: u64,
    /// Went no further, by `component: reason`, or by reason where no component is at fault.
    pub dropped: BTreeMap<String, u64>,
    /// Live on only in what was made of them, by component.
    pub absorbed: BTreeMap<String, u64>,
    /// On their way.
    pub in_flight: u64,
    /// Received and created less all the others; 0 by the law.
    pub difference: i64,
    /// Whether the law holds.
    #[serde(rename = "balanced")]
    pub is_balanced: bool,
}

/// The account of an exporter at one time; numbers are records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExporterBalance {
    /// Came from pipelines.
    pub received: u64,
    /// Taken by the destination.
    pub delivered: u64,
    /// Left on disk when its driver ended.
    pub kept: u64,
    /// Did not arrive, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// In the queue or being sent.
    pub in_flight: u64,
    /// Received less all the others; 0 by the law.
    pub difference: i64,
    /// Whether the law holds.
    #[serde(rename = "balanced")]
    pub is_balanced: bool,
}

impl Balance {
    /// The accounts as a table for people.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut table = String::new();
        push_row(&mut table, HEADINGS);
        for (id, account) in &self.pipelines {
            let terms = [
                account.received,
                account.created.values().sum(),
                account.forwarded,
                account.dropped.values().sum(),
                account.absorbed.values().sum(),
                account.in_flight,
            ];
            push_account(&mut table, id, terms, account.difference);
        }
        for (id, account) in &self.exporters {
            let dropped = account.dropped.values().sum();
            let kept = account.kept;
            let terms = [account.received, 0, account.delivered, dropped, kept, account.in_flight];
            push_account(&mut table, id, terms, account.difference);
        }
        table
    }
}

/// The columns of [`Balance::to_table`].
const HEADINGS: [&str; 8] = [
    "account",
    "received",
    "created",
    "forwarded",
    "dropped",
    "absorbed/kept",
    "in flight",
    "difference",
];

impl Entries {
    fn counter(&self, component: &str, reason: &'static str) -> Counter {
        let is_it = |entry: &&Entry| entry.reason == reason && *entry.component == *component;
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(is_it) {
            return entry.records.clone();
        }
        drop(entries);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(is_it) {
            return entry.records.clone();
        }
        let records = Counter::default();
        entries.push(Entry { component: component.into(), reason, records: records.clone() });
        records
    }

    fn records(&self) -> BTreeMap<String, u64> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| (entry.name(), entry.records.get())).collect()
    }
}

impl Entry {
    fn name(&self) -> String {
        match (&*self.component, self.reason) {
            (component, "") => component.to_owned(),
            ("", reason) => reason.to_owned(),
            (component, reason) => format!("{component}: {reason}"),
        }
    }
}

impl Flight {
    fn lost(&self) -> Option<(String, u64)> {
        let records = self.lost.get();
        (records > 0).then(|| (LOST.to_owned(), records))
    }
}

fn difference(incoming: u64, outgoing: u64) -> i64 {
    incoming.cast_signed().wrapping_sub(outgoing.cast_signed())
}

fn push_account(table: &mut String, id: &str, terms: [u64; 6], difference: i64) {
    let [received, created, forwarded, dropped, absorbed, in_flight] =
        terms.map(|term| term.to_string());
    let difference = difference.to_string();
    push_row(
        table,
        [id, &received, &created, &forwarded, &dropped, &absorbed, &in_flight, &difference],
    );
}

fn push_row(table: &mut String, cells: [&str; 8]) {
    let [account, numbers @ ..] = cells;
    // Writing to a String cannot fail.
    let _ = write!(table, "{account:<32}");
    for number in numbers {
        let _ = write!(table, " {number:>13}");
    }
    table.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn account_is_opened_once() {
        let ledger = Ledger::default();
        ledger.pipeline("logs").received().add(2);
        assert_eq!(ledger.clone().pipeline("logs").received().get(), 2);
        ledger.exporter("otlp").dropped("queue_full").add(1);
        assert_eq!(ledger.exporter("otlp").dropped("queue_full").get(), 1);
        assert!(!ledger.balance().is_balanced);
    }

    #[test]
    fn every_term_takes_part_in_the_law() {
        let ledger = Ledger::default();
        let account = ledger.pipeline("traces");
        account.received().add(10);
        account.created("count").add(5);
        account.forwarded().add(4);
        account.dropped("filter", "filtered").add(3);
        account.absorbed("count").add(2);
        let live = account.live(6);
        let balance = ledger.balance();
        assert_eq!(balance.pipelines["traces"].difference, 0);
        assert!(balance.is_balanced);
        drop(live);
        assert_eq!(ledger.balance().pipelines["traces"].difference, 6);
    }

    #[test]
    fn lost_records_are_dropped_for_want_of_an_answer() {
        let ledger = Ledger::default();
        let account = ledger.exporter("otlp logs");
        account.received().add(3);
        let mut live = account.live(3);
        live.take().lose();
        assert_eq!(live.num_records(), 0);
        let balance = ledger.balance();
        assert!(balance.is_balanced);
        assert_eq!(balance.exporters["otlp logs"].in_flight, 0);
        assert_eq!(balance.exporters["otlp logs"].dropped["lost"], 3);
        Live::none().lose();
    }

    #[test]
    fn split_gives_at_most_what_is_there() {
        let account = PipelineLedger::default();
        let mut live = account.live(3);
        let piece = live.split(8);
        assert_eq!((live.num_records(), piece.num_records()), (0, 3));
        drop(live);
        assert_eq!(account.in_flight(), 3);
    }

    #[test]
    fn nothing_takes_the_account_of_what_is_merged_into_it() {
        let account = PipelineLedger::default();
        let mut live = Live::none();
        live.merge(account.live(2));
        live.merge(Live::none());
        live.merge(account.live(1));
        assert_eq!(account.in_flight(), 3);
        drop(live);
        assert_eq!(account.in_flight(), 0);
    }

    #[test]
    fn json_and_table_name_every_account() {
        let ledger = Ledger::default();
        ledger.pipeline("logs/a").received().add(1);
        ledger.exporter("debug logs").received().add(7);
        let json: serde_json::Value = serde_json::from_str(&ledger.to_json()).unwrap();
        assert_eq!(json["balanced"], false);
        assert_eq!(json["pipelines"]["logs/a"]["difference"], 1);
        assert_eq!(json["exporters"]["debug logs"]["received"], 7);
        let table = ledger.balance().to_table();
        assert_eq!(table.lines().count(), 3);
        assert!(table.lines().nth(2).unwrap().starts_with("debug logs "));
    }

    /// What may be done to records in an account.
    #[derive(Clone, Debug)]
    enum Step {
        Receive(usize),
        Split(usize, usize),
        Merge(usize, usize),
        Forward(usize),
        Drop(usize),
        Absorb(usize),
        Create(usize),
        Lose(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let at = 0..64_usize;
        let step = prop_oneof![
            (0..1000_usize).prop_map(Step::Receive),
            (at.clone(), 0..1000_usize).prop_map(|(at, n)| Step::Split(at, n)),
            (at.clone(), at.clone()).prop_map(|(into, from)| Step::Merge(into, from)),
            at.clone().prop_map(Step::Forward),
            at.clone().prop_map(Step::Drop),
            at.clone().prop_map(Step::Absorb),
            (0..1000_usize).prop_map(Step::Create),
            at.prop_map(Step::Lose),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn take(lives: &mut Vec<Live>, at: usize) -> Live {
        if lives.is_empty() { Live::none() } else { lives.swap_remove(at % lives.len()) }
    }

    fn apply(step: &Step, account: &PipelineLedger, lives: &mut Vec<Live>) {
        match *step {
            Step::Receive(n) => {
                account.received().add(n as u64);
                lives.push(account.live(n));
            }
            Step::Split(at, n) => {
                let mut live = take(lives, at);
                lives.push(live.split(n));
                lives.push(live);
            }
            Step::Merge(into, from) => {
                let mut live = take(lives, into);
                live.merge(take(lives, from));
                lives.push(live);
            }
            Step::Forward(at) => account.forwarded().add(take(lives, at).num_records() as u64),
            Step::Drop(at) => {
                account.dropped("a", "b").add(take(lives, at).num_records() as u64);
            }
            Step::Absorb(at) => account.absorbed("a").add(take(lives, at).num_records() as u64),
            Step::Create(n) => {
                account.created("a").add(n as u64);
                lives.push(account.live(n));
            }
            Step::Lose(at) => take(lives, at).lose(),
        }
    }

    proptest! {
        #[test]
        fn law_holds_after_every_step(steps in steps()) {
            let ledger = Ledger::default();
            let account = ledger.pipeline("logs");
            let mut lives = Vec::new();
            for step in &steps {
                apply(step, &account, &mut lives);
                let balance = ledger.balance();
                prop_assert!(balance.is_balanced, "{}", balance.to_table());
                let in_flight: usize = lives.iter().map(Live::num_records).sum();
                prop_assert_eq!(balance.pipelines["logs"].in_flight, in_flight as u64);
            }
            drop(lives);
            prop_assert_eq!(ledger.balance().pipelines["logs"].in_flight, 0);
        }
    }
}
