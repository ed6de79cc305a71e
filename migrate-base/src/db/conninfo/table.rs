//! The decision for each connection parameter of libpq, in the order of its manual.
//!
//! Every parameter and every variable of PostgreSQL 18 is listed: it is honoured, or it is refused by name. None is
//! ignored. See <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS> and
//! <https://www.postgresql.org/docs/18/libpq-envars.html>.

/// What to do with a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum ParameterDecision {
    /// It takes effect; with a note for the documentation.
    Honoured(#[cfg_attr(not(test), expect(dead_code, reason = "only used to write docs/FORMATS.md"))] &'static str),
    /// These values request what happens here anyway; any other value is refused.
    Only { values: &'static [&'static str], why: &'static str, instead: &'static str },
    /// It is refused.
    Refused { why: &'static str, instead: &'static str },
}

/// A parameter of libpq.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name in a URL or a service file; empty if it only has a variable.
    pub(super) keyword: &'static str,
    /// Its environment variable; empty if there is none.
    pub(super) variable: &'static str,
    pub(super) decision: ParameterDecision,
}

impl Parameter {
    /// Whether this value is refused. An empty value requests nothing.
    pub(super) fn refuses(&self, value: &str) -> Option<(&'static str, &'static str)> {
        match self.decision {
            ParameterDecision::Honoured(_) => None,
            _ if value.is_empty() => None,
            ParameterDecision::Only { values, .. } if values.iter().any(|one| one.eq_ignore_ascii_case(value)) => None,
            ParameterDecision::Only { why, instead, .. } | ParameterDecision::Refused { why, instead } => {
                Some((why, instead))
            }
        }
    }
}

/// The parameter with this name.
pub(super) fn find(keyword: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.keyword == keyword && !keyword.is_empty())
}

const fn honoured(keyword: &'static str, variable: &'static str, note: &'static str) -> Parameter {
    Parameter { keyword, variable, decision: ParameterDecision::Honoured(note) }
}

const fn only(
    keyword: &'static str,
    variable: &'static str,
    values: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
) -> Parameter {
    Parameter { keyword, variable, decision: ParameterDecision::Only { values, why, instead } }
}

pub(super) const fn refused(
    keyword: &'static str,
    variable: &'static str,
    why: &'static str,
    instead: &'static str,
) -> Parameter {
    Parameter { keyword, variable, decision: ParameterDecision::Refused { why, instead } }
}

const NO_GSS: &str = "GSSAPI is not supported";
const LEAVE_OUT: &str = "leave it out";
const NO_OAUTH: &str = "OAuth is not supported";
const PASSWORD: &str = "leave it out, and log in with a password or a client certificate";

