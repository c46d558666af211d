//! One memory budget with named accounts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::Pressure;
use crate::telemetry::Metrics;

/// However much the process takes beyond what is charged, the door stays open for one part in so
/// many: what an allocator keeps of what was freed serves for it.
const OPEN_PART: usize = 4;

/// The memory that telemetry may take up in this process.
///
/// Only receivers are refused ([`Budget::admit`]); inside, a charge always succeeds. The door
/// closes at limit minus spike, which is what work inside may still take. Beside what is charged
/// counts what the process was seen to take beyond that ([`Budget::observe`]).
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: AtomicUsize,
    door: AtomicUsize,
    used: AtomicUsize,
    /// What the process takes beyond `used`, as it was seen last.
    uncharged: AtomicUsize,
    refused: AtomicUsize,
    accounts: Mutex<Vec<Arc<Account>>>,
    metrics: OnceLock<Metrics>,
    shortage: Notify,
}

#[derive(Debug)]
struct Account {
    name: &'static str,
    used: AtomicUsize,
}

/// Memory that is charged to an account until this is dropped.
#[must_use = "a charge that is dropped is given back at once"]
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Shared>,
    account: Arc<Account>,
    size_bytes: usize,
}

/// Without a limit.
impl Default for Budget {
    fn default() -> Self {
        Self::new(usize::MAX, 0)
    }
}

impl Budget {
    /// A budget of `limit_bytes` whose door closes `spike_bytes` earlier.
    #[must_use]
    pub fn new(limit_bytes: usize, spike_bytes: usize) -> Self {
        let shared = Shared {
            limit: AtomicUsize::new(limit_bytes),
            door: AtomicUsize::new(limit_bytes.saturating_sub(spike_bytes)),
            used: AtomicUsize::new(0),
            uncharged: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            accounts: Mutex::new(Vec::new()),
            metrics: OnceLock::new(),
            shortage: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Charges `size_bytes` to the account called `name`; never refused.
    pub fn charge(&self, name: &'static str, size_bytes: usize) -> Charge {
        let account = self.account(name);
        let mut charge = Charge { budget: Arc::clone(&self.shared), account, size_bytes: 0 };
        charge.grow(size_bytes);
        charge
    }

    /// Charges `size_bytes` that come from outside.
    ///
    /// # Errors
    ///
    /// Fails when the door is closed: with this, more than limit minus spike would be used.
    pub fn admit(&self, name: &'static str, size_bytes: usize) -> Result<Charge, Pressure> {
        let mut charge = self.charge(name, 0);
        charge.try_grow(size_bytes)?;
        Ok(charge)
    }

    /// Bytes charged now.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.shared.limit.load(Ordering::Relaxed)
    }

    /// The use in bytes at which receivers refuse: limit minus spike.
    #[must_use]
    pub fn door_bytes(&self) -> usize {
        self.shared.door.load(Ordering::Relaxed)
    }

    /// Bytes that the process was seen to take beyond those charged.
    #[must_use]
    pub fn uncharged_bytes(&self) -> usize {
        self.shared.uncharged.load(Ordering::Relaxed)
    }

    /// Takes note of what the process takes up in all, in bytes.
    pub fn observe(&self, process_bytes: usize) {
        let uncharged = process_bytes.saturating_sub(self.used_bytes());
        self.shared.uncharged.store(uncharged, Ordering::Relaxed);
    }

    /// Whether the door is closed or soon will be: who holds much that it can let go of should.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.used_bytes() > self.shared.open_bytes() / 8 * 7
    }

    /// Whether `size_bytes` more leave a quarter to what comes from outside: for work that can wait.
    #[must_use]
    pub fn has_ample_room(&self, size_bytes: usize) -> bool {
        self.used_bytes() + size_bytes <= self.shared.open_bytes() / 4 * 3
    }

    /// Is notified whenever a charge is refused at the door.
    #[must_use]
    pub fn shortage(&self) -> &Notify {
        &self.shared.shortage
    }

    /// How many charges were refused at the door.
    #[must_use]
    pub fn num_refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Changes the limit; what is charged stays charged.
    pub fn set_limit(&self, limit_bytes: usize, spike_bytes: usize) {
        self.shared.limit.store(limit_bytes, Ordering::Relaxed);
        self.shared.door.store(limit_bytes.saturating_sub(spike_bytes), Ordering::Relaxed);
    }

    /// Name and use in bytes of each account.
    #[must_use]
    pub fn accounts(&self) -> Vec<(&'static str, usize)> {
        let accounts = self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts
            .iter()
            .map(|account| (account.name, account.used.load(Ordering::Relaxed)))
            .collect()
    }

    /// Shows limit, use and accounts among `metrics`, from now on.
    #[expect(clippy::cast_precision_loss, reason = "gauges")]
    pub fn show_in(&self, metrics: &Metrics) {
        let gauge = |family, value: fn(&Self) -> usize| {
            let budget = self.clone();
            metrics.gauge_fn(family, &[], move || value(&budget) as f64);
        };
        gauge("catchment_memory_limit_bytes", Self::limit_bytes);
        gauge("catchment_memory_used_bytes", Self::used_bytes);
        gauge("catchment_memory_uncharged_bytes", Self::uncharged_bytes);
        // It is shown once.
        let _ = self.shared.metrics.set(metrics.clone());
    }

