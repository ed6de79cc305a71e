//! The hosts of a connection, and how to connect to each of them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::tls::Tls;
use super::{Conninfo, ParameterOrigin, encode, files, wrong};
use crate::db::Keepalive;
use crate::error::Result;

/// One host of a database, with everything that the driver needs.
#[derive(Clone)]
pub(in crate::db) struct HostPlace {
    pub(in crate::db) options: PgConnectOptions,
    /// The ways in which it is tried, in order.
    pub(in crate::db) modes: Vec<PgSslMode>,
    /// A password file that is not used because other users may read it.
    pub(in crate::db) open_passfile: Option<PathBuf>,
}

impl HostPlace {
    /// Whether a password is known for it, from any source.
    pub(in crate::db) fn has_password(&self) -> bool {
        // The driver exposes it only in its own URL, which it cannot write for every host and name.
        let url = self.options.clone().host("localhost").username("user").database("database").to_url_lossy();
        url.password().is_some_and(|password| !password.is_empty())
    }
}

/// All hosts of a database, and the requirements for a session.
#[derive(Clone)]
pub(in crate::db) struct HostPlaces {
    pub(in crate::db) all: Vec<HostPlace>,
    pub(in crate::db) wanted: SessionWanted,
    /// Whether they are tried in random order.
    pub(in crate::db) is_shuffled: bool,
    /// How long to wait for each of them.
    pub(in crate::db) timeout: Option<Duration>,
    pub(in crate::db) application: Option<String>,
    pub(in crate::db) keepalive: Keepalive,
}

/// What `target_session_attrs` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum SessionWanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// The folders in which packaged servers of this machine have their sockets.
const SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

impl HostPlace {
    /// The host that the driver's options describe.
    pub(in crate::db) fn of(options: PgConnectOptions) -> Self {
        Self { modes: vec![options.get_ssl_mode()], options: tuned(options), open_passfile: None }
    }

    /// The host, or the folder of the socket, with the port.
    pub(in crate::db) fn host(&self) -> String {
        match (self.options.get_socket(), self.options.get_host()) {
            (Some(folder), _) => folder.display().to_string(),
            (None, host) if host.contains(':') => format!("[{host}]:{}", self.options.get_port()),
            (None, host) => format!("{host}:{}", self.options.get_port()),
        }
    }
}

/// Adds the options that all our sessions share.
fn tuned(options: PgConnectOptions) -> PgConnectOptions {
    // A pooler refuses start-up parameters that it does not track; we do not need this one.
    options.extra_float_digits(None).statement_cache_capacity(16).disable_statement_logging()
}

impl Conninfo {
    /// The hosts, with their passwords and certificates from files.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Configuration`] for an invalid value, [`crate::error::ErrorKind::Connection`] for a
    /// certificate that does not exist.
    pub(in crate::db) fn places(&self) -> Result<HostPlaces> {
        let base = self.base()?;
        let tls = Tls::of(self)?;
        let all = self.addresses()?.into_iter().map(|address| self.place(&base, &tls, &address));
        let timeout = self.seconds("connect_timeout")?.filter(|timeout| !timeout.is_zero());
        let application = self.some("application_name").or_else(|| self.some("fallback_application_name"));
        Ok(HostPlaces {
            all: all.collect::<Result<_>>()?,
            wanted: self.wanted()?,
            is_shuffled: match self.some("load_balance_hosts") {
                None | Some("disable") => false,
                Some("random") => true,
                Some(_) => return Err(self.wrong_value("load_balance_hosts", "disable or random")),
            },
            timeout,
            application: application.map(str::to_owned),
            keepalive: self.keepalive()?,
        })
    }

    /// The options that are the same for all hosts.
    fn base(&self) -> Result<PgConnectOptions> {
        let mut options = PgConnectOptions::new_without_pgpass();
        let own = self.given.get("options").filter(|given| !matches!(given.origin, ParameterOrigin::Variable(_)));
        if let Some(own) = own.filter(|own| !own.value.is_empty() && options.get_options() != Some(&own.value)) {
            // The driver accepts them only in this form.
            let url = format!("postgres://localhost/?options={}", encode(&own.value));
            options = PgConnectOptions::from_str(&url).map_err(|_| self.wrong_value("options", "-c name=value"))?;
        }
        if let Some(geqo) = self.geqo.as_deref().filter(|geqo| !geqo.is_empty() && *geqo != "default") {
            options = options.options([("geqo", geqo)]);
        }
        // As in libpq, an empty name counts as missing.
        let user = self.some("user").map_or_else(|| options.get_username().to_owned(), str::to_owned);
        let database = self.some("dbname").unwrap_or(&user).to_owned();
        Ok(tuned(options.username(&user).database(&database)))
    }

    fn place(&self, base: &PgConnectOptions, tls: &Tls, address: &HostAddress) -> Result<HostPlace> {
        let options = base.clone().port(address.port);
        let (options, modes) = match &address.socket {
            Some(folder) => (options.socket(folder), vec![PgSslMode::Disable]),
            None => {
                let options = options.host(&address.at);
                tls.check_name(address.name.as_deref(), &address.at)?;
                tls.check_variables()?;
                (tls.certify(options), tls.modes.clone())
            }
        };
        let passfile = self.some("passfile").map(PathBuf::from).or_else(|| Some(files::home()?.join(".pgpass")));
        let (user, database) =
            (options.get_username().to_owned(), options.get_database().unwrap_or_default().to_owned());
        let find = |host: &str| files::password(passfile.as_deref()?, host, address.port, &database, &user);
        let found = || address.names_in_files().find_map(find);
        let password = self.some("password").map(str::to_owned).or_else(found);
        let open_passfile = passfile.filter(|file| password.is_none() && files::is_open(file));
        let options = modes.first().map_or(options.clone(), |mode| options.ssl_mode(*mode));
        // An empty password overrides what the driver reads from the environment.
        Ok(HostPlace { options: options.password(&password.unwrap_or_default()), modes, open_passfile })
    }

