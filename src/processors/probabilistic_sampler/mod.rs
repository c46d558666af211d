//! Processor `probabilistic_sampler`: keeps a share of spans or log records.

mod decision;
mod sampler;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use decision::{Decider, Method};
use sampler::{LogSettings, Tally};

pub use sampler::Sampler;

use crate::component::{BuildContext, BuildError, Processor, ProcessorConfig, Sharding, Stability};
use crate::data::Signal;
use crate::sampling::{HashBuckets, Threshold};

/// Settings of `probabilistic_sampler`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "SamplerForm")]
pub struct SamplerConfig {
    /// How the decision is made.
    pub mode: Mode,
    /// The share to keep, in percent: from 0, the default, to 100; more counts as 100.
    pub sampling_percentage: f32,
    /// What the hash begins with, in mode `hash_seed`; default 0.
    pub hash_seed: u32,
    /// Whether items that do not say enough to be sampled, or contradict themselves, are dropped;
    /// default true.
    pub fail_closed: bool,
    /// Hexadecimal digits of a threshold, from 1 to 14; default 4.
    pub sampling_precision: u32,
    /// What is hashed of a log record; default its trace id.
    pub attribute_source: AttributeSource,
    /// The attribute of a log record that is hashed, where that is asked for or there is no trace
    /// id; by default none.
    pub from_attribute: String,
    /// The attribute of a log record that has a percentage of its own; by default none.
    pub sampling_priority: String,
}

/// How the decision is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By a hash of the trace id or an attribute.
    #[default]
    HashSeed,
    /// Whatever comes in, as much is kept as if nothing had been sampled before.
    Equalizing,
    /// So much is kept of what comes in.
    Proportional,
}

/// What is hashed of a log record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum AttributeSource {
    /// Its trace id.
    #[default]
    #[serde(rename = "traceID")]
    TraceId,
    /// The attribute that `from_attribute` names.
    #[serde(rename = "record")]
    Record,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SamplerForm {
    mode: Mode,
    sampling_percentage: f32,
    hash_seed: u32,
    fail_closed: bool,
    sampling_precision: u32,
    attribute_source: AttributeSource,
    from_attribute: String,
    sampling_priority: String,
}

impl Default for SamplerForm {
    fn default() -> Self {
        Self {
            mode: Mode::HashSeed,
            sampling_percentage: 0.0,
            hash_seed: 0,
            fail_closed: true,
            sampling_precision: 4,
            attribute_source: AttributeSource::TraceId,
            from_attribute: String::new(),
            sampling_priority: String::new(),
        }
    }
}

impl TryFrom<SamplerForm> for SamplerConfig {
    type Error = String;

    fn try_from(form: SamplerForm) -> Result<Self, String> {
        let percentage = form.sampling_percentage;
        let ratio = f64::from(percentage) / 100.0;
        if !percentage.is_finite() || percentage < 0.0 {
            return Err(format!("`sampling_percentage` is {percentage}, it must be at least 0"));
        }
        if percentage > 0.0 && ratio < Threshold::MIN_PROBABILITY {
            return Err(format!(
                "`sampling_percentage` is {percentage}, it must be 0 or at least {:e}",
                Threshold::MIN_PROBABILITY * 100.0
            ));
        }
        if !(1..=14).contains(&form.sampling_precision) {
            let precision = form.sampling_precision;
            return Err(format!("`sampling_precision` is {precision}, it must be from 1 to 14"));
        }
        Ok(Self {
            mode: form.mode,
            sampling_percentage: percentage,
            hash_seed: form.hash_seed,
            fail_closed: form.fail_closed,
            sampling_precision: form.sampling_precision,
            attribute_source: form.attribute_source,
            from_attribute: form.from_attribute,
            sampling_priority: form.sampling_priority,
        })
    }
}

impl SamplerConfig {
    fn method(&self) -> Result<Method, BuildError> {
        let ratio = (f64::from(self.sampling_percentage) / 100.0).min(1.0);
        if ratio == 0.0 {
            return Ok(Method::Never);
        }
        Ok(match self.mode {
            Mode::HashSeed => {
                match HashBuckets::of_percentage(self.sampling_percentage).threshold() {
                    Threshold::NEVER => Method::Never,
                    threshold => Method::Hash { threshold },
                }
            }
            Mode::Equalizing => {
                let threshold = Threshold::of_probability(ratio, self.sampling_precision);
                let threshold = threshold.map_err(|error| BuildError::Cause {
                    what: "cannot use `sampling_percentage`",
                    source: error.into(),
                })?;
                Method::Equalizing { threshold }
            }
            Mode::Proportional => {
                Method::Proportional { ratio, num_digits: self.sampling_precision }
            }
        })
    }

    fn sampler(&self, tally: Tally) -> Result<Sampler, BuildError> {
        let decider = Decider { method: self.method()?, is_closed: self.fail_closed };
        let name = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        let logs = LogSettings {
            hashes_trace_id: self.attribute_source == AttributeSource::TraceId,
            hashed_attribute: name(&self.from_attribute),
            priority_attribute: name(&self.sampling_priority),
            num_digits: self.sampling_precision,
        };
        Ok(Sampler::new(decider, self.hash_seed, logs, tally))
    }
}

impl ProcessorConfig for SamplerConfig {
    const TYPE: &'static str = "probabilistic_sampler";
    const EXAMPLE: &'static str = "\
mode: hash_seed
hash_seed: 22
sampling_percentage: 15.3
";
    const SIGNALS: &'static [Signal] = &[Signal::Logs, Signal::Traces];
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if self.sampling_percentage > 0.0 && self.method()? == Method::Never {
            tracing::warn!(
                processor = %context.id,
                percentage = self.sampling_percentage,
                "percentage is less than one of 16384 hash buckets, nothing will be kept"
            );
        }
        Ok(Box::new(self.sampler(Tally::new(context, &self.from_attribute))?))
    }
}