pub(super) const PARAMETERS: &[Parameter] = &[
    honoured("host", "PGHOST", "also a list, tried in order; a path is the folder of a Unix socket"),
    honoured("hostaddr", "PGHOSTADDR", "not with `sslmode=verify-full`, which verifies the name that it connects to"),
    honoured("port", "PGPORT", "one for all hosts, or one for each"),
    honoured("dbname", "PGDATABASE", "default: the name of the role"),
    honoured("user", "PGUSER", "default: the name of the operating system user"),
    honoured("password", "PGPASSWORD", "never shown"),
    honoured("passfile", "PGPASSFILE", "default: `~/.pgpass`; a file that other users may read is not used"),
    only(
        "require_auth",
        "PGREQUIREAUTH",
        &[],
        "the driver does not report how the server authenticates",
        "use `sslmode=verify-full`, so that nobody else receives the password",
    ),
    only(
        "channel_binding",
        "PGCHANNELBINDING",
        &["disable", "prefer"],
        "the driver does not bind SCRAM to the TLS channel",
        "write `sslmode=verify-full&sslrootcert=system` instead of `sslmode=require&channel_binding=require`: it \
         protects against the same attacker",
    ),
    honoured("connect_timeout", "PGCONNECT_TIMEOUT", "per host; 0 means `connect_timeout` in `migrate.toml`"),
    only(
        "client_encoding",
        "PGCLIENTENCODING",
        &["utf8", "utf-8", "unicode", "auto"],
        "migrations are UTF-8",
        "leave it out, and convert files in other encodings",
    ),
    honoured("options", "PGOPTIONS", "session settings: `options=-c%20search_path%3Dshop`"),
    honoured("application_name", "PGAPPNAME", "default: `roundtrip`; also recorded in the ledger"),
    honoured("fallback_application_name", "", "used if no `application_name` is given"),
    honoured("keepalives", "", "0 turns them off"),
    honoured("keepalives_idle", "", "in seconds"),
    honoured("keepalives_interval", "", "in seconds"),
    honoured("keepalives_count", "", ""),
    honoured("tcp_user_timeout", "", "in milliseconds"),
    only("replication", "", &["false", "off", "no", "0"], "a replication connection runs no migrations", LEAVE_OUT),
    only(
        "gssencmode",
        "PGGSSENCMODE",
        &["disable", "prefer"],
        NO_GSS,
        "leave it out, and use TLS: `sslmode=verify-full`",
    ),
    honoured("sslmode", "PGSSLMODE", "with all modes of libpq, its fallbacks and its defaults"),
    honoured("requiressl", "PGREQUIRESSL", "the old name of `sslmode=require`"),
    only(
        "sslnegotiation",
        "PGSSLNEGOTIATION",
        &["postgres"],
        "the driver requests TLS before it starts the handshake",
        "leave it out: servers that accept `direct` also accept `postgres`",
    ),
    only("sslcompression", "PGSSLCOMPRESSION", &["0"], "TLS is never compressed", LEAVE_OUT),
    honoured("sslcert", "PGSSLCERT", "default: `~/.postgresql/postgresql.crt`, if it exists"),
    honoured("sslkey", "PGSSLKEY", "default: `~/.postgresql/postgresql.key`; other users must not be able to read it"),
    refused(
        "sslpassword",
        "",
        "the driver does not support encrypted keys",
        "decrypt the key into a file that only you can read: `openssl pkey -in KEY -out NEW`",
    ),
    only(
        "sslcertmode",
        "PGSSLCERTMODE",
        &["disable", "allow"],
        "the driver does not report whether the server requested a certificate",
        "leave it out, and require the certificate in pg_hba.conf: `clientcert=verify-full`",
    ),
    honoured(
        "sslrootcert",
        "PGSSLROOTCERT",
        "default: `~/.postgresql/root.crt`; `system` for the certificates that the system trusts; a file that you \
         name must exist",
    ),
    refused("sslcrl", "PGSSLCRL", "the driver does not support revocation lists", LEAVE_OUT),
    refused("sslcrldir", "PGSSLCRLDIR", "the driver does not support revocation lists", LEAVE_OUT),
    only("sslsni", "PGSSLSNI", &["1"], "the host name is always sent", LEAVE_OUT),
    refused(
        "requirepeer",
        "PGREQUIREPEER",
        "the driver does not report who owns the other end of a socket",
        "leave it out, and keep the socket in a folder that only its owner can write to",
    ),
    only(
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "TLS 1.2 or 1.3 is used, whichever the server supports",
        "leave it out, and set it on the server: `ssl_min_protocol_version`",
    ),
    only(
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        &["TLSv1.3"],
        "TLS 1.2 or 1.3 is used, whichever the server supports",
        LEAVE_OUT,
    ),
    only(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        &["3.0"],
        "the driver uses version 3.0 of the protocol",
        LEAVE_OUT,
    ),
    honoured("max_protocol_version", "PGMAXPROTOCOLVERSION", "version 3.0 is used, which all of its values allow"),
    refused("krbsrvname", "PGKRBSRVNAME", NO_GSS, PASSWORD),
    refused("gsslib", "PGGSSLIB", NO_GSS, PASSWORD),
    only("gssdelegation", "PGGSSDELEGATION", &["0"], NO_GSS, PASSWORD),
    refused("scram_client_key", "", "the driver derives its SCRAM keys from a password", "give the password"),
    refused("scram_server_key", "", "the driver derives its SCRAM keys from a password", "give the password"),
    honoured(
        "service",
        "PGSERVICE",
        "from `PGSERVICEFILE`, `~/.pg_service.conf`, or the `pg_service.conf` of the system",
    ),
    honoured("target_session_attrs", "PGTARGETSESSIONATTRS", "checked after connecting"),
    honoured("load_balance_hosts", "PGLOADBALANCEHOSTS", "`random` tries the hosts in random order"),
    refused("sslkeylogfile", "", "session keys are not logged", LEAVE_OUT),
    refused("oauth_issuer", "", NO_OAUTH, PASSWORD),
    refused("oauth_client_id", "", NO_OAUTH, PASSWORD),
    refused("oauth_client_secret", "", NO_OAUTH, PASSWORD),
    refused("oauth_scope", "", NO_OAUTH, PASSWORD),
    honoured("", "PGSERVICEFILE", ""),
    honoured("", "PGSYSCONFDIR", "the folder of the system's `pg_service.conf`"),
    only(
        "",
        "PGDATESTYLE",
        &["ISO", "ISO, MDY", "ISO,MDY"],
        "a migration must mean the same wherever it is run from",
        "unset it, and use `SET datestyle` in the migration",
    ),
    only(
        "",
        "PGTZ",
        &["UTC", "Etc/UTC"],
        "a migration must mean the same wherever it is run from",
        "unset it, and use `SET timezone` in the migration",
    ),
    honoured("", "PGGEQO", "sets `geqo` for the session"),
    honoured("", "PGLOCALEDIR", "the location of libpq's translated messages, which are not shown here"),
];

