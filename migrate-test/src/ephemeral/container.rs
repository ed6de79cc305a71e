//! A server in a container, by testcontainers, for a machine without PostgreSQL binaries.
//!
//! The container belongs to this process and ends with it, however the process ends. A small shell waits at the
//! other end of a pipe that only this process holds open, and removes the container. The shell knows the
//! container's name before the container exists.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::core::IntoContainerPort;
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerAsync, ImageExt};

use crate::error::ServerError;
use crate::provider::docker;
use crate::provider::throwaway::{self, ContainerReaper};
use crate::random;

/// A container that runs as long as this value exists.
#[derive(Debug)]
pub(super) struct TestContainer {
    image: String,
    options: PgConnectOptions,
    _container: ContainerAsync<Postgres>,
    watch: ContainerReaper,
}

impl TestContainer {
    /// Starts a container of this image, or of the newest PostgreSQL image that is available locally.
    pub(super) async fn take(image: Option<&str>) -> Result<Self, ServerError> {
        docker::available().map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
        let image = image.map_or_else(docker::image, |image| Ok(image.to_owned()))?;
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let password = random::hex(32);
        let failed = |why: String| ServerError::Program { program: "docker".to_owned(), why };
        let own_name = throwaway::name();
        let watch = ContainerReaper::over(&own_name)?;
        let command = docker::THROWAWAY.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
        let container = Postgres::default()
            .with_user("postgres")
            .with_password(&password)
            .with_db_name("postgres")
            .with_name(name)
            .with_tag(tag)
            .with_cmd(command)
            .with_container_name(&own_name)
            .with_label("roundtrip", "test")
            .start()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let port = container.get_host_port_ipv4(5432.tcp()).await.map_err(|error| failed(error.to_string()))?;
        watch.started();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let options = options.username("postgres").password(&password).ssl_mode(PgSslMode::Prefer);
        Ok(Self { image, options, _container: container, watch })
    }

    /// The image of the container.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// The shell that removes it.
    pub(super) fn watch(&self) -> &ContainerReaper {
        &self.watch
    }

    /// How to connect to one of its databases, as a superuser.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }
}
