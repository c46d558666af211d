//! The agent as a whole: from sources of configuration to a running engine with its HTTP surface.

mod embedded;
#[cfg(test)]
mod test_poison;
#[cfg(test)]
mod test_power_cuts;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

pub use self::embedded::{PIPELINES, Pipeline, REMOTE_WRITE_VARIABLE};
use crate::api::{self, AskReload, Reloaded, Servers, Sources};
use crate::component::{Extensions, Host};
use crate::components;
use crate::config::{self, Diagnostic, Document, Source};
use crate::telemetry::{self, Clock, Gauge, Ledger, LogSampling, LogSettings, Metrics, Status};
use crate::topology::{self, Changes, Engine, Plan, ReloadError, StartError};

/// The variable that names the folder of the agent's data.
pub const DATA_DIR_VARIABLE: &str = "CATCHMENT_DATA_DIR";

/// What an argument of `--config` begins with that names a pipeline of the program's own.
const EMBEDDED: &str = "embedded:";

/// Where the agent's data goes when nothing says where.
const DEFAULT_DATA_DIR: &str = "catchment-data";

/// A configuration that was read and checked.
pub struct Loaded {
    /// The merged file.
    pub document: Document,
    /// What it makes the engine do.
    pub plan: Plan,
}

/// Where the configuration comes from: `arguments` of `--config`, or the embedded default.
///
/// # Errors
///
/// Fails where an argument names an embedded pipeline that there is not.
pub fn sources(arguments: &[String], env: config::Env<'_>) -> Result<Vec<Source>, Vec<Diagnostic>> {
    if arguments.is_empty() {
        return sources(&[format!("{EMBEDDED}{}", embedded::DEFAULT)], env);
    }
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for argument in arguments {
        match argument.strip_prefix(EMBEDDED).map(Pipeline::of) {
            None => sources.push(Source::parse(argument)),
            Some(Ok(pipeline)) => sources.extend(pipeline.sources(env)),
            Some(Err(problem)) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// Reads and checks a configuration with the components there are.
///
/// # Errors
///
/// Fails with everything that is wrong.
pub fn load(
    sources: &[Source],
    sets: &[String],
    env: config::Env<'_>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut document = config::outline(sources, sets, env)?;
    let plan = Plan::try_new(&mut document, &components::builtin())?;
    Ok(Loaded { document, plan })
}

/// Builds everything that a configuration uses, without starting it; answers what is probably not
/// meant.
///
/// # Errors
///
/// Fails with everything that cannot be built, and with what is probably not meant.
pub fn check(loaded: &Loaded, env: config::Env<'_>) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let host = host(&loaded.plan, env);
    let warnings = topology::warnings(&loaded.plan, &host.budget);
    match topology::check(&loaded.plan, host) {
        Ok(()) => Ok(warnings),
        Err(mut problems) => {
            problems.extend(warnings);
            Err(problems)
        }
    }
}

/// Runs the agent until it is told to stop by SIGTERM or SIGINT, or a receiver fails. At SIGHUP, and
/// when it is asked over HTTP, `read` reads the configuration again.
///
/// # Errors
///
/// Fails when something cannot be started, or failed while it ran.
pub async fn run(
    loaded: &Loaded,
    read: impl Fn() -> Result<Loaded, Vec<Diagnostic>>,
    env: config::Env<'_>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let host = host(&loaded.plan, env);
    for warning in topology::warnings(&loaded.plan, &host.budget) {
        warn!(place = ?warning.place().map(ToString::to_string), "{}", warning.message());
    }
    let mut watches = JoinSet::new();
    watches.spawn(topology::watch_process(host.budget.clone()));
    let mut engine = start(&loaded.plan, host).await?;
    let (ask_reload, mut asked) = mpsc::channel(1);
    let servers = match serve(&loaded.plan, &engine, ask_reload).await {
        Ok(servers) => servers,
        Err(error) => {
            engine.stop().await;
            return Err(error.into());
        }
    };
    let shown = ShownReload::new(&engine.host().metrics, &engine.host().clock);
    let outcome = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            failure = engine.failure() => break Err(failure),
            _ = hangup.recv() => drop(reload(&mut engine, &read, &shown).await),
            Some(reply) = asked.recv() => {
                // Who asked may be gone.
                let _: Result<_, Reloaded> = reply.send(reload(&mut engine, &read, &shown).await);
            }
        }
    };
    info!("stopping");
    let ledger = engine.host().ledger.clone();
    engine.stop().await;
    servers.stop().await;
    let unbalanced = ledger.unbalanced();
    if unbalanced.is_empty() {
        info!("stopped");
    } else {
        error!(?unbalanced, "stopped, and the ledger does not balance");
    }
    outcome.map_err(Into::into)
}

async fn start(plan: &Plan, host: Host) -> anyhow::Result<Engine> {
    match Engine::start(plan, host).await {
        Ok(engine) => Ok(engine),
        Err(StartError::Build(problems)) => Err(anyhow!(config::render(&problems))),
        Err(error) => Err(error.into()),
    }
}

/// How the last reading of the configuration went, for the agent's own metrics.
struct ShownReload {
    successful: Gauge,
    time: Gauge,
    clock: Clock,
}

impl ShownReload {
    fn new(metrics: &Metrics, clock: &Clock) -> Self {
        let gauge = |what| metrics.gauge(what, &[]);
        let shown = Self {
            successful: gauge("catchment_config_last_reload_successful"),
            time: gauge("catchment_config_last_reload_success_timestamp_seconds"),
            clock: clock.clone(),
        };
        shown.show(true);
        shown
    }

    fn show(&self, is_successful: bool) {
        self.successful.set(if is_successful { 1.0 } else { 0.0 });
        if is_successful {
            self.time.set(self.clock.now().as_unix_nanos() as f64 / 1e9);
        }
    }
}

/// Reads the configuration again and makes it what runs.
async fn reload(
    engine: &mut Engine,
    read: &impl Fn() -> Result<Loaded, Vec<Diagnostic>>,
    shown: &ShownReload,
) -> Reloaded {
    let reloaded = match read() {
        Ok(Loaded { plan, .. }) => {
            for warning in topology::warnings(&plan, &engine.host().budget) {
                warn!(place = ?warning.place().map(ToString::to_string), "{}", warning.message());
            }
            match engine.reload(&plan).await {
                Ok(changes) => Reloaded::Done(changes),
                Err(ReloadError::Refused(problems)) => Reloaded::Refused(problems),
                Err(error) => Reloaded::Failed(telemetry::with_causes(&error)),
            }
        }
        Err(problems) => Reloaded::Refused(problems),
    };
    match &reloaded {
        Reloaded::Done(Changes { added, removed, changed, .. }) => {
            info!(?added, ?removed, ?changed, "the configuration was read again");
        }
        Reloaded::Refused(problems) => {
            error!(
                problems = config::render(problems),
                "the configuration cannot be used, the one before stays"
            );
        }
        Reloaded::Failed(error) => error!(error, "the configuration cannot be started"),
    }
    shown.show(matches!(reloaded, Reloaded::Done(_)));
    reloaded
}

async fn serve(
    plan: &Plan,
    engine: &Engine,
    ask_reload: AskReload,
) -> Result<Servers, api::ServeError> {
    let host = engine.host();
    let sources = Sources {
        metrics: host.metrics.clone(),
        ledger: host.ledger.clone(),
        budget: host.budget.clone(),
        extensions: host.extensions.clone(),
        reload: Some(ask_reload),
        ..Sources::default()
    };
    let handles = engine.handles().clone();
    api::serve(plan.settings(), sources.with_handles(move || handles.all())).await
}

/// What the engine offers to components.
fn host(plan: &Plan, env: config::Env<'_>) -> Host {
    let clock = Clock::system();
    let budget = topology::budget(plan);
    let metrics = Metrics::default();
    budget.show_in(&metrics);
    let data_dir = plan.settings().data_dir.clone();
    let data_dir = data_dir.or_else(|| env(DATA_DIR_VARIABLE).map(PathBuf::from));
    Host {
        metrics,
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock,
        budget,
        data_dir: data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
        extensions: Extensions::default(),
    }
}

/// Sets up the agent's own log as `service::telemetry::logs` has it.
///
/// # Errors
///
/// Fails when a log file cannot be opened or the process has a log already.
pub fn init_logs(plan: &Plan) -> Result<(), telemetry::LogError> {
    let logs = &plan.settings().telemetry.logs;
    telemetry::init_logs(&LogSettings {
        level: match logs.level {
            config::LogLevel::Debug => telemetry::LogLevel::Debug,
            config::LogLevel::Info => telemetry::LogLevel::Info,
            config::LogLevel::Warn => telemetry::LogLevel::Warn,
            config::LogLevel::Error => telemetry::LogLevel::Error,
        },
        encoding: match logs.encoding {
            config::LogEncoding::Console => telemetry::LogEncoding::Console,
            config::LogEncoding::Json => telemetry::LogEncoding::Json,
        },
        output_paths: logs.output_paths.clone(),
        sampling: logs.sampling.get().map(|sampling| LogSampling {
            tick: sampling.tick.get(),
            initial: sampling.initial,
            thereafter: sampling.thereafter,
        }),
        initial_fields: logs.initial_fields.clone(),
    })
}
