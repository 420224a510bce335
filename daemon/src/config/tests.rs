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
        let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
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
    let short = "[[radio]]\nid = 'hall'\nchannel = 'ops'\nsound = 'usb:1-1.2'\n";
    let short = &read(short).unwrap().radio[0];
    let written = &settings.radio[0];
    let named = Radio {
        name: written.name.clone(),
        ..short.clone()
    };
    assert_eq!(written.of_edge(), named.of_edge());
    let said = Radio {
        name: short.name.clone(),
        capture_db: None,
        playback_db: None,
        lead: None,
        hang: None,
        carrier: None,
        ..written.clone()
    };
    assert_eq!(&said, short, "each is written with its default");
    assert_eq!(settings.desk[0].button.to_string(), "gpio:GATE_BUTTON");
    assert_eq!(
        settings.lamp[0].follows,
        radio::Follows::OnAir("hall".into())
    );
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
            "pttd.toml, line 2: there is no setting [medai]: remove the line, or write one of `name`, `web`, `media`, `state`, `recorder`, `tokens`, `limits`, `log`, `guardian`, `radio`, `desk`, `lamp`",
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

/// A radio at lines 1 to 4, and what is written from line 5 on.
fn with_radio(rest: &str) -> String {
    format!("[[radio]]\nid = 'hall'\nchannel = 'ops'\nsound = 'card:Device'\n{rest}")
}

#[test]
fn each_setting_of_a_radio_has_a_range_and_says_so() {
    for (line, range) in [
        ("lead = '2001ms'", "from \"0s\" to \"2s\""),
        ("tail = '1001ms'", "from \"0s\" to \"1s\""),
        ("tot = '14s'", "from \"15s\" to \"600s\""),
        ("tot_alert = '11s'", "from \"1s\" to \"10s\""),
        ("tot_penalty = '61s'", "from \"0s\" to \"60s\""),
        ("stuck = '29s'", "from \"30s\" to \"600s\""),
        ("debounce = '201ms'", "from \"0s\" to \"200ms\""),
        ("hang = '6s'", "from \"0s\" to \"5s\""),
        ("vox_threshold = -61", "a number of decibels from -60 to 0"),
        ("vox_threshold = 0.5", "a number of decibels from -60 to 0"),
        ("vox_attack = '4ms'", "from \"5ms\" to \"500ms\""),
        ("vox_preroll = '2s'", "from \"0s\" to \"1s\""),
        ("deaf = '6s'", "from \"0s\" to \"5s\""),
        ("kerchunk = '2s'", "from \"0s\" to \"1s\""),
        ("kerchunk_idle = '2h'", "from \"0s\" to \"3600s\""),
        ("limiter = 1", "a number of decibels from -30 to 0"),
        ("ident_every = '59s'", "from \"60s\" to \"3600s\""),
        ("ident = 'morse:X'", "\"cw:CALL\""),
        ("complexity = 11", "a whole number from 0 to 10"),
        ("bitrate = '65k'", "from \"8k\" to \"64k\""),
        ("playout_min = '10ms'", "from \"20ms\" to \"200ms\""),
        ("playout_max = '201ms'", "from \"20ms\" to \"200ms\""),
        ("level = 'emergency'", "`normal` or `dispatch`"),
        ("side = 'both'", "one of `mono`, `left`, `right`"),
        ("relais = true", "there is no setting [radio] relais"),
    ] {
        let said = mistake(&with_radio(line));
        assert!(said.starts_with("pttd.toml, line 5: "), "{line}: {said}");
        assert!(said.contains(range), "{line}: {said}");
    }
    for line in [
        "lead = '2s'",
        "tot = '15s'",
        "vox_threshold = -60",
        "bitrate = '64k'",
    ] {
        read(&with_radio(line)).expect(line);
    }
}

#[test]
fn an_identification_the_tot_leaves_no_room_for_is_refused() {
    let long = "ident = 'cw:0000000000000000'\n";
    let said = mistake(&with_radio(&format!("{long}tot = '15s'\n")));
    assert!(said.starts_with("pttd.toml, line 5: "), "{said}");
    assert!(said.contains("raise tot"), "{said}");
    read(&with_radio(long)).unwrap();
    read(&with_radio("ident = 'cw:DL0XYZ'\ntot = '15s'\n")).unwrap();
}

