//! One memory budget with named accounts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Pressure;

/// The memory that telemetry may take up in this process.
///
/// Only receivers are refused ([`Budget::admit`]); inside, a charge always succeeds. The door
/// closes at limit minus spike, which is what work inside may still take.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: AtomicUsize,
    door: AtomicUsize,
    used: AtomicUsize,
    refused: AtomicUsize,
    accounts: Mutex<Vec<Arc<Account>>>,
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

impl Budget {
    /// A budget of `limit_bytes` whose door closes `spike_bytes` earlier.
    #[must_use]
    pub fn new(limit_bytes: usize, spike_bytes: usize) -> Self {
        let shared = Shared {
            limit: AtomicUsize::new(limit_bytes),
            door: AtomicUsize::new(limit_bytes.saturating_sub(spike_bytes)),
            used: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            accounts: Mutex::new(Vec::new()),
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

    fn account(&self, name: &'static str) -> Arc<Account> {
        let mut accounts = self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.iter().find(|account| account.name == name) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account { name, used: AtomicUsize::new(0) });
        accounts.push(Arc::clone(&account));
        account
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
        if size_bytes > 0 && used > self.budget.door.load(Ordering::Relaxed) {
            self.budget.used.fetch_sub(size_bytes, Ordering::Relaxed);
            self.budget.refused.fetch_add(1, Ordering::Relaxed);
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

    /// Bytes charged.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Ties the charge to an allocation: it is given back when the last slice of it is gone.
    #[must_use]
    pub fn attach(mut self, bytes: Bytes) -> Bytes {
        let charged = self.size_bytes;
        if bytes.len() > charged {
            self.grow(bytes.len() - charged);
        } else {
            self.shrink(charged - bytes.len());
        }
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
