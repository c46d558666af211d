//! What both protocols share: who may come in, and the way of a request from bytes to records.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::response::Taken;
use super::status::{Code, Status};
use crate::codec::inflate::{Encoding, InflateError, inflate};
use crate::codec::otlp_json;
use crate::component::{Charge, Inlet, Pressure, ServerAuth};
use crate::data::{Admitted, Batch, Context, DoorLimits, Packed, Signal};
use crate::net::{BodyLimits, Peer};
use crate::telemetry::{Counter, with_causes};

/// Up to this size on the wire, compressed or JSON, a request is prepared where it was read.
const MAX_INLINE_PACKED: usize = 32 * 1024;
/// Up to this size the same holds of plain protobuf, and of what is inflated.
const MAX_INLINE_PLAIN: usize = 1024 * 1024;

/// How the records of a request are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

/// A request as it came over the wire, with the charge for its bytes.
pub(super) struct Wire {
    pub(super) signal: Signal,
    pub(super) format: Format,
    pub(super) encoding: Encoding,
    pub(super) bytes: Bytes,
    pub(super) charge: Charge,
}

/// Who and what may come in.
pub(super) struct Rules {
    pub(super) auth: Option<Arc<dyn ServerAuth>>,
    pub(super) includes_metadata: bool,
    pub(super) limits: BodyLimits,
    pub(super) door: DoorLimits,
    pub(super) num_invalid_utf8: Counter,
}

/// The way in for the requests of one protocol.
pub(super) struct Gate {
    inlet: Inlet,
    rules: Rules,
    /// Turns to prepare large requests: as many at a time as there are cores.
    turns: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(inlet: Inlet, rules: Rules) -> Self {
        let num_cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self { inlet, rules, turns: Arc::new(Semaphore::new(num_cores)) }
    }

    pub(super) const fn limits(&self) -> &BodyLimits {
        &self.rules.limits
    }

    /// Refuses what no pipeline takes.
    pub(super) fn require_pipeline(&self, signal: Signal) -> Result<(), Status> {
        if self.inlet.accepts(signal) {
            return Ok(());
        }
        let message = format!("no pipeline takes {} from this receiver", signal.as_str());
        Err(Status::new(Code::Unimplemented, message))
    }

    /// Checks who the client is, before anything of the body is read; what is known of it goes
    /// with its records.
    pub(super) fn admit_client(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Arc<Context>, Status> {
        let identity = match &self.rules.auth {
            None => None,
            Some(auth) => Some(
                auth.authenticate(headers)
                    .map_err(|error| Status::of_auth(&error, auth.challenge()))?,
            ),
        };
        Ok(Arc::new(self.context(headers, peer.addr, identity)))
    }

    fn context(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        identity: Option<Arc<str>>,
    ) -> Context {
        let mut metadata: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if self.rules.includes_metadata {
            for (name, value) in headers {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                metadata.entry(name.as_str().to_owned()).or_default().push(value);
            }
        }
        Context { peer, identity, metadata, arrived: self.inlet.now(), ..Context::default() }
    }

    /// A charge for a body that is going to be read.
    pub(super) fn charge(&self) -> Result<Charge, Pressure> {
        self.inlet.admit(0)
    }

    /// Takes a request in and waits for what becomes of its records.
    pub(super) async fn take(
        self: &Arc<Self>,
        wire: Wire,
        context: Arc<Context>,
    ) -> Result<Taken, Status> {
        let signal = wire.signal;
        let (admitted, packed) = if wire.is_small() {
            self.prepare(wire, context)
        } else {
            self.prepare_apart(wire, context).await
        }?;
        self.rules.num_invalid_utf8.add(admitted.num_invalid_utf8 as u64);
        if admitted.num_rejected > 0 {
            self.inlet.count_refused(signal, admitted.num_rejected);
        }
        let answer = self.inlet.deliver_packed(admitted.batch, packed).await;
        match Status::of_answer(&answer) {
            Some(status) => Err(status),
            None => Ok(Taken::partly(admitted.num_rejected, admitted.reason.unwrap_or_default())),
        }
    }

    /// Prepares a large request where it does not hold up others.
    async fn prepare_apart(
        self: &Arc<Self>,
        wire: Wire,
        context: Arc<Context>,
    ) -> Result<(Admitted, Option<Packed>), Status> {
        let failed = |error: &dyn std::error::Error| {
            Status::new(Code::Internal, format!("cannot read the request: {error}"))
        };
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.map_err(|error| failed(&error))?;
        let gate = Arc::clone(self);
        let work = move || {
            // Kept until the work is done, also when the client does not wait for it.
            let _turn = turn;
            gate.prepare(wire, context)
        };
        spawn_blocking(work).await.map_err(|error| failed(&error))?
    }

    /// From bytes to a batch: inflate, read JSON, validate. Also the bytes as they came, if those
    /// are the batch's, compressed.
    fn prepare(
        &self,
        wire: Wire,
        context: Arc<Context>,
    ) -> Result<(Admitted, Option<Packed>), Status> {
        let signal = wire.signal;
        let (plain, charge, mut packed) = self.inflate(wire.encoding, wire.bytes, wire.charge)?;
        let bytes = match wire.format {
            Format::Protobuf => plain,
            Format::Json => {
                packed = None;
                otlp_json::decode(signal, &plain)
                    .map_err(|error| Status::invalid(with_causes(&error)))?
            }
        };
        let sent = bytes.as_ptr_range();
        let admitted = Batch::try_new(signal, bytes, context, &self.rules.door)
            .map_err(|error| Status::invalid(with_causes(&error)))?;
        packed.take_if(
            |_| !matches!(admitted.batch.chunks(), [chunk] if chunk.as_ptr_range() == sent),
        );
        // The door may have copied the request, to repair text or to reject records.
        let mut charge = Some(charge);
        let batch = admitted.batch.tied(|chunk| match charge.take() {
            Some(charge) => charge.attach(chunk),
            None => chunk,
        });
        Ok((Admitted { batch, ..admitted }, packed))
    }

    fn inflate(
        &self,
        encoding: Encoding,
        packed: Bytes,
        packed_charge: Charge,
    ) -> Result<(Bytes, Charge, Option<Packed>), Status> {
        if encoding == Encoding::Identity {
            return Ok((packed, packed_charge, None));
        }
        let max_bytes = self.rules.limits.max_bytes;
        let mut charge = self.charge()?;
        let grow = &mut |size| charge.try_grow(size);
        match inflate(encoding, &packed, max_bytes, grow) {
            Ok(plain) => {
                let bytes = packed_charge.attach(packed);
                Ok((plain, charge, Some(Packed { encoding: encoding.name(), bytes })))
            }
            Err(InflateError::TooLarge { .. }) => Err(Status::too_large(max_bytes)),
            Err(InflateError::Refused(pressure)) => Err(pressure.into()),
            Err(error) => Err(Status::invalid(with_causes(&error))),
        }
    }
}

impl Wire {
    /// Whether preparing takes no longer than may pass between two awaits.
    fn is_small(&self) -> bool {
        match (self.format, self.encoding) {
            (Format::Protobuf, Encoding::Identity) => self.bytes.len() <= MAX_INLINE_PLAIN,
            (_, encoding) => {
                self.bytes.len() <= MAX_INLINE_PACKED
                    && encoding
                        .announced_size(&self.bytes)
                        .is_some_and(|size| size <= MAX_INLINE_PLAIN)
            }
        }
    }
}