#[test]
fn two_radios_on_one_card_are_an_error_that_names_both() {
    let two = |sound: &str, hall: &str, yard: &str| {
        let radio = |id, side| {
            format!("[[radio]]\nid = '{id}'\nchannel = 'ops'\nsound = '{sound}'\nside = '{side}'\n")
        };
        radio("hall", hall) + &radio("yard", yard)
    };
    let said = mistake(&two("card:Device", "mono", "mono"));
    assert!(said.starts_with("pttd.toml, line 9: "), "{said}");
    assert!(
        said.contains("\"hall\"") && said.contains("\"yard\""),
        "{said}"
    );
    // Hardware opens once; names of alsa-lib can share its sides.
    assert!(read(&two("card:Device", "left", "right")).is_err());
    assert!(read(&two("pcm:shared", "left", "mono")).is_err());
    read(&two("pcm:shared", "left", "right")).unwrap();
}

#[test]
fn two_with_one_id_are_refused_at_the_second() {
    let desk = "[[desk]]\nid = 'hall'\nchannel = 'ops'\nsound = 'card:Other'\nbutton = 'gpio:B'\n";
    let said = mistake(&with_radio(desk));
    assert!(said.starts_with("pttd.toml, line 6: "), "{said}");
    assert!(said.contains("\"hall\""), "{said}");
}

#[test]
fn a_lamp_that_follows_no_radio_is_refused() {
    let said = mistake(&with_radio(
        "[[lamp]]\nline = 'gpio:L'\nfollows = 'on-air:yard'\n",
    ));
    assert!(said.starts_with("pttd.toml, line 7: "), "{said}");
    assert!(said.contains("\"yard\""), "{said}");
}

#[test]
fn lead_and_hang_follow_ctcss_and_vox() {
    let settings = |rest: &str| read(&with_radio(rest)).unwrap().radio[0].of_edge();
    let vox = settings("");
    assert_eq!(vox.squelch.hang, Duration::from_millis(800));
    assert_eq!(vox.squelch.vox_delay, Some(Duration::from_millis(210)));
    assert_eq!(vox.keying.lead, Duration::from_millis(150));
    let wired = settings("carrier = 'gpio:COR1'\nctcss = true\n");
    assert_eq!(wired.squelch.hang, Duration::from_millis(250));
    assert_eq!(wired.squelch.vox_delay, None);
    assert_eq!(wired.keying.lead, Duration::from_millis(350));
}

#[test]
fn two_on_one_line_are_an_error_that_names_both() {
    let said = mistake(&with_radio(
        "ptt = 'gpio:PTT1'\n[[radio]]\nid = 'yard'\nchannel = 'ops'\nsound = 'card:Other'\nptt = '!gpio:PTT1'\n",
    ));
    assert!(said.starts_with("pttd.toml, line 10: "), "{said}");
    assert!(
        said.contains("\"hall\"") && said.contains("\"yard\""),
        "{said}"
    );
    let said = mistake(&with_radio(
        "ptt = 'gpio:PTT1'\n[[lamp]]\nline = 'gpio:PTT1'\nfollows = 'uplink'\n",
    ));
    assert!(said.starts_with("pttd.toml, line 7: "), "{said}");
    assert!(
        said.contains("\"hall\"") && said.contains("gpio:PTT1"),
        "{said}"
    );
}

#[test]
fn a_wire_that_means_nothing_is_refused_with_what_would() {
    for (line, says) in [
        ("ptt = 'PTT1'", "gpio:NAME"),
        ("ptt = 'gpio:17'", "change with the kernel"),
        ("carrier = 'gpio:A and'", "missing at the end"),
    ] {
        let said = mistake(&with_radio(line));
        assert!(said.starts_with("pttd.toml, line 5: [radio]"), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_simulated_radio_has_wires_of_its_own() {
    let text = "[[radio]]\nid = 'hall'\nchannel = 'ops'\nsound = 'simulated'\n";
    let radio = &read(text).unwrap().radio[0];
    let state = Path::new("/run");
    assert_eq!(radio.sound(state).to_string(), "bench:/run/air-hall.sock");
    assert_eq!(radio.ptt(state).to_string(), "bench:/run/air-hall.sock");
    assert_eq!(radio.carrier(state).to_string(), "bench:/run/air-hall.sock");
    assert_eq!(radio.of_edge().squelch.vox_delay, None);
}
