//! Flags, log, run, exit code.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use log::{error, warn};
use parkmesh::actors::supervise;
use parkmesh::app::{self, App, Options, StartError, WhyStopped};
use parkmesh::config;
use parkmesh::config::file::{self, LoadError, LoadedConfig};
use parkmesh::config::model::{ApiMode, Config, DEFAULT_P2P_PORT};
use parkmesh::domain::ids::{CentralId, Epoch};
use parkmesh::domain::time::SiteZone;
use parkmesh::lab::simulation::{self, Campaign, Seeds};
use parkmesh::lab::{bench, client, demo};
use parkmesh::legacy::import::{self, ImportError, ImportOutcome, Importer, OldKind};
use parkmesh::maintenance::backup::{self, BackupError, Passphrase};
use parkmesh::maintenance::export::{self, Days, ExportError, Exported};
use parkmesh::maintenance::{RebuildFor, rebuild, verify};
use parkmesh::ops::clock::Clock;
use parkmesh::ops::log_format::{self, LineFormat};
use parkmesh::ops::process::on_all_cores;
use parkmesh::store::DataDir;
use parkmesh::tls::key_file;
use parkmesh::vault::files::CodeFile;
use parkmesh::vault::secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Why it is not the C library's: docs/decisions/071-an-allocator-of-its-own.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Read when no --config is given, if it is there.
const DEFAULT_CONFIG: &str = "config/p2p_config.json";
const DEFAULT_DATA_DIR: &str = "data";
/// Set to 1 in a central that tests make fail.
const TEST_FAULTS_VARIABLE: &str = "PARKMESH_TEST_FAULTS";

/// How much a backup stands back behind what serves.
const BACKUP_NICENESS: i32 = 10;
/// How often long work says how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_secs(2);

/// Exit codes (sysexits): a wrong call, data that makes no sense, an internal failure, the disk, the settings.
const EXIT_USAGE: u8 = 64;
/// Not everything that was to be imported could be taken.
const EXIT_INCOMPLETE: u8 = 65;
const EXIT_INTERNAL: u8 = 70;
const EXIT_STORAGE: u8 = 74;
const EXIT_CONFIG: u8 = 78;

