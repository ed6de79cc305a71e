//! Starts a managed server that already exists.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::endpoint::{Endpoint, Provider};
use super::{ManagedServer, ServerProgress};
use crate::error::ServerError;
use crate::provider::binaries::Binaries;
use crate::provider::cluster::Cluster;
use crate::provider::docker::DockerContainer;

const READY: Duration = Duration::from_secs(60);
/// Development data survives a crash of the server. The last half second may be lost if the machine crashes; in
/// return, commits are several times faster.
const SETTINGS: [(&str, &str); 2] = [("synchronous_commit", "off"), ("max_connections", "200")];

impl ManagedServer {
    pub(super) async fn start(
        &self,
        mut endpoint: Endpoint,
        progress: &mut dyn FnMut(ServerProgress),
    ) -> Result<Endpoint, ServerError> {
        match endpoint.provider.clone() {
            Provider::Local { .. } => self.start_local(&mut endpoint, progress).await?,
            Provider::Docker { image } => {
                self.container().start(&image, &endpoint.password)?;
                endpoint.port = self.container().port()?;
                self.record(&endpoint)?;
                self.wait_for_container(&endpoint).await?;
            }
        }
        endpoint.server_version = version(&endpoint).await?;
        self.record(&endpoint)?;
        progress(ServerProgress::Running(endpoint.display()));
        Ok(endpoint)
    }

    /// Starts the server on the data folder. A server that was killed may have left processes that are still
    /// ending, so the start is retried after the first refusals.
    async fn start_local(
        &self,
        endpoint: &mut Endpoint,
        progress: &mut dyn FnMut(ServerProgress),
    ) -> Result<(), ServerError> {
        let cluster = self.cluster(endpoint)?;
        let begin = Instant::now();
        loop {
            let port = free_port(endpoint.port)?;
            if endpoint.port != 0 && port != endpoint.port {
                progress(ServerProgress::OtherPort(port));
            }
            endpoint.port = port;
            self.record(endpoint)?;
            let mut child = cluster.start(Some(port), &SETTINGS)?;
            let outcome = cluster.wait(&mut child, &endpoint.options("postgres"), READY).await;
            let Err(error) = outcome else { return Ok(()) };
            let passing = matches!(&error, ServerError::Died { why, .. }
                if why.contains("shared memory") || why.contains("lock file") || why.contains("could not bind"));
            if !passing || begin.elapsed() > Duration::from_secs(15) {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn wait_for_container(&self, endpoint: &Endpoint) -> Result<(), ServerError> {
        let begin = Instant::now();
        loop {
            let why = match PgConnection::connect_with(&endpoint.options("postgres")).await {
                Ok(connection) => {
                    // The purpose was only to check that it accepts connections.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Err(error) => error.to_string(),
            };
            if begin.elapsed() > READY || !self.container().running()? {
                let why = format!("{why}; {}", self.container().log_tail());
                return Err(ServerError::NotReady { waited: begin.elapsed(), why });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn cluster(&self, endpoint: &Endpoint) -> Result<Cluster, ServerError> {
        let Provider::Local { sockets, binaries } = &endpoint.provider else {
            return Err(ServerError::NoProvider { tried: vec!["it is a container".to_owned()] });
        };
        let data = self.home.join("data");
        let major = Cluster::data_major(&data);
        let recorded = Binaries::probe(binaries).ok().filter(|found| major.is_none_or(|major| major == found.major));
        let binaries = match (recorded, major) {
            (Some(found), _) => found,
            (None, major) => Binaries::find(major).map_err(|tried| match major {
                Some(major) => ServerError::OtherVersion { data: data.clone(), major },
                None => ServerError::NoProvider { tried },
            })?,
        };
        let (sockets, log) = (sockets.clone(), self.home.join("server.log"));
        Ok(Cluster { binaries, data, sockets, log, account: self.account.clone() })
    }

    pub(super) fn container(&self) -> DockerContainer {
        DockerContainer { name: format!("roundtrip-{}", self.name) }
    }
}

/// The wanted port if it is free, otherwise any free port.
fn free_port(wanted: u16) -> Result<u16, ServerError> {
    let free = TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let port = free.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(ServerError::io("127.0.0.1", "listened on"))
}

async fn version(endpoint: &Endpoint) -> Result<String, ServerError> {
    let refused = |error: sqlx::Error| ServerError::refused("report its version", &error);
    let mut connection = PgConnection::connect_with(&endpoint.options("postgres")).await.map_err(refused)?;
    let version =
        sqlx::query_scalar::<_, String>("SELECT current_setting('server_version')").fetch_one(&mut connection).await;
    // Closing is a courtesy; nothing depends on it.
    let _ = connection.close().await;
    Ok(version.map_err(refused)?.split(' ').next().unwrap_or_default().to_owned())
}
