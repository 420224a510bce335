//! Off the air, whatever else happens: the guardian's process between a client that speaks its protocol and a
//! simulated radio's PTT line.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use pttd_tests::guardian::{
    Client, EVERY, Guarded, PATIENCE, air, folder, pttd, radios, said, until,
};
use serde_json::json;

const LEASE: Duration = Duration::from_millis(250);
/// What a line may take to fall, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn orders_keep_a_radio_keyed_and_silence_unkeys_it() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    let began = Instant::now();
    client.key("hall")?;
    client.hears("line", |line| {
        line["radio"] == "hall" && line["keyed"] == true
    })?;
    let keyed = began.elapsed();
    until("keyed", || air.is_keyed())?;
    let enough = Instant::now() + 4 * LEASE;
    client.key_until("hall", || Instant::now() >= enough)?;
    assert_eq!(air.ptt_history().len(), 1, "it stayed keyed");
    let down = until("unkeyed", || !air.is_keyed())?;
    println!("keyed after {keyed:?}, unkeyed {down:?} after the last order");
    assert!(down < SOON, "{down:?}");
    client.hears("line", |line| {
        line["keyed"] == false && line["locked"] == false
    })?;
    guarded.logs("orders stopped while it was keyed")?;
    Ok(())
}

#[test]
fn the_end_of_the_connection_unkeys_at_once_and_only_what_it_kept_keyed() -> Result<()> {
    let dir = folder(&["hall", "gate"])?;
    let (hall, gate) = (air(dir.path(), "hall")?, air(dir.path(), "gate")?);
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || hall.is_keyed())?;
    drop(client);
    let down = until("unkeyed", || !hall.is_keyed())?;
    println!("unkeyed {down:?} after the end of the connection");
    guarded.logs("who keyed it is gone")?;
    // The next pttd finds the guardian there.
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("gate", || gate.is_keyed())?;
    assert!(!hall.is_keyed());
    Ok(())
}

#[test]
fn unkeying_counts_at_once_and_for_that_radio_alone() -> Result<()> {
    let dir = folder(&["hall", "gate"])?;
    let (hall, gate) = (air(dir.path(), "hall")?, air(dir.path(), "gate")?);
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || hall.is_keyed())?;
    client.key_until("gate", || gate.is_keyed())?;
    client.key("hall")?;
    client.unkey("gate")?;
    client.hears("ack", |ack| ack["number"].as_u64() >= Some(3))?;
    client.key_until("hall", || !gate.is_keyed())?;
    assert!(hall.is_keyed());
    assert_eq!(hall.ptt_history().len(), 1);
    Ok(())
}

#[test]
fn killed_or_asked_to_end_it_leaves_no_line_up_and_the_next_begins_unkeyed() -> Result<()> {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let dir = folder(&["hall"])?;
        let air = air(dir.path(), "hall")?;
        let mut guarded = Guarded::start(dir)?;
        let mut client = Client::run(&guarded.socket())?;
        client.key_until("hall", || air.is_keyed())?;
        guarded.signal(signal)?;
        let down = until("unkeyed", || !air.is_keyed())?;
        println!("{signal}: unkeyed after {down:?}");
        assert!(down < SOON, "{signal}: {down:?}");
        let status = guarded.ended()?;
        assert_eq!(status.success(), signal == Signal::SIGTERM, "{status}");
        let guarded = guarded.start_again()?;
        assert!(!air.is_keyed());
        let mut client = Client::run(&guarded.socket())?;
        client.key_until("hall", || air.is_keyed())?;
    }
    Ok(())
}

#[test]
fn orders_that_waited_for_a_guardian_that_slept_key_nothing() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    guarded.signal(Signal::SIGSTOP)?;
    client.key("hall")?;
    // Nothing happens: the order grows old.
    std::thread::sleep(2 * LEASE);
    guarded.signal(Signal::SIGCONT)?;
    client.hears("ack", |_| true)?;
    client.key_said("hall", LEASE)?;
    client.hears("ack", |_| true)?;
    client.unkey("hall")?;
    client.hears("ack", |_| true)?;
    assert!(air.ptt_history().is_empty(), "{:?}", air.ptt_history());
    Ok(())
}

#[test]
fn past_its_tot_a_radio_is_unkeyed_whatever_is_ordered() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    let on_air = client.key_until("hall", || !air.is_keyed())?;
    println!("unkeyed after {on_air:?} with a TOT of 15 s");
    assert!(
        on_air > Duration::from_secs(19),
        "pttd's own TOT comes first: {on_air:?}"
    );
    assert!(on_air < Duration::from_secs(20) + SOON, "{on_air:?}");
    // Who goes on ordering goes on in vain.
    let enough = Instant::now() + 3 * SOON / 2;
    client.key_until("hall", || Instant::now() >= enough)?;
    assert!(!air.is_keyed());
    client.hears("line", |line| line["locked"] == false)?;
    client.key_until("hall", || air.is_keyed())?;
    Ok(())
}