/// The server of one central of a parking site.
///
/// Without a command it serves. Without any argument it reads config/p2p_config.json if that is there; else it runs a
/// standalone central-1 on 127.0.0.1. It keeps its database in ./data and prints the address of its page.
#[derive(Debug, Parser)]
#[command(name = "parkmesh", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PARKMESH_COMMIT"), ")"), after_help = AFTER_HELP)]
struct Cli {
    /// The settings file (default: config/p2p_config.json, if it is there)
    #[arg(long, global = true, value_name = "FILE", env = "PARKMESH_CONFIG")]
    config: Option<PathBuf>,
    /// The directory of the database, made if it is missing (default: ./data)
    #[arg(long, global = true, value_name = "DIR", env = "PARKMESH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Settings to begin with: copied to --config once, where there are none yet
    #[arg(long, value_name = "FILE", env = "PARKMESH_INITIAL_CONFIG")]
    initial_config: Option<PathBuf>,
    /// How log lines on stderr look (default: what the settings say, else text)
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LineFormat>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run this central (what happens without a command)
    Serve,
    /// Check the database of a central that does not run: file, chains, rows, and that the history is what its events give
    Verify,
    /// Show by which fingerprint other centrals know this one; makes its key if there is none yet
    Identity,
    /// Make the history anew from the events, of a central that does not run; needs its settings (--config)
    Rebuild,
    /// Copy this central, running or not, into one file: database, key, people, settings; and prove that what is in it is whole
    Backup {
        /// Where the file goes, named by the central and the time; made if it is missing
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Encrypt it with the first line of this file (default: backup.passphrase_file of the settings, else not at all)
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a backup back into an empty data directory, and its settings where there are none (--config)
    ///
    /// Asks for the passphrase of one that is encrypted, on the terminal or on standard input. Takes a directory, too, as versions
    /// before made them.
    Restore {
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// The passphrase is the first line of this file; refuses a backup that is not encrypted
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Write the events, exits and sums of some days into a file, for an auditor; the central may run
    ///
    /// One JSON record a line. config/audit/check_export.py checks it without this program: that no event was changed, and that the
    /// sums are what the exits give.
    Export(ExportArgs),
    /// Take over what the Python system before this program wrote down, into a central that does not run
    ///
    /// Files of the old program: data/central.db (either revision; only read), data/parking_fees.json,
    /// data/subscriptions.json, config/p2p_config.json. Each is recognised by its contents. What is held already is not
    /// taken again, so that the import can be repeated; what cannot be taken is listed with the reason. Settings are
    /// taken only if there is no settings file (--config) yet. Stop the old program first.
    Import(ImportArgs),
    /// Make a one-time code that sets the password of an administrator, new or forgotten; the central may run
    ///
    /// Type it on the page /login of this central within an hour. An earlier code is worth nothing any more.
    NewCode,
    /// Ask the running central of these settings whether it can commit now: exit 0, or 69 and the reason
    ///
    /// For health checks of containers. With security.api "https" only whether it takes connections is asked.
    Ready,
    /// Run a whole mesh with simulated gates on this machine, to look at
    Demo(demo::Args),
    /// Measure how fast running centrals answer; the cars it makes stay in their history: not on a site that is in use
    Bench(bench::Args),
    /// Simulate meshes in which everything goes wrong, and check that nothing is lost
    ///
    /// Each seed is a mesh of its own: centrals, gates, faults, all in one thread on a virtual clock. The same seed does
    /// the same again; as many run at a time as there are cores. Ends with what went wrong how often; a promise that was broken ends it at once, with the last steps
    /// before it.
    Simulate(SimulateArgs),
    /// Write the man pages and the completions for shells into a directory (packages are made with it)
    #[command(hide = true)]
    Manual {
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The first day of the site, like 2026-11-01
    #[arg(long, value_name = "DAY")]
    from: String,
    /// The last day, which has to be over
    #[arg(long, value_name = "DAY")]
    to: String,
    /// Made by this; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The zone that the clock of the old machine shows, if not the site's: UTC, Asia/Bangkok
    #[arg(long, value_name = "ZONE", value_parser = SiteZone::named)]
    time_zone: Option<SiteZone>,
    /// Files of the old program
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct SimulateArgs {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
}

const AFTER_HELP: &str = "\
Try it:
  parkmesh                         a central on this machine; open the address it prints
  parkmesh demo                    three centrals with traffic, links cut and healed
  curl -X POST http://127.0.0.1:8000/api/edge/barrier/open -H 'Content-Type: application/json' \\
       -d '{\"edge_id\":\"edge-1\",\"plate_id\":\"29A12345\"}'

Environment:
  RUST_LOG        which log lines are written (info, parkmesh=debug, ...)
  PARKMESH_CLOCK  <origin_wall_ms>,<anchor_unix_ms>,<speed>: a clock for demonstrations

Exit codes:
  0 done, or asked to stop   64 wrong call   65 not all could be imported   70 internal failure   74 database or disk   78 settings";

fn main() -> ExitCode {
    // What this program writes is read by its owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // What is allocated is small and many: in pages of 2 MiB each thread would hold many times what it needs.
    let _cannot = rustix::thread::disable_transparent_huge_pages(true);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; anything else is a wrong call.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(EXIT_INTERNAL),
            };
        }
    };
    run_command(&cli).unwrap_or_else(|Failed(code, event, reason)| {
        error!(event = event, reason = reason.as_str(), exit_code = code; "cannot start");
        ExitCode::from(code)
    })
}

/// Why a command ended early: its exit code, the name of the log line, the reason.
struct Failed(u8, &'static str, String);

type Done = Result<ExitCode, Failed>;

/// Tells a problem and what caused it.
fn fail<E: Error>(code: u8, event: &'static str) -> impl Fn(E) -> Failed {
    move |problem| {
        let (mut reason, mut cause) = (problem.to_string(), problem.source());
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Failed(code, event, reason)
    }
}

fn run_command(cli: &Cli) -> Done {
    let Some(command) = &cli.command else { return serve(cli) };
    match command {
        Command::Serve => return serve(cli),
        Command::Demo(args) => return Ok(demo::run(args)),
        Command::Bench(args) => return Ok(bench::run(args)),
        Command::Simulate(args) => return Ok(simulate(args)),
        Command::Ready => {
            let (LoadedConfig { config, .. }, _) = cli.settings()?;
            let address = SocketAddr::new(config.listen_ip(), config.this_central.api_port);
            return Ok(client::ready(address, config.security.api == ApiMode::Https));
        }
        Command::Manual { directory } => {
            write_manual(directory).map_err(fail(EXIT_STORAGE, "manual_not_written"))?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => log_format::install(cli.log_format.unwrap_or_default()),
    }
    match command {
        Command::Identity => identity(cli)?,
        Command::Verify => return check(cli),
        Command::Rebuild => make_anew(cli)?,
        Command::Backup { to, passphrase_file } => back_up(cli, to, passphrase_file.as_deref())?,
        Command::Restore { from, passphrase_file } => restore(cli, from, passphrase_file.as_deref())?,
        Command::Export(args) => export_days(cli, args)?,
        Command::Import(args) => return import(cli, args),
        _ => return new_code(cli),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line says, or what is meant without it.
impl Cli {
    fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| DEFAULT_DATA_DIR.into())
    }

    fn config_file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG))
    }

