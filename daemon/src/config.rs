//! `pttd.toml`: the settings of one box. Who belongs where is not here but in the roster.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use pttd_core::authority::{self, is_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::JOURNAL_KEPT;
use crate::toml_file::{Mistake, Step, TomlFile, Written, duration, text, texts, whole};

pub mod radio;

pub use radio::{Desk, Lamp, Radio};

/// Shards need the ports after it.
const MAX_MEDIA_PORT: u16 = 65_000;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What people read at the top of the page and on the cards: up to 64 characters. Default: the
    /// machine's host name.
    #[serde(deserialize_with = "name")]
    pub name: Option<String>,
    pub web: Web,
    pub media: Media,
    pub state: State,
    pub recorder: Recorder,
    pub tokens: Tokens,
    pub limits: Limits,
    pub log: Log,
    pub guardian: Guardian,
    /// What is wired to the box.
    pub radio: Vec<Radio>,
    pub desk: Vec<Desk>,
    pub lamp: Vec<Lamp>,
}

/// The pages, sign-in and signaling.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port of the talk page. A browser gives a microphone only to HTTPS.
    #[serde(deserialize_with = "text")]
    pub https: SocketAddr,
    /// Address and port of the landing page, which leads to the other one. Plain HTTP.
    #[serde(deserialize_with = "text")]
    pub plain: SocketAddr,
    /// More DNS names the box is reached by, beside `HOSTNAME.local`. The box's own CA can only vouch for
    /// names under `.local`; others need a certificate of their own.
    #[serde(deserialize_with = "texts")]
    pub names: Vec<DnsName>,
    /// An own certificate (PEM, the whole chain, the box's first) instead of one from the box's CA. Read
    /// again when the file changes.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate` (PEM). Danger: whoever reads it can pass for the box.
    pub key: Option<PathBuf>,
}

/// Sound: the UDP sockets of the SFU.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// UDP port of the first shard; shard n uses port + n. 0: any free ones.
    #[serde(deserialize_with = "whole::<0, { MAX_MEDIA_PORT as u64 }, _, _>")]
    pub port: u16,
    /// Media threads. 0: one a core.
    #[serde(deserialize_with = "whole::<0, 64, _, _>")]
    pub shards: usize,
    /// The box's addresses that browsers are told to send sound to. Empty: every LAN address it has.
    #[serde(deserialize_with = "texts")]
    pub addresses: Vec<LanAddress>,
    /// Addresses told besides, for a router that forwards a port to the box: `"203.0.113.7"`, or with a
    /// first port other than `port` `"203.0.113.7:50000"`.
    #[serde(deserialize_with = "texts")]
    pub advertise: Vec<Advertised>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The folder of the box's memory: identity, keys, roster, devices. Danger: with a copy of it one can
    /// pass for the box; without it every phone has to sign in and trust the box anew.
    pub dir: PathBuf,
}

/// What is said on recorded channels, kept as files. Which channels, and how long, stands in the roster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recorder {
    /// The folder of the recordings. Empty: `recordings` in the folder of the state. Danger: whoever reads it
    /// hears what was said.
    pub folder: PathBuf,
    /// What all recordings together may take, 16MiB to 16TiB; beyond it the oldest go.
    #[serde(deserialize_with = "size::<{ 16 << 20 }, _>")]
    pub max: Size,
    /// What stays free on their disk, 64MiB to 16TiB; below it the oldest go, and then nothing is recorded.
    #[serde(deserialize_with = "size::<{ 64 << 20 }, _>")]
    pub keep_free: Size,
}

/// Tokens (JWT) from elsewhere that open the door. Without keys no token does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// What `aud` must contain. Not set: a token with an `aud` is refused.
    pub audience: Option<String>,
    /// What `iss` must be. Not set: anything. Danger: then any issuer that signs with the key is believed.
    pub issuer: Option<String>,
    /// How far the issuer's clock may be off the box's, 0s to 10m.
    #[serde(deserialize_with = "duration::<0, 600_000, _>")]
    pub leeway: Duration,
    /// The keys tokens may be signed with.
    pub key: Vec<TokenKey>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The one algorithm this key is for. Danger: with HS256 the file is a secret, and whoever reads it
    /// can let anybody in.
    pub algorithm: TokenAlgorithm,
    /// The public key (PEM); for HS256 the secret itself, 32 bytes or more.
    pub file: PathBuf,
    /// The `kid` of the tokens it is for. Not set: of tokens without a `kid`, or with one no key has.
    pub id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TokenAlgorithm {
    EdDSA,
    ES256,
    RS256,
    HS256,
}

