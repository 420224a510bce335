//! From what the settings say to wires: read by a thread of its own, put in force where nothing is keyed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::super::outputs::{Output, Port};
use super::super::protocol::Tell;
use super::super::radios::Radio;
use super::{Server, Wires, unknown};

impl Server {
    pub(super) fn read_settings(&mut self) {
        if self.reading.is_some() {
            self.read_again = true;
            return;
        }
        let (read, answer) = sync_channel(1);
        let files = self.files.clone();
        // A card that is worn out takes seconds to read a file.
        let started = std::thread::Builder::new()
            .name("settings".to_string())
            .spawn(move || {
                let wires = || Ok(Wires::of(&files.settings()?));
                // The guardian ends.
                let _ = read.send(wires());
            });
        match started {
            Ok(_) => self.reading = Some(answer),
            Err(error) => tracing::warn!(%error, "the settings cannot be read"),
        }
    }

    pub(super) fn settings(&mut self) {
        let read = match self.reading.as_ref().map(Receiver::try_recv) {
            Some(Ok(read)) => Some(read),
            Some(Err(TryRecvError::Disconnected)) => Some(Err(anyhow::anyhow!("panicked"))),
            Some(Err(TryRecvError::Empty)) | None => None,
        };
        if let Some(read) = read {
            self.reading = None;
            match read {
                Ok(wires) => {
                    self.settling |= self.wires != wires;
                    self.wires = wires;
                    if !self.settling {
                        self.clients.tell(&Tell::Reloaded { mistake: None });
                    }
                }
                Err(error) => {
                    let mistake = format!("{error:#}");
                    tracing::warn!(mistake, "the settings of before go on");
                    let mistake = Some(mistake.chars().take(500).collect());
                    self.clients.tell(&Tell::Reloaded { mistake });
                }
            }
            if std::mem::take(&mut self.read_again) {
                self.read_settings();
            }
        }
        if self.settling {
            self.settle();
        }
    }

    /// Makes the wires those of the settings, but for what is keyed.
    pub(super) fn settle(&mut self) {
        let lease = self.wires.lease;
        let outputs = &self.wires.outputs;
        let wanted = |id: &String| outputs.iter().find(|output| output.radio == *id);
        let (changed, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.radios)
            .into_iter()
            .partition(|(id, radio)| {
                radio.is_idle() && !wanted(id).is_some_and(|output| radio.is(output, lease))
            });
        let mut settled = kept
            .iter()
            .all(|(id, radio)| wanted(id).is_some_and(|output| radio.is(output, lease)));
        for id in changed.keys().filter(|id| wanted(id).is_none()) {
            self.clients.tell(&unknown(id.clone()));
        }
        // Lets go of the lines, which are asked for again as soon as they are free.
        drop(changed);
        self.radios = kept;
        let missing: Vec<Output> = outputs
            .iter()
            .filter(|output| !self.radios.contains_key(&output.radio))
            .cloned()
            .collect();
        for output in missing {
            let (id, door) = (output.radio.clone(), output.ptt.serial_port());
            let ports = match door.map(Path::to_path_buf) {
                Some(port) => self.doors.entry(port).or_default().clone(),
                None => Arc::default(),
            };
            match Radio::start(output, lease, ports, self.bell.clone()) {
                Ok(radio) => {
                    self.clients.tell(&Tell::Line(radio.line.clone()));
                    self.radios.insert(id, radio);
                }
                Err(error) => {
                    tracing::warn!(radio = id, %error, "the PTT line's thread cannot be started: trying again");
                    settled = false;
                }
            }
        }
        self.settle_ports();
        if settled {
            self.settling = false;
            self.clients.tell(&Tell::Reloaded { mistake: None });
        }
    }

    fn settle_ports(&mut self) {
        let wanted = &self.wires.ports;
        self.ports.retain(|port| wanted.contains(&port.path));
        self.inputs.retain(|path, _| wanted.contains(path));
        for path in wanted {
            if self.inputs.contains_key(path) {
                continue;
            }
            let door = self.doors.entry(path.clone()).or_default().clone();
            match Port::start(path, door, self.bell.clone()) {
                Ok(port) => {
                    self.inputs.insert(path.clone(), port.told());
                    self.ports.push(port);
                }
                Err(error) => {
                    tracing::warn!(port = %path.display(), %error, "the port's thread cannot be started: trying again");
                }
            }
        }
    }
}