    /// The settings to run on, and the file that saves go to.
    fn settings(&self) -> Result<(LoadedConfig, PathBuf), Failed> {
        let loaded = match file::load(self.config_file()) {
            Err(LoadError::NotFound { .. }) if self.config.is_none() => LoadedConfig {
                config: Config::standalone(),
                warnings: Vec::new(),
                broken: None,
                not_kept: None,
                open_to_others: None,
            },
            loaded => loaded.map_err(fail(EXIT_CONFIG, "config_refused"))?,
        };
        Ok((loaded, self.config_file().to_owned()))
    }

    /// Whose database it is.
    fn site(&self) -> Result<RebuildFor, Failed> {
        let config = self.settings()?.0.config;
        Ok(RebuildFor { central: config.this_central.id, zone: config.site.time_zone })
    }

    fn parts(&self) -> backup::Parts {
        backup::Parts::of_central(self.data_dir(), self.config_file().to_owned())
    }
}

/// How work on the database of a central that does not run ends.
fn broken<E: Error>(problem: E) -> Failed {
    fail(EXIT_STORAGE, "maintenance_failed")(problem)
}

fn write_manual(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "parkmesh", directory)?;
    }
    Ok(())
}

fn serve(cli: &Cli) -> Done {
    supervise::log_panics();
    let found = begin_with(cli).and_then(|()| cli.settings());
    let (loaded, config_file) = found.inspect_err(|_| log_format::install(cli.log_format.unwrap_or_default()))?;
    let configured = app::log_format_of(&loaded.config);
    log_format::install(cli.log_format.unwrap_or(configured));
    log_format::keep_format(cli.log_format.is_some());
    log_format::set_plate_masking(loaded.config.tuning.mask_plates);
    app::say_how_loaded(&loaded);
    let clock = Clock::from_environment().map_err(fail(EXIT_USAGE, "clock_refused"))?;
    let test_faults = std::env::var(TEST_FAULTS_VARIABLE).is_ok_and(|value| value == "1");
    let options = Options { loaded, config_file, data_dir: cli.data_dir(), clock, test_faults };
    let stopped = app::serve(options, print_address).map_err(|problem| {
        let code = match &problem {
            StartError::Storage(_) | StartError::Identity(_) => EXIT_STORAGE,
            StartError::Listen { .. } | StartError::Certificate(_) => EXIT_CONFIG,
            StartError::Thread(_) | StartError::Server(_) => EXIT_INTERNAL,
        };
        fail(code, "start_failed")(problem)
    })?;
    Ok(match stopped {
        WhyStopped::Asked(_) => ExitCode::SUCCESS,
        WhyStopped::Failed(_) => ExitCode::from(EXIT_INTERNAL),
    })
}

/// Shows the fingerprint, also of a central that runs.
fn identity(cli: &Cli) -> Result<(), Failed> {
    let data_dir = cli.data_dir();
    let opened = match key_file::open(&data_dir).map_err(broken)? {
        Some(opened) => opened,
        None => {
            // Only who owns the directory may make it.
            let _owned = DataDir::open(&data_dir).map_err(broken)?;
            key_file::open_or_make(&data_dir).map_err(broken)?
        }
    };
    println!("{}", opened.credentials.fingerprint());
    Ok(())
}

