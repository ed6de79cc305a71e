//! How a network connection detects that the other end is gone.
//!
//! The driver gives no access to its socket, so only the server's side of the connection can be configured here: the
//! server is the side that holds locks for a client that is gone. Our own side has its own limits; see
//! [`Keepalive::patience`].

use std::time::Duration;

/// The settings that libpq knows as `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count` and
/// `tcp_user_timeout`. See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES>.
///
/// `None` means our own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Whether idle connections are probed.
    pub on: bool,
    /// How long a connection is idle before it is probed; zero means the system default.
    pub idle: Option<Duration>,
    /// The time between an unanswered probe and the next one; zero means the system default.
    pub interval: Option<Duration>,
    /// After how many unanswered probes a connection counts as dead; zero means the system default.
    pub count: Option<u32>,
    /// How long sent data may remain unacknowledged; zero means the system default.
    pub user_timeout: Option<Duration>,
}

const IDLE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(10);
const COUNT: u32 = 6;
const USER_TIMEOUT: Duration = Duration::from_secs(90);

/// How long we accept that nothing answers, unless `tcp_user_timeout` is set.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for Keepalive {
    fn default() -> Self {
        Self { on: true, idle: None, interval: None, count: None, user_timeout: None }
    }
}

impl Keepalive {
    /// How long we accept that nothing answers: neither a connection nor an attempt to reconnect.
    pub(crate) fn patience(&self) -> Duration {
        let given = self.user_timeout.filter(|timeout| !timeout.is_zero());
        // A shorter time is not enough to query a server.
        given.map_or(PATIENCE, |timeout| timeout.max(Duration::from_secs(2)))
    }

    /// The settings for the server's side of a connection, which every role may set; they have no effect on a Unix
    /// socket or on a system that does not support them.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let seconds = |duration: Duration| duration.as_secs().min(i32::MAX as u64).to_string();
        let mut settings = Vec::new();
        if self.on {
            settings.push(("tcp_keepalives_idle", seconds(self.idle.unwrap_or(IDLE))));
            settings.push(("tcp_keepalives_interval", seconds(self.interval.unwrap_or(INTERVAL))));
            settings.push(("tcp_keepalives_count", self.count.unwrap_or(COUNT).to_string()));
        }
        let timeout = self.user_timeout.unwrap_or(USER_TIMEOUT).as_millis();
        settings.push(("tcp_user_timeout", timeout.min(i32::MAX as u128).to_string()));
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_set_and_the_rest_has_defaults() {
        let given = Keepalive {
            idle: Some(Duration::from_secs(5)),
            user_timeout: Some(Duration::ZERO),
            ..Keepalive::default()
        };
        let set = |keepalive: Keepalive, name| {
            keepalive.settings().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        assert_eq!(set(given, "tcp_keepalives_idle").as_deref(), Some("5"));
        assert_eq!(set(given, "tcp_keepalives_count").as_deref(), Some("6"));
        assert_eq!(set(given, "tcp_user_timeout").as_deref(), Some("0"));
        assert_eq!(set(Keepalive { on: false, ..given }, "tcp_keepalives_idle"), None);
    }

    #[test]
    fn the_patience_is_the_given_timeout() {
        let after = |user_timeout| Keepalive { user_timeout, ..Keepalive::default() }.patience();
        assert_eq!(after(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!((after(None), after(Some(Duration::ZERO))), (PATIENCE, PATIENCE));
    }
}
