//! `catchment components`: what a file may name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use serde::Serialize;

use crate::component::{Kind, Registered, Registry};
use crate::components::builtin;
use crate::config::did_you_mean;
use crate::data::Signal;

/// Lists the components that a configuration may name
///
/// Each with the signals that it handles, how far it can be relied on, and other names that it goes
/// by. A connector has pairs of signals: what comes in, and what goes out.
#[derive(Debug, clap::Args)]
pub(super) struct Components {
    /// Only components of this name, with their examples
    name: Option<String>,
    /// An example of each: a body that works
    #[arg(long)]
    examples: bool,
    /// Print JSON, with the examples
    #[arg(long)]
    json: bool,
}

/// A component type.
#[derive(Debug, Serialize)]
struct Listed {
    kind: &'static str,
    name: &'static str,
    aliases: &'static [&'static str],
    stability: &'static str,
    signals: Vec<String>,
    example: &'static str,
}

impl Listed {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl Components {
    /// Prints the list.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut components = listed(&builtin());
        if let Some(name) = &self.name {
            let names: Vec<&str> = components.iter().map(|component| component.name).collect();
            components.retain(|component| component.is_called(name));
            if components.is_empty() {
                let hint = did_you_mean(name, names).map(|hint| format!(", {hint}"));
                bail!("there is no component `{name}`{}", hint.unwrap_or_default());
            }
        }
        if self.json {
            return super::print(&format!("{}\n", serde_json::to_string_pretty(&components)?));
        }
        if self.examples || self.name.is_some() {
            return super::print(&examples(&components));
        }
        super::print(&table(&components))
    }
}

fn listed(registry: &Registry) -> Vec<Listed> {
    let mut all = Vec::new();
    push(&mut all, Kind::Receiver, &registry.receivers);
    push(&mut all, Kind::Processor, &registry.processors);
    push(&mut all, Kind::Connector, &registry.connectors);
    push(&mut all, Kind::Exporter, &registry.exporters);
    push(&mut all, Kind::Extension, &registry.extensions);
    all
}

fn push<T>(all: &mut Vec<Listed>, kind: Kind, section: &BTreeMap<&str, Registered<T>>) {
    all.extend(section.values().map(|registered| Listed {
        kind: kind.as_str(),
        name: registered.type_name,
        aliases: registered.aliases,
        stability: registered.stability.as_str(),
        signals: registered.pairs.iter().map(|pair| signals(kind, *pair)).collect(),
        example: registered.example,
    }));
}

fn signals(kind: Kind, (from, to): (Signal, Signal)) -> String {
    match kind {
        Kind::Connector => format!("{} to {}", from.as_str(), to.as_str()),
        _ => from.as_str().to_owned(),
    }
}

/// The components in columns, by kind.
fn table(components: &[Listed]) -> String {
    let rows: Vec<[String; 4]> = components
        .iter()
        .map(|listed| {
            let aliases = match listed.aliases {
                [] => String::new(),
                aliases => format!("also {}", aliases.join(", ")),
            };
            let signals = listed.signals.join(", ");
            [listed.name.to_owned(), listed.stability.to_owned(), signals, aliases]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    let mut kind = "";
    for (component, [name, stability, signals, aliases]) in components.iter().zip(&rows) {
        if component.kind != kind {
            let gap = if kind.is_empty() { "" } else { "\n" };
            kind = component.kind;
            push_line(&mut text, &format!("{gap}{kind}s"));
        }
        let line = format!(
            "  {name:0$}  {stability:1$}  {signals:2$}  {aliases}",
            widths[0], widths[1], widths[2]
        );
        push_line(&mut text, line.trim_end());
    }
    text
}

/// The components with their examples, as they stand in a file.
fn examples(components: &[Listed]) -> String {
    let mut text = String::new();
    for component in components {
        let gap = if text.is_empty() { "" } else { "\n" };
        let about = match component.signals.as_slice() {
            [] => component.stability.to_owned(),
            signals => format!("{}: {}", component.stability, signals.join(", ")),
        };
        push_line(&mut text, &format!("{gap}# {} {}, {about}", component.kind, component.name));
        if !component.aliases.is_empty() {
            push_line(&mut text, &format!("# also called {}", component.aliases.join(", ")));
        }
        push_line(&mut text, &format!("{}s:", component.kind));
        push_line(&mut text, &format!("  {}:", component.name));
        for line in component.example.lines().filter(|line| !line.trim().is_empty()) {
            push_line(&mut text, &format!("    {line}"));
        }
    }
    text
}

fn push_line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Node;

    #[test]
    fn every_component_is_in_the_table_under_its_kind() {
        let components = listed(&builtin());
        let table = table(&components);
        for component in &components {
            let heading = table.find(&format!("{}s\n", component.kind)).unwrap();
            let below = &table[heading..];
            assert!(below.contains(&format!("\n  {} ", component.name)), "{}", component.name);
        }
        assert!(table.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn examples_are_pieces_of_a_configuration() {
        for component in listed(&builtin()) {
            let (kind, name) = (component.kind, component.name);
            let text = examples(&[component]);
            let node = Node::parse("example", &text).unwrap();
            assert!(node.get(&format!("{kind}s")).unwrap().get(name).is_some(), "{text}");
        }
    }
}
