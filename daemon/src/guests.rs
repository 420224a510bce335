//! A list of people to invite, as a spreadsheet saves it.

use std::path::Path;

use pttd_core::wire::signal::Role;
use serde::Deserialize;

use crate::invite::{Guest, Who};
use crate::toml_file::Mistake;

const COLUMNS: [&str; 5] = ["name", "channels", "role", "hours", "devices"];

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    channels: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    hours: String,
    #[serde(default)]
    devices: String,
}

/// Reads the whole list, or says what is wrong with each bad row.
pub fn read(path: &Path) -> Result<Vec<Guest>, Vec<Mistake>> {
    let mistake = |line, what: String| Mistake {
        file: path.to_path_buf(),
        line,
        what,
    };
    let text = std::fs::read(path).map_err(|e| {
        vec![mistake(
            None,
            format!("the file cannot be read ({e}): name one that is there and may be read"),
        )]
    })?;
    // Spreadsheets of some countries save semicolons, which then cannot stand between channels.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let header = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = match header.contains(&b',') {
        true => b',',
        false if header.contains(&b';') => b';',
        false => b',',
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text);
    let headers = reader
        .headers()
        .map_err(|e| vec![mistake(Some(1), said(&e))])?
        .clone();
    let known = COLUMNS.join(", ");
    if let Some(unknown) = headers.iter().find(|name| !COLUMNS.contains(name)) {
        let what =
            format!("there is no column {unknown:?}: the first line names the columns, of {known}");
        return Err(vec![mistake(Some(1), what)]);
    }
    if !headers.iter().any(|name| name == "name") {
        let what =
            format!("the column `name` is missing: the first line names the columns, of {known}");
        return Err(vec![mistake(Some(1), what)]);
    }
    let mut guests = Vec::new();
    let mut mistakes = Vec::new();
    for record in reader.records() {
        let (line, guest) = match &record {
            Ok(record) => {
                let line = record.position().and_then(|at| at.line().try_into().ok());
                let row = record.deserialize::<Row>(Some(&headers));
                (
                    line,
                    row.map_err(|e| said(&e)).and_then(|row| guest(row, line)),
                )
            }
            Err(e) => {
                let line = e.position().and_then(|at| at.line().try_into().ok());
                (line, Err(said(e)))
            }
        };
        match guest {
            Ok(guest) => guests.push(guest),
            Err(what) => mistakes.push(mistake(line, what)),
        }
    }
    if guests.is_empty() && mistakes.is_empty() {
        mistakes.push(mistake(
            None,
            "nobody is on the list: write a line for each person".into(),
        ));
    }
    match mistakes.is_empty() {
        true => Ok(guests),
        false => Err(mistakes),
    }
}

fn guest(row: Row, line: Option<usize>) -> Result<Guest, String> {
    if row.name.is_empty() {
        return Err("the name is empty: write one".to_string());
    }
    let role = match row.role.to_lowercase().as_str() {
        "" => None,
        "user" => Some(Role::User),
        "dispatch" => Some(Role::Dispatch),
        "admin" => Some(Role::Admin),
        _ => {
            return Err(format!(
                "the role is {:?}, but must be user, dispatch or admin",
                row.role
            ));
        }
    };
    let number = |what: &str, text: &str, default| match text {
        "" => Ok(default),
        text => text
            .parse()
            .map_err(|_not_one| format!("{what} is {text:?}, but must be a whole number")),
    };
    let channels = row.channels.split([';', '|']).map(str::trim);
    Ok(Guest {
        line,
        who: Who::Name(row.name),
        channels: channels
            .filter(|c| !c.is_empty())
            .map(str::to_string)
            .collect(),
        role,
        emergency: false,
        hours: number("hours", &row.hours, 24)?,
        devices: number("devices", &row.devices, 1)?,
        ends: None,
    })
}

fn said(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "this line has {len} columns, the first line has {expected_len}: give it as many"
        ),
        csv::ErrorKind::Utf8 { .. } => {
            "this line is not UTF-8 text: save the file as UTF-8".to_string()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Result<Vec<Guest>, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stewards.csv");
        std::fs::write(&path, text).unwrap();
        let folder = format!("{}/", dir.path().display());
        read(&path).map_err(|all| {
            all.iter()
                .map(|m| m.to_string().replace(&folder, ""))
                .collect()
        })
    }

    #[test]
    fn a_row_becomes_a_guest_with_the_usual_defaults() {
        let guests = of_text(
            "name,channels,role,hours,devices\nAnna Smith,ops; stage,dispatch,48,2\nBen,ops,,,\n",
        )
        .unwrap();
        assert_eq!(guests[0].channels, ["ops", "stage"]);
        assert_eq!(guests[0].role, Some(Role::Dispatch));
        assert_eq!((guests[0].hours, guests[0].devices), (48, 2));
        assert_eq!(guests[0].line, Some(2));
        assert_eq!(
            (guests[1].hours, guests[1].devices, guests[1].role),
            (24, 1, None)
        );
    }

    #[test]
    fn a_spreadsheet_of_another_country_is_read_too() {
        let guests = of_text("\u{feff}name;channels\r\nAnna;ops|stage\r\n").unwrap();
        assert_eq!(guests[0].channels, ["ops", "stage"]);
    }

    #[test]
    fn every_bad_row_is_named_by_its_line() {
        let wrong = of_text("name,channels,role,hours,devices\nAnna,ops,boss,,\n,ops,,,\nBen,ops,user,x,\nCarla,ops\n").unwrap_err();
        assert_eq!(
            wrong,
            [
                "stewards.csv, line 2: the role is \"boss\", but must be user, dispatch or admin",
                "stewards.csv, line 3: the name is empty: write one",
                "stewards.csv, line 4: hours is \"x\", but must be a whole number",
                "stewards.csv, line 5: this line has 2 columns, the first line has 5: give it as many",
            ]
        );
    }

    #[test]
    fn a_list_without_names_or_with_unknown_columns_is_refused() {
        assert!(of_text("channels\nops\n").unwrap_err()[0].contains("`name` is missing"));
        assert!(of_text("name,chanels\nAnna,ops\n").unwrap_err()[0].contains("\"chanels\""));
        assert!(of_text("name\n").unwrap_err()[0].contains("nobody is on the list"));
    }
}
