//! What is decided for each connection parameter of libpq, in the order of its manual.
//!
//! Every parameter of PostgreSQL 18 is here, and every variable: it is honoured, or it is refused by name. None is ignored.
//! See <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
//! and <https://www.postgresql.org/docs/18/libpq-envars.html>.

/// What is done with a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decision {
    /// It has its effect; with what there is to know about it.
    Honoured(#[cfg_attr(not(test), expect(dead_code, reason = "it is written for docs/FORMATS.md"))] &'static str),
    /// These values ask for what happens here anyway; any other one is refused.
    Only { values: &'static [&'static str], why: &'static str, instead: &'static str },
    /// It is refused.
    Refused { why: &'static str, instead: &'static str },
}

/// A parameter of libpq.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name in a URL or a service file; empty for what only has a variable.
    pub(super) keyword: &'static str,
    /// The environment variable that stands for it; empty where there is none.
    pub(super) variable: &'static str,
    pub(super) decision: Decision,
}

impl Parameter {
    /// Whether this value is refused. One that is empty asks for nothing.
    pub(super) fn refuses(&self, value: &str) -> Option<(&'static str, &'static str)> {
        match self.decision {
            Decision::Honoured(_) => None,
            _ if value.is_empty() => None,
            Decision::Only { values, .. } if values.iter().any(|one| one.eq_ignore_ascii_case(value)) => None,
            Decision::Only { why, instead, .. } | Decision::Refused { why, instead } => Some((why, instead)),
        }
    }
}

/// The parameter of this name.
pub(super) fn find(keyword: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.keyword == keyword && !keyword.is_empty())
}

const fn honoured(keyword: &'static str, variable: &'static str, note: &'static str) -> Parameter {
    Parameter { keyword, variable, decision: Decision::Honoured(note) }
}

const fn only(
    keyword: &'static str,
    variable: &'static str,
    values: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
) -> Parameter {
    Parameter { keyword, variable, decision: Decision::Only { values, why, instead } }
}

const fn refused(keyword: &'static str, variable: &'static str, why: &'static str, instead: &'static str) -> Parameter {
    Parameter { keyword, variable, decision: Decision::Refused { why, instead } }
}

const NO_GSS: &str = "there is no GSSAPI here";
const LEAVE_OUT: &str = "leave it out";
const NO_OAUTH: &str = "there is no OAuth here";
const PASSWORD: &str = "leave it out, and log in with a password or a client certificate";

