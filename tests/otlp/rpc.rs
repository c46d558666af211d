//! `google.rpc` messages as clients read them (googleapis, google/rpc).

use std::time::Duration;

use prost::Message;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<prost_duration::Duration>,
}

pub mod prost_duration {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Duration {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }
}

impl Status {
    /// The delay of a `RetryInfo` among the details.
    pub fn retry_delay(&self) -> Option<Duration> {
        let detail = self.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
        let delay = RetryInfo::decode(&detail.value[..]).unwrap().retry_delay?;
        Some(Duration::new(u64::try_from(delay.seconds).unwrap(), delay.nanos.cast_unsigned()))
    }

    pub fn has_bad_request(&self) -> bool {
        self.details.iter().any(|detail| detail.type_url == BAD_REQUEST)
    }

    /// A status with a `RetryInfo`.
    pub fn with_retry(code: i32, delay: Duration) -> Self {
        let retry_delay = Some(prost_duration::Duration {
            seconds: i64::try_from(delay.as_secs()).unwrap(),
            nanos: delay.subsec_nanos().cast_signed(),
        });
        let value = RetryInfo { retry_delay }.encode_to_vec();
        let detail = Any { type_url: RETRY_INFO.to_owned(), value };
        Self { code, message: "try later".to_owned(), details: vec![detail] }
    }
}
