//! A machine of its own with real drivers: pttd for ARM under QEMU, with the GPIO lines, the sound cards, the serial
//! port and the USB fob of `tests/vm/init`. Phones stay on this machine.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Encoding;
use crate::phone::Phone;
use crate::site::{Door, Invitation, Ready};

/// How long the guest may take to come up on a busy machine.
const BOOT: Duration = Duration::from_secs(90);
/// How long one script may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Two people and a dispatcher, on one channel.
const ROSTER: &str = r#"
[[channel]]
id = "ops"
name = "Operations"
[[user]]
id = "anna"
name = "Anna"
channels = ["ops"]
[[user]]
id = "ben"
name = "Ben"
channels = ["ops"]
[[user]]
id = "dora"
name = "Dora"
role = "dispatch"
channels = ["ops"]
"#;

pub struct Guest {
    qemu: Child,
    shell: SocketAddr,
    dir: TempDir,
    door: Door,
}

impl Guest {
    /// Boots, and starts pttd with these settings besides the ports.
    pub async fn boot(settings: &str) -> Result<Guest> {
        let dir = tempfile::tempdir()?;
        let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (https, plain, shell) = (port()?, port()?, port()?);
        let media = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let qemu = qemu(dir.path(), &[https, plain], shell, media)?;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut guest = Guest {
            qemu,
            shell: local(shell),
            dir,
            door: Door::of(Ready {
                https: local(https),
                plain: local(plain),
                media: vec![media],
                spki: String::new(),
            }),
        };
        guest.is_up().await?;
        // The same ports inside as outside: what pttd says of itself is true for both.
        let settings = format!(
            "name = \"guest\"\n\
             web.https = \"0.0.0.0:{https}\"\n\
             web.plain = \"0.0.0.0:{plain}\"\n\
             [media]\nport = {media}\nshards = 1\n\
             addresses = [\"10.0.2.15\"]\nadvertise = [\"127.0.0.1\"]\n{settings}"
        );
        let files = format!(
            "cat >/etc/pttd.toml <<'END'\n{settings}\nEND\ncat >/etc/roster.toml <<'END'\n{ROSTER}\nEND"
        );
        guest.sh(&files).await?;
        guest.sh("start").await.context("starting pttd")?;
        Ok(guest)
    }

    async fn is_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + BOOT;
        loop {
            let no = match self.sh("echo up").await {
                Ok(_) => return Ok(()),
                Err(no) => no,
            };
            if let Some(status) = self.qemu.try_wait()? {
                bail!("QEMU ended with {status}:\n{}", self.console());
            }
            ensure!(
                Instant::now() < deadline,
                "the guest is not up after {BOOT:?}: {no:#}\n{}",
                self.console()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("console")).unwrap_or_default()
    }

    /// Runs this in the guest's shell, with `tests/vm/words`: what it prints. What stays behind must not hold on to
    /// the shell's output.
    pub async fn sh(&self, script: &str) -> Result<String> {
        let (shell, script) = (self.shell, script.to_string());
        tokio::task::spawn_blocking(move || sh(shell, &script)).await?
    }

    /// The last line of it, as a number.
    pub async fn number(&self, script: &str) -> Result<f64> {
        let said = self.sh(script).await?;
        let last = said.lines().last().unwrap_or_default();
        last.parse()
            .with_context(|| format!("no number from {script}: {said}"))
    }

    async fn device(&self, user: &str) -> Result<String> {
        let said = self
            .sh(&format!(
                "pttd invite --json --user {user} --config /etc/pttd.toml --state /var/lib/pttd 2>/dev/null"
            ))
            .await?;
        let invitation: Invitation =
            serde_json::from_str(&said).with_context(|| format!("no invitation: {said}"))?;
        self.door.redeem(&invitation.secret).await
    }

    /// A phone on this machine that has joined, with its sound connected.
    pub async fn phone_on(&self, user: &str, channel: &str) -> Result<Phone> {
        let device = self.device(user).await?;
        let client = self
            .door
            .readmit(user, &device, Encoding::Json, None)
            .await?;
        let mut phone = Phone::of(client);
        phone.join(channel).await?;
        Ok(phone)
    }

