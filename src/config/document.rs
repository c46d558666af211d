//! The whole configuration: sections of components, `service`, warnings.

use std::collections::BTreeSet;

use super::{
    ComponentId, Diagnostic, Entry, Node, Place, Service, Value, did_you_mean, print, service,
};

/// The keys of the outermost map, in the order they are usually written.
const SECTIONS: [&str; 6] =
    ["receivers", "processors", "exporters", "connectors", "extensions", "service"];

/// A configuration whose outline was read: sections, ids, pipelines, `service`.
///
/// The bodies of components are still nodes; [`from_node`](super::from_node) reads them.
#[derive(Clone, Debug)]
pub struct Document {
    /// What takes data in.
    pub receivers: Vec<Declared>,
    /// What changes data.
    pub processors: Vec<Declared>,
    /// What sends data out.
    pub exporters: Vec<Declared>,
    /// What joins pipelines.
    pub connectors: Vec<Declared>,
    /// What is not part of a pipeline.
    pub extensions: Vec<Declared>,
    /// What runs, and how.
    pub service: Service,
    root: Node,
    problems: Vec<Diagnostic>,
    secrets: BTreeSet<Place>,
}

/// A component as it stands in its section.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its id.
    pub id: ComponentId,
    /// Where the id was written.
    pub place: Place,
    /// Its body; null means defaults.
    pub node: Node,
    section: &'static str,
}

impl Declared {
    /// The path for messages: `receivers::otlp/2`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}::{}", self.section, self.id)
    }

    /// The section that it stands in: `receivers`, `exporters`, …
    #[must_use]
    pub const fn section(&self) -> &'static str {
        self.section
    }
}

impl Document {
    /// Reads the outline of an expanded tree; `problems` were found before.
    pub(super) fn from_root(
        root: Node,
        mut problems: Vec<Diagnostic>,
    ) -> Result<Self, Vec<Diagnostic>> {
        if root.as_map().is_none_or(super::Map::is_empty) {
            problems.push(Diagnostic::error("the configuration is empty").at(root.place()));
            return Err(problems);
        }
        check_sections(&root, &mut problems);
        let [receivers, processors, exporters, connectors, extensions] =
            ["receivers", "processors", "exporters", "connectors", "extensions"]
                .map(|section| read_section(&root, section, &mut problems));
        let service = service::read(root.get("service"), root.place(), &mut problems);
        let (service, secrets) = service;
        let secrets = secrets.into_iter().collect();
        Ok(Self {
            receivers,
            processors,
            exporters,
            connectors,
            extensions,
            service,
            root,
            problems,
            secrets,
        })
    }

    /// What was found while loading; without errors if [`load`](super::load) gave the document.
    #[must_use]
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// The whole tree, with all `${…}` expanded.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// The sections of components with their names.
    #[must_use]
    pub fn sections(&self) -> [(&'static str, &[Declared]); 5] {
        [
            ("receivers", &self.receivers),
            ("processors", &self.processors),
            ("exporters", &self.exporters),
            ("connectors", &self.connectors),
            ("extensions", &self.extensions),
        ]
    }

    /// Notes where secrets stand, as [`read`](super::read) has found them.
    pub fn mark_secrets(&mut self, places: impl IntoIterator<Item = Place>) {
        self.secrets.extend(places);
    }

    /// The configuration in force as YAML.
    #[must_use]
    pub fn to_yaml(&self, secrets: Secrets) -> String {
        print::to_yaml(&self.root, &|value| self.masked(value, secrets))
    }

    /// The configuration in force as indented JSON.
    #[must_use]
    pub fn to_json(&self, secrets: Secrets) -> String {
        format!("{:#}", print::to_json(&self.root, &|value| self.masked(value, secrets)))
    }

    fn masked(&self, value: &print::Printed<'_>, secrets: Secrets) -> Option<String> {
        match secrets {
            Secrets::Masked => value.masked(&self.secrets),
            Secrets::Shown => None,
        }
    }
}

/// Whether secrets are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As `[REDACTED]`: what components read as secrets, and whatever has a name like one.
    Masked,
    /// As they are.
    Shown,
}

/// Reports keys that are no section.
fn check_sections(root: &Node, problems: &mut Vec<Diagnostic>) {
    for entry in root.as_map().map(super::Map::entries).unwrap_or_default() {
        if !SECTIONS.contains(&entry.key.as_str()) {
            let problem = Diagnostic::error(format!("unknown key `{}`", entry.key));
            let hint = did_you_mean(&entry.key, SECTIONS)
                .unwrap_or_else(|| format!("expected one of {}", super::quoted_list(&SECTIONS)));
            problems.push(problem.at(&entry.place).hint(hint));
        }
    }
}

fn read_section(
    root: &Node,
    section: &'static str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Declared> {
    let Some(node) = root.get(section) else { return Vec::new() };
    match node.value() {
        Value::Null => Vec::new(),
        Value::Map(map) => {
            let mut declared: Vec<Declared> = Vec::new();
            for entry in map.entries() {
                if let Some(next) = read_declared(entry, section, &declared, problems) {
                    declared.push(next);
                }
            }
            declared
        }
        other => {
            let message = format!("expected a map of components, here is {}", other.kind());
            problems.push(Diagnostic::error(message).at(node.place()).in_path(section));
            Vec::new()
        }
    }
}

fn read_declared(
    entry: &Entry,
    section: &'static str,
    before: &[Declared],
    problems: &mut Vec<Diagnostic>,
) -> Option<Declared> {
    let id: ComponentId = match entry.key.parse() {
        Ok(id) => id,
        Err(error) => {
            let error: super::IdError = error;
            problems.push(Diagnostic::error(error.to_string()).at(&entry.place).in_path(section));
            return None;
        }
    };
    if let Some(first) = before.iter().find(|declared| declared.id == id) {
        let problem = Diagnostic::error(format!("`{id}` is here twice")).at(&entry.place);
        problems.push(problem.in_path(section).see(&first.place, "first here"));
        return None;
    }
    if !matches!(entry.node.value(), Value::Null | Value::Map(_)) {
        let kind = entry.node.value().kind();
        let message = format!("expected the keys of `{id}`, here is {kind}");
        let problem = Diagnostic::error(message).at(entry.node.place());
        problems.push(problem.in_path(format!("{section}::{id}")));
        return None;
    }
    Some(Declared { id, place: entry.place.clone(), node: entry.node.clone(), section })
}
