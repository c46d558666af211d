use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::Parser as _;

use super::*;
use crate::data::{Signal, Time};
use crate::storage::disk::LocalDisk;
use crate::storage::journal::{Appended, Log, NewEntry, OnFull, Settings, Sync};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    journal: Journal,
}

fn request(body: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{body}"}}}}]}}]}}]}}"#
    );
    otlp_json::decode(Signal::Logs, text.as_bytes()).unwrap().to_vec()
}

/// A journal of three requests, of which the second is closed and the third is done with on a route.
fn journal(folder: &Path) -> Vec<u64> {
    let settings = Settings {
        folder: folder.to_owned(),
        segment_bytes: 1 << 16,
        max_bytes: 1 << 20,
        sync: Sync::Always,
        dedup_window: Duration::ZERO,
        on_full: OnFull::Refuse,
    };
    let (mut log, _) = Log::open(Arc::new(LocalDisk), settings, 7, Time::default()).unwrap();
    let entry = |body: &str| NewEntry {
        arrived: Time::from_unix_nanos(1_795_532_400_000_000_000),
        signal: Signal::Logs,
        origin: br#"{"receiver":"otlp","tenant":"\u001b[2J","metadata":{"key":["hidden"]}}"#
            .to_vec(),
        owner: Vec::new(),
        body: vec![request(body).into()],
        packed: None,
    };
    let group = ["first", "second", "third"].map(entry);
    let answers = log.append(Time::default(), &group);
    let numbers: Vec<u64> = answers
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Appended::Stored(number) => number,
            Appended::Repeated(number) => panic!("{number} is not new"),
        })
        .collect();
    log.close(numbers[1]);
    log.mark_done(numbers[2], &"logs/parquet".into());
    log.sync().unwrap();
    numbers
}

/// What a command line prints, tells, and comes to.
fn run(line: &[&str]) -> (String, String, anyhow::Result<()>) {
    let line = Line::try_parse_from(["journal"].iter().chain(line)).unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let outcome = line.journal.task.run(&mut out, &mut notes);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(out), text(notes), outcome)
}

/// What a command line fails with.
fn failure(line: &[&str]) -> String {
    format!("{:#}", run(line).2.unwrap_err())
}

fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let file = |path: PathBuf| {
        let modified = path.metadata().unwrap().modified().unwrap();
        (path.clone(), (fs::read(path).unwrap(), modified))
    };
    paths.map(file).collect()
}

#[test]
fn entries_are_listed_and_the_folder_is_left_as_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().to_str().unwrap();
    assert_eq!(journal(temporary.path()), [1, 2, 3]);
    let before = files(temporary.path());
    let size = request("first").len();
    let (out, notes, outcome) = run(&["ls", folder]);
    outcome.unwrap();
    let start = format!("2026-11-24T15:00:00Z logs {size} otlp open");
    let tenant = r"tenant=\u{1b}[2J";
    assert_eq!(out, format!("1 {start} {tenant}\n3 {start} {tenant} done=logs/parquet\n"));
    assert_eq!(notes, format!("2 open entries of {} bytes, 1 closed, 1 files\n", 2 * size));
    let (out, _, _) = run(&["ls", folder, "--all"]);
    assert!(out.contains("2 2026-11-24T15:00:00Z logs") && out.contains("otlp closed"), "{out}");
    let (out, _, _) = run(&["ls", folder, "--entry", "3", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({
        "number": 3, "arrived": "2026-11-24T15:00:00Z", "signal": "logs", "size_bytes": size,
        "receiver": "otlp", "tenant": "\u{1b}[2J", "is_open": true, "done": ["logs/parquet"],
    });
    assert_eq!(line, expected);
    run(&["verify", folder]).2.unwrap();
    run(&["cat", folder]).2.unwrap();
    assert_eq!(files(temporary.path()), before);
}

#[test]
fn requests_are_printed_as_json_and_written_as_they_came() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("journal");
    let folder = folder.to_str().unwrap();
    journal(Path::new(folder));
    let (out, _, outcome) = run(&["cat", folder]);
    outcome.unwrap();
    let read = |line: &str| otlp_json::decode(Signal::Logs, line.as_bytes()).unwrap();
    assert_eq!(out.lines().map(read).collect::<Vec<_>>(), [request("first"), request("third")]);
    let to = temporary.path().join("a").join("b");
    let line = ["export", folder, "--all", "--to", to.to_str().unwrap()];
    let (_, notes, outcome) = run(&line);
    outcome.unwrap();
    assert_eq!(notes, format!("3 requests are in `{}`\n", to.display()));
    for (name, body) in [("1", "first"), ("2", "second"), ("3", "third")] {
        assert_eq!(fs::read(to.join(format!("{name}.logs.otlp"))).unwrap(), request(body));
    }
    // What is there already is not written over.
    assert!(failure(&line).starts_with("cannot write `"));
}

#[test]
fn damage_is_told_and_the_rest_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().to_str().unwrap();
    journal(temporary.path());
    let segment = temporary.path().join("0000000000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let (out, _, outcome) = run(&["verify", folder]);
    assert!(out.contains("2 entries, 1 open, ") && out.contains(" bytes damaged"), "{out}");
    let told = outcome.unwrap_err().to_string();
    assert!(told.ends_with("bytes are damaged; at the next start they are set aside"), "{told}");
    let (out, _, outcome) = run(&["cat", folder]);
    outcome.unwrap();
    assert!(out.contains("third") && out.lines().count() == 1, "{out}");
}

#[test]
fn folders_and_entries_that_there_are_not_are_told() {
    let temporary = tempfile::tempdir().unwrap();
    let above = temporary.path().to_str().unwrap();
    assert_eq!(failure(&["ls", above]), format!("there is no journal in `{above}`"));
    let folder = temporary.path().join("journal");
    journal(&folder);
    let inner = folder.display();
    let told = format!("there is no journal in `{above}`, but in `{inner}`");
    assert_eq!(failure(&["ls", above]), told);
    let folder = folder.to_str().unwrap();
    let told = format!("there is no entry 9 in `{folder}`");
    assert_eq!(failure(&["cat", folder, "--entry", "9"]), told);
    assert!(failure(&["ls", "/nowhere/at/all"]).starts_with("cannot read `/nowhere/at/all`"));
}

#[test]
fn journal_that_an_agent_has_open_is_refused_with_its_pid() {
    let temporary = tempfile::tempdir().unwrap();
    journal(temporary.path());
    let _lock = Lock::try_new(temporary.path()).unwrap();
    let told = failure(&["ls", temporary.path().to_str().unwrap()]);
    let pid = std::process::id();
    assert!(told.ends_with(&format!("is in use by the process {pid}")), "{told}");
}
