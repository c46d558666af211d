//! What the parts of a plan are, in 128 bits each: what is equal in two plans can stay.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash3_128;

use super::Plan;
use super::graph::{End, PlannedPipeline};
use crate::config::{ComponentId, Node, PipelineId};
use crate::data::Signal;

/// The parts of a plan, or those that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Prints {
    pub(super) extensions: BTreeMap<ComponentId, u128>,
    pub(super) exporters: BTreeMap<(ComponentId, Signal), u128>,
    /// With what is behind them.
    pub(super) connectors: BTreeMap<(ComponentId, Signal), u128>,
    /// With their processors and what is behind them.
    pub(super) pipelines: BTreeMap<PipelineId, u128>,
    pub(super) receivers: BTreeMap<ComponentId, u128>,
    processors: BTreeMap<ComponentId, u128>,
}

/// What a new plan changes, by the paths of components and pipelines in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changes {
    /// Those that were not there.
    pub added: Vec<String>,
    /// Those that are there no more.
    pub removed: Vec<String>,
    /// Those that are built anew: their settings changed, or those of what they use or feed.
    pub changed: Vec<String>,
    /// Those that go on as they are.
    pub kept: Vec<String>,
}

impl Changes {
    /// Whether all goes on as it is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Text that becomes a print.
#[derive(Default)]
struct Ink(String);

impl Ink {
    fn node(mut self, node: &Node) -> Self {
        node.spell(&mut self.0);
        self
    }

    fn text(mut self, text: &impl ToString) -> Self {
        self.0.push('|');
        self.0.push_str(&text.to_string());
        self
    }

    fn print(&self) -> u128 {
        XxHash3_128::oneshot(self.0.as_bytes())
    }
}

impl Prints {
    /// The parts that a plan uses.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut prints = Self::default();
        for (id, planned) in &plan.extensions {
            prints.extensions.insert(id.clone(), Ink::default().node(&planned.node).print());
        }
        for (id, planned) in &plan.processors {
            prints.processors.insert(id.clone(), Ink::default().node(&planned.node).print());
        }
        for (id, planned) in &plan.exporters {
            let to = planned.loaded.driver.dead_letter.as_ref();
            let to = to.and_then(|to| plan.exporters.get(to));
            for signal in Signal::ALL {
                if plan.is_fed(id, signal) {
                    let mut ink =
                        prints.with_used(Ink::default().node(&planned.node), &planned.node);
                    // With the exporter of its dead letters it is replaced.
                    if let Some(to) = to {
                        ink = prints.with_used(ink.node(&to.node), &to.node);
                    }
                    prints.exporters.insert((id.clone(), signal), ink.print());
                }
            }
        }
        for (id, planned) in &plan.receivers {
            let end = End::Component(id.clone());
            let mut fed = plan.pipelines.iter().filter(|p| p.receivers.contains(&end));
            if let Some(first) = fed.next() {
                let ink = Ink::default().node(&planned.node).text(&first.id.signal().as_str());
                let ink = prints.with_used(ink, &planned.node);
                prints.receivers.insert(id.clone(), ink.print());
            }
        }
        // What is behind a connector is in the order before it.
        for pipeline in plan.pipelines.iter().rev() {
            prints.add_connectors(plan, pipeline);
            prints.add_pipeline(pipeline);
        }
        prints
    }

    /// Adds the extensions that a component names.
    fn with_used(&self, ink: Ink, node: &Node) -> Ink {
        let used = self.extensions.iter();
        let used = used.filter(|(id, _)| node.find_text(&id.to_string()).is_some());
        used.fold(ink, |ink, (_, print)| ink.text(print))
    }

    fn add_connectors(&mut self, plan: &Plan, pipeline: &PlannedPipeline) {
        let signal = pipeline.id.signal();
        for (id, planned) in &plan.connectors {
            let end = End::Connector(id.clone());
            if !pipeline.exporters.contains(&end) {
                continue;
            }
            let behind = plan.pipelines.iter().filter(|other| {
                other.receivers.contains(&end)
                    && planned.pairs.contains(&(signal, other.id.signal()))
            });
            let ink = behind.fold(Ink::default().node(&planned.node), |ink, other| {
                let print = self.pipelines.get(&other.id).copied().unwrap_or_default();
                ink.text(&other.id).text(&print)
            });
            self.connectors.insert((id.clone(), signal), ink.print());
        }
    }

    fn add_pipeline(&mut self, pipeline: &PlannedPipeline) {
        let signal = pipeline.id.signal();
        let mut ink = Ink::default();
        for id in &pipeline.processors {
            let print = self.processors.get(id).copied().unwrap_or_default();
            ink = ink.text(id).text(&print);
        }
        for end in &pipeline.exporters {
            let (id, print) = match end {
                End::Component(id) => (id, self.exporters.get(&(id.clone(), signal))),
                End::Connector(id) => (id, self.connectors.get(&(id.clone(), signal))),
            };
            ink = ink.text(id).text(&print.copied().unwrap_or_default());
        }
        self.pipelines.insert(pipeline.id.clone(), ink.print());
    }

    /// What is the same in both.
    pub(super) fn kept(&self, new: &Self) -> Self {
        Self {
            extensions: same(&self.extensions, &new.extensions),
            exporters: same(&self.exporters, &new.exporters),
            connectors: same(&self.connectors, &new.connectors),
            pipelines: same(&self.pipelines, &new.pipelines),
            receivers: same(&self.receivers, &new.receivers),
            processors: same(&self.processors, &new.processors),
        }
    }

    /// What `new` changes.
    pub(super) fn changes(&self, new: &Self) -> Changes {
        let (old, new) = (self.named(), new.named());
        let mut changes = Changes::default();
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let list = match (old.get(name), new.get(name)) {
                (None, _) => &mut changes.added,
                (_, None) => &mut changes.removed,
                (old, new) if old == new => &mut changes.kept,
                _ => &mut changes.changed,
            };
            list.push(name.clone());
        }
        changes
    }

    /// All parts by their paths in the file.
    fn named(&self) -> BTreeMap<String, Vec<u128>> {
        let Self { extensions, exporters, connectors, pipelines, receivers, processors } = self;
        let mut named: BTreeMap<String, Vec<u128>> = BTreeMap::new();
        let mut add = |section: &str, id: &dyn ToString, print: u128| {
            named.entry(format!("{section}::{}", id.to_string())).or_default().push(print);
        };
        extensions.iter().for_each(|(id, print)| add("extensions", id, *print));
        processors.iter().for_each(|(id, print)| add("processors", id, *print));
        receivers.iter().for_each(|(id, print)| add("receivers", id, *print));
        pipelines.iter().for_each(|(id, print)| add("service::pipelines", id, *print));
        exporters.iter().for_each(|((id, _), print)| add("exporters", id, *print));
        connectors.iter().for_each(|((id, _), print)| add("connectors", id, *print));
        named
    }
}

fn same<K: Ord + Clone>(old: &BTreeMap<K, u128>, new: &BTreeMap<K, u128>) -> BTreeMap<K, u128> {
    let equal = new.iter().filter(|(key, print)| old.get(*key) == Some(print));
    equal.map(|(key, print)| (key.clone(), *print)).collect()
}
