//! USB sound fobs with a CM108 or a relative of it, over hidraw: a GPIO keys, a volume key is the carrier.
//!
//! The chip latches: closing the file does not unkey, and nor does the death of its owner. Writing can fail
//! while the transmitter's own field disturbs the USB; then [`reset`] and another try are all that is left.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use tracing::{debug, info, warn};

use crate::errno::hw_error;
use crate::spec::{Cm108Device, Cm108Key, SoundSpec};
use crate::sysfs::Sysfs;
use crate::{Carrier, HwError, Ptt};

/// The hidraw device that a name in the settings stands for now.
pub fn find(device: &Cm108Device, sound: &SoundSpec) -> Result<PathBuf, HwError> {
    find_in(&Sysfs::of_this_machine(), device, sound)
}

fn find_in(sysfs: &Sysfs, device: &Cm108Device, sound: &SoundSpec) -> Result<PathBuf, HwError> {
    if let Cm108Device::Hidraw(path) = device {
        return Ok(path.clone());
    }
    let port = port_of(sysfs, device, sound)?;
    let mut there = sysfs.hidraws();
    there.retain(|hidraw| hidraw.usb.as_ref() == Some(&port));
    there.sort_by_key(|hidraw| !hidraw.is_cm108());
    match there.into_iter().next() {
        Some(hidraw) => Ok(hidraw.path),
        None => Err(HwError::Missing {
            what: format!("a CM108 at the USB port {port}"),
        }),
    }
}

/// The USB port a fob is plugged into.
pub(crate) fn port_of(
    sysfs: &Sysfs,
    device: &Cm108Device,
    sound: &SoundSpec,
) -> Result<String, HwError> {
    match (device, sound) {
        (Cm108Device::Usb(port), _) | (Cm108Device::Auto, SoundSpec::Usb(port)) => Ok(port.clone()),
        (Cm108Device::Hidraw(path), _) => {
            let hidraw = sysfs.hidraws().into_iter().find(|h| h.path == *path);
            let port = hidraw.and_then(|hidraw| hidraw.usb);
            port.ok_or_else(|| HwError::Missing {
                what: format!("the USB port of {}", path.display()),
            })
        }
        (Cm108Device::Auto, SoundSpec::Card(id)) => {
            let card = sysfs.cards().into_iter().find(|card| card.id == *id);
            let card = card.ok_or_else(|| HwError::Missing {
                what: format!("the sound card {id}"),
            })?;
            card.usb.ok_or_else(|| {
                HwError::Name(format!(
                    "cm108:auto: the sound card {id} is no USB device: write cm108:/dev/hidraw0 or \
                     cm108:usb:1-1.2; pttd devices lists them"
                ))
            })
        }
        (Cm108Device::Auto, other) => Err(HwError::Name(format!(
            "cm108:auto needs sound = \"card:ID\" or \"usb:1-1.2\" to go by, not {other}: write \
             cm108:/dev/hidraw0 or cm108:usb:1-1.2"
        ))),
    }
}

/// One of the four GPIOs as a PTT line.
pub struct Cm108Ptt {
    file: File,
    _lock: Flock<OwnedFd>,
    bit: u8,
    active_low: bool,
    /// The device answers when it is asked for its pins, and they were once seen to follow: from then on a
    /// pin that does not is a fault.
    answers: bool,
    follows: bool,
    what: String,
}

impl Cm108Ptt {
    pub fn open(hidraw: &Path, gpio: u8, active_low: bool) -> Result<Cm108Ptt, HwError> {
        is_hidraw(hidraw)?;
        Cm108Ptt::of_file(hidraw, gpio, active_low)
    }

