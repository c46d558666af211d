//! Outcomes as JUnit's XML, as CI systems read it
//! (<https://github.com/testmoapp/junitxml>, "JUnit XML file format").

use std::fmt::Write as _;
use std::time::Duration;

use super::{Line, Outcome};

/// What became of a file of tests.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The file's path.
    pub name: String,
    /// Its tests; or why they could not be run.
    pub outcomes: Result<Vec<Outcome>, String>,
}

/// All suites as a document.
#[must_use]
pub fn to_xml(suites: &[Suite]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let count = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let seconds: f64 = suites.iter().map(Suite::seconds).sum();
    let (tests, failures, errors) =
        (count(Suite::num_tests), count(Suite::num_failures), count(Suite::num_errors));
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.6}\">"
    );
    for suite in suites {
        suite.write(&mut xml);
    }
    xml.push_str("</testsuites>\n");
    xml
}

impl Suite {
    const fn num_tests(&self) -> usize {
        match &self.outcomes {
            Ok(outcomes) => outcomes.len(),
            Err(_) => 1,
        }
    }

    fn num_failures(&self) -> usize {
        let outcomes = self.outcomes.iter().flatten();
        outcomes.filter(|outcome| !outcome.failures.is_empty()).count()
    }

    fn num_errors(&self) -> usize {
        usize::from(self.outcomes.is_err())
    }

    fn seconds(&self) -> f64 {
        let durations = self.outcomes.iter().flatten().map(|outcome| outcome.duration);
        durations.sum::<Duration>().as_secs_f64()
    }

    fn write(&self, xml: &mut String) {
        let name = escaped(&self.name);
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" \
             time=\"{:.6}\">",
            self.num_tests(),
            self.num_failures(),
            self.num_errors(),
            self.seconds()
        );
        match &self.outcomes {
            Ok(outcomes) => outcomes.iter().for_each(|outcome| write_case(&name, outcome, xml)),
            Err(told) => {
                let told = escaped(told);
                let _ = writeln!(
                    xml,
                    "    <testcase name=\"{name}\" classname=\"{name}\" time=\"0\">\n      \
                     <error message=\"the tests cannot be run\">{told}</error>\n    </testcase>"
                );
            }
        }
        xml.push_str("  </testsuite>\n");
    }
}

fn write_case(suite: &str, outcome: &Outcome, xml: &mut String) {
    let (name, seconds) = (escaped(&outcome.name), outcome.duration.as_secs_f64());
    let _ =
        write!(xml, "    <testcase name=\"{name}\" classname=\"{suite}\" time=\"{seconds:.6}\"");
    if outcome.failures.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    for failure in &outcome.failures {
        let message = escaped(&failure.message);
        let mut text = failure.place.to_string();
        for Line { side, text: line } in &failure.lines {
            let _ = write!(text, "\n{} {line}", side.sign());
        }
        let text = escaped(&text);
        let _ = writeln!(xml, "      <failure message=\"{message}\">{text}</failure>");
    }
    xml.push_str("    </testcase>\n");
}

/// A text as it stands in XML, also in an attribute. What XML 1.0 has no characters for is U+FFFD
/// (section 2.2, "Characters").
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            '\t' => escaped.push('\t'),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}
