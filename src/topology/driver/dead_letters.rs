//! Dead letters: what an exporter's destination refuses for good goes to another exporter.
//!
//! That one cannot have dead letters of its own, so they go no further.

use crate::component::{Ack, Request};
use crate::config::ComponentId;
use crate::data::{Batch, Parts, Value};
use crate::telemetry::{Counter, Live};

use super::{DriverInlet, Shared};

/// The attribute that says whose destination refused a record.
const EXPORTER: &str = "catchment.dead_letter.exporter";

/// The attribute that says why.
const REASON: &str = "catchment.dead_letter.reason";

/// Where the dead letters of an exporter go.
pub(super) struct DeadLetters {
    to: DriverInlet,
    num_taken: Counter,
}

impl DeadLetters {
    pub(super) const fn new(to: DriverInlet, num_taken: Counter) -> Self {
        Self { to, num_taken }
    }

    /// Passes records on, with a share in what becomes of a request.
    async fn take(&self, from: &ComponentId, why: &str, records: &Batch, share: Ack) {
        let num_records = records.num_records();
        let letters = marked(records, &from.to_string(), why).with_parts(Parts::new());
        let to = self.to.clone();
        // The queue may ask to be waited for, which must not hold up a task.
        let enqueue = tokio::task::spawn_blocking(move || to.enqueue(letters, share));
        if enqueue.await.unwrap_or(false) {
            self.num_taken.add(num_records as u64);
        }
    }
}

impl Shared {
    /// Passes the records of a request on as dead letters, if they are wanted and can be told. `ack`
    /// is shared: a journal entry is not done with before they are.
    pub(super) async fn bury(&self, request: &Request, ack: &Ack, why: &str) {
        if self.dead_letters.is_some()
            && let Some(records) = self.exporter.records(request)
        {
            self.bury_batch(&records, ack, why).await;
        }
    }

    /// The same for a batch of which no request came about.
    pub(super) async fn bury_batch(&self, records: &Batch, ack: &Ack, why: &str) {
        if let Some(letters) = &self.dead_letters {
            letters.take(&self.id, why, records, ack.share(Live::none())).await;
        }
    }
}

/// The records with attributes that say what happened to them.
fn marked(records: &Batch, exporter: &str, why: &str) -> Batch {
    records.rewrite(|_, record| {
        let mut attributes = record.attributes_mut();
        attributes.set(EXPORTER, Value::Str(exporter));
        attributes.set(REASON, Value::Str(why));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::test_support::batch;

    #[test]
    fn records_say_who_refused_them_and_why() {
        let marked = marked(&batch(&[3, 4]), "otlp/eu", "exporter `otlp/eu`: 400");
        assert_eq!(marked.num_records(), 2);
        for item in marked.logs().items() {
            let text = |name| {
                item.record.attributes().get(name).and_then(|v| v.as_str().map(str::to_owned))
            };
            assert_eq!(text(EXPORTER).as_deref(), Some("otlp/eu"));
            assert_eq!(text(REASON).as_deref(), Some("exporter `otlp/eu`: 400"));
        }
    }
}
