//! Whether what is referred to is there, as far as that can be said without knowing components.

use std::collections::BTreeSet;

use super::{ComponentId, Declared, Diagnostic, Document, Pipeline, Reference, did_you_mean};

/// Where a list of a pipeline may lead to: sections, the first is the usual one.
struct Target<'a> {
    list: &'static str,
    sections: &'a [&'static str],
}

impl Document {
    /// Reports what is missing or refers to nothing.
    ///
    /// These are: no receiver, no exporter, no pipeline; a pipeline without a receiver or exporter;
    /// references to what is not configured; a component twice in a list; a connector that has the id of
    /// a receiver or exporter, that is used on one side only, or that closes a cycle of pipelines.
    /// Whether a type exists and supports a signal is not known here.
    #[must_use]
    pub fn check_references(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        self.check_sections(&mut problems);
        self.check_extensions(&mut problems);
        for pipeline in &self.service.pipelines {
            self.check_pipeline(pipeline, &mut problems);
        }
        self.check_connectors(&mut problems);
        self.check_cycles(&mut problems);
        problems
    }

    fn check_sections(&self, problems: &mut Vec<Diagnostic>) {
        if self.problems().iter().any(Diagnostic::is_error) {
            // What is missing may be what could not be read.
            return;
        }
        let place = self.root().place();
        let mut need = |is_empty: bool, what: &str, key: &str| {
            if is_empty {
                let message = format!("no {what} is configured, at least one is needed");
                let place = self.root().as_map().and_then(|map| map.entry(key));
                let place = place.map_or(self.root().place(), |entry| &entry.place);
                problems.push(Diagnostic::error(message).at(place));
            }
        };
        need(self.receivers.is_empty(), "receiver", "receivers");
        need(self.exporters.is_empty(), "exporter", "exporters");
        if self.service.pipelines.is_empty() {
            let message = "no pipeline is configured, at least one is needed";
            let place = self.service.place.as_ref().unwrap_or(place);
            problems.push(Diagnostic::error(message).at(place).in_path("service::pipelines"));
        }
    }

    fn check_extensions(&self, problems: &mut Vec<Diagnostic>) {
        let target = Target { list: "extensions", sections: &["extensions"] };
        for reference in &self.service.extensions {
            self.check_reference(reference, &target, "service::extensions", problems);
        }
        check_twice(&self.service.extensions, "service::extensions", problems);
    }

    fn check_pipeline(&self, pipeline: &Pipeline, problems: &mut Vec<Diagnostic>) {
        let path = format!("service::pipelines::{}", pipeline.id);
        let lists = [
            (&pipeline.receivers, "receivers", &["receivers", "connectors"][..]),
            (&pipeline.processors, "processors", &["processors"][..]),
            (&pipeline.exporters, "exporters", &["exporters", "connectors"][..]),
        ];
        // Lists that could not be read are not called empty as well.
        let mut problems_before = self.problems().iter().filter(|problem| problem.is_error());
        let is_unread = problems_before.any(|problem| problem.path().starts_with(&path));
        for (references, list, sections) in lists {
            let target = Target { list, sections };
            if references.is_empty() && list != "processors" && !is_unread {
                let message = format!("the pipeline `{}` has no {list}", pipeline.id);
                problems.push(Diagnostic::error(message).at(&pipeline.place).in_path(&path));
            }
            for reference in references {
                self.check_reference(reference, &target, &path, problems);
            }
            check_twice(references, &path, problems);
        }
    }

    fn check_reference(
        &self,
        reference: &Reference,
        target: &Target<'_>,
        path: &str,
        problems: &mut Vec<Diagnostic>,
    ) {
        let sections = self.sections();
        let is_in = |declared: &[Declared]| declared.iter().any(|next| next.id == reference.id);
        let allowed = || sections.iter().filter(|(section, _)| target.sections.contains(section));
        if allowed().any(|(_, declared)| is_in(declared)) {
            return;
        }
        let what = target.list.trim_end_matches('s');
        let message = format!("references {what} `{}` which is not configured", reference.id);
        let elsewhere = sections.iter().find(|(_, declared)| is_in(declared));
        let hint = elsewhere.map_or_else(
            || {
                let known: Vec<String> = allowed()
                    .flat_map(|(_, declared)| declared.iter().map(|next| next.id.to_string()))
                    .collect();
                let near =
                    did_you_mean(&reference.id.to_string(), known.iter().map(String::as_str));
                near.or_else(|| Some(format!("configure it under `{}`", target.sections[0])))
            },
            |(section, _)| Some(format!("`{}` stands under `{section}`", reference.id)),
        );
        let problem = Diagnostic::error(message).at(&reference.place).in_path(path);
        problems.push(problem.maybe_hint(hint));
    }