    fn of_file(hidraw: &Path, gpio: u8, active_low: bool) -> Result<Cm108Ptt, HwError> {
        let what = format!("GPIO {gpio} of the CM108 {}", hidraw.display());
        let file = open(hidraw, &what)?;
        let copy = file
            .try_clone()
            .map_err(|e| hw_error("opening", &what, e))?;
        let lock = Flock::lock(copy.into(), FlockArg::LockExclusiveNonblock);
        let lock = lock.map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => HwError::Busy { what: what.clone() },
            errno => hw_error("opening", &what, errno.into()),
        })?;
        let mut ptt = Cm108Ptt {
            file,
            _lock: lock,
            bit: 1 << (gpio - 1),
            active_low,
            answers: true,
            follows: false,
            what,
        };
        ptt.set(false)?;
        Ok(ptt)
    }

    /// Whether the pin is as it was set, as far as the device can tell.
    fn check(&mut self, high: bool) -> Result<(), HwError> {
        if !self.answers {
            return Ok(());
        }
        let report = match input_report(&self.file) {
            Ok(report) => report,
            Err(error) => {
                debug!(ptt = %self.what, %error, "the pins cannot be read back");
                self.answers = false;
                return Ok(());
            }
        };
        let is_high = report.gpios & self.bit != 0;
        self.follows |= high && is_high;
        match self.follows && is_high != high {
            true => Err(HwError::Io {
                doing: format!("setting {}", self.what),
                source: io::Error::other("the pin does not follow"),
            }),
            false => Ok(()),
        }
    }
}

impl Ptt for Cm108Ptt {
    fn set(&mut self, keyed: bool) -> Result<(), HwError> {
        let high = keyed != self.active_low;
        let report = output_report(self.bit, high);
        match self.file.write(&report) {
            Ok(n) if n == report.len() => self.check(high),
            Ok(_) => Err(HwError::Io {
                doing: format!("setting {}", self.what),
                source: ErrorKind::WriteZero.into(),
            }),
            Err(error) => Err(hw_error("setting", &self.what, error)),
        }
    }
}

impl Drop for Cm108Ptt {
    fn drop(&mut self) {
        if let Err(error) = self.set(false) {
            warn!(ptt = %self.what, %error, "PTT line was let go without being unkeyed");
        }
    }
}

/// No report number, nothing for the S/PDIF, the pins' levels, which of them are outputs, nothing more.
fn output_report(bit: u8, high: bool) -> [u8; 5] {
    [0, 0, if high { bit } else { 0 }, bit, 0]
}

/// A volume key, pressed by a receiver.
pub struct Cm108Carrier {
    file: File,
    key: Cm108Key,
    up: bool,
    garbage: u64,
    what: String,
}

impl Cm108Carrier {
    pub fn open(hidraw: &Path, key: Cm108Key) -> Result<Cm108Carrier, HwError> {
        is_hidraw(hidraw)?;
        Cm108Carrier::of_file(hidraw, key)
    }

    fn of_file(hidraw: &Path, key: Cm108Key) -> Result<Cm108Carrier, HwError> {
        let what = format!("the carrier of the CM108 {}", hidraw.display());
        let file = open(hidraw, &what)?;
        let mut carrier = Cm108Carrier {
            file,
            key,
            up: false,
            garbage: 0,
            what,
        };
        // It speaks only when a key changes; one that is down already says nothing.
        match input_report(&carrier.file) {
            Ok(report) => carrier.up = report.is_down(key),
            Err(error) => {
                info!(carrier = %carrier.what, %error, "its state now is not known, taken for down");
            }
        }
        Ok(carrier)
    }
}

impl Carrier for Cm108Carrier {
    fn is_up(&mut self) -> Result<bool, HwError> {
        // As many as the kernel keeps, so a device that talks without end holds nobody up.
        for _ in 0..64 {
            let mut bytes = [0; 64];
            match self.file.read(&mut bytes) {
                Ok(n) => match Report::of(&bytes[..n]) {
                    Some(report) => self.up = report.is_down(self.key),
                    None => self.garbage += 1,
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What hidraw says of a device that was pulled.
                Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => {
                    return Err(HwError::Missing {
                        what: self.what.clone(),
                    });
                }
                Err(error) => return Err(hw_error("reading", &self.what, error)),
            }
        }
        Ok(self.up)
    }

    fn garbage(&self) -> u64 {
        self.garbage
    }
}

/// What the device says of its keys and pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    keys: u8,
    gpios: u8,
}

impl Report {
    /// Four bytes; some relatives send three.
    fn of(bytes: &[u8]) -> Option<Report> {
        match *bytes {
            [keys, gpios, _] | [keys, gpios, _, _] => Some(Report { keys, gpios }),
            _ => None,
        }
    }

    fn is_down(self, key: Cm108Key) -> bool {
        let bit = match key {
            Cm108Key::Up => 1,
            Cm108Key::Down => 2,
        };
        self.keys & bit != 0
    }
}

