//! Configuration files as users write them: wrong ones with what they are told, right ones that load.
//!
//! A file may start with comments that say how it is loaded: `# env: NAME=value` sets a variable,
//! `# set: key=value` is a `--set`. `NAME.over.yaml` is merged over `NAME.yaml`.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use catchment::app;
use catchment::config::{Diagnostic, Secrets, Source, render};
use tempfile::TempDir;

/// What every secret in the files contains.
const SECRET: &str = "hunter2";

/// A file, and how it says that it is loaded.
struct Case {
    name: String,
    sources: Vec<Source>,
    sets: Vec<String>,
    variables: BTreeMap<String, String>,
}

impl Case {
    fn read(path: &Path, certificates: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut sources = vec![Source::File(path.to_owned())];
        let over = path.with_extension("over.yaml");
        sources.extend(over.exists().then_some(Source::File(over)));
        let said = |what: &str| {
            let comments = text.lines().take_while(|line| line.starts_with('#'));
            let said: Vec<String> =
                comments.filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect();
            said
        };
        let mut variables: BTreeMap<String, String> = said("# env: ")
            .iter()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        variables.insert(app::DATA_DIR_VARIABLE.to_owned(), "not-made-by-a-check".to_owned());
        variables.insert("CERTS".to_owned(), certificates.display().to_string());
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, sources, sets: said("# set: "), variables }
    }

    /// Does what `catchment validate` does; answers its warnings too.
    fn validate(&self) -> Result<(app::Loaded, Vec<Diagnostic>), Vec<Diagnostic>> {
        self.validate_from(&self.sources, &self.sets)
    }

    fn validate_from(
        &self,
        sources: &[Source],
        sets: &[String],
    ) -> Result<(app::Loaded, Vec<Diagnostic>), Vec<Diagnostic>> {
        let env = |name: &str| self.variables.get(name).cloned();
        let loaded = app::load(sources, sets, &env)?;
        let warnings = app::check(&loaded, &env)?;
        Ok((loaded, warnings))
    }
}

/// A folder, `$CERTS` in the files, with a certificate, its key and tokens.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    fs::write(folder.path().join("ca.crt"), &certificate).unwrap();
    fs::write(folder.path().join("server.crt"), &certificate).unwrap();
    fs::write(folder.path().join("server.key"), certified.signing_key.serialize_pem()).unwrap();
    fs::write(folder.path().join("tokens"), "hunter2-one\nhunter2-two\n").unwrap();
    folder
}

/// The cases of a folder; tests run in the folder of the package.
fn cases(folder: &str, certificates: &TempDir) -> Vec<Case> {
    let files = fs::read_dir(Path::new("tests/config").join(folder)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".over.yaml")
    });
    files.sort();
    files.iter().map(|file| Case::read(file, certificates.path())).collect()
}

fn assert_told(case: &Case, told: &str) {
    assert!(!told.contains(SECRET), "{} shows a secret:\n{told}", case.name);
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("config/told");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(case.name.as_str(), told));
}

#[test]
fn wrong_files_are_told_what_is_wrong_and_where() {
    let certificates = certificates();
    let cases = cases("wrong", &certificates);
    assert!(cases.len() >= 40, "only {} wrong files", cases.len());
    let mut accepted = Vec::new();
    for case in cases {
        match case.validate() {
            Err(problems) => assert_told(&case, &render(&problems)),
            Ok(_) => accepted.push(case.name),
        }
    }
    assert!(accepted.is_empty(), "taken for right: {accepted:?}");
}

#[test]
fn doubtful_files_load_with_warnings() {
    let certificates = certificates();
    for case in cases("doubtful", &certificates) {
        let loaded = case.validate();
        let (_, warnings) =
            loaded.unwrap_or_else(|told| panic!("{}\n{}", case.name, render(&told)));
        assert!(!warnings.is_empty(), "{} is not warned of", case.name);
        assert_told(&case, &render(&warnings));
    }
}

#[test]
fn right_files_load_and_are_built() {
    let certificates = certificates();
    let cases = cases("right", &certificates);
    assert!(cases.len() >= 20, "only {} right files", cases.len());
    let mut told = String::new();
    for case in cases {
        let problems = match case.validate() {
            Ok((_, problems)) | Err(problems) => problems,
        };
        told.push_str(&render(&problems));
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn printed_files_load_and_print_the_same() {
    let certificates = certificates();
    for case in cases("right", &certificates) {
        let printed = case.validate().unwrap().0.document.to_yaml(Secrets::Shown);
        let again = Source::Yaml(printed.clone());
        let loaded = case.validate_from(&[again], &[]);
        let (loaded, _) =
            loaded.unwrap_or_else(|told| panic!("{}\n{printed}\n{}", case.name, render(&told)));
        assert_eq!(loaded.document.to_yaml(Secrets::Shown), printed, "{}", case.name);
    }
}

#[test]
fn printed_files_show_no_secrets() {
    let mut num_secrets = 0;
    let certificates = certificates();
    for case in cases("right", &certificates) {
        let document = case.validate().unwrap().0.document;
        num_secrets += document.to_yaml(Secrets::Shown).matches(SECRET).count();
        for printed in [document.to_yaml(Secrets::Masked), document.to_json(Secrets::Masked)] {
            assert!(!printed.contains(SECRET), "{}:\n{printed}", case.name);
        }
    }
    assert!(num_secrets >= 10, "only {num_secrets} secrets were looked for");
}
