//! The new radio's part of the settings file.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use utoipa::ToSchema;

use crate::config::Settings;
use crate::toml_file::TomlFile;

/// What the new radio shall be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// What people read when it talks.
    pub name: String,
    pub channel_id: String,
    /// As the wizard found them.
    pub sound: String,
    /// `mono`, `left` or `right`.
    pub side: String,
    pub carrier: String,
    #[serde(default)]
    pub vox_threshold: Option<f32>,
    /// As in the settings: `gpio:PTT1`, `!cm108:auto#3`, `none` ...
    pub ptt: String,
    /// Into the file, too, and not only shown.
    #[serde(default)]
    pub write: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    pub id: String,
    /// The `[[radio]]` as it stands, or would stand, in the file.
    pub text: String,
    /// The settings file; not set where the box runs without one.
    pub file: Option<String>,
    pub written: bool,
    /// Why it is not in the file, and what to do: a sentence.
    pub problem: Option<String>,
}

pub fn write(file: Option<&Path>, wish: &Wish) -> Result<Written> {
    let before = match file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?
        }
        None => String::new(),
    };
    let mut document: DocumentMut = before.parse().map_err(|error| {
        anyhow!("the settings file is no TOML any more: correct it first ({error})")
    })?;
    let taken = Settings::of_file(&TomlFile::of_text("pttd.toml", &before));
    let ids = match &taken {
        Ok(settings) => settings.radio_ids(),
        Err(_) => Vec::new(),
    };
    let id = id_of(&wish.name, &ids);
    let table = table(&id, wish);
    let text = format!("[[radio]]\n{table}");
    let radios = document
        .entry("radio")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .context("the settings file has a radio that is no [[radio]]: correct it first")?;
    radios.push(apart(table));
    let after = document.to_string();
    // The whole file is read as the box will read it at its next start.
    let path = file.unwrap_or(Path::new("pttd.toml"));
    let as_read = TomlFile::of_text(&path.display().to_string(), &after);
    Settings::of_file(&as_read).map_err(|mistake| anyhow!(Unfit(mistake.what)))?;
    let mut written = Written {
        id,
        text,
        file: file.map(|file| file.display().to_string()),
        written: false,
        problem: None,
    };
    match file {
        Some(file) if wish.write => match replace(file, &after) {
            Ok(()) => written.written = true,
            Err(error) => {
                let why = format!("The settings file cannot be written: {error:#}.");
                tracing::warn!(file = %file.display(), why = format!("{error:#}"), "the new radio is not in the settings");
                written.problem = Some(why);
            }
        },
        Some(_) => {}
        None => {
            let why = "This box runs without a settings file.";
            written.problem = Some(why.to_string());
        }
    }
    Ok(written)
}

/// What the settings have against a wish: the person's mistake, not the box's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

fn table(id: &str, wish: &Wish) -> Table {
    let mut table = Table::new();
    let mut set = |key: &str, text: &str| table[key] = value(text);
    set("id", id);
    set("name", wish.name.trim());
    set("channel", &wish.channel_id);
    set("sound", &wish.sound);
    if wish.side != "mono" {
        set("side", &wish.side);
    }
    set("ptt", &wish.ptt);
    set("carrier", &wish.carrier);
    if let Some(threshold) = wish.vox_threshold {
        table["vox_threshold"] = value(i64::from(threshold.round() as i32));
    }
    table
}

/// With an empty line before it.
fn apart(mut table: Table) -> Table {
    table.decor_mut().set_prefix("\n");
    table
}

/// `Hall radio` is `hall-radio`, the second one `hall-radio-2`.
fn id_of(name: &str, taken: &[String]) -> String {
    let letters = name.to_lowercase();
    let words = letters
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut id = words.collect::<Vec<_>>().join("-");
    id.truncate(28);
    let id = match id.trim_end_matches('-') {
        "" => "radio",
        id => id,
    };
    let numbered = (2..).map(|n| format!("{id}-{n}"));
    let mut free = std::iter::once(id.to_string()).chain(numbered);
    free.find(|id| !taken.contains(id)).unwrap_or_default()
}

