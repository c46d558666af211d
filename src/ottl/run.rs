//! Programs on batches.

use super::any_of::{Errors, Failed};
use super::context::Context;
use super::program::Program;
use super::scene::Scene;
use crate::data::wire::{self, Fields, Writer};
use crate::data::{Batch, DataKind, MessageMut, Metric, Regroup, Time};

/// The fields of a span that hold events and links.
const EVENTS: u32 = 11;
const LINKS: u32 = 13;
/// The field that holds the points in the data of a metric.
const POINTS: u32 = 1;

impl Program {
    /// Runs the statements on all of a batch that they are about.
    ///
    /// # Errors
    ///
    /// Fails if a statement or a condition fails, and that is to be propagated.
    pub fn run_on(&self, batch: &Batch, now: Time, errors: &Errors) -> Result<Batch, Failed> {
        let mut run = Run {
            program: self,
            errors,
            scene: Scene::new(batch.context(), now),
            work: Writer::default(),
            failure: None,
        };
        let edited = if self.needs_groups() { batch.regroup(&mut run) } else { run.rewrite(batch) };
        run.failure.map_or(Ok(edited), Err)
    }

    /// Whether something is written that lies above what the statements are about.
    fn needs_groups(&self) -> bool {
        self.makes_metrics
            || (matches!(self.writes, Context::Resource | Context::Scope)
                && self.writes != self.context)
    }

    /// Runs the statements on what the scene shows.
    ///
    /// # Errors
    ///
    /// Fails if one fails, and that is to be propagated.
    #[inline]
    pub fn run(&self, scene: &mut Scene<'_>, errors: &Errors) -> Result<(), Failed> {
        if !self.applies(scene, errors)? {
            return Ok(());
        }
        for statement in &self.statements {
            if let Err(error) = statement.run(scene) {
                errors.take(statement.text(), error)?;
            }
        }
        Ok(())
    }
}

/// A program on its way through a batch.
struct Run<'p, 'a> {
    program: &'p Program,
    errors: &'p Errors,
    scene: Scene<'a>,
    work: Writer,
    /// The first failure, after which nothing is done.
    failure: Option<Failed>,
}