    fn check_connectors(&self, problems: &mut Vec<Diagnostic>) {
        for connector in &self.connectors {
            for (what, declared) in [("receiver", &self.receivers), ("exporter", &self.exporters)] {
                let clash = declared.iter().find(|other| other.id == connector.id);
                if let Some(other) = clash {
                    let message =
                        format!("`{}` is the id of a connector and of {what}", connector.id);
                    let message = message.replace("of receiver", "of a receiver");
                    let message = message.replace("of exporter", "of an exporter");
                    let problem = Diagnostic::error(message).at(&connector.place);
                    let problem = problem.in_path(connector.path());
                    problems.push(problem.see(&other.place, format!("the {what}")));
                }
            }
            self.check_sides(&connector.id, problems);
        }
    }

    /// Reports a connector that only sends or only receives.
    fn check_sides(&self, id: &ComponentId, problems: &mut Vec<Diagnostic>) {
        let pipelines = &self.service.pipelines;
        let find = |references: &[Reference]| -> Option<Reference> {
            references.iter().find(|reference| reference.id == *id).cloned()
        };
        let sends = pipelines.iter().find_map(|pipeline| find(&pipeline.receivers));
        let takes = pipelines.iter().find_map(|pipeline| find(&pipeline.exporters));
        let (reference, used, unused) = match (sends, takes) {
            (Some(reference), None) => (reference, "receiver", "exporter"),
            (None, Some(reference)) => (reference, "exporter", "receiver"),
            _ => return,
        };
        let message =
            format!("the connector `{id}` is used as {used} but not as {unused} of any pipeline");
        let hint =
            "a connector is listed in the exporters of one pipeline and the receivers of another";
        let problem = Diagnostic::error(message).at(&reference.place).hint(hint);
        problems.push(problem.in_path("service::pipelines"));
    }

    /// Reports each way from a pipeline through connectors back to itself once.
    fn check_cycles(&self, problems: &mut Vec<Diagnostic>) {
        let mut finished = BTreeSet::new();
        for start in 0..self.service.pipelines.len() {
            let mut way: Vec<(usize, &Reference)> = Vec::new();
            self.follow(start, &mut way, &mut finished, problems);
        }
    }

    /// Depth first; `way` holds the pipelines that led here and the connectors they left through.
    fn follow<'a>(
        &'a self,
        pipeline: usize,
        way: &mut Vec<(usize, &'a Reference)>,
        finished: &mut BTreeSet<usize>,
        problems: &mut Vec<Diagnostic>,
    ) {
        if let Some(start) = way.iter().position(|(seen, _)| *seen == pipeline) {
            problems.extend(self.cycle(way.get(start..).unwrap_or_default()));
            return;
        }
        if finished.contains(&pipeline) {
            return;
        }
        let Some(here) = self.service.pipelines.get(pipeline) else { return };
        for exporter in &here.exporters {
            if !self.connectors.iter().any(|connector| connector.id == exporter.id) {
                continue;
            }
            for (index, next) in self.service.pipelines.iter().enumerate() {
                if next.receivers.iter().any(|receiver| receiver.id == exporter.id) {
                    way.push((pipeline, exporter));
                    self.follow(index, way, finished, problems);
                    way.pop();
                }
            }
        }
        finished.insert(pipeline);
    }

    fn cycle(&self, way: &[(usize, &Reference)]) -> Option<Diagnostic> {
        let pipelines = &self.service.pipelines;
        let mut shown = String::new();
        for (index, connector) in way {
            shown.push_str(&format!("{} -> {} -> ", pipelines.get(*index)?.id, connector.id));
        }
        let (first, connector) = way.first()?;
        shown.push_str(&pipelines.get(*first)?.id.to_string());
        let problem = Diagnostic::error(format!("pipelines form a cycle: {shown}"));
        Some(problem.at(&connector.place).in_path("service::pipelines"))
    }
}

fn check_twice(references: &[Reference], path: &str, problems: &mut Vec<Diagnostic>) {
    for (index, reference) in references.iter().enumerate() {
        let before = references.iter().take(index);
        if let Some(first) = before.into_iter().find(|other| other.id == reference.id) {
            let message = format!("`{}` is in the list twice", reference.id);
            let problem = Diagnostic::error(message).at(&reference.place).in_path(path);
            problems.push(problem.see(&first.place, "first here"));
        }
    }
}
