//! What the kernel's file systems say of sound cards, hidraw devices and the USB ports they are plugged into.

use std::fs;
use std::path::{Path, PathBuf};

/// Where they are mounted; a test has its own.
pub struct Sysfs {
    sys: PathBuf,
    proc: PathBuf,
    dev: PathBuf,
}

/// A sound card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub number: u32,
    pub id: String,
    /// The manufacturer's words for it.
    pub name: String,
    /// `1-1.2`, where it is a USB card.
    pub usb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidraw {
    /// `/dev/hidraw0`.
    pub path: PathBuf,
    pub name: String,
    pub vendor: u16,
    pub product: u16,
    pub usb: Option<String>,
}

/// A serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tty {
    /// `/dev/ttyUSB0`.
    pub path: PathBuf,
    /// `/dev/serial/by-id/...`, where udev made one.
    pub by_id: Option<PathBuf>,
    /// The manufacturer's words for it, or what else is known.
    pub name: String,
}

impl Sysfs {
    pub fn of_this_machine() -> Sysfs {
        Sysfs {
            sys: PathBuf::from("/sys"),
            proc: PathBuf::from("/proc"),
            dev: PathBuf::from("/dev"),
        }
    }

    #[cfg(test)]
    pub fn at(root: &Path) -> Sysfs {
        Sysfs {
            sys: root.join("sys"),
            proc: root.join("proc"),
            dev: root.join("dev"),
        }
    }

    pub fn cards(&self) -> Vec<Card> {
        let names = fs::read_to_string(self.proc.join("asound/cards")).unwrap_or_default();
        let mut cards: Vec<_> = entries(&self.sys.join("class/sound"))
            .into_iter()
            .filter_map(|path| {
                let number = path
                    .file_name()?
                    .to_str()?
                    .strip_prefix("card")?
                    .parse()
                    .ok()?;
                Some(Card {
                    number,
                    id: line(&path.join("id"))?,
                    name: card_name(&names, number).unwrap_or_default(),
                    usb: usb_port(&path.join("device")),
                })
            })
            .collect();
        cards.sort_by_key(|card| card.number);
        cards
    }

    /// The directions of a card's first PCM: capture, playback.
    pub fn directions(&self, card: u32) -> (bool, bool) {
        let card = self.proc.join(format!("asound/card{card}"));
        (card.join("pcm0c").exists(), card.join("pcm0p").exists())
    }