    /// Waits until a radio, as the API shows it to a dispatcher, is so.
    pub async fn radio_is(
        &self,
        id: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let bearer = format!("Bearer {}", self.device("dora").await?);
        let deadline = Instant::now() + PATIENCE / 3;
        loop {
            let headers = [("authorization", bearer.as_str())];
            let answer = self.door.https("GET", "/api/v1/radios", &headers, "").await;
            let answer = answer?.json()?;
            let radio = answer["radios"].as_array().into_iter().flatten();
            let radio = radio.into_iter().find(|radio| radio["id"] == id);
            if let Some(radio) = radio.filter(|radio| is(radio)) {
                return Ok(radio.clone());
            }
            ensure!(
                Instant::now() < deadline,
                "radio {id} does not become {what}: {answer}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Watches these lines and sounds (`witness` of pttd-hw says how they are named) from now on, under this name.
    pub async fn watch(&self, name: &str, what: &str) -> Result<()> {
        let script = format!(
            "witness {what} </dev/null >/tmp/{name}.seen 2>&1 &\nwithin 10000 [ -s /tmp/{name}.seen ]"
        );
        self.sh(&script).await.map(drop)
    }

    /// What was seen by now: when (in milliseconds), what, and what it became.
    pub async fn seen(&self, name: &str) -> Result<Vec<Seen>> {
        let said = self.sh(&format!("cat /tmp/{name}.seen")).await?;
        said.lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ');
                let mut word = || words.next().with_context(|| format!("odd: {line}"));
                Ok(Seen {
                    at: word()?.parse().with_context(|| format!("odd: {said}"))?,
                    what: word()?.to_string(),
                    became: word()?.to_string(),
                })
            })
            .collect()
    }
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub at: f64,
    pub what: String,
    pub became: String,
}

/// When this became so for the last time.
pub fn last(seen: &[Seen], what: &str, became: &str) -> Result<f64> {
    seen.iter()
        .rfind(|seen| seen.what == what && seen.became == became)
        .map(|seen| seen.at)
        .with_context(|| format!("{what} never became {became}: {seen:#?}"))
}

impl Drop for Guest {
    fn drop(&mut self) {
        let log = sh(self.shell, "cat /tmp/pttd.log; dmesg | tail -n 5");
        println!("{}", log.unwrap_or_else(|e| format!("no log: {e:#}")));
        println!("{}", self.console());
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn sh(shell: SocketAddr, script: &str) -> Result<String> {
    let mut stream = TcpStream::connect(shell).context("the guest's shell")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let script = format!("(. /lib/words\nset -e\n{script}\n) 2>&1\necho \"ended $?\"\n");
    stream.write_all(script.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut said = Vec::new();
    stream
        .read_to_end(&mut said)
        .with_context(|| format!("no end of {script}: {}", String::from_utf8_lossy(&said)))?;
    let said = String::from_utf8_lossy(&said);
    let (said, status) = said
        .trim_end()
        .rsplit_once("ended ")
        .with_context(|| format!("the guest's shell broke off: {said}"))?;
    ensure!(status == "0", "{script} ended with {status}: {said}");
    Ok(said.to_string())
}

/// What `tests/vm/build` and `tests/setup/cross` made.
fn cache() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let guest = cache.context("no HOME")?.join("pttd/arm64/guest");
    ensure!(
        guest.join("vmlinuz").exists(),
        "no guest to boot: make test-vm builds it"
    );
    Ok(guest)
}

fn qemu(dir: &Path, web: &[u16], shell: u16, media: u16) -> Result<Child> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/cross/aarch64-unknown-linux-gnu/release");
    let root = dir.join("root/usr/bin");
    std::fs::create_dir_all(&root)?;
    for program in ["pttd", "examples/witness"] {
        let file = built.join(program);
        let name = file.file_name().context("a program's name")?;
        std::fs::copy(&file, root.join(name))
            .with_context(|| format!("{}: make test-vm builds it", file.display()))?;
    }
    std::fs::write(root.join("tone.raw"), tone())?;
    let guest = cache()?;
    let initramfs = dir.join("initramfs");
    std::fs::copy(guest.join("initramfs"), &initramfs)?;
    let packed = Command::new("sh")
        .args([
            "-ec",
            "cd \"$1\" && find . | cpio --quiet -o -H newc -R 0:0 >>../initramfs",
        ])
        .arg("sh")
        .arg(dir.join("root"))
        .status()?;
    ensure!(packed.success(), "packing what the guest starts from");
    std::fs::remove_dir_all(dir.join("root"))?;

    let mut net = format!("user,id=net,hostfwd=tcp:127.0.0.1:{shell}-:2323");
    for port in web {
        net.push_str(&format!(",hostfwd=tcp:127.0.0.1:{port}-:{port}"));
    }
    net.push_str(&format!(",hostfwd=udp:127.0.0.1:{media}-:{media}"));
    let date = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let console = std::fs::File::create(dir.join("console"))?;
    // Before whatever else this machine does, where that is allowed: a guest that stands still loses sound.
    Command::new("nice")
        .args(["-n", "-15", "qemu-system-aarch64"])
        .args(["-M", "virt,gic-version=2", "-cpu", "cortex-a72"])
        .args(["-smp", "2", "-m", "768", "-nodefaults", "-display", "none"])
        .arg("-no-reboot")
        .arg("-kernel")
        .arg(guest.join("vmlinuz"))
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console=ttyAMA0 quiet panic=-1 date={date}"))
        .args(["-serial", "stdio", "-chardev", "null,id=wire"])
        .args(["-device", "pci-serial,chardev=wire", "-netdev", &net])
        .args(["-device", "virtio-net-pci,netdev=net,romfile="])
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("starting qemu-system-aarch64")
}

/// 10 s of 440 Hz, from its first sample on: 16 bits, 48 kHz, mono.
fn tone() -> Vec<u8> {
    (0..480_000)
        .map(|n| (f64::from(n) * std::f64::consts::TAU * 440.0 / 48_000.0).sin())
        .flat_map(|sample| ((sample * 16_000.0) as i16).to_le_bytes())
        .collect()
}