#[test]
fn what_means_nothing_costs_that_client_alone() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    let hello = json!({"say": "hello", "purpose": "look"}).to_string();
    let key = json!({"say": "key", "radio": "hall", "number": 1, "saidNs": 0}).to_string();
    let unknown = json!({"say": "hello", "purpose": "look", "more": 1}).to_string();
    let long = "x".repeat(100_000);
    for bad in [
        vec!["{"],
        vec!["\0\u{1}"],
        vec!["null"],
        vec![long.as_str()],
        vec![unknown.as_str()],
        vec![hello.as_str(), hello.as_str()],
        // Not from one who looks, and not before hello.
        vec![hello.as_str(), key.as_str()],
        vec![key.as_str()],
    ] {
        let mut other = Client::knock(&guarded.socket())?;
        for message in &bad {
            other.send(message.as_bytes())?;
        }
        other
            .is_hung_up_on()
            .with_context(|| format!("{:.60?}", bad))?;
        client.key("hall")?;
    }
    client.key("hall")?;
    client.hears("ack", |ack| ack["number"].as_u64() > Some(8))?;
    assert!(air.is_keyed());
    assert_eq!(air.ptt_history().len(), 1, "the other one never fell");
    Ok(())
}

#[test]
fn one_who_does_not_read_and_many_who_say_nothing_hold_nobody_up() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut deaf = Client::knock(&guarded.socket())?;
    deaf.say(&json!({"say": "hello", "purpose": "look"}))?;
    let mut client = Client::run(&guarded.socket())?;
    let _silent: Vec<_> = (0..40).map(|_| Client::knock(&guarded.socket())).collect();
    for number in 0..2_000 {
        // Answers pile up that nobody reads.
        deaf.say(&json!({"say": "areYouThere", "number": number}))?;
    }
    client.key_until("hall", || air.is_keyed())?;
    let enough = Instant::now() + 2 * LEASE;
    client.key_until("hall", || Instant::now() >= enough)?;
    assert_eq!(air.ptt_history().len(), 1);
    Ok(())
}

#[test]
fn only_one_guardian_owns_the_lines_and_only_one_pttd_keys_them() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    let (code, words) = said(guarded.path(), &["guardian"])?;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("only one can own the PTT lines"), "{words}");
    let mut second = Client::knock(&guarded.socket())?;
    second.say(&json!({"say": "hello", "purpose": "run"}))?;
    let refused = second.hears("refused", |_| true)?;
    let pid = std::process::id().to_string();
    assert!(refused["why"].to_string().contains(&pid), "{refused}");
    second.is_hung_up_on()?;
    client.key_until("hall", || air.is_keyed())?;
    Ok(())
}

#[test]
fn unkey_takes_a_radio_off_the_air_while_pttd_goes_on_ordering() -> Result<()> {
    let dir = folder(&["hall", "gate"])?;
    let (hall, gate) = (air(dir.path(), "hall")?, air(dir.path(), "gate")?);
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || hall.is_keyed())?;
    client.key_until("gate", || gate.is_keyed())?;
    let path = guarded.path().to_path_buf();
    let unkey = std::thread::spawn(move || said(&path, &["unkey", "--radio", "hall"]));
    while !unkey.is_finished() {
        client.key("hall")?;
        client.key_until("gate", || gate.is_keyed())?;
        std::thread::sleep(EVERY);
    }
    let (code, words) = unkey.join().expect("unkey")?;
    assert_eq!((code, words.trim()), (Some(0), "the guardian unkeyed hall"));
    let enough = Instant::now() + SOON;
    client.key_until("hall", || Instant::now() >= enough)?;
    assert!(!hall.is_keyed(), "pttd keyed it again");
    let (code, words) = said(guarded.path(), &["unkey", "--all"])?;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("2 PTT line(s) down"), "{words}");
    let (code, words) = said(guarded.path(), &["unkey", "--radio", "nope"])?;
    assert_eq!(code, Some(1), "{words}");
    Ok(())
}

#[test]
fn unkey_opens_the_lines_itself_where_no_guardian_runs_and_says_what_it_did() -> Result<()> {
    let dir = folder(&["hall"])?;
    let (code, words) = said(dir.path(), &["unkey", "--all"])?;
    assert_eq!(code, Some(1), "its line is not there: {words}");
    let air = air(dir.path(), "hall")?;
    let (code, words) = said(dir.path(), &["unkey", "--all"])?;
    assert_eq!(
        (code, words.trim()),
        (Some(0), "no guardian runs: opened and unkeyed hall")
    );
    assert!(!air.is_keyed());
    // One that hangs has the lines: they are not fought over.
    let guarded = Guarded::start(dir)?;
    guarded.signal(Signal::SIGSTOP)?;
    let (code, words) = said(guarded.path(), &["unkey", "--all"])?;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("does not answer"), "{words}");
    Ok(())
}

