//! `pttd check` on the wires: opened dry, unkeyed, and let go of; or, where a guardian has them, asked for.

use anyhow::Result;
use pttd_hw::open_ptt;
use pttd_hw::serial::SerialPorts;

use super::visit::Visit;
use super::{Wires, lock};
use crate::config::Settings;

/// A line for each PTT line and serial port that says whether it is there.
pub fn wires(settings: &Settings) -> Result<Vec<String>> {
    let wires = Wires::of(settings)?;
    if wires.is_empty() {
        return Ok(Vec::new());
    }
    let path = settings.guardian_socket();
    if let Some(visit) = Visit::pay(&path)? {
        return Ok(of_guardian(&wires, &visit));
    }
    let Some(_lock) = lock(&path)? else {
        return Ok(vec![
            "PTT lines: a guardian has them and does not answer: restart it".to_string(),
        ]);
    };
    let doors = SerialPorts::default();
    let outputs = wires.outputs.iter().map(|output| {
        let opened = open_ptt(&output.ptt, &output.sound, &doors);
        told(
            &output.radio,
            &output.ptt,
            opened.err().map(|e| e.to_string()),
        )
    });
    let ports = wires.ports.iter().map(|port| {
        let opened = doors.open(port).and_then(|port| port.levels());
        told(
            "inputs of",
            port.display(),
            opened.err().map(|e| e.to_string()),
        )
    });
    Ok(outputs.chain(ports).collect())
}

fn of_guardian(wires: &Wires, visit: &Visit) -> Vec<String> {
    let outputs = wires.outputs.iter().map(|output| {
        let fault = match visit.lines.get(&output.radio) {
            Some(line) => line.fault.clone(),
            None => {
                Some("the running guardian does not know it: systemctl reload pttd-guardian".into())
            }
        };
        told(&output.radio, &output.ptt, fault)
    });
    let ports = wires.ports.iter().map(|port| {
        let fault = match visit.inputs.get(port) {
            Some(inputs) => inputs.fault.clone(),
            None => {
                Some("the running guardian does not know it: systemctl reload pttd-guardian".into())
            }
        };
        told("inputs of", port.display(), fault)
    });
    outputs.chain(ports).collect()
}

fn told(who: &str, what: impl std::fmt::Display, fault: Option<String>) -> String {
    match fault {
        None => format!("{who} {what}: there, and unkeyed"),
        Some(why) => format!("{who} {what}: warning: {why}"),
    }
}
