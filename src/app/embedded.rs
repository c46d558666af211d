//! The pipelines that come with the program.

use crate::config::{Diagnostic, Env, Source, did_you_mean};

/// The one that runs without `--config`.
pub(super) const DEFAULT: &str = "default";

/// The variable that adds remote-write to the default pipeline.
pub const REMOTE_WRITE_VARIABLE: &str = "CATCHMENT_REMOTE_WRITE_URL";

/// What is merged over the default pipeline for remote-write.
const DEFAULT_REMOTE_WRITE: Pipeline = Pipeline {
    name: "default-remote-write",
    text: include_str!("../../pipelines/default-remote-write.yaml"),
};

/// A pipeline that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline {
    /// What follows `embedded:` on the command line.
    pub name: &'static str,
    /// The file as it stands in `pipelines/`.
    pub text: &'static str,
}

/// All of them.
pub const PIPELINES: [Pipeline; 6] = [
    Pipeline { name: DEFAULT, text: include_str!("../../pipelines/default.yaml") },
    Pipeline { name: "demo", text: include_str!("../../pipelines/demo.yaml") },
    Pipeline { name: "sidecar", text: include_str!("../../pipelines/sidecar.yaml") },
    Pipeline { name: "daemonset", text: include_str!("../../pipelines/daemonset.yaml") },
    Pipeline { name: "gateway", text: include_str!("../../pipelines/gateway.yaml") },
    Pipeline { name: "grafana-cloud", text: include_str!("../../pipelines/grafana-cloud.yaml") },
];

impl Pipeline {
    /// The pipeline called `name`.
    ///
    /// # Errors
    ///
    /// Fails with the names that there are.
    pub fn of(name: &str) -> Result<Self, Diagnostic> {
        let found = PIPELINES.into_iter().find(|pipeline| pipeline.name == name);
        found.ok_or_else(|| {
            let names = PIPELINES.map(|pipeline| pipeline.name);
            let problem = Diagnostic::error(format!("there is no embedded pipeline `{name}`"));
            let hint = did_you_mean(name, names);
            problem.hint(hint.unwrap_or_else(|| format!("there are: {}", names.join(", "))))
        })
    }

    /// What it is for, in lines: the first paragraph of the comment at its beginning.
    pub fn about(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines().map_while(|line| line.strip_prefix("# "))
    }

    /// What it is made of.
    pub(super) fn sources(&self, env: Env<'_>) -> Vec<Source> {
        let mut sources = vec![self.source()];
        let is_set = env(REMOTE_WRITE_VARIABLE).is_some_and(|url| !url.is_empty());
        if self.name == DEFAULT && is_set {
            sources.push(DEFAULT_REMOTE_WRITE.source());
        }
        sources
    }

    fn source(&self) -> Source {
        let name = format!("pipelines/{}.yaml", self.name);
        Source::Embedded { name, text: self.text.to_owned() }
    }
}