#[test]
fn a_wire_that_is_pulled_is_told_and_found_again() -> Result<()> {
    let dir = folder(&["hall"])?;
    let first = Guarded::start(dir)?;
    first.logs("the PTT line does not do as told")?;
    // It comes later than the guardian.
    let air = air(first.path(), "hall")?;
    let mut client = Client::run(&first.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    air.pull_wires();
    let faulty = |line: &serde_json::Value| line["keyed"] == false && line["fault"].is_string();
    client.hears("line", faulty)?;
    assert!(!air.is_keyed());
    air.put_back_wires();
    client.hears("line", |line| line["fault"].is_null())?;
    client.key_until("hall", || air.is_keyed())?;
    Ok(())
}

#[test]
fn new_settings_change_only_what_is_not_keyed() -> Result<()> {
    let dir = folder(&["hall"])?;
    let (hall, gate) = (air(dir.path(), "hall")?, air(dir.path(), "gate")?);
    let guarded = Guarded::start(dir)?;
    let settings = guarded.path().join("pttd.toml");
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || hall.is_keyed())?;
    std::fs::write(&settings, "radio = 7\n")?;
    client.say(&json!({"say": "reload"}))?;
    let reloaded = client.hears("reloaded", |_| true)?;
    assert!(
        reloaded["mistake"].to_string().contains("line 1"),
        "{reloaded}"
    );
    // The hall's radio goes, the gate's comes.
    std::fs::write(&settings, radios(guarded.path(), &["gate"]))?;
    guarded.signal(Signal::SIGHUP)?;
    let enough = Instant::now() + 2 * LEASE;
    client.key_until("hall", || Instant::now() >= enough)?;
    assert!(hall.is_keyed(), "it is keyed, so it stays as it was");
    client.key_until("gate", || gate.is_keyed())?;
    let down = until("unkeyed", || !hall.is_keyed())?;
    assert!(down < SOON, "{down:?}");
    client.hears("line", |line| {
        line["radio"] == "hall" && line["fault"].is_string()
    })?;
    client.hears("reloaded", |reloaded| reloaded["mistake"].is_null())?;
    Ok(())
}

#[test]
fn one_that_pttd_started_ends_some_time_after_its_last_client() -> Result<()> {
    let dir = folder(&["hall"])?;
    let air = air(dir.path(), "hall")?;
    let mut guarded = Guarded::started(dir, &["--for-pttd"], &[])?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    drop(client);
    let left = Instant::now();
    // Time for the next pttd.
    let mut next = Client::run(&guarded.socket())?;
    next.key_until("hall", || left.elapsed() > Duration::from_secs(1))?;
    drop(next);
    let status = guarded.ended()?;
    assert!(status.success(), "{status}");
    assert!(left.elapsed() > Duration::from_secs(5));
    assert!(!guarded.socket().exists());
    Ok(())
}

#[test]
fn systemd_is_told_when_it_is_ready_and_that_it_lives() -> Result<()> {
    let dir = folder(&["hall"])?;
    let _air = air(dir.path(), "hall")?;
    let path = dir.path().join("notify.sock");
    let systemd = UnixDatagram::bind(&path)?;
    systemd.set_read_timeout(Some(PATIENCE))?;
    let path = path.to_string_lossy().into_owned();
    let vars = [
        ("NOTIFY_SOCKET", path.as_str()),
        ("WATCHDOG_USEC", "1000000"),
    ];
    let guarded = Guarded::started(dir, &[], &vars)?;
    let hears = |what: &str| -> Result<()> {
        let mut bytes = [0; 256];
        loop {
            let n = systemd
                .recv(&mut bytes)
                .with_context(|| format!("waiting for {what}"))?;
            if String::from_utf8_lossy(&bytes[..n]).contains(what) {
                return Ok(());
            }
        }
    };
    hears("READY=1")?;
    for _ in 0..3 {
        hears("WATCHDOG=1")?;
    }
    guarded.signal(Signal::SIGTERM)?;
    hears("STOPPING=1")?;
    Ok(())
}

#[test]
fn check_opens_the_wires_dry_or_asks_the_guardian_who_has_them() -> Result<()> {
    let dir = folder(&["hall"])?;
    let (code, words) = said(dir.path(), &["check"])?;
    assert_eq!(
        code,
        Some(0),
        "what is not there may yet be plugged in: {words}"
    );
    assert!(words.contains("ptt of hall: warning:"), "{words}");
    assert!(words.contains("sound of hall: warning:"), "{words}");
    let air = air(dir.path(), "hall")?;
    let (code, words) = said(dir.path(), &["check"])?;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("ptt of hall: bench:"), "{words}");
    assert!(words.contains("sound of hall: bench:"), "{words}");
    let settings = dir.path().join("pttd.toml");
    let text = std::fs::read_to_string(&settings)?;
    std::fs::write(&settings, text.replace("'ops'", "'nowhere'"))?;
    let (code, words) = said(dir.path(), &["check"])?;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("the roster has no nowhere"), "{words}");
    std::fs::write(&settings, text)?;
    let guarded = Guarded::start(dir)?;
    let mut client = Client::run(&guarded.socket())?;
    client.key_until("hall", || air.is_keyed())?;
    let mut check = pttd(guarded.path(), &["check"])?.spawn()?;
    while check.try_wait()?.is_none() {
        client.key("hall")?;
        std::thread::sleep(EVERY);
    }
    assert!(check.wait()?.success());
    assert_eq!(air.ptt_history().len(), 1, "it was not touched");
    Ok(())
}
