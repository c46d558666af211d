use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::api::{Servers, Sources, serve};
use crate::config::{Api, Endpoint, Optional, Settings};
use crate::data::wire::Writer;
use crate::data::{Batch, Context, DoorLimits, Signal, Time};
use crate::storage::logindex::{Detail, LogIndex, Settings as IndexSettings};

const START: u64 = 1_795_532_400_000_000_000;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Search,
}

/// What a search says on standard output and on standard error, and how it ended.
async fn run(line: &[&str]) -> (String, String, Result<(), Failure>) {
    let arguments = Line::try_parse_from([&["search"], line].concat()).unwrap().arguments;
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: &mut out,
        notes: &mut notes,
        style: if arguments.json { Style::Json } else { Style::Line { is_colored: false } },
        left: arguments.limit.map_or(DEFAULT_LIMIT, u64::from),
    };
    let outcome = search(&arguments, &mut output).await;
    (String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap(), outcome)
}

/// A batch of records, a second apart, with these bodies.
fn batch<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Batch {
    let mut writer = Writer::default();
    writer.message(1, |resource_logs| {
        resource_logs.message(2, |scope_logs| {
            for (second, body) in (0..).zip(bodies) {
                scope_logs.message(2, |record| {
                    record.fixed64_field(1, START + second * 1_000_000_000);
                    record.message(5, |any| any.bytes_field(1, body.as_bytes()));
                });
            }
        });
    });
    let (limits, context) = (DoorLimits::default(), Arc::new(Context::default()));
    Batch::try_new(Signal::Logs, writer.into_bytes(), context, &limits).unwrap().batch
}

fn add<'a>(index: &LogIndex, bodies: impl IntoIterator<Item = &'a str>) {
    index.try_add(&batch(bodies)).unwrap();
}

fn open_index(directory: &Path) -> Arc<LogIndex> {
    let index = LogIndex::open(IndexSettings {
        directory: directory.to_owned(),
        window: Duration::from_secs(3600),
        detail: Detail::Full,
        memory_bytes: 64 << 20,
        max_age: None,
        max_size_bytes: None,
    });
    Arc::new(index.unwrap())
}

/// Serves an index; gives the URL too.
async fn serve_index(index: &Arc<LogIndex>) -> (Servers, String) {
    let mut settings = Settings::default();
    let endpoint = Endpoint::new("127.0.0.1", 0);
    settings.api = Optional::from(Some(Api { endpoint, auth: None }));
    settings.telemetry.metrics.address = Some(Endpoint::new("127.0.0.1", 0));
    let handles: [Arc<dyn std::any::Any + Send + Sync>; 1] = [Arc::clone(index) as _];
    let servers =
        serve(&settings, Sources::default().with_handles(move || handles.to_vec())).await.unwrap();
    let url = format!("http://{}", servers.api_addr().unwrap());
    (servers, url)
}

#[tokio::test]
async fn records_are_shown_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let index = open_index(folder.path());
    add(&index, ["first \x1b[31m", "second", "third"]);
    let (servers, url) = serve_index(&index).await;
    let (out, notes, outcome) = run(&["--url", &url, "--limit", "2"]).await;
    outcome.unwrap();
    assert_eq!(
        out,
        "2026-11-24T15:00:02.000Z -     third\n2026-11-24T15:00:01.000Z -     second\n"
    );
    assert_eq!(notes, "");
    let line = ["first", "--url", &url, "--json", "--since", "2026-11-24T15:00:00Z"];
    let (out, ..) = run(&line).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["body"], "first \x1b[31m");
    let (out, notes, _) = run(&["fourth", "--url", &url]).await;
    assert_eq!((out.as_str(), notes.as_str()), ("", "no records found\n"));
    let (.., outcome) = run(&["a AND severity:loud", "--url", &url]).await;
    let Err(Failure::Wrong(text)) = outcome else { panic!("it is malformed") };
    assert!(text.starts_with("expected a severity: trace"), "{text}");
    assert!(text.ends_with("\n  a AND severity:loud\n                 ^"), "{text}");
    servers.stop().await;
    // Taken, but nobody listens.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap().as_socket().unwrap());
    let (.., outcome) = run(&["--url", &url]).await;
    let Err(Failure::Lost(error)) = outcome else { panic!("nobody is there") };
    assert!(error.to_string().contains("no agent answers at `http://127.0.0.1:"), "{error:#}");
}

#[tokio::test]
async fn pages_follow_one_another_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let index = open_index(folder.path());
    let bodies: Vec<String> = (0..MAX_PAGE + 500).map(|number| number.to_string()).collect();
    add(&index, bodies.iter().map(String::as_str));
    let (servers, url) = serve_index(&index).await;
    let limit = MAX_PAGE + 400;
    let line = ["--url", &url, "--limit", &limit.to_string(), "--sort", "oldest"];
    let (out, _, outcome) = run(&line).await;
    outcome.unwrap();
    let shown: Vec<&str> = out.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    let expected: Vec<String> = (0..limit).map(|number| number.to_string()).collect();
    assert_eq!(shown, expected);
    servers.stop().await;
}

/// Every file with its size and when it was changed.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

