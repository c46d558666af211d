//! Views of log records.

use super::Time;
use super::view::message_view;

message_view! {
    /// A log record.
    LogRecord {
        /// When it happened; 0 if that is not known.
        1 time: time,
        /// How severe it is: 1 to 24, 0 if that is not known.
        2 severity_number: i32,
        /// The severity as its source calls it.
        3 severity_text: str,
        /// The message.
        5 body: value,
        /// What else is known.
        6 attributes: attributes,
        /// Attributes that were left out.
        7 dropped_attributes_count: u32,
        /// The low eight bits are the trace flags.
        8 flags: u32,
        /// The trace that it belongs to.
        9 trace_id: trace_id,
        /// The span that it belongs to.
        10 span_id: span_id,
        /// When it was seen first.
        11 observed_time: time,
        /// The name of the kind of event that it is.
        12 event_name: str,
    }
}

impl LogRecord<'_> {
    /// When it happened, or when it was seen if that is not known.
    #[must_use]
    pub fn time_or_observed(&self) -> Time {
        let time = self.time();
        if time == Time::default() { self.observed_time() } else { time }
    }
}