fn check(cli: &Cli) -> Done {
    let now_ms = Clock::machine().now_ms();
    let found = verify::verify(&cli.data_dir(), &cli.site()?, now_ms, &mut progress()).map_err(broken)?;
    println!("{found}");
    Ok(if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_STORAGE) })
}

fn make_anew(cli: &Cli) -> Result<(), Failed> {
    // Whose rows are its own is in the settings, so for this they have to be there.
    let loaded = file::load(cli.config_file()).map_err(fail(EXIT_CONFIG, "config_refused"))?;
    let site = RebuildFor { central: loaded.config.this_central.id, zone: loaded.config.site.time_zone };
    let now_ms = Clock::machine().now_ms();
    let rebuilt = rebuild::rebuild(&cli.data_dir(), &site, now_ms, &mut progress()).map_err(broken)?;
    println!("the history was made anew from {} events", rebuilt.events);
    if rebuilt.digest_before == rebuilt.digest_after {
        println!("it is what it was: digest {}", rebuilt.digest_after);
    } else {
        println!("it was digest {}\nit is  digest {}", rebuilt.digest_before, rebuilt.digest_after);
    }
    Ok(())
}

fn back_up(cli: &Cli, to: &Path, passphrase_file: Option<&Path>) -> Result<(), Failed> {
    // Gates first, where they share the machine.
    let _ = rustix::process::nice(BACKUP_NICENESS);
    let config = cli.settings()?.0.config;
    let parts = backup::Parts { leave_free_bytes: config.tuning.low_disk_bytes(), ..cli.parts() };
    let passphrase_file = passphrase_file.or(config.backup.passphrase_file.as_deref().map(Path::new));
    let passphrase = passphrase_file.map(backup::passphrase_of).transpose().map_err(broken)?;
    let turn = backup::BackupTurn::take(&parts.data_dir).map_err(broken)?;
    let now_ms = Clock::machine().now_ms();
    let made = backup::back_up(turn, &parts, to, passphrase.as_ref(), &cli.site()?, now_ms, &mut progress());
    let (place, found) = made.map_err(broken)?;
    println!("{found}\n{}", place.display());
    Ok(())
}

fn restore(cli: &Cli, from: &Path, passphrase_file: Option<&Path>) -> Result<(), Failed> {
    let parts = cli.parts();
    let passphrase = |found: &backup::StoredBackup| match passphrase_file {
        Some(file) => backup::read_passphrase(file).map(Some),
        None if found.is_sealed() => ask_passphrase().map(Some),
        None => Ok(None),
    };
    let settings_too = backup::put_back(from, &parts, passphrase).map_err(broken)?;
    let whose = if settings_too { "from the backup as well" } else { "the ones that were there" };
    let (data_dir, config_file) = (parts.data_dir.display(), parts.config_file.display());
    println!("{data_dir} is as in the backup; the settings, {config_file}, are {whose}. Start the central");
    Ok(())
}

/// Of whoever runs this; a terminal does not show what is typed.
fn ask_passphrase() -> Result<Passphrase, BackupError> {
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).ok();
    if let Some(mut hidden) = shown.clone() {
        eprint!("Passphrase: ");
        hidden.local_modes.remove(LocalModes::ECHO);
        let _shown = tcsetattr(&stdin, OptionalActions::Flush, &hidden);
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = shown {
        let _hidden = tcsetattr(&stdin, OptionalActions::Flush, &shown);
        eprintln!();
    }
    read.map_err(|source| BackupError::NoPassphrase { path: "standard input".into(), source })?;
    Ok(Passphrase::of_line(&line))
}

fn export_days(cli: &Cli, ExportArgs { from, to, file }: &ExportArgs) -> Result<(), Failed> {
    let _ = rustix::process::nice(BACKUP_NICENESS);
    let days = Days { from: from.clone(), to: to.clone() };
    let now_ms = Clock::machine().now_ms();
    let exported = export::export(&cli.data_dir(), &cli.site()?, &days, file, now_ms, &mut progress());
    let Exported { events, exits, counted, revenue } = exported.map_err(|problem| match problem {
        ExportError::Day(_) | ExportError::Order { .. } | ExportError::NotOver(_) => {
            fail(EXIT_USAGE, "maintenance_failed")(problem)
        }
        problem => broken(problem),
    })?;
    println!(
        "{}: {events} events, {exits} exits of which {counted} count, {revenue} VND\n\
         check it: python3 check_export.py {0}",
        file.display()
    );
    Ok(())
}