    fn wanted(&self) -> Result<SessionWanted> {
        Ok(match self.some("target_session_attrs") {
            None | Some("any") => SessionWanted::Any,
            Some("read-write") => SessionWanted::ReadWrite,
            Some("read-only") => SessionWanted::ReadOnly,
            Some("primary") => SessionWanted::Primary,
            Some("standby") => SessionWanted::Standby,
            Some("prefer-standby") => SessionWanted::PreferStandby,
            Some(_) => {
                let all = "any, read-write, read-only, primary, standby or prefer-standby";
                return Err(self.wrong_value("target_session_attrs", all));
            }
        })
    }

    fn keepalive(&self) -> Result<Keepalive> {
        let count = self.number("keepalives_count")?.map(|count| u32::try_from(count).unwrap_or(0));
        let milliseconds = self.number("tcp_user_timeout")?;
        Ok(Keepalive {
            on: self.number("keepalives")?.is_none_or(|on| on != 0),
            idle: self.seconds("keepalives_idle")?,
            interval: self.seconds("keepalives_interval")?,
            count,
            user_timeout: milliseconds.map(|time| Duration::from_millis(u64::try_from(time).unwrap_or(0))),
        })
    }

    /// A duration in seconds; a negative value counts as zero.
    fn seconds(&self, keyword: &str) -> Result<Option<Duration>> {
        Ok(self.number(keyword)?.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }

    fn number(&self, keyword: &str) -> Result<Option<i32>> {
        let number = self.some(keyword).map(|value| value.trim().parse());
        number.transpose().map_err(|_| self.wrong_value(keyword, "a whole number"))
    }
}

/// One element of the lists of hosts, addresses and ports.
struct HostAddress {
    /// The name of the host, if it has one.
    name: Option<String>,
    /// The address to connect to.
    at: String,
    socket: Option<PathBuf>,
    port: u16,
}

impl HostAddress {
    /// Its names in password files.
    fn names_in_files(&self) -> impl Iterator<Item = &str> {
        let folder = self.socket.as_deref().and_then(Path::to_str);
        let is_usual = folder.is_some_and(|folder| SOCKETS.contains(&folder));
        let name = folder.or(self.name.as_deref()).unwrap_or(&self.at);
        is_usual.then_some("localhost").into_iter().chain([name])
    }
}

impl Conninfo {
    fn addresses(&self) -> Result<Vec<HostAddress>> {
        let list = |keyword: &str| -> Vec<&str> {
            self.some(keyword).map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
        };
        let (hosts, numbers, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = if numbers.is_empty() { hosts.len().max(1) } else { numbers.len() };
        if !hosts.is_empty() && hosts.len() != count {
            let why = format!("there are {} host names, but {count} in `hostaddr`", hosts.len());
            return Err(wrong(why).help("write one name for each address"));
        }
        if ports.len() > 1 && ports.len() != count {
            let why = format!("there are {} ports, but {count} hosts", ports.len());
            return Err(wrong(why).help("write one port for all of them, or one for each"));
        }
        let all = (0..count).map(|n| {
            let port = self.port(ports.get(n).or(ports.first()).copied().unwrap_or_default())?;
            self.address(hosts.get(n).copied().unwrap_or_default(), numbers.get(n).copied().unwrap_or_default(), port)
        });
        all.collect()
    }

    fn address(&self, host: &str, number: &str, port: u16) -> Result<HostAddress> {
        let name = Some(host).filter(|host| !host.is_empty()).map(str::to_owned);
        if !number.is_empty() {
            let is_address = number.split('%').next().is_some_and(|number| number.parse::<IpAddr>().is_ok());
            if !is_address {
                return Err(self.wrong_value("hostaddr", "a numeric address; names go into `host`"));
            }
            return Ok(HostAddress { name, at: number.to_owned(), socket: None, port });
        }
        if host.starts_with('@') {
            return Err(
                wrong("connecting to an abstract Unix socket is not supported").help("give the folder of the socket")
            );
        }
        let socket = match host {
            "" => Some(usual_socket(port)),
            path if path.starts_with('/') => Some(PathBuf::from(path)),
            _ => None,
        };
        Ok(HostAddress { at: host.to_owned(), name, socket, port })
    }

    fn port(&self, port: &str) -> Result<u16> {
        match port {
            "" => Ok(5432),
            port => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| self.wrong_value("port", "a number up to 65535")),
        }
    }
}

/// The folder with the socket of a local server.
fn usual_socket(port: u16) -> PathBuf {
    let has_socket = |folder: &&Path| folder.join(format!(".s.PGSQL.{port}")).exists();
    let folders = || SOCKETS.iter().map(Path::new);
    let folder = folders().find(has_socket).or_else(|| folders().find(|folder| folder.is_dir()));
    folder.unwrap_or(Path::new(SOCKETS[0])).to_owned()
}