#[tokio::test]
async fn folder_is_read_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let directory = path.to_str().unwrap();
    let index = open_index(&path);
    add(&index, ["connection refused", "connection reset", "started"]);
    index.commit(Time::default()).await.unwrap().unwrap();
    // Of all that a merge or an unfinished window may leave, nothing is cleared away.
    fs::create_dir_all(path.join("default/unfinished")).unwrap();
    let before = files(&path);
    let (out, notes, outcome) = run(&["connection", "--dir", directory]).await;
    outcome.unwrap();
    let own = std::process::id().to_string();
    // Some systems hide who locks what.
    let is_told = fs::read_to_string("/proc/locks")
        .is_ok_and(|locks| locks.split_whitespace().any(|field| field == own));
    let told = is_told.then(|| format!("process {own} writes to this log index"));
    assert!(notes.starts_with(&told.unwrap_or_default()), "{notes}");
    assert_eq!(
        out,
        "2026-11-24T15:00:01.000Z -     connection reset\n\
         2026-11-24T15:00:00.000Z -     connection refused\n"
    );
    assert_eq!(files(&path), before);
    fs::remove_dir(path.join("default/unfinished")).unwrap();
    drop(index);
    for lock in files(&path).keys().filter(|path| path.extension().is_some_and(|e| e == "lock")) {
        fs::remove_file(lock).unwrap();
    }
    let before = files(&path);
    let line = ["connection", "--dir", directory, "--sort", "oldest", "--limit", "1"];
    let (out, notes, _) = run(&line).await;
    assert_eq!(out, "2026-11-24T15:00:00.000Z -     connection refused\n");
    assert_eq!(notes, "");
    assert_eq!(files(&path), before);
    let (.., outcome) = run(&["a OR", "--dir", directory]).await;
    let Err(Failure::Wrong(text)) = outcome else { panic!("it is malformed") };
    assert!(text.ends_with("\n  a OR\n      ^"), "{text}");
    let (.., outcome) = run(&["--dir", folder.path().to_str().unwrap()]).await;
    let Err(Failure::Other(error)) = outcome else { panic!("that is not it") };
    assert!(error.to_string().ends_with("/index` is"), "{error}");
}

/// Output that other tasks can look at.
#[derive(Clone, Default)]
struct Shared {
    bytes: Arc<Mutex<Vec<u8>>>,
    written: Arc<Notify>,
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.bytes.lock().unwrap().write(bytes);
        self.written.notify_one();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    async fn wait_for(&self, wanted: &str) {
        let waiting = async {
            while !self.text().contains(wanted) {
                self.written.notified().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "{wanted}");
    }
}

/// A port that stays while agents behind it come and go.
struct Door {
    url: String,
    /// Where connections go; there are none while it is nowhere.
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Door {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = Arc::new(Mutex::new(None));
        let behind = Arc::clone(&to);
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let Some(to) = *behind.lock().unwrap() else { continue };
                tokio::spawn(async move {
                    let mut agent = TcpStream::connect(to).await.unwrap();
                    // It ends with either of them.
                    let _ = copy_bidirectional(&mut client, &mut agent).await;
                });
            }
        });
        Self { url, to }
    }

    fn lead_to(&self, servers: Option<&Servers>) {
        *self.to.lock().unwrap() = servers.and_then(Servers::api_addr);
    }
}

#[tokio::test]
async fn follower_shows_what_comes_in_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let index = open_index(folder.path());
    add(&index, ["wanted before", "wanted since"]);
    let (servers, _) = serve_index(&index).await;
    let door = Door::open().await;
    door.lead_to(Some(&servers));
    let line =
        ["search", "wanted", "--url", &door.url, "--follow", "--since", "2026-11-24T15:00:01Z"];
    let arguments = Line::try_parse_from(line).unwrap().arguments;
    let (out, notes) = (Shared::default(), Shared::default());
    let (mut to_out, mut to_notes) = (out.clone(), notes.clone());
    let style = Style::Line { is_colored: false };
    let mut output = Output { out: &mut to_out, notes: &mut to_notes, style, left: 3 };
    let following = search(&arguments, &mut output);
    let feeding = async {
        out.wait_for("wanted since").await;
        add(&index, ["other", "wanted live"]);
        out.wait_for("wanted live").await;
        door.lead_to(None);
        servers.stop().await;
        notes.wait_for("trying again").await;
        let (servers, _) = serve_index(&index).await;
        door.lead_to(Some(&servers));
        notes.wait_for("connected again").await;
        add(&index, ["wanted last", "wanted too many"]);
        servers
    };
    let (outcome, servers) = tokio::join!(following, feeding);
    outcome.unwrap();
    let out = out.text();
    let bodies: Vec<&str> = out.lines().map(|line| line.split_once("-     ").unwrap().1).collect();
    assert_eq!(bodies, ["wanted since", "wanted live", "wanted last"]);
    servers.stop().await;
}

/// Output that nobody reads.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn search_ends_when_nobody_reads_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let index = open_index(folder.path());
    add(&index, ["x"]);
    let (servers, url) = serve_index(&index).await;
    let arguments = Line::try_parse_from(["search", "--url", &url]).unwrap().arguments;
    let mut notes = Vec::new();
    let mut output = Output { out: &mut Closed, notes: &mut notes, style: Style::Json, left: 1 };
    let outcome = search(&arguments, &mut output).await;
    assert!(matches!(outcome, Err(Failure::Closed)), "{outcome:?}");
    servers.stop().await;
}

#[test]
fn arguments_that_contradict_one_another_are_refused() {
    for line in [
        &["--dir", "x", "--follow"][..],
        &["--dir", "x", "--url", "http://localhost:3100"],
        &["--follow", "--until", "1m"],
        &["--limit", "0"],
        &["--since", "soon"],
        &["two", "words"],
    ] {
        assert!(Line::try_parse_from([&["search"], line].concat()).is_err(), "{line:?}");
    }
    let line = ["search", "ü \"x\"", "--since", "1970-01-01T00:00:01Z"];
    let arguments = Line::try_parse_from(line).unwrap().arguments;
    assert_eq!(
        arguments.parameters(&["query", "start"]),
        "query=%C3%BC%20%22x%22&start=1000000000"
    );
}