/// Whoever may write the data directory may administer the central: that is what the code proves.
fn new_code(cli: &Cli) -> Done {
    let data_dir = cli.data_dir();
    if !data_dir.is_dir() {
        let reason = format!("{} is no directory", data_dir.display());
        error!(event = "code_not_made", reason, exit_code = EXIT_STORAGE; "no code was made: name the data directory of the central with --data-dir, or start that central first");
        return Ok(ExitCode::from(EXIT_STORAGE));
    }
    let code = secret::make_code().map_err(fail(EXIT_INTERNAL, "code_not_made"))?;
    let put = CodeFile::of(&data_dir).put(secret::code_digest(&code), Clock::machine().now_ms());
    if let Err(problem) = put {
        error!(event = "code_not_made", reason:% = problem, exit_code = EXIT_STORAGE; "no code was made, an earlier one is still good: free some space, or run this as the user of the service");
        return Ok(ExitCode::from(EXIT_STORAGE));
    }
    println!(
        "{code}\nGood once, within an hour, on the page /login of the central whose data is in {}",
        data_dir.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Takes over files of the old program, its settings first: they say whose the others are.
fn import(cli: &Cli, ImportArgs { files, time_zone }: &ImportArgs) -> Done {
    let mut all_taken = true;
    let mut found = Vec::new();
    for path in files {
        match import::kind_of(path) {
            Ok(OldKind::Config(json)) => {
                if let Some(held) = settings_of_another(cli.config_file(), &json) {
                    println!(
                        "{}: not taken, and nothing else: the settings in {} are those of {held}, and what is imported would be written \
                         down as if it had happened there. Move that file and the data directory away, or correct its id",
                        path.display(),
                        cli.config_file().display()
                    );
                    return Ok(ExitCode::from(EXIT_INCOMPLETE));
                }
                all_taken &= import_settings(cli.config_file(), path, &json);
            }
            Ok(kind) => found.push((path, kind)),
            Err(problem) => {
                println!("{problem}");
                all_taken = false;
            }
        }
    }
    all_taken &= import_files(&cli.data_dir(), &cli.site()?, time_zone.as_ref(), &found).map_err(broken)?;
    Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INCOMPLETE) })
}

/// Whose settings are there, if not those of the central that these are of.
fn settings_of_another(target: &Path, json: &serde_json::Value) -> Option<CentralId> {
    // Where the file is missing, the kept copy of it would be read.
    let held = target.exists().then(|| file::load(target).ok())??.config.this_central.id;
    let old = json.pointer("/this_central/id")?.as_str()?.trim();
    (old != held.as_str()).then_some(held)
}

/// Whether the old settings were taken over.
fn import_settings(target: &Path, path: &Path, json: &serde_json::Value) -> bool {
    let said = |reason: &dyn std::fmt::Display| {
        println!("{}: not taken: {reason}", path.display());
        false
    };
    if target.exists() {
        return said(&format_args!("there are settings already, in {}", target.display()));
    }
    let mut config = match config::read::config(json) {
        Ok(read) => read.config,
        Err(problems) => {
            let reasons: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return said(&reasons.join("; "));
        }
    };
    // Its peers are what it was. One that is replaced says so itself, whatever stands here.
    config.peer_centrals.iter_mut().for_each(|peer| peer.legacy = true);
    let door = config.security.legacy_port;
    for peer in config.peer_centrals.iter_mut().filter(|peer| peer.p2p_port == door || peer.api_port == Some(door)) {
        println!(
            "{}: {}: port {door}, the door for old centrals, is not its own; taken as {DEFAULT_P2P_PORT}",
            path.display(),
            peer.id
        );
        peer.p2p_port = DEFAULT_P2P_PORT;
        peer.api_port = peer.api_port.filter(|port| *port != door);
    }
    match file::save(target, &config) {
        Ok(_) => {
            let (id, peers) = (&config.this_central.id, config.peer_centrals.len());
            println!("{}: settings of {id} with {peers} peers, saved as {}", path.display(), target.display());
            true
        }
        Err(error) => said(&error),
    }
}