/// How much there may be of what people make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[serde(rename_all(serialize = "camelCase"))]
#[schema(rename_all = "camelCase")]
pub struct Limits {
    /// Channels a user may have joined at a time, 1 to 50.
    #[serde(deserialize_with = "whole::<1, 50, _, _>")]
    pub user_channels: u32,
    /// Channels a dispatcher or an admin may have joined at a time, 1 to 50.
    #[serde(deserialize_with = "whole::<1, 50, _, _>")]
    pub dispatch_channels: u32,
    /// Channels of the box, 1 to 50.
    #[serde(deserialize_with = "whole::<1, 50, _, _>")]
    pub channels: u32,
    /// People who belong to one channel, 1 to 5000.
    #[serde(deserialize_with = "whole::<1, 5000, _, _>")]
    pub channel_members: u32,
    /// Devices of one user signed in at a time, 1 to 100.
    #[serde(deserialize_with = "whole::<1, 100, _, _>")]
    pub user_sessions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            user_channels: 10,
            dispatch_channels: 50,
            channels: 50,
            channel_members: 1000,
            user_sessions: 20,
        }
    }
}

impl Limits {
    pub fn of_roster(&self) -> authority::Limits {
        authority::Limits {
            channels: self.channels as usize,
            channel_members: self.channel_members as usize,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` for people, `json` for machines. What is logged is set by RUST_LOG, as in `pttd=debug`.
    pub format: LogFormat,
    /// Entries of the journal (`pttd log`) that are kept, 1000 to 10000000. The oldest go first.
    #[serde(deserialize_with = "whole::<1_000, 10_000_000, _, _>")]
    pub keep: u64,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            format: LogFormat::default(),
            keep: JOURNAL_KEPT,
        }
    }
}

/// The process that owns every PTT line, and unkeys when orders stop coming.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardian {
    /// The socket it is reached by. Empty: `guardian.sock` in the folder of the state.
    pub socket: PathBuf,
    /// How long one order keeps a transmitter keyed, 100ms to 1s: so long it stays on the air when pttd hangs.
    #[serde(deserialize_with = "duration::<100, 1_000, _>")]
    pub lease: Duration,
    /// Whether `pttd run` starts one where none answers: `auto`, unless systemd started pttd, for it starts the
    /// guardian as well; `never`.
    pub start: StartGuardian,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartGuardian {
    #[default]
    Auto,
    Never,
}

impl Default for Guardian {
    fn default() -> Self {
        Guardian {
            socket: PathBuf::new(),
            lease: Duration::from_millis(250),
            start: StartGuardian::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for Web {
    fn default() -> Self {
        Web {
            https: SocketAddr::from(([0u16; 8], 443)),
            plain: SocketAddr::from(([0u16; 8], 80)),
            names: Vec::new(),
            certificate: None,
            key: None,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Media {
            port: 40_000,
            shards: 0,
            addresses: Vec::new(),
            advertise: Vec::new(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            dir: "/var/lib/pttd".into(),
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder {
            folder: PathBuf::new(),
            max: Size(2 << 30),
            keep_free: Size(500 << 20),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            audience: None,
            issuer: None,
            leeway: Duration::from_secs(60),
            key: Vec::new(),
        }
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

const LARGEST_SIZE: u64 = 16 << 40;

impl FromStr for Size {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit {
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(()),
        };
        let number: u64 = number.parse().map_err(|_unlike| ())?;
        number.checked_mul(factor).map(Size).ok_or(())
    }
}

fn size<'de, const LEAST: u64, D: serde::Deserializer<'de>>(d: D) -> Result<Size, D::Error> {
    use serde::de::{Error, Unexpected};
    let text = String::deserialize(d)?;
    match text.parse() {
        Ok(size @ Size(bytes)) if (LEAST..=LARGEST_SIZE).contains(&bytes) => Ok(size),
        Ok(_) | Err(()) => Err(D::Error::invalid_value(
            Unexpected::Str(&text),
            &format!(
                "a size in quotes, with its unit (MiB, GiB or TiB), from \"{}MiB\" to \"16TiB\"",
                LEAST >> 20
            )
            .as_str(),
        )),
    }
}

/// A DNS name in lower case, such as `gate.local`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName(String);

impl DnsName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the box's own CA may vouch for it.
    pub fn is_local(&self) -> bool {
        self.0.ends_with(".local")
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let good =
            text.len() <= 253 && text.split('.').all(label) && text.parse::<IpAddr>().is_err();
        good.then(|| DnsName(text.to_ascii_lowercase())).ok_or(())
    }
}

/// An address of the box itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanAddress(pub IpAddr);

impl FromStr for LanAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(LanAddress)
    }
}

/// An address in front of the box, and the first of its ports where that is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    pub address: IpAddr,
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(address) = text.parse() {
            let port = None;
            return Ok(Advertised { address, port });
        }
        let socket: SocketAddr = text.parse().map_err(|_unlike| ())?;
        let (address, port) = (socket.ip(), Some(socket.port()));
        (1..=MAX_MEDIA_PORT)
            .contains(&socket.port())
            .then_some(Advertised { address, port })
            .ok_or(())
    }
}

impl Written for SocketAddr {
    const LIKE: &'static str = "an address and a port, such as \"[::]:443\" or \"192.168.1.5:443\"";
}
impl Written for LanAddress {
    const LIKE: &'static str = "an IP address, such as \"192.168.1.5\"";
}
impl Written for Advertised {
    const LIKE: &'static str =
        "an IP address, such as \"203.0.113.7\" or \"203.0.113.7:50000\", its port at most 65000";
}
impl Written for DnsName {
    const LIKE: &'static str = "a DNS name, such as \"gate.local\"";
}

fn name<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    use serde::de::{Error, Unexpected};
    let name = String::deserialize(d)?;
    match is_name(&name) {
        true => Ok(Some(name)),
        false => Err(D::Error::invalid_value(
            Unexpected::Str(&name),
            &"1 to 64 characters, none of them a control character",
        )),
    }
}

impl Settings {
    pub fn read(path: &Path) -> Result<Settings, Mistake> {
        Settings::of_file(&TomlFile::read(path)?)
    }

    pub fn of_file(file: &TomlFile) -> Result<Settings, Mistake> {
        let mut settings: Settings = file.parse()?;
        settings.check(file)?;
        settings.start_paths_at(file.folder());
        Ok(settings)
    }

    pub fn box_name(&self) -> String {
        self.name.clone().unwrap_or_else(host_name)
    }

    /// Of radios and desks: they share their names.
    pub fn radio_ids(&self) -> Vec<String> {
        let radios = self.radio.iter().map(|radio| &radio.id);
        let desks = self.desk.iter().map(|desk| &desk.id);
        radios
            .chain(desks)
            .map(|id| id.as_str().to_string())
            .collect()
    }

    pub fn recorder(&self) -> Recorder {
        let mut recorder = self.recorder.clone();
        if recorder.folder.as_os_str().is_empty() {
            recorder.folder = self.state.dir.join("recordings");
        }
        recorder
    }

    /// Where the guardian is reached.
    pub fn guardian_socket(&self) -> PathBuf {
        match self.guardian.socket.as_os_str().is_empty() {
            true => self.state.dir.join("guardian.sock"),
            false => self.guardian.socket.clone(),
        }
    }

    /// What one setting alone cannot tell.
    fn check(&self, file: &TomlFile) -> Result<(), Mistake> {
        use Step::{Index, Key};
        let web = &self.web;
        match (&web.certificate, &web.key) {
            (Some(_), None) => {
                return Err(file.mistake_at(
                    &[Key("web"), Key("certificate")],
                    "[web] certificate has no [web] key: name the file of its private key".into(),
                ));
            }
            (None, Some(_)) => {
                return Err(file.mistake_at(
                    &[Key("web"), Key("key")],
                    "[web] key has no [web] certificate: name the file of the certificate".into(),
                ));
            }
            _ => {}
        }
        let foreign = web.names.iter().position(|name| !name.is_local());
        if let (Some(index), None) = (foreign, &web.certificate) {
            return Err(file.mistake_at(
                &[Key("web"), Key("names"), Index(index)],
                format!(
                    "the box's own CA cannot vouch for {:?}, only for names under .local: use such a \
                     name, or give [web] certificate and key for this one",
                    web.names[index].as_str()
                ),
            ));
        }
        if web.https == web.plain && web.https.port() != 0 {
            return Err(file.mistake_at(
                &[Key("web"), Key("plain")],
                "[web] https and plain are the same address and port: give each its own".into(),
            ));
        }
        let mut seen = BTreeSet::new();
        for (index, key) in self.tokens.key.iter().enumerate() {
            if let Some(id) = &key.id
                && !seen.insert(id)
            {
                return Err(file.mistake_at(
                    &[Key("tokens"), Key("key"), Index(index), Key("id")],
                    format!("another [[tokens.key]] has the id {id:?} as well: give each its own"),
                ));
            }
        }
        radio::check(self, file)
    }

    /// A relative path means the same wherever the daemon is started from.
    fn start_paths_at(&mut self, folder: &Path) {
        let paths = [&mut self.web.certificate, &mut self.web.key];
        let paths = paths.into_iter().flatten();
        let keys = self.tokens.key.iter_mut().map(|key| &mut key.file);
        let own = [&mut self.recorder.folder, &mut self.guardian.socket];
        let own = own.into_iter().filter(|path| !path.as_os_str().is_empty());
        for path in paths.chain(keys).chain([&mut self.state.dir]).chain(own) {
            *path = folder.join(&path);
        }
        radio::start_paths_at(&mut self.radio, folder);
    }
}

/// The machine's own name, without a domain.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .and_then(|name| name.split('.').next().map(str::to_string))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "pttd".to_string())
}

#[cfg(test)]
mod tests;
