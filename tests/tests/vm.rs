//! pttd for ARM on real drivers, in a machine of its own: `make test-vm`. Everything there is emulated, on whatever
//! machine this is, so what counts is the order of things; their times are printed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::ServerMessage;
use pttd_tests::expect;
use pttd_tests::guest::{Guest, last};
use pttd_tests::phone::Phone;
use pttd_tests::sound::{RATE, shares, tone};
use serde_json::Value;

/// The guest's memory is its disk.
const RECORDER: &str = "[recorder]\nkeep_free = \"64MiB\"\n";

/// The shortest talk counts, and the processor is slow.
fn radio(sound: &str, ptt: &str, carrier: &str) -> String {
    format!(
        "{RECORDER}[[radio]]\nid = \"hall\"\nname = \"Hall radio\"\nchannel = \"ops\"\n\
         sound = {sound:?}\nptt = {ptt:?}\ncarrier = {carrier:?}\nkerchunk = \"0ms\"\ncomplexity = 0\n"
    )
}

/// What the far end of the loopback card says into the radio, and where it hears it.
const SAY: &str = "aplay -q -t raw -f S16_LE -r 48000 -c 1 -D plughw:Loopback,1,0";
const AIR: &str = "air=plughw:Loopback,1,0";
const PTT: &str = "ptt=/lines/PTT1/value";

async fn is_idle(guest: &Guest) -> Result<()> {
    let idle = guest.radio_is("hall", "idle", |radio| radio["state"] == "idle");
    idle.await.map(drop)
}

async fn talks(phone: &mut Phone) -> Result<()> {
    phone.on("ops")?.sounds_like(&tone(440.0)?)?;
    phone.press("ops").await.map(drop)
}