/// Asks for the state of keys and pins.
#[allow(
    unsafe_code,
    reason = "no crate wraps HIDIOCGINPUT, and without it a carrier that is up at the start is not seen"
)]
fn input_report(hidraw: &File) -> io::Result<Report> {
    const LENGTH: usize = 5;
    const HIDIOCGINPUT: rustix::ioctl::Opcode =
        rustix::ioctl::opcode::read_write::<[u8; LENGTH]>(b'H', 0x0a);
    // In: the report's number; out: it and the report.
    let mut buffer = [0_u8; LENGTH];
    // SAFETY: HIDIOCGINPUT(len) reads the first byte of a buffer and writes at most the `len` bytes its number
    // says, which are those of `buffer`.
    unsafe {
        let ask = rustix::ioctl::Updater::<HIDIOCGINPUT, [u8; LENGTH]>::new(&mut buffer);
        rustix::ioctl::ioctl(hidraw, ask)?;
    }
    Report::of(&buffer[1..]).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// No other file is written to, whatever path the settings name: what is opened gets five bytes at once.
fn is_hidraw(path: &Path) -> Result<(), HwError> {
    let what = format!("the CM108 {}", path.display());
    let found = std::fs::metadata(path).map_err(|e| hw_error("opening", &what, e))?;
    let (major, minor) = (
        nix::sys::stat::major(found.rdev()),
        nix::sys::stat::minor(found.rdev()),
    );
    let class = format!("/sys/dev/char/{major}:{minor}/subsystem");
    let is_one = found.file_type().is_char_device()
        && std::fs::read_link(class).is_ok_and(|class| class.ends_with("hidraw"));
    match is_one {
        true => Ok(()),
        false => Err(HwError::Name(format!(
            "{} is no hidraw device: write cm108:auto, or one of those `pttd devices` lists",
            path.display()
        ))),
    }
}

fn open(hidraw: &Path, what: &str) -> Result<File, HwError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(OFlag::O_NONBLOCK.bits());
    options
        .open(hidraw)
        .map_err(|e| hw_error("opening", what, e))
}

/// Pulls the fob's plug and puts it back, as far as software can: what is left when it does not take an order
/// any more. It may come back as another /dev/hidraw, so open it anew by its name in the settings.
pub fn reset(device: &Cm108Device, sound: &SoundSpec) -> Result<(), HwError> {
    reset_in(&Sysfs::of_this_machine(), device, sound)
}