impl<'a> Run<'_, 'a> {
    /// Only what the statements are about is written.
    fn rewrite(&mut self, batch: &'a Batch) -> Batch {
        match self.program.context {
            Context::Resource => batch.rewrite_resources(|resource, message| {
                self.scene.resource.load(resource.bytes());
                self.run();
                replace(message, self.scene.resource.edited());
            }),
            Context::Scope => batch.rewrite_scopes(|item, message| {
                self.scene.resource.load(item.resource.bytes());
                self.scene.scope.load(item.scope.bytes());
                self.run();
                replace(message, self.scene.scope.edited());
            }),
            Context::Log => batch.rewrite_logs(|item, message| {
                self.load_owners(item.resource.bytes(), item.scope.bytes());
                self.element(item.record.bytes());
                replace(message, self.scene.element.edited());
            }),
            Context::Span | Context::SpanEvent | Context::SpanLink => {
                batch.rewrite_spans(|item, message| {
                    self.load_owners(item.resource.bytes(), item.scope.bytes());
                    self.element(item.record.bytes());
                    replace(message, self.scene.element.edited());
                })
            }
            _ => batch.rewrite_metrics(|item, message| {
                self.load_owners(item.resource.bytes(), item.scope.bytes());
                self.element(item.record.bytes());
                replace(message, self.scene.element.edited());
            }),
        }
    }

    #[inline]
    fn load_owners(&mut self, resource: &'a [u8], scope: &'a [u8]) {
        self.scene.resource.load(resource);
        self.scene.scope.load(scope);
    }

    #[inline]
    fn run(&mut self) {
        if self.failure.is_some() {
            return;
        }
        self.scene.cache.clear();
        if let Err(failed) = self.program.run(&mut self.scene, self.errors) {
            self.failure = Some(failed);
        }
    }

    /// Runs on an element or on what is inside of it, and leaves it in the scene.
    #[inline]
    fn element(&mut self, element: &'a [u8]) {
        self.scene.element.load(element);
        match self.program.context {
            Context::SpanEvent => self.inner(element, EVENTS),
            Context::SpanLink => self.inner(element, LINKS),
            Context::DataPoint | Context::Exemplar => self.points(element),
            Context::Metric => {
                self.scene.kind = Metric::of_encoded(element).kind();
                self.run();
            }
            _ => self.run(),
        }
    }

    /// Runs on each event or link.
    fn inner(&mut self, element: &'a [u8], number: u32) {
        self.work.clear();
        let mut is_edited = false;
        let fields = Fields::new(element).filter(|field| field.number == number);
        for (index, field) in fields.enumerate() {
            self.scene.inner.load(field.bytes());
            self.scene.event_index = index;
            self.run();
            is_edited |= self.scene.inner.is_edited();
            self.work.bytes_field(number, self.scene.inner.bytes());
        }
        if is_edited {
            self.scene.element.replace_all(number, self.work.as_slice());
        }
    }

    /// Runs on each point, or on each exemplar of one.
    fn points(&mut self, element: &'a [u8]) {
        let Some(kind) = Metric::of_encoded(element).kind() else { return };
        self.scene.kind = Some(kind);
        let data = wire::payload(element, kind.field_number()).unwrap_or_default();
        let mut points = std::mem::take(&mut self.work);
        points.clear();
        let mut is_edited = false;
        for field in Fields::new(data).filter(|field| field.number == POINTS) {
            self.scene.inner.load(field.bytes());
            match self.program.context {
                Context::Exemplar => self.exemplars(field.bytes(), kind),
                _ => self.run(),
            }
            is_edited |= self.scene.inner.is_edited();
            points.bytes_field(POINTS, self.scene.inner.bytes());
        }
        if is_edited {
            let data = wire::payload(self.scene.element.bytes(), kind.field_number());
            let mut rewritten = Writer::with_capacity(points.len() + 16);
            rewritten.raw(points.as_slice());
            for field in Fields::new(data.unwrap_or_default()) {
                if field.number != POINTS {
                    let bytes = data.unwrap_or_default().get(field.start..field.end);
                    rewritten.raw(bytes.unwrap_or_default());
                }
            }
            let mut encoded = Writer::with_capacity(rewritten.len() + 8);
            encoded.bytes_field(kind.field_number(), rewritten.as_slice());
            self.scene.element.set_field(kind.field_number(), encoded.as_slice());
        }
        self.work = points;
    }

    fn exemplars(&mut self, point: &'a [u8], kind: DataKind) {
        let number = match kind {
            DataKind::Gauge | DataKind::Sum => 5,
            DataKind::Histogram => 8,
            DataKind::ExponentialHistogram => 11,
            DataKind::Summary => return,
        };
        let mut exemplars = Writer::default();
        let mut is_edited = false;
        for field in Fields::new(point).filter(|field| field.number == number) {
            self.scene.exemplar.load(field.bytes());
            self.run();
            is_edited |= self.scene.exemplar.is_edited();
            exemplars.bytes_field(number, self.scene.exemplar.bytes());
        }
        if is_edited {
            self.scene.inner.replace_all(number, exemplars.as_slice());
        }
    }
}

fn replace(message: &mut MessageMut<'_, '_>, edited: Option<&[u8]>) {
    if let Some(edited) = edited {
        message.replace_message(edited);
    }
}

impl<'a> Regroup<'a> for Run<'_, 'a> {
    fn begin_resource(&mut self, resource: &'a [u8]) {
        self.scene.resource.load(resource);
        if self.program.context == Context::Resource {
            self.run();
        }
    }

    fn begin_scope(&mut self, scope: &'a [u8]) {
        self.scene.scope.load(scope);
        if self.program.context == Context::Scope {
            self.run();
        }
    }

    fn element(&mut self, element: &'a [u8], emit: &mut dyn FnMut(&[u8])) {
        match self.program.context {
            Context::Resource | Context::Scope => self.scene.element.load(element),
            _ => Self::element(self, element),
        }
        emit(self.scene.element.bytes());
        // What is made is run through the statements too, and may make more.
        let mut next = 0;
        while let Some(made) = self.scene.made.get(next).cloned() {
            next += 1;
            self.scene.replace_metric(&made);
            self.run();
            emit(self.scene.element.bytes());
        }
        self.scene.made.clear();
    }

    fn end_scope(&mut self) -> &[u8] {
        self.scene.scope.bytes()
    }

    fn end_resource(&mut self) -> &[u8] {
        self.scene.resource.bytes()
    }
}
