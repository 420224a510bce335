//! One DTLS configuration for all transports, and the keys each handshake yields. str0m's own provider builds
//! a configuration for each `Rtc`, and every build re-runs the DTLS library's self-tests: 1.1 ms of a 1.5 ms
//! join.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use str0m::config::CryptoProvider;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};
use str0m::crypto::{CryptoError, from_feature_flags};

use super::egress::{Agreed, Keys};

/// The certificate every transport of this box shows, as DER. Made once and kept: one for each transport
/// would cost 60 to 80 us at each join.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub certificate: Vec<u8>,
    pub private_key: Vec<u8>,
}

/// The process's crypto: str0m's own, but for the shared DTLS configuration.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = from_feature_flags();
        provider.dtls_provider = &SharedConfig;
        Arc::new(provider)
    })
}

thread_local! {
    /// str0m asks for a DTLS instance while it builds an `Rtc`, and does not say for which.
    static BUILT: RefCell<Keys> = RefCell::default();
}

/// Builds an `Rtc`, and where the keys of its handshake will be found.
pub(super) fn with_keys<T>(build: impl FnOnce() -> T) -> (T, Keys) {
    let built = build();
    (built, BUILT.take())
}

#[derive(Debug)]
struct SharedConfig;

impl SharedConfig {
    fn config() -> Result<Arc<dimpl::Config>, CryptoError> {
        static CONFIG: OnceLock<Result<Arc<dimpl::Config>, String>> = OnceLock::new();
        CONFIG
            .get_or_init(|| {
                // ICE has verified that the peer answers at its address before DTLS begins, which is all
                // that a cookie would do (RFC 6347 4.2.1).
                let config = dimpl::Config::builder().use_server_cookie(false).build();
                config.map(Arc::new).map_err(|e| e.to_string())
            })
            .clone()
            .map_err(|e| CryptoError::Other(format!("building the DTLS configuration: {e}")))
    }
}

impl DtlsProvider for SharedConfig {
    /// Never asked: every transport is given the box's certificate.
    fn generate_certificate(&self) -> Option<DtlsCert> {
        None
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let dtls = dimpl::Dtls::new_12(Self::config()?, cert.clone(), now);
        let keys = Keys::default();
        BUILT.set(keys.clone());
        Ok(Box::new(Instance { dtls, keys }))
    }
}

struct Instance {
    dtls: dimpl::Dtls,
    keys: Keys,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }
    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.dtls.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            self.keys.get_or_init(|| Agreed {
                profile: *profile,
                material: material.to_vec(),
                we_are_client: self.dtls.is_active(),
            });
        }
        output
    }
    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
    }
    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.dtls.send_application_data(data)
    }
    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }
    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }
    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }
    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }
    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}
