//! A server in a container, by testcontainers, for a machine without PostgreSQL binaries.
//!
//! It belongs to this process and ends with it, however that ends: a small shell waits at the
//! other end of a pipe that only this process holds open, and removes the container.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::core::IntoContainerPort;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt};

use crate::error::ServerError;
use crate::provider::docker;
use crate::random;

/// What waits for the end of this process.
const REMOVER: &str = "cat >/dev/null; docker rm --force --volumes \"$1\" >/dev/null 2>&1";

/// A container that runs while this value lives.
#[derive(Debug)]
pub(super) struct Container {
    image: String,
    options: PgConnectOptions,
    _container: ContainerAsync<Postgres>,
    _lifeline: Option<ChildStdin>,
}

impl Container {
    /// Starts a container of this image, or of the newest PostgreSQL image that is here.
    pub(super) async fn take(image: Option<&str>) -> Result<Self, ServerError> {
        docker::available().map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
        let image = image.map_or_else(docker::image, |image| Ok(image.to_owned()))?;
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let password = random::hex(32);
        let failed = |why: String| ServerError::Program { program: "docker".to_owned(), why };
        let container = Postgres::default()
            .with_user("postgres")
            .with_password(&password)
            .with_db_name("postgres")
            .with_name(name)
            .with_tag(tag)
            .with_label("roundtrip", "test")
            .start()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let port = container.get_host_port_ipv4(5432.tcp()).await.map_err(|error| failed(error.to_string()))?;
        let lifeline = remove_at_the_end(container.id());
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let options = options.username("postgres").password(&password).ssl_mode(PgSslMode::Prefer);
        Ok(Self { image, options, _container: container, _lifeline: lifeline })
    }

    /// The image it is made of.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// How to connect to one of its databases, as a superuser.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }
}

/// Starts the shell that outlives us by a moment. Where it cannot be started the container stays
/// until somebody removes it: `docker ps --filter label=roundtrip=test`.
fn remove_at_the_end(id: &str) -> Option<ChildStdin> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", REMOVER, "roundtrip-test", id]).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut pipe = shell.spawn().ok()?.stdin.take()?;
    pipe.write_all(b"\n").ok().map(|()| pipe)
}