/// Whether everything in the files was taken over or held already.
fn import_files(
    data_dir: &Path,
    site: &RebuildFor,
    zone: Option<&SiteZone>,
    files: &[(&PathBuf, OldKind)],
) -> Result<bool, ImportError> {
    if files.is_empty() {
        return Ok(true);
    }
    let epoch = getrandom::u64().unwrap_or_default();
    let mut importer = Importer::open(data_dir, site, Clock::machine().now_ms(), Epoch(epoch))?;
    let mut all_taken = true;
    for (path, kind) in files {
        let name = path.display();
        let mut refusals = |what: &str, reason: &str| println!("{name}: {what} was not taken: {reason}");
        importer.note(path, None)?;
        let outcome = match kind {
            OldKind::Database => {
                let mut remarks = |said: &str| {
                    println!("{name}: {said}");
                    warn!(event = "import_uncertain", reason = said; "the times of some rows of the old program are to be checked");
                };
                importer.database(path, zone, &mut refusals, &mut remarks, &mut progress())
            }
            OldKind::Tariff(fees) => importer.tariff(fees, &mut refusals, &mut |said| {
                println!("{name}: charged otherwise: {said}");
                warn!(event = "tariff_differs", reason = said; "the imported tariff charges otherwise than the old program did");
            }),
            OldKind::Subscriptions(list) => importer.subscriptions(list, &mut refusals),
            OldKind::Config(_) => continue,
        };
        match outcome {
            Ok(outcome @ ImportOutcome { taken, known, refused, events }) => {
                importer.note(path, Some(outcome))?;
                println!("{name}: {taken} taken ({events} events), {known} held already, {refused} not taken");
                all_taken &= refused == 0;
            }
            // One file that cannot be read does not keep the others from being taken.
            Err(ImportError::Foreign(problem)) => {
                println!("{problem}");
                all_taken = false;
            }
            Err(problem) => return Err(problem),
        }
    }
    importer.close()?;
    Ok(all_taken)
}

fn simulate(args: &SimulateArgs) -> ExitCode {
    let told = Mutex::new((0, progress()));
    let each = |_: &simulation::Report| {
        let (done, tell) = &mut *told.lock().unwrap_or_else(PoisonError::into_inner);
        *done += 1;
        tell(*done, args.seeds);
    };
    let seeds = Seeds::new(args.from..args.from.saturating_add(args.seeds));
    let mut all = Campaign::default();
    for part in on_all_cores(|| seeds.campaign(simulation::Options::of_seed, each)) {
        match part {
            Ok(part) => all.join(&part),
            Err(failure) => {
                println!("{failure}\nagain: parkmesh simulate --seeds 1 --from {}", failure.seed);
                return ExitCode::from(EXIT_INTERNAL);
            }
        }
    }
    print!("{all}");
    let never = all.never();
    if never.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("never came, so that nothing is proved of it: {}", never.join(", "));
    ExitCode::from(EXIT_INTERNAL)
}

/// Tells on stderr how far long work is.
fn progress() -> impl FnMut(u64, u64) {
    let mut told = Instant::now();
    move |done, total| {
        if told.elapsed() >= PROGRESS_PERIOD {
            told = Instant::now();
            let _full = writeln!(std::io::stderr(), "{done} of {total}");
        }
    }
}

/// Copies the initial settings where there are none yet.
fn begin_with(cli: &Cli) -> Result<(), Failed> {
    let Some(initial) = &cli.initial_config else { return Ok(()) };
    if !cli.config_file().try_exists().map_err(fail(EXIT_CONFIG, "config_refused"))? {
        let loaded = file::load(initial).map_err(fail(EXIT_CONFIG, "config_refused"))?;
        file::save(cli.config_file(), &loaded.config).map_err(fail(EXIT_CONFIG, "config_refused"))?;
    }
    Ok(())
}

/// For the person who started it: where to look. Where nothing can be written, as on a full disk, gates are served all the same.
fn print_address(app: &App) {
    let config = app.shared().config();
    let Some(listening) = app.api_address() else { return };
    let host = if listening.ip().is_unspecified() {
        config.this_central.ip.with_port(listening.port())
    } else {
        listening.to_string()
    };
    let scheme = config.security.api.name();
    let mut out = std::io::stdout();
    let _full = writeln!(out, "ParkMesh {}: {scheme}://{host}/", config.this_central.id);
    if let Some(code) = app.first_code() {
        let _full =
            writeln!(out, "Nobody administers it yet: open {scheme}://{host}/login and type the one-time code {code}");
    }
}
