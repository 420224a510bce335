use super::*;

const EXAMPLE: &str = include_str!("../../pttd.example.toml");

fn read(text: &str) -> Result<Settings, Mistake> {
    Settings::of_file(&TomlFile::of_text("pttd.toml", text))
}

fn mistake(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn the_example_shows_the_defaults() {
    assert_eq!(read(EXAMPLE).unwrap(), Settings::default());
    assert_eq!(read("").unwrap(), Settings::default());
}

#[test]
fn what_the_example_only_mentions_can_be_written_as_it_stands_there() {
    let is_setting = |line: &str| {
        let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase());
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| word(key))
    };
    let full: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if is_setting(setting) => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = read(&full).unwrap();
    assert_eq!(settings.name.as_deref(), Some("Main gate"));
    assert_eq!(settings.tokens.key.len(), 1);
    assert_eq!(settings.tokens.key[0].id.as_deref(), Some("2026-01"));
    assert!(settings.web.certificate.is_some() && settings.web.key.is_some());
    assert!(settings.tokens.audience.is_some() && settings.tokens.issuer.is_some());
}

#[test]
fn a_mistake_names_file_line_and_what_would_be_right() {
    for (text, sentence) in [
        (
            "[media]\nport = 70000\n",
            "pttd.toml, line 2: [media] port is the integer `70000`, but must be a whole number from 0 to 65000",
        ),
        (
            "[media]\n\nport = \"x\"\n",
            "pttd.toml, line 3: [media] port is the string \"x\", but must be a whole number from 0 to 65000",
        ),
        (
            "[media]\nprot = 4\n",
            "pttd.toml, line 2: there is no setting [media] prot: remove the line, or write one of `port`, `shards`, `addresses`, `advertise`",
        ),
        (
            "name = \"a\"\n[medai]\nport = 1\n",
            "pttd.toml, line 2: there is no setting [medai]: remove the line, or write one of `name`, `web`, `media`, `state`, `recorder`, `tokens`, `limits`, `log`",
        ),
        (
            "[tokens]\nleeway = \"20\"\n",
            "pttd.toml, line 2: [tokens] leeway is the string \"20\", but must be a duration in quotes, with its unit (ms, s, m or h), from \"0s\" to \"600s\"",
        ),
        (
            "[tokens]\nleeway = \"11m\"\n",
            "pttd.toml, line 2: [tokens] leeway is the string \"11m\", but must be a duration in quotes, with its unit (ms, s, m or h), from \"0s\" to \"600s\"",
        ),
        (
            "[web]\nhttps = \"here\"\n",
            "pttd.toml, line 2: [web] https is the string \"here\", but must be an address and a port, such as \"[::]:443\" or \"192.168.1.5:443\"",
        ),
        (
            "[media]\nshards = 1\naddresses = [\"192.168.1\"]\n",
            "pttd.toml, line 3: [media] addresses is the string \"192.168.1\", but must be an IP address, such as \"192.168.1.5\"",
        ),
        (
            "[recorder]\nmax = \"5MiB\"\n",
            "pttd.toml, line 2: [recorder] max is the string \"5MiB\", but must be a size in quotes, with its unit (MiB, GiB or TiB), from \"16MiB\" to \"16TiB\"",
        ),
        (
            "[recorder]\nkeep_free = \"1GB\"\n",
            "pttd.toml, line 2: [recorder] keep_free is the string \"1GB\", but must be a size in quotes, with its unit (MiB, GiB or TiB), from \"64MiB\" to \"16TiB\"",
        ),
        (
            "[log]\nformat = \"xml\"\n",
            "pttd.toml, line 2: [log] format is `xml`, but must be `text` or `json`",
        ),
        (
            "[[tokens.key]]\nalgorithm = \"EdDSA\"\n",
            "pttd.toml, line 1: [tokens.key] has no `file`: add it",
        ),
        (
            "[web\n",
            "pttd.toml, line 1: this is not TOML, correct the line: unclosed table, expected `]`",
        ),
        (
            "name = \"\"\n",
            "pttd.toml, line 1: name is the string \"\", but must be 1 to 64 characters, none of them a control character",
        ),
        (
            "[media]\nadvertise = [\"203.0.113.7\", \"203.0.113.7:65535\"]\n",
            "pttd.toml, line 2: [media] advertise is the string \"203.0.113.7:65535\", but must be an IP address, such as \"203.0.113.7\" or \"203.0.113.7:50000\", its port at most 65000",
        ),
        (
            "[media]\nadvertise = [\"203.0.113.7:0\"]\n",
            "pttd.toml, line 2: [media] advertise is the string \"203.0.113.7:0\", but must be an IP address, such as \"203.0.113.7\" or \"203.0.113.7:50000\", its port at most 65000",
        ),
    ] {
        assert_eq!(mistake(text), sentence);
    }
}

#[test]
fn a_name_the_own_ca_cannot_vouch_for_needs_a_certificate() {
    let said = mistake("[web]\nnames = [\n  \"gate.local\",\n  \"ptt.example.org\",\n]\n");
    assert!(said.starts_with("pttd.toml, line 4: "), "{said}");
    assert!(
        said.contains("ptt.example.org") && said.contains("[web] certificate"),
        "{said}"
    );
    assert!(
        read("[web]\nnames = [\"ptt.example.org\"]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n")
            .is_ok()
    );
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let said = mistake("[web]\ncertificate = \"c.pem\"\n");
    assert!(said.starts_with("pttd.toml, line 2: "), "{said}");
}

#[test]
fn two_keys_with_one_id_are_refused_at_the_second() {
    let key = "[[tokens.key]]\nalgorithm = \"ES256\"\nfile = \"a.pem\"\nid = \"one\"\n";
    let said = mistake(&format!("{key}{key}"));
    assert!(said.starts_with("pttd.toml, line 8: "), "{said}");
}

#[test]
fn relative_paths_start_at_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pttd.toml");
    std::fs::write(&path, "[state]\ndir = \"memory\"\n").unwrap();
    assert_eq!(
        Settings::read(&path).unwrap().state.dir,
        dir.path().join("memory")
    );
}

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let said = Settings::read(Path::new("/nowhere/pttd.toml"))
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("/nowhere/pttd.toml: "), "{said}");
}