/// Parameter names of other drivers that libpq does not know, with libpq's names.
pub(super) const FOREIGN: [(&str, &str); 13] = [
    ("ssl-mode", "sslmode"),
    ("sslMode", "sslmode"),
    ("ssl_mode", "sslmode"),
    ("tls", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
    ("schema", "options=-c%20search_path%3DSCHEMA"),
    ("search_path", "options=-c%20search_path%3DSCHEMA"),
    ("currentSchema", "options=-c%20search_path%3DSCHEMA"),
    ("statement_timeout", "options=-c%20statement_timeout%3DMILLISECONDS"),
    ("pool_timeout", "connect_timeout"),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The table of docs/FORMATS.md.
    fn page() -> String {
        let mut page = String::from("| parameter | variable | here |\n|---|---|---|\n");
        for parameter in PARAMETERS {
            let name = |name: &str| if name.is_empty() { String::new() } else { format!("`{name}`") };
            let listed =
                |values: &[&str]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
            let decision = match parameter.decision {
                ParameterDecision::Honoured("") => "honoured".to_owned(),
                ParameterDecision::Honoured(note) => format!("honoured: {note}"),
                ParameterDecision::Only { values: [], why, instead } | ParameterDecision::Refused { why, instead } => {
                    format!("**refused**: {why}; {instead}")
                }
                ParameterDecision::Only { values, why, instead } => {
                    format!("{}; others are **refused**: {why}; {instead}", listed(values))
                }
            };
            let (keyword, variable) = (name(parameter.keyword), name(parameter.variable));
            writeln!(page, "| {keyword} | {variable} | {decision} |").unwrap();
        }
        page
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMATS.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&page()), "put this into docs/FORMATS.md:\n\n{}", page());
    }

    #[test]
    fn every_name_is_there_once() {
        let names = |of: fn(&Parameter) -> &'static str| {
            let mut names: Vec<&str> = PARAMETERS.iter().map(of).filter(|name| !name.is_empty()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            (all, names.len())
        };
        let (keywords, variables) = (names(|one| one.keyword), names(|one| one.variable));
        assert_eq!((keywords.0, variables.0), (keywords.1, variables.1));
    }
}