pub(super) const PARAMETERS: &[Parameter] = &[
    honoured("host", "PGHOST", "also a list, tried in order; a path is the folder of a Unix socket"),
    honoured("hostaddr", "PGHOSTADDR", "not with `sslmode=verify-full`, which checks the name that is connected to"),
    honoured("port", "PGPORT", "one for all hosts, or one for each"),
    honoured("dbname", "PGDATABASE", "without it, the name of the role"),
    honoured("user", "PGUSER", "without it, the name of the user of the operating system"),
    honoured("password", "PGPASSWORD", "never shown"),
    honoured("passfile", "PGPASSFILE", "`~/.pgpass` without it; one that others may read is not used"),
    only(
        "require_auth",
        "PGREQUIREAUTH",
        &[],
        "the driver does not tell how the server authenticates",
        "use `sslmode=verify-full`, with which nobody else receives the password",
    ),
    only(
        "channel_binding",
        "PGCHANNELBINDING",
        &["disable", "prefer"],
        "the driver does not bind SCRAM to the TLS channel",
        "write `sslmode=verify-full&sslrootcert=system` in place of `sslmode=require&channel_binding=require`: it keeps \
         out the same attacker",
    ),
    honoured(
        "connect_timeout",
        "PGCONNECT_TIMEOUT",
        "for each host; 0 leaves it to `connect_timeout` of `migrate.toml`",
    ),
    only(
        "client_encoding",
        "PGCLIENTENCODING",
        &["utf8", "utf-8", "unicode", "auto"],
        "migrations are UTF-8",
        "leave it out, and convert what is not",
    ),
    honoured("options", "PGOPTIONS", "settings of the session, `options=-c%20search_path%3Dshop`"),
    honoured("application_name", "PGAPPNAME", "`roundtrip` without it; it is in the ledger as well"),
    honoured("fallback_application_name", "", "where no `application_name` is given"),
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
    honoured("sslmode", "PGSSLMODE", "with every mode of libpq, what it tries next, and its defaults"),
    honoured("requiressl", "PGREQUIRESSL", "the old name of `sslmode=require`"),
    only(
        "sslnegotiation",
        "PGSSLNEGOTIATION",
        &["postgres"],
        "the driver asks for TLS before it begins with it",
        "leave it out: servers that take `direct` take `postgres` as well",
    ),
    only("sslcompression", "PGSSLCOMPRESSION", &["0"], "TLS is never compressed", LEAVE_OUT),
    honoured("sslcert", "PGSSLCERT", "`~/.postgresql/postgresql.crt` without it, where that is there"),
    honoured("sslkey", "PGSSLKEY", "`~/.postgresql/postgresql.key` without it; a file that nobody else may read"),
    refused(
        "sslpassword",
        "",
        "the driver reads no encrypted keys",
        "decrypt the key into a file that nobody else may read: `openssl pkey -in KEY -out NEW`",
    ),
    only(
        "sslcertmode",
        "PGSSLCERTMODE",
        &["disable", "allow"],
        "the driver does not tell whether the server asked for a certificate",
        "leave it out, and let pg_hba.conf ask: `clientcert=verify-full`",
    ),
    honoured(
        "sslrootcert",
        "PGSSLROOTCERT",
        "`~/.postgresql/root.crt` without it; `system` for those of the system; one that is named has to be there",
    ),
    refused("sslcrl", "PGSSLCRL", "the driver reads no revocation lists", LEAVE_OUT),
    refused("sslcrldir", "PGSSLCRLDIR", "the driver reads no revocation lists", LEAVE_OUT),
    only("sslsni", "PGSSLSNI", &["1"], "the name of the host is always sent", LEAVE_OUT),
    refused(
        "requirepeer",
        "PGREQUIREPEER",
        "the driver does not tell who owns the other end of a socket",
        "leave it out, and keep the socket in a folder that only its owner may write to",
    ),
    only(
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
        "TLS is 1.2 or 1.3, whichever the server has",
        "leave it out, and set it on the server: `ssl_min_protocol_version`",
    ),
    only(
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        &["TLSv1.3"],
        "TLS is 1.2 or 1.3, whichever the server has",
        LEAVE_OUT,
    ),
    only(
        "min_protocol_version",
        "PGMINPROTOCOLVERSION",
        &["3.0"],
        "the driver speaks version 3.0 of the protocol",
        LEAVE_OUT,
    ),
    honoured(
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        "version 3.0 is spoken, which none of its values excludes",
    ),
    refused("krbsrvname", "PGKRBSRVNAME", NO_GSS, PASSWORD),
    refused("gsslib", "PGGSSLIB", NO_GSS, PASSWORD),
    only("gssdelegation", "PGGSSDELEGATION", &["0"], NO_GSS, PASSWORD),
    refused("scram_client_key", "", "the driver makes its SCRAM keys from a password", "give the password"),
    refused("scram_server_key", "", "the driver makes its SCRAM keys from a password", "give the password"),
    honoured(
        "service",
        "PGSERVICE",
        "from `PGSERVICEFILE`, `~/.pg_service.conf`, or the `pg_service.conf` of the system",
    ),
    honoured("target_session_attrs", "PGTARGETSESSIONATTRS", "asked after connecting"),
    honoured("load_balance_hosts", "PGLOADBALANCEHOSTS", "`random` tries the hosts in another order each time"),
    refused("sslkeylogfile", "", "the keys of a session are not written down", LEAVE_OUT),
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
        "a migration means the same wherever it is run from",
        "unset it; `SET datestyle` in a migration sets it there",
    ),
    only(
        "",
        "PGTZ",
        &["UTC", "Etc/UTC"],
        "a migration means the same wherever it is run from",
        "unset it; `SET timezone` in a migration sets it there",
    ),
    honoured("", "PGGEQO", "the setting `geqo` of the session"),
    honoured("", "PGLOCALEDIR", "where libpq finds translations of its own messages; none of them is shown here"),
];

/// Other drivers' names of parameters that libpq does not know, with what libpq calls them.
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
                Decision::Honoured("") => "honoured".to_owned(),
                Decision::Honoured(note) => format!("honoured: {note}"),
                Decision::Only { values: [], why, instead } | Decision::Refused { why, instead } => {
                    format!("**refused**: {why}; {instead}")
                }
                Decision::Only { values, why, instead } => {
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
