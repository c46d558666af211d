//! Whether the dead letters of exporters have somewhere to go.

use super::Plan;
use crate::config::{Diagnostic, Node, did_you_mean};
use crate::data::Signal;

impl Plan {
    /// Reports what is wrong with `dead_letter`: there is no such exporter, it does not take the
    /// signal, or it has dead letters itself, so that they might go around for ever.
    pub(super) fn check_dead_letters(&self, problems: &mut Vec<Diagnostic>) {
        for (id, planned) in &self.exporters {
            let Some(to) = &planned.loaded.driver.dead_letter else { continue };
            let place = planned.node.at_path("dead_letter").map_or(&planned.place, Node::place);
            let path = format!("{}::dead_letter", planned.path);
            let mut tell = |message: String, hint: Option<String>| {
                let problem = Diagnostic::error(message).at(place).in_path(&path);
                problems.push(problem.maybe_hint(hint));
            };
            let Some(target) = self.exporters.get(to) else {
                let names: Vec<String> = self.exporters.keys().map(ToString::to_string).collect();
                let hint = did_you_mean(&to.to_string(), names.iter().map(String::as_str));
                tell(format!("`{to}` is not configured in exporters"), hint);
                continue;
            };
            if target.loaded.driver.dead_letter.is_some() {
                let hint = "dead letters go no further, so that they cannot go around for ever";
                let message = format!("`{to}` has a `dead_letter` itself");
                tell(message, Some(hint.to_owned()));
            }
            for signal in Signal::ALL {
                let takes = target.pairs.iter().any(|(taken, _)| *taken == signal);
                if !takes && self.is_fed(id, signal) {
                    let signal = signal.as_str();
                    tell(format!("the exporter `{to}` does not support {signal}"), None);
                }
            }
        }
    }
}
