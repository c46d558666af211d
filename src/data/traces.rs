//! Views of spans.

use super::view::message_view;

message_view! {
    /// A span.
    Span {
        /// The trace that it belongs to.
        1 trace_id: trace_id,
        /// Its id.
        2 span_id: span_id,
        /// The W3C trace state; consistent sampling lives here.
        3 trace_state: str,
        /// The span that it is a part of; none for a root.
        4 parent_span_id: span_id,
        /// What it does.
        5 name: str,
        /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer; 0 if that is not known.
        6 kind: i32,
        /// When it began.
        7 start_time: time,
        /// When it ended.
        8 end_time: time,
        /// What describes it.
        9 attributes: attributes,
        /// Attributes that were left out.
        10 dropped_attributes_count: u32,
        /// What happened in it.
        11 events: many(Event),
        /// Events that were left out.
        12 dropped_events_count: u32,
        /// Spans that it has to do with.
        13 links: many(Link),
        /// Links that were left out.
        14 dropped_links_count: u32,
        /// How it ended; `None` if the field is not there.
        15 status: maybe(Status),
        /// The low eight bits are the trace flags; bit 8 says that bit 9 tells whether the parent
        /// is remote.
        16 flags: u32,
    }
}

impl Span<'_> {
    /// The status code: 0 unset, 1 ok, 2 error.
    #[must_use]
    pub fn status_code(&self) -> i32 {
        self.status().map(|status| status.code()).unwrap_or_default()
    }

    /// How long it took, in nanoseconds; 0 if it ended before it began.
    #[must_use]
    pub fn duration_nanos(&self) -> u64 {
        let (start, end) = (self.start_time(), self.end_time());
        end.as_unix_nanos().saturating_sub(start.as_unix_nanos())
    }
}

message_view! {
    /// Something that happened in a span.
    Event {
        /// When it happened.
        1 time: time,
        /// What happened.
        2 name: str,
        /// What describes it.
        3 attributes: attributes,
        /// Attributes that were left out.
        4 dropped_attributes_count: u32,
    }
}

message_view! {
    /// A span that another one has to do with.
    Link {
        /// The other span's trace.
        1 trace_id: trace_id,
        /// The other span.
        2 span_id: span_id,
        /// The other span's trace state.
        3 trace_state: str,
        /// What describes the link.
        4 attributes: attributes,
        /// Attributes that were left out.
        5 dropped_attributes_count: u32,
        /// The low eight bits are the trace flags.
        6 flags: u32,
    }
}

message_view! {
    /// How a span ended.
    Status {
        /// What went wrong.
        2 message: str,
        /// 0 unset, 1 ok, 2 error.
        3 code: i32,
    }
}
