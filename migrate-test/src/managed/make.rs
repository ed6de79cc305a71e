//! Creates a managed server: with which provider, and in which folder.

use std::path::PathBuf;

use super::endpoint::{Endpoint, FORMAT, Provider};
use super::{ManagedServer, ProviderChoice, ServerProgress};
use crate::error::ServerError;
use crate::provider::binaries::Binaries;
use crate::provider::cluster::remove;
use crate::provider::docker;
use crate::random;

impl ManagedServer {
    /// Chooses the provider, and says why the ones before it were not used.
    pub(super) fn choose(&self) -> Result<(Provider, Vec<String>), ServerError> {
        let mut tried = Vec::new();
        if matches!(self.source, ProviderChoice::Auto | ProviderChoice::Local) {
            match Binaries::find(None) {
                Ok(found) => return Ok((Provider::Local { sockets: self.sockets(), binaries: found.folder }, tried)),
                Err(why) => tried.extend(why),
            }
        }
        if let ProviderChoice::Docker(_) | ProviderChoice::Auto = &self.source {
            match docker::available() {
                Ok(()) => {
                    let image = match &self.source {
                        ProviderChoice::Docker(Some(image)) => image.clone(),
                        _ => docker::image()?,
                    };
                    return Ok((Provider::Docker { image }, tried));
                }
                Err(why) => tried.push(why),
            }
        }
        Err(ServerError::NoProvider { tried })
    }

    /// Creates a new server, up to the point where it can be started.
    pub(super) fn make(&self, progress: &mut dyn FnMut(ServerProgress)) -> Result<Endpoint, ServerError> {
        let (provider, _) = self.choose()?;
        progress(ServerProgress::Making(provider.to_string()));
        let password = random::password().map_err(ServerError::io("/dev/urandom", "read"))?;
        let mut endpoint = Endpoint { format: FORMAT, provider, port: 0, password, server_version: String::new() };
        if let Provider::Local { binaries, .. } = &endpoint.provider {
            let found = Binaries::probe(binaries).map_err(|why| ServerError::NoProvider { tried: vec![why] })?;
            endpoint.server_version = found.version;
            // The password of a data folder without a state file is unknown.
            remove(&self.home.join("data"))?;
            self.cluster(&endpoint)?.init(&endpoint.password)?;
        }
        Ok(endpoint)
    }

    /// The folder of the sockets: beside the data, or at a shorter path if that one is too long for a socket
    /// (107 bytes on Linux, 103 on macOS).
    fn sockets(&self) -> PathBuf {
        let beside = self.home.join("sockets");
        let length = beside.as_os_str().len() + "/.s.PGSQL.65535.lock".len();
        if length < 100 {
            beside
        } else {
            PathBuf::from(format!("/tmp/roundtrip-{:08x}", fnv(self.home.as_os_str().as_encoded_bytes())))
        }
    }
}

/// The folder that contains the managed servers.
pub(super) fn base() -> Result<PathBuf, ServerError> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = from("ROUNDTRIP_HOME") {
        return Ok(home);
    }
    if rustix::process::geteuid().is_root() {
        // The account that runs the server cannot enter root's home folder.
        return Ok(PathBuf::from("/var/lib/roundtrip"));
    }
    let home = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    Ok(home.unwrap_or_else(std::env::temp_dir).join("roundtrip"))
}

/// FNV-1a: a hash that is the same in every run and every version.
pub(super) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