    pub fn hidraws(&self) -> Vec<Hidraw> {
        let mut all: Vec<_> = entries(&self.sys.join("class/hidraw"))
            .into_iter()
            .filter_map(|path| {
                let device = path.join("device");
                let uevent = fs::read_to_string(device.join("uevent")).ok()?;
                let field = |name: &str| {
                    let mut lines = uevent.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                };
                let mut ids = field("HID_ID")?.split(':').skip(1);
                let mut id = || Some(u32::from_str_radix(ids.next()?, 16).ok()? as u16);
                Some(Hidraw {
                    path: Path::new("/dev").join(path.file_name()?),
                    name: field("HID_NAME").unwrap_or_default().to_string(),
                    vendor: id()?,
                    product: id()?,
                    usb: usb_port(&device),
                })
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    pub fn serial_ports(&self) -> Vec<Tty> {
        let consoles = self.sys.join("class/tty/console/active");
        let consoles = fs::read_to_string(consoles).unwrap_or_default();
        let mut all: Vec<_> = entries(&self.sys.join("class/tty"))
            .into_iter()
            .filter_map(|path| {
                let device = path.join("device");
                let driver = device.join("driver").canonicalize().ok()?;
                // The PC's driver has four ports whether the machine has them or not.
                if line(&path.join("type")).as_deref() == Some("0") {
                    return None;
                }
                let product = usb_port(&device).and_then(|port| {
                    let usb = self.usb_device(&port);
                    let words = ["manufacturer", "product"].map(|file| line(&usb.join(file)));
                    let words: Vec<_> = words.into_iter().flatten().collect();
                    (!words.is_empty()).then(|| words.join(" "))
                });
                let name = path.file_name()?.to_str()?;
                let console = consoles.split_whitespace().any(|console| console == name);
                let kind = match (console, usb_port(&device)) {
                    // Its kernel talks there.
                    (true, _) => "the machine's console",
                    (false, Some(_)) => driver.file_name()?.to_str()?,
                    (false, None) => "built in",
                };
                let by_id = entries(&self.dev.join("serial/by-id"));
                let is_it = |link: &PathBuf| {
                    let to = link.canonicalize().ok();
                    to.is_some_and(|to| to.file_name() == path.file_name())
                };
                Some(Tty {
                    path: Path::new("/dev").join(path.file_name()?),
                    by_id: by_id.into_iter().find(is_it),
                    name: product.unwrap_or_else(|| kind.to_string()),
                })
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// The folder of what is plugged into a USB port.
    pub fn usb_device(&self, port: &str) -> PathBuf {
        self.sys.join("bus/usb/devices").join(port)
    }
}

impl Hidraw {
    /// Fobs with GPIOs for a radio: C-Media's, their clones, and the All-In-One-Cable.
    pub fn is_cm108(&self) -> bool {
        matches!(
            (self.vendor, self.product),
            (
                0x0d8c,
                0x0008..=0x000f | 0x0012 | 0x0013 | 0x0139 | 0x013a | 0x013c
            ) | (0x0c76, 0x1605 | 0x1607 | 0x160b)
                | (0x1209, 0x7388)
        )
    }
}

/// The USB device a sysfs folder lies in: the last part of its true path that names a port and no interface.
fn usb_port(device: &Path) -> Option<String> {
    let path = device.canonicalize().ok()?;
    let port = path
        .iter()
        .rev()
        .filter_map(|part| part.to_str())
        .find(|part| {
            let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            let ports = part.split_once('-').filter(|(bus, _)| number(bus));
            ports.is_some_and(|(_, ports)| ports.split('.').all(number))
        })?;
    Some(port.to_string())
}

/// ` 1 [Device         ]: USB-Audio - USB Audio Device` of card 1.
fn card_name(cards: &str, number: u32) -> Option<String> {
    cards.lines().find_map(|line| {
        let (its, rest) = line.trim_start().split_once(' ')?;
        let name = rest.split_once("]: ")?.1;
        let name = name.split_once(" - ").map_or(name, |(_, name)| name);
        (its.parse() == Ok(number)).then(|| name.trim().to_string())
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

fn line(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_string())
}

#[cfg(test)]
pub mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine with an HDMI card and one fob, plugged into the second port of the hub on the first.
    pub fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let link = |at: &str, to: &str| {
            let (at, to) = (root.path().join(at), root.path().join(to));
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            symlink(to, at).unwrap();
        };
        let fob = "sys/devices/pci0000:00/usb1/1-1/1-1.2";
        write(&format!("{fob}/authorized"), "1\n");
        write(&format!("{fob}/1-1.2:1.0/sound/card1/id"), "Device\n");
        let hid = format!("{fob}/1-1.2:1.3/0003:0D8C:013C.0001");
        write(
            &format!("{hid}/uevent"),
            "DRIVER=hid-generic\nHID_ID=0003:00000D8C:0000013C\nHID_NAME=C-Media USB Audio Device\n",
        );
        write("sys/devices/platform/hdmi/sound/card0/id", "vc4hdmi\n");
        link(
            "sys/class/sound/card0",
            "sys/devices/platform/hdmi/sound/card0",
        );
        link(
            "sys/devices/platform/hdmi/sound/card0/device",
            "sys/devices/platform/hdmi",
        );
        link(
            "sys/class/sound/card1",
            &format!("{fob}/1-1.2:1.0/sound/card1"),
        );
        link(
            &format!("{fob}/1-1.2:1.0/sound/card1/device"),
            &format!("{fob}/1-1.2:1.0"),
        );
        write("sys/class/sound/controlC1/x", "");
        write("sys/class/hidraw/hidraw0/dev", "");
        link("sys/class/hidraw/hidraw0/device", &hid);
        link("sys/bus/usb/devices/1-1.2", fob);
        let tty = "sys/devices/pci0000:00/usb1/1-1/1-1.3/1-1.3:1.0/ttyUSB0";
        write(&format!("{tty}/dev"), "");
        write("sys/devices/pci0000:00/usb1/1-1/1-1.3/product", "Serial\n");
        link(
            "sys/bus/usb/devices/1-1.3",
            "sys/devices/pci0000:00/usb1/1-1/1-1.3",
        );
        write("sys/bus/usb-serial/drivers/ftdi_sio/x", "");
        link(
            &format!("{tty}/driver"),
            "sys/bus/usb-serial/drivers/ftdi_sio",
        );
        write("sys/class/tty/ttyUSB0/dev", "");
        link("sys/class/tty/ttyUSB0/device", tty);
        write("dev/ttyUSB0", "");
        link("dev/serial/by-id/usb-Serial-port0", "dev/ttyUSB0");
        write("sys/devices/platform/serial8250/dev", "");
        link(
            "sys/devices/platform/serial8250/driver",
            "sys/bus/usb-serial/drivers/ftdi_sio",
        );
        write("sys/class/tty/ttyS0/type", "0\n");
        link(
            "sys/class/tty/ttyS0/device",
            "sys/devices/platform/serial8250",
        );
        write("sys/class/tty/ttyS1/type", "4\n");
        link(
            "sys/class/tty/ttyS1/device",
            "sys/devices/platform/serial8250",
        );
        write("sys/class/tty/console/active", "tty0 ttyS1\n");
        write("sys/class/tty/tty0/dev", "");
        write("proc/asound/card1/pcm0c/info", "");
        write("proc/asound/card1/pcm0p/info", "");
        write(
            "proc/asound/cards",
            " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi\n                      vc4-hdmi\n \
             1 [Device         ]: USB-Audio - USB Audio Device\n                      C-Media at usb\n",
        );
        root
    }

    #[test]
    fn cards_and_fobs_are_known_by_their_usb_port() {
        let root = machine();
        let sysfs = Sysfs::at(root.path());
        let cards = sysfs.cards();
        assert_eq!(cards.len(), 2);
        assert_eq!(cards[0].usb, None);
        assert_eq!(
            cards[1],
            Card {
                number: 1,
                id: "Device".to_string(),
                name: "USB Audio Device".to_string(),
                usb: Some("1-1.2".to_string()),
            }
        );
        assert_eq!(sysfs.directions(1), (true, true));
        assert_eq!(sysfs.directions(0), (false, false));
        let hidraws = sysfs.hidraws();
        assert_eq!(hidraws.len(), 1);
        assert!(hidraws[0].is_cm108());
        assert_eq!(hidraws[0].path, Path::new("/dev/hidraw0"));
        assert_eq!(hidraws[0].usb.as_deref(), Some("1-1.2"));
        assert_eq!(hidraws[0].name, "C-Media USB Audio Device");
        let ports = sysfs.serial_ports();
        let names: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["the machine's console", "Serial"]);
    }
}