    fn account(&self, name: &'static str) -> Arc<Account> {
        let mut accounts = self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.iter().find(|account| account.name == name) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account { name, used: AtomicUsize::new(0) });
        accounts.push(Arc::clone(&account));
        if let Some(metrics) = self.shared.metrics.get() {
            let shown = Arc::clone(&account);
            let used = move || shown.used.load(Ordering::Relaxed) as f64;
            metrics.gauge_fn("catchment_memory_account_bytes", &[("account", name)], used);
        }
        account
    }
}

impl Shared {
    /// The charges at which the door closes: less what the process takes beyond them.
    fn open_bytes(&self) -> usize {
        let door = self.door.load(Ordering::Relaxed);
        door.saturating_sub(self.uncharged.load(Ordering::Relaxed)).max(door / OPEN_PART)
    }
}

impl Charge {
    /// Charges `size_bytes` more; never refused.
    pub fn grow(&mut self, size_bytes: usize) {
        self.budget.used.fetch_add(size_bytes, Ordering::Relaxed);
        self.account.used.fetch_add(size_bytes, Ordering::Relaxed);
        self.size_bytes += size_bytes;
    }

    /// Charges `size_bytes` more that come from outside.
    ///
    /// # Errors
    ///
    /// Fails, and charges nothing more, when the door is closed.
    pub fn try_grow(&mut self, size_bytes: usize) -> Result<(), Pressure> {
        let used = self.budget.used.fetch_add(size_bytes, Ordering::Relaxed) + size_bytes;
        if size_bytes > 0 && used > self.budget.open_bytes() {
            self.budget.used.fetch_sub(size_bytes, Ordering::Relaxed);
            self.budget.refused.fetch_add(1, Ordering::Relaxed);
            self.budget.shortage.notify_waiters();
            return Err(Pressure { retry_after: Duration::from_secs(1) });
        }
        self.account.used.fetch_add(size_bytes, Ordering::Relaxed);
        self.size_bytes += size_bytes;
        Ok(())
    }

    /// Gives `size_bytes` back, at most all.
    pub fn shrink(&mut self, size_bytes: usize) {
        let size_bytes = size_bytes.min(self.size_bytes);
        self.budget.used.fetch_sub(size_bytes, Ordering::Relaxed);
        self.account.used.fetch_sub(size_bytes, Ordering::Relaxed);
        self.size_bytes -= size_bytes;
    }

    /// Charges `size_bytes` in place of what is charged; never refused.
    pub fn resize(&mut self, size_bytes: usize) {
        let charged = self.size_bytes;
        self.grow(size_bytes.saturating_sub(charged));
        self.shrink(charged.saturating_sub(size_bytes));
    }

    /// Bytes charged.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Ties the charge to an allocation: it is given back when the last slice of it is gone.
    #[must_use]
    pub fn attach(mut self, bytes: Bytes) -> Bytes {
        self.resize(bytes.len());
        Bytes::from_owner(Charged { bytes, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.size_bytes);
    }
}

/// An allocation with the charge that goes with it.
struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn door_closes_at_limit_minus_spike_but_work_inside_goes_on() {
        let budget = Budget::new(100, 20);
        let first = budget.admit("requests", 80).unwrap();
        assert!(budget.admit("requests", 1).is_err());
        let inside = budget.charge("batches", 50);
        assert_eq!(budget.used_bytes(), 130);
        drop((first, inside));
        assert_eq!(budget.used_bytes(), 0);
        assert_eq!(budget.num_refused(), 1);
        assert!(budget.admit("requests", 1).is_ok());
    }

    #[test]
    fn what_the_process_takes_beyond_charges_closes_the_door_earlier_but_for_a_part() {
        let budget = Budget::new(1000, 200);
        let charged = budget.charge("batches", 300);
        budget.observe(600);
        assert_eq!(budget.uncharged_bytes(), 300);
        assert!(budget.admit("requests", 201).is_err());
        assert!(!budget.is_tight());
        let request = budget.admit("requests", 200).unwrap();
        assert!(budget.is_tight());
        drop((charged, request));
        budget.observe(900);
        assert!(budget.admit("requests", 201).is_err());
        assert!(budget.admit("requests", 200).is_ok());
    }

    #[test]
    fn limit_use_and_accounts_are_shown() {
        let (budget, metrics) = (Budget::new(100, 20), Metrics::default());
        budget.show_in(&metrics);
        let charge = budget.charge("batches", 50);
        budget.observe(60);
        let page = metrics.to_prometheus();
        for line in [
            "catchment_memory_limit_bytes 100",
            "catchment_memory_used_bytes 50",
            "catchment_memory_uncharged_bytes 10",
            "catchment_memory_account_bytes{account=\"batches\"} 50",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}: {page}");
        }
        drop(charge);
    }

    #[test]
    fn charge_lives_as_long_as_any_slice_of_the_allocation() {
        let budget = Budget::new(100, 20);
        let bytes = budget.charge("requests", 64).attach(Bytes::from(vec![7; 10]));
        assert_eq!(budget.used_bytes(), 10);
        let slice = bytes.slice(2..3);
        drop(bytes);
        assert_eq!(budget.used_bytes(), 10);
        assert_eq!(budget.accounts(), [("requests", 10)]);
        drop(slice);
        assert_eq!(budget.used_bytes(), 0);
    }
}
