//! A network between us and the server that can stop responding: it accepts everything and forwards nothing, in
//! both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use migrate_test::TestDatabase;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// A proxy for a single test, in front of the test's database.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<ProxyState>,
}

#[derive(Default)]
struct ProxyState {
    connections: Mutex<Vec<ProxyConnection>>,
    /// Whether new connections are swallowed from their first byte on.
    is_dark: AtomicBool,
    /// A message with these words gets through, this many more times, and then no answer comes.
    swallowed: Mutex<Option<(String, usize)>>,
    /// How many messages with queries have arrived.
    messages: AtomicUsize,
}

impl ProxyState {
    /// Whether the answer to this message is swallowed, and everything that follows on its connection.
    fn swallows(&self, message: &[u8]) -> bool {
        let mut swallowed = self.swallowed.lock().unwrap();
        let Some((words, left)) = swallowed.as_mut() else { return false };
        if !message.windows(words.len()).any(|part| part == words.as_bytes()) {
            return false;
        }
        *left -= 1;
        *left == 0 && swallowed.take().is_some()
    }
}

struct ProxyConnection {
    application: String,
    is_silent: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(ProxyState::default());
        let (server, shared) = (database.options(), state.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server, state) = (client.unwrap(), server.clone(), shared.clone());
                thread::spawn(move || serve(client, &server, &state));
            }
        });
        Self { port, state }
    }

    /// The address of the database through the proxy.
    pub(crate) fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(self.port);
        options.username(database.options().get_username()).database(database.name()).ssl_mode(PgSslMode::Disable)
    }

    /// From now on nothing passes on the connections of these applications.
    pub(crate) fn silence(&self, is_meant: impl Fn(&str) -> bool) {
        let connections = self.state.connections.lock().unwrap();
        for connection in connections.iter().filter(|connection| is_meant(&connection.application)) {
            connection.is_silent.store(true, Ordering::SeqCst);
        }
    }

    /// The server receives the `nth` message with these words, counted from 1, but neither its answer nor any
    /// later one arrives.
    pub(crate) fn swallow(&self, words: &str, nth: usize) {
        *self.state.swallowed.lock().unwrap() = Some((words.to_owned(), nth));
    }

    /// How many messages with queries have arrived; each counts once.
    pub(crate) fn messages(&self) -> usize {
        self.state.messages.load(Ordering::SeqCst)
    }

    /// From now on nothing passes at all.
    pub(crate) fn go_dark(&self) {
        self.state.is_dark.store(true, Ordering::SeqCst);
        self.silence(|_| true);
    }

    /// From now on new traffic passes again.
    pub(crate) fn light_up(&self) {
        self.state.is_dark.store(false, Ordering::SeqCst);
    }
}

/// The two ends of a connection to the server, for one thread each.
fn reach(server: &PgConnectOptions) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
    match server.get_socket() {
        Some(folder) => {
            let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{}", server.get_port()))).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
        None => {
            let stream = TcpStream::connect((server.get_host(), server.get_port())).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
    }
}

fn serve(mut client: TcpStream, server: &PgConnectOptions, state: &ProxyState) {
    let is_silent = Arc::new(AtomicBool::new(state.is_dark.load(Ordering::SeqCst)));
    let mut first = [0; 4096];
    let Ok(length) = client.read(&mut first) else { return };
    let words = String::from_utf8_lossy(&first[..length]).into_owned();
    let application = words.split("application_name\0").nth(1).and_then(|rest| rest.split('\0').next());
    let application = application.unwrap_or_default().to_owned();
    state.connections.lock().unwrap().push(ProxyConnection { application, is_silent: is_silent.clone() });
    if is_silent.load(Ordering::SeqCst) {
        while client.read(&mut first).is_ok_and(|length| length > 0) {}
        return;
    }
    let (mut from_server, mut to_server) = reach(server);
    to_server.write_all(&first[..length]).unwrap();
    let mut to_client = client.try_clone().unwrap();
    let silent = is_silent.clone();
    thread::spawn(move || {
        pump(&mut from_server, &mut to_client, &silent, |_| false);
        if !silent.load(Ordering::SeqCst) {
            let _ = to_client.shutdown(Shutdown::Both);
        }
    });
    pump(&mut client, &mut *to_server, &is_silent, |message| {
        state.messages.fetch_add(usize::from(message.first() == Some(&b'Q')), Ordering::SeqCst);
        state.swallows(message)
    });
    if is_silent.load(Ordering::SeqCst) {
        // The end of the client's connection is swallowed as well: the server believes that the client is still
        // there.
        std::mem::forget(to_server);
    } else {
        // The server closes its end after it has read the terminate message, or when it notices that the client
        // is gone.
        drop(to_server);
    }
}

fn pump(from: &mut dyn Read, to: &mut dyn Write, is_silent: &AtomicBool, is_last: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let was_silent = is_silent.load(Ordering::SeqCst);
        if is_last(&bytes[..length]) {
            is_silent.store(true, Ordering::SeqCst);
        }
        if !was_silent && to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}