/// Says the tone into the radio while its carrier is up, by these words: seconds of it that Ben hears.
async fn heard(guest: &Guest, up: &str, say: &str, down: &str) -> Result<f64> {
    let mut ben = guest.phone_on("ben", "ops").await?;
    guest
        .sh(&format!("{up}\n{say} -d 2 /usr/bin/tone.raw\n{down}"))
        .await?;
    let talker = expect!(ben, ServerMessage::Start { talk, .. } => talk.talker.user_id)?;
    ensure!(talker.as_str() == "radio:hall", "{talker:?} talks");
    expect!(ben, ServerMessage::Stop { .. })?;
    let mut decoder = opus::Decoder::new(RATE, opus::Channels::Mono)?;
    let mut samples = Vec::new();
    for packet in ben.on("ops")?.heard() {
        let mut frame = [0.0; RATE as usize / 50];
        let decoded = decoder.decode_float(&packet.payload, &mut frame, false)?;
        samples.extend_from_slice(&frame[..decoded]);
    }
    let looks = samples.chunks_exact(RATE as usize / 50);
    let of_it = looks.filter(|look| shares(look, &[440.0])[0] > 0.8).count();
    Ok(of_it as f64 / 50.0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn a_carrier_on_a_gpio_line_is_heard_by_the_channel() -> Result<()> {
    let guest = Guest::boot(&radio("card:Loopback", "gpio:PTT1", "gpio:COR1")).await?;
    is_idle(&guest).await?;
    let heard = heard(&guest, "pull COR1 up", SAY, "pull COR1 down").await?;
    println!("vm: of 2 s of sound under a carrier the channel hears {heard} s");
    ensure!((1.9..2.1).contains(&heard), "{heard} s of 2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn a_talker_keys_the_line_before_her_sound_and_unkeys_it_after() -> Result<()> {
    let guest = Guest::boot(&radio("card:Loopback", "gpio:PTT1", "gpio:COR1")).await?;
    is_idle(&guest).await?;
    let mut anna = guest.phone_on("anna", "ops").await?;
    guest.watch("talk", &format!("{PTT} {AIR}")).await?;
    talks(&mut anna).await?;
    anna.on("ops")?.says(100).await?;
    guest.sh("line_is PTT1 1").await?;
    anna.release("ops").await?;
    guest.sh("within 5000 line_is PTT1 0; sleep 0.5").await?;
    let seen = guest.seen("talk").await?;
    let (keyed, unkeyed) = (last(&seen, "ptt", "1")?, last(&seen, "ptt", "0")?);
    let (first, end) = (last(&seen, "air", "1")?, last(&seen, "air", "0")?);
    let (lead, tail) = (first - keyed, unkeyed - end);
    println!(
        "vm: {lead:.0} ms after the line came up the first sound, {:.0} ms of it, after {tail:.0} ms unkeyed",
        end - first
    );
    ensure!((140.0..1500.0).contains(&lead), "{seen:#?}");
    ensure!((60.0..1500.0).contains(&tail), "{seen:#?}");
    // Two seconds were said; breaks in it would be seen as several beginnings.
    ensure!((1800.0..2400.0).contains(&(end - first)), "{seen:#?}");
    let beginnings = seen.iter().filter(|s| s.what == "air" && s.became == "1");
    ensure!(beginnings.count() == 1, "{seen:#?}");
    Ok(())
}

/// The last way to get rid of what it did.
type Death = (&'static str, &'static str, &'static str);
const DEATHS: [Death; 5] = [
    ("pttd killed", "kill -9 $(pid run)", "start"),
    (
        "pttd stopped",
        "kill -STOP $(pid run)",
        "kill -9 $(pid run); start",
    ),
    ("the guardian killed", "kill -9 $(pid guardian)", ""),
    ("the guardian stopped", "kill -STOP $(pid guardian)", ""),
    ("the reactor hung", "freeze $(reactor)", "thaw"),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn whatever_dies_or_hangs_while_keyed_the_line_goes_down() -> Result<()> {
    let guest = Guest::boot(&radio("card:Loopback", "gpio:PTT1", "gpio:COR1")).await?;
    for (what, how, after) in DEATHS {
        let mut took = Vec::new();
        for _ in 0..5 {
            is_idle(&guest).await?;
            let mut anna = guest.phone_on("anna", "ops").await?;
            talks(&mut anna).await?;
            guest.sh("within 10000 line_is PTT1 1").await?;
            anna.on("ops")?.says(25).await?;
            let down = guest.number(&format!("goes_down PTT1 {how}")).await;
            took.push(down.with_context(|| what.to_string())?);
            // Where pttd lives, the radio only rests: the floor would still be hers for a while.
            if after.is_empty() {
                anna.release("ops").await?;
            }
            drop(anna);
            guest
                .sh(&format!("{after}\nwithin 10000 line_is PTT1 0"))
                .await?;
        }
        println!("vm: {what} while keyed: line down after {took:?} ms");
        ensure!(took.iter().all(|ms| *ms <= 1500.0), "{what}: {took:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn a_serial_ports_rts_keys_and_goes_down_with_everyone_who_held_it() -> Result<()> {
    let guest = Guest::boot(&radio(
        "card:Loopback",
        "serial:/dev/ttyS0#rts",
        "gpio:COR1",
    ))
    .await?;
    is_idle(&guest).await?;
    guest.sh("rts_is 0").await?;
    let mut anna = guest.phone_on("anna", "ops").await?;
    talks(&mut anna).await?;
    guest.sh("within 10000 rts_is 1").await?;
    anna.release("ops").await?;
    guest.sh("within 10000 rts_is 0").await?;
    talks(&mut anna).await?;
    guest.sh("within 10000 rts_is 1").await?;
    let both = "kill -9 $(pid run) $(pid guardian); within 1500 rts_is 0";
    let took = guest.number(both).await?;
    println!("vm: pttd and the guardian killed while keyed: RTS down after {took} ms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn a_usb_fob_is_pulled_while_keyed_and_put_back() -> Result<()> {
    let guest = Guest::boot(&radio("usb:1-1", "cm108:auto", "cm108:auto#down")).await?;
    guest
        .radio_is("hall", "down", |radio| radio["state"] == "down")
        .await?;
    // Somebody takes each order the fob is given, as a chip does: one that takes none is reset.
    let far_end = "ptt=/dev/hidg0 air=plughw:UAC1Gadget";
    guest.sh("plug").await?;
    guest.watch("first", far_end).await?;
    is_idle(&guest).await?;
    println!("{}", guest.sh("pttd devices").await?);

    let say = SAY.replace("Loopback,1,0", "UAC1Gadget");
    let key = |down: u8| format!("printf '\\{down:03o}\\0\\0\\0' >/dev/hidg0");
    let heard = heard(&guest, &key(2), &say, &key(0)).await?;
    println!("vm: of 2 s of sound in the fob the channel hears {heard} s");
    ensure!((1.8..2.1).contains(&heard), "{heard} s of 2");

    let mut anna = guest.phone_on("anna", "ops").await?;
    keys(&guest, &mut anna, "first").await?;
    guest.sh("kill $(pidof witness); unplug").await?;
    let unkeyed = |radio: &Value| radio["state"] == "down" && radio["lineKeyed"] == false;
    guest.radio_is("hall", "down and unkeyed", unkeyed).await?;
    anna.release("ops").await?;

    let back = Instant::now();
    guest.sh("plug").await?;
    guest.watch("second", far_end).await?;
    is_idle(&guest).await?;
    println!("vm: put back, found again within {:?}", back.elapsed());
    ensure!(back.elapsed() < Duration::from_secs(10), "found again late");
    guest.sh("sleep 1").await?;
    let seen = guest.seen("second").await?;
    last(&seen, "ptt", "0")?;
    ensure!(last(&seen, "ptt", "1").is_err(), "it comes back keyed");
    let keyed = keys(&guest, &mut anna, "second").await?;
    anna.release("ops").await?;
    guest.sh("sleep 1").await?;
    let seen = guest.seen("second").await?;
    ensure!(last(&seen, "ptt", "0")? > keyed, "{seen:#?}");
    Ok(())
}

/// She talks: when the far end was keyed, and then had her sound.
async fn keys(guest: &Guest, phone: &mut Phone, watch: &str) -> Result<f64> {
    talks(phone).await?;
    phone.on("ops")?.says(75).await?;
    let seen = guest.seen(watch).await?;
    let (keyed, sound) = (last(&seen, "ptt", "1")?, last(&seen, "air", "1")?);
    println!("vm: {watch}, sound {:.0} ms after the key", sound - keyed);
    ensure!(sound > keyed, "{seen:#?}");
    Ok(keyed)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn a_button_talks_and_a_lamp_follows() -> Result<()> {
    let guest = Guest::boot(&format!(
        "{RECORDER}[[desk]]\nid = \"gate\"\nname = \"Gate\"\nchannel = \"ops\"\nsound = \"card:Loopback\"\n\
         button = \"gpio:BUTTON1\"\ncomplexity = 0\n\
         [[lamp]]\nline = \"gpio:LAMP1\"\nfollows = \"talk:ops\"\n"
    ))
    .await?;
    guest
        .radio_is("gate", "idle", |desk| desk["state"] == "idle")
        .await?;
    let mut ben = guest.phone_on("ben", "ops").await?;
    guest.sh("line_is LAMP1 0; pull BUTTON1 up").await?;
    expect!(ben, ServerMessage::Start { talk, .. } if talk.talker.name == "Gate")?;
    ben.on("ops")?.hears_sound(20).await?;
    guest
        .sh("within 5000 line_is LAMP1 1; pull BUTTON1 down")
        .await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    guest.sh("within 5000 line_is LAMP1 0").await?;
    Ok(())
}