/// Whole or not at all, with the file's owner and rights.
fn replace(file: &Path, text: &str) -> Result<()> {
    let file: PathBuf = std::fs::canonicalize(file)?;
    let folder = file.parent().context("it has no folder")?;
    let was = std::fs::metadata(&file)?;
    ensure!(
        !was.permissions().readonly(),
        "{} is read-only",
        file.display()
    );
    let unfinished = folder.join(".pttd.toml.unfinished");
    let write = || -> Result<()> {
        let mut new = std::fs::File::create(&unfinished)?;
        new.set_permissions(std::fs::Permissions::from_mode(was.mode() & 0o7777))?;
        let owner = (was.uid(), was.gid());
        if owner != (new.metadata()?.uid(), new.metadata()?.gid()) {
            std::os::unix::fs::fchown(&new, Some(owner.0), Some(owner.1))?;
        }
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        std::fs::rename(&unfinished, &file)?;
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "# The hall's box.\nname = \"Hall\" # of 1912\n\n[media]\naddresses = [\"127.0.0.1\"]\n";

    fn wish(name: &str) -> Wish {
        Wish {
            name: name.to_string(),
            channel_id: "ops".to_string(),
            sound: "usb:1-1.2".to_string(),
            side: "left".to_string(),
            carrier: "!gpio:COR1".to_string(),
            vox_threshold: None,
            ptt: "cm108:auto#3".to_string(),
            write: true,
        }
    }

    #[test]
    fn a_radio_is_written_and_every_comment_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pttd.toml");
        std::fs::write(&file, BEFORE).unwrap();
        let written = write(Some(&file), &wish("Hall radio")).unwrap();
        assert!(written.written, "{written:?}");
        let after = std::fs::read_to_string(&file).unwrap();
        assert!(after.starts_with(BEFORE), "{after}");
        assert!(after.ends_with(&written.text), "{after}\n{}", written.text);
        let other = Wish {
            sound: "usb:1-1.3".to_string(),
            carrier: "vox".to_string(),
            vox_threshold: Some(-42.0),
            ptt: "none".to_string(),
            ..wish("Hall radio!")
        };
        let again = write(Some(&file), &other).unwrap();
        assert_eq!(again.id, "hall-radio-2");
        let settings = Settings::read(&file).unwrap();
        assert_eq!(settings.radio_ids(), ["hall-radio", "hall-radio-2"]);
        assert_eq!(settings.radio[1].vox_threshold, -42.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_the_box_would_refuse_at_its_next_start_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pttd.toml");
        std::fs::write(&file, BEFORE).unwrap();
        write(Some(&file), &wish("Hall radio")).unwrap();
        let before = std::fs::read_to_string(&file).unwrap();
        // The same card's same side.
        let refused = write(Some(&file), &wish("Another")).unwrap_err();
        assert!(refused.to_string().contains("hall-radio"), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    }

    #[test]
    fn where_the_file_cannot_be_written_the_text_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pttd.toml");
        std::fs::write(&file, BEFORE).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        let shown = write(Some(&file), &wish("Hall radio")).unwrap();
        assert!(!shown.written);
        assert!(shown.problem.unwrap().contains("read-only"));
        assert!(shown.text.starts_with("[[radio]]\nid = \"hall-radio\"\n"));
        let shown = write(None, &wish("Hall radio")).unwrap();
        assert!(!shown.written && shown.problem.is_some());
    }

    #[test]
    fn a_name_becomes_an_id_that_is_free() {
        let taken = ["hall".to_string(), "hall-2".to_string()];
        for (name, id) in [
            ("Hall", "hall-3"),
            ("Gate 2 (north)", "gate-2-north"),
            ("Ünï", "n"),
            ("無線", "radio"),
        ] {
            assert_eq!(id_of(name, &taken), id, "{name}");
        }
        assert!(id_of(&"x".repeat(64), &[]).len() <= 32);
    }
}
