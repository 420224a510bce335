//! `pttd unkey`: off the air, now.

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use pttd_hw::open_ptt;
use pttd_hw::serial::SerialPorts;

use super::protocol::{Ask, Line};
use super::visit::Visit;
use super::{Wires, lock};
use crate::{Files, show};

#[derive(Args)]
pub struct Unkey {
    #[command(flatten)]
    files: Files,
    /// Every radio of the box.
    #[arg(long, required_unless_present = "radio", conflicts_with = "radio")]
    all: bool,
    /// One radio, by its id.
    #[arg(long, value_name = "ID")]
    radio: Option<String>,
}

impl Unkey {
    pub fn run(self) -> Result<()> {
        let settings = self.files.settings()?;
        let path = settings.guardian_socket();
        if let Some(visit) = Visit::pay(&path)? {
            return self.ask(visit);
        }
        let Some(_lock) = lock(&path)? else {
            bail!(
                "nothing was unkeyed: a guardian has {} locked but does not answer: restart it \
                 (systemctl restart pttd-guardian)",
                path.display()
            );
        };
        self.open(&Wires::of(&settings))
    }

    fn ask(&self, mut visit: Visit) -> Result<()> {
        if let Some(id) = &self.radio {
            let known = visit.lines.contains_key(id);
            ensure!(
                known,
                "nothing was unkeyed: the guardian has no PTT line of a radio {id:?}"
            );
        }
        let radio = self.radio.clone();
        let meant = |line: &&Line| radio.as_ref().is_none_or(|id| *id == line.radio);
        let on_air = visit.lines.values().filter(meant).filter(|line| line.keyed);
        let on_air = on_air.map(|line| line.radio.clone()).collect::<Vec<_>>();
        let (radio, number) = (radio.clone(), 1);
        visit.ask(&Ask::Unkey { radio, number })?;
        let down = |visit: &Visit, _: &_| {
            let mut lines = visit.lines.values().filter(meant);
            lines.all(|line| !line.keyed && line.locked)
        };
        if !visit.lines.is_empty() {
            visit
                .until(down)
                .context("the guardian was asked, but not all lines are down")?;
        }
        let lines = visit.lines.values().filter(meant).collect::<Vec<_>>();
        let faults = lines.iter().filter_map(|line| {
            let why = line.fault.as_ref()?;
            Some(format!("{}: {why}", line.radio))
        });
        let faults: Vec<String> = faults.collect();
        ensure!(
            faults.is_empty(),
            "the guardian unkeyed all lines it could reach, but not {}",
            faults.join("; ")
        );
        show::say(&match on_air.is_empty() {
            true => format!(
                "the guardian holds {} PTT line(s) down: none was keyed",
                lines.len()
            ),
            false => format!("the guardian unkeyed {}", on_air.join(", ")),
        })
    }

    fn open(&self, wires: &Wires) -> Result<()> {
        let meant = wires.outputs.iter().filter(|output| {
            let id = self.radio.as_ref();
            id.is_none_or(|id| *id == output.radio)
        });
        let outputs: Vec<_> = meant.collect();
        if let Some(id) = self.radio.as_ref().filter(|_| outputs.is_empty()) {
            bail!("nothing was unkeyed: the settings have no PTT line of a radio {id:?}");
        }
        let ports = SerialPorts::default();
        let mut failed = Vec::new();
        for output in &outputs {
            let unkey = || open_ptt(&output.ptt, &output.sound, &ports)?.set(false);
            if let Err(error) = unkey() {
                failed.push(format!("{}: {error}", output.radio));
            }
        }
        ensure!(
            failed.is_empty(),
            "no guardian runs, and not every line could be unkeyed: {}",
            failed.join("; ")
        );
        let ids: Vec<&str> = outputs.iter().map(|output| output.radio.as_str()).collect();
        show::say(&match ids.is_empty() {
            true => "the settings have no PTT line: there is nothing to unkey".to_string(),
            false => format!("no guardian runs: opened and unkeyed {}", ids.join(", ")),
        })
    }
}