fn reset_in(sysfs: &Sysfs, device: &Cm108Device, sound: &SoundSpec) -> Result<(), HwError> {
    let port = port_of(sysfs, device, sound)?;
    let authorized = sysfs.usb_device(&port).join("authorized");
    let what = format!("the USB device at {port}");
    let write =
        |text: &str| std::fs::write(&authorized, text).map_err(|e| hw_error("resetting", &what, e));
    write("0")?;
    sleep(Duration::from_millis(20));
    write("1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysfs::tests::machine;

    #[test]
    fn the_fob_of_the_radios_own_sound_card_is_found() {
        let root = machine();
        let sysfs = Sysfs::at(root.path());
        let found = |device: &str, sound: &str| {
            find_in(&sysfs, &device.parse().unwrap(), &sound.parse().unwrap())
        };
        let hidraw0 = Path::new("/dev/hidraw0");
        assert_eq!(found("auto", "card:Device").unwrap(), hidraw0);
        assert_eq!(found("auto", "usb:1-1.2").unwrap(), hidraw0);
        assert_eq!(found("usb:1-1.2", "pcm:pulse").unwrap(), hidraw0);
        assert_eq!(
            found("/dev/hidraw7", "pcm:pulse").unwrap(),
            Path::new("/dev/hidraw7")
        );
        for (device, sound) in [
            ("usb:1-1.3", "pcm:x"),
            ("auto", "usb:2-1"),
            ("auto", "card:Nope"),
        ] {
            assert!(matches!(found(device, sound), Err(HwError::Missing { .. })));
        }
        for sound in ["card:vc4hdmi", "pcm:pulse"] {
            assert!(matches!(found("auto", sound), Err(HwError::Name(_))));
        }
    }

    #[test]
    fn a_fob_is_reset_by_its_usb_port() {
        let root = machine();
        let sysfs = Sysfs::at(root.path());
        let authorized = root.path().join("sys/bus/usb/devices/1-1.2/authorized");
        std::fs::write(&authorized, "").unwrap();
        reset_in(&sysfs, &Cm108Device::Auto, &"card:Device".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&authorized).unwrap(), "1");
        let gone = reset_in(&sysfs, &"usb:3-1".parse().unwrap(), &SoundSpec::Simulated);
        assert!(matches!(gone, Err(HwError::Missing { .. })));
    }

    #[test]
    fn reports_are_those_of_the_datasheet() {
        assert_eq!(output_report(1 << 2, true), [0, 0, 4, 4, 0]);
        assert_eq!(output_report(1 << 2, false), [0, 0, 0, 4, 0]);
        let down = Report::of(&[2, 0, 0, 0]).unwrap();
        assert!(down.is_down(Cm108Key::Down) && !down.is_down(Cm108Key::Up));
        assert!(Report::of(&[1, 4, 0]).unwrap().is_down(Cm108Key::Up));
        assert_eq!(Report::of(&[]), None);
        assert_eq!(Report::of(&[0; 16]), None);
    }

    #[test]
    fn a_fob_is_unkeyed_when_opened_keyed_when_told_and_unkeyed_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hidraw");
        for (active_low, [off, on]) in [(false, [0, 4]), (true, [4, 0])] {
            std::fs::write(&file, "").unwrap();
            let mut ptt = Cm108Ptt::of_file(&file, 3, active_low).unwrap();
            let second = Cm108Ptt::of_file(&file, 3, active_low);
            assert!(matches!(second, Err(HwError::Busy { .. })));
            ptt.set(true).unwrap();
            ptt.set(false).unwrap();
            ptt.set(true).unwrap();
            drop(ptt);
            let written = std::fs::read(&file).unwrap();
            let levels: Vec<_> = written.chunks(5).map(|report| report[2]).collect();
            assert_eq!(levels, [off, on, off, on, off]);
            assert!(written.chunks(5).all(|report| report[3] == 4));
        }
        assert!(Cm108Ptt::of_file(&file, 3, false).is_ok());
    }

    #[test]
    fn a_file_that_is_no_hidraw_device_is_never_written_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/dev/null")] {
            let refused = Cm108Ptt::open(path, 3, false).err().unwrap();
            assert!(
                refused.to_string().contains("is no hidraw device"),
                "{refused}"
            );
            assert!(matches!(
                Cm108Carrier::open(path, Cm108Key::Up),
                Err(HwError::Name(_))
            ));
        }
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
        let nowhere = Cm108Ptt::open(Path::new("/dev/hidraw99"), 3, false).err();
        assert!(
            matches!(nowhere, Some(HwError::Missing { .. })),
            "{nowhere:?}"
        );
    }

    #[test]
    fn a_fob_that_does_not_take_an_order_is_an_error() {
        let full = Path::new("/dev/full");
        let error = Cm108Ptt::of_file(full, 3, false).err();
        assert!(matches!(error, Some(HwError::Io { .. })), "{error:?}");
        let nowhere = Cm108Ptt::of_file(Path::new("/dev/hidraw99"), 3, false).err();
        assert!(
            matches!(nowhere, Some(HwError::Missing { .. })),
            "{nowhere:?}"
        );
    }

    #[test]
    fn a_carrier_follows_its_key_and_counts_garbage() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("hidraw");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut carrier = Cm108Carrier::of_file(&pipe, Cm108Key::Down).unwrap();
        let mut device = OpenOptions::new().write(true).open(&pipe).unwrap();
        assert!(!carrier.is_up().unwrap());
        let table = [
            (&[2, 0, 0, 0][..], true, 0),
            (&[1, 0, 0, 0], false, 0),
            (&[3, 0, 0, 0], true, 0),
            (&[9; 20], true, 1),
            (&[0, 0, 0, 0], false, 1),
        ];
        for (report, up, garbage) in table {
            device.write_all(report).unwrap();
            assert_eq!(carrier.is_up().unwrap(), up, "{report:?}");
            assert_eq!(carrier.garbage(), garbage);
        }
    }
}
