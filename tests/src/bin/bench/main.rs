//! `make bench`: the figures, as ratios of one run on one machine. The box on one core, its crowd on another.

mod deaths;
mod dispatch;
mod drift;
mod machine;
mod memberships;
mod press;
mod price;
mod radio;
mod recording;
mod removal;
mod speech;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pttd_tests::load::{Load, Session};
use pttd_tests::site::{Site, halls, roster, site};
use serde_json::json;

use machine::{Cores, cores, cpu, memory, pin, raise_limits};
use table::{Table, median, micros, millis, percentile};

/// Windows of a second, of which the median counts: what else runs here disturbs some.
const WINDOWS: usize = 8;

/// `bench`, or `bench joins starts` for some of them.
fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["sink", listeners] => price::sink(listeners.parse()?),
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(figures(&words)),
    }
}

async fn figures(chosen: &[&str]) -> Result<()> {
    raise_limits()?;
    let cores = cores()?;
    let mut table = Table::default();
    eprintln!(
        "the box on core {}, the crowd on core {}, load average {}",
        cores.server,
        cores.client,
        machine::load_average()?
    );
    let all = [
        "joins",
        "starts",
        "forwarding",
        "presses",
        "removal",
        "memberships",
        "dispatch",
        "recording",
        "radio",
        "deaths",
        "speech",
        "drift",
    ];
    for figure in if chosen.is_empty() { &all } else { chosen } {
        match *figure {
            "joins" => joins(&mut table, cores).await?,
            "starts" => starts(&mut table, cores).await?,
            "forwarding" => forwarding(&mut table, cores).await?,
            "presses" => presses(&mut table, cores).await?,
            "removal" => removal::removal(&mut table, cores).await?,
            "memberships" => memberships::memberships(&mut table, cores).await?,
            "dispatch" => dispatch::dispatch(&mut table, cores).await?,
            "recording" => {
                recording::recording(&mut table, cores).await?;
                dispatch::replay(&mut table, cores).await?;
            }
            "radio" => {
                radio::delays(&mut table, cores).await?;
                radio::cost(&mut table, cores).await?;
            }
            "deaths" => deaths::deaths(&mut table, cores).await?,
            "speech" => {
                speech::speech_both_ways(&mut table, cores).await?;
                speech::quality_at_loss(&mut table, cores).await?;
            }
            "drift" => {
                radio::drift(&mut table, cores).await?;
                drift::simulated(&mut table)?;
            }
            other => bail!("no figure {other:?}, only {all:?}"),
        }
    }
    table.print();
    Ok(())
}

/// A box on its core, and devices of people who belong to all its channels.
struct Boxed {
    site: Site,
    devices: Vec<String>,
    sessions: usize,
}

/// Fewer than the box allows one person.
const SESSIONS_EACH: usize = 20;

impl Boxed {
    /// One more session of somebody.
    async fn session(&mut self) -> Result<Session> {
        let device = self.devices.get(self.sessions / SESSIONS_EACH);
        let device = device.context("more sessions than were asked for")?;
        self.sessions += 1;
        Session::sign_in(&self.site, device).await
    }
}

/// Enough people for so many sessions, and `boss`, an admin. What this thread starts afterwards runs on the
/// other core.
async fn boxed(cores: Cores, channels: usize, sessions: usize) -> Result<Boxed> {
    let crowd: Vec<String> = (0..sessions.div_ceil(SESSIONS_EACH))
        .map(|n| format!("crowd{n}"))
        .collect();
    let mut people = vec![("boss", "admin")];
    people.extend(crowd.iter().map(|user| (user.as_str(), "dispatch")));
    let roster = roster(&halls(channels), &people);
    pin(cores.server)?;
    let site = site().roster(&roster).log_level("warn").start().await;
    pin(cores.client)?;
    let site = site?;
    let mut devices = Vec::new();
    for user in &crowd {
        devices.push(site.redeem(&site.invite(user)?.secret).await?);
    }
    Ok(Boxed {
        site,
        devices,
        sessions: 0,
    })
}

/// The box's CPU over this time of doing nothing else.
async fn idle(site: &Site, for_: Duration) -> Result<f64> {
    let before = cpu(site.pid())?;
    tokio::time::sleep(for_).await;
    Ok((cpu(site.pid())? - before).as_secs_f64() / for_.as_secs_f64())
}

/// 20 sessions on 50 channels each: what a join costs, what a transport weighs, what a thousand do at rest.
async fn joins(table: &mut Table, cores: Cores) -> Result<()> {
    const SESSIONS: usize = 20;
    const CHANNELS: usize = 50;
    let mut boxed = boxed(cores, CHANNELS, SESSIONS).await?;
    let load = Load::start()?;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(boxed.session().await?);
    }
    let site = &boxed.site;
    let halls = halls(CHANNELS);
    let memory_before = memory(site.pid())?;
    let (mut alone, mut among) = (Duration::ZERO, Vec::new());
    for (n, session) in sessions.iter_mut().enumerate() {
        // Twice: code and caches that the first ones need are not theirs alone.
        for halls in halls.chunks(CHANNELS / 2) {
            let at_rest = idle(site, Duration::from_millis(300)).await?;
            let (before, since) = (cpu(site.pid())?, Instant::now());
            for hall in halls {
                load.join(session, hall).await?;
            }
            let used = cpu(site.pid())? - before;
            let used = used.saturating_sub(since.elapsed().mul_f64(at_rest));
            match n {
                0 => alone = used / halls.len() as u32,
                _ => among.push(used / halls.len() as u32),
            }
        }
    }
    let among = median(among);
    let bytes = (memory(site.pid())? - memory_before) / (SESSIONS * CHANNELS) as f64;
    let most = Duration::from_micros(600);
    table.row(
        "box's CPU for a join",
        millis(alone),
        "<= 0.60 ms",
        Some(alone <= most),
    );
    table.row("the same with ten others to tell", millis(among), "", None);
    table.row(
        "memory of a transport",
        format!("{:.0} kB", bytes / 1e3),
        "<= 100 kB",
        Some(bytes <= 100e3),
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let share = idle(site, Duration::from_secs(10)).await?;
    table.row(
        "idle with 1000 transports",
        format!("{:.2} % of a core", share * 100.0),
        "< 2 %",
        Some(share < 0.02),
    );
    Ok(())
}

/// START -> START_SUCCESS on a channel that 500 sessions have joined.
async fn starts(table: &mut Table, cores: Cores) -> Result<()> {
    let mut boxed = boxed(cores, 1, 500).await?;
    let load = Load::start()?;
    let mut crowd = Vec::new();
    for _ in 1..500 {
        let mut session = boxed.session().await?;
        load.join(&mut session, "hall0").await?;
        crowd.push(session);
    }
    let mut talker = boxed.session().await?;
    load.join(&mut talker, "hall0").await?;
    let mut times = Vec::new();
    for _ in 0..300 {
        // The last STOP is on its way to 500 others: not this one's time.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let asked = Instant::now();
        let answer = talker
            .ask(json!({"type": "START", "channelId": "hall0"}))
            .await?;
        times.push(asked.elapsed());
        anyhow::ensure!(answer["type"] == "START_SUCCESS", "{answer}");
        talker
            .ask(json!({"type": "STOP", "channelId": "hall0"}))
            .await?;
    }
    times.sort();
    let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
    table.row(
        "START -> START_SUCCESS, 500 on the channel, p50",
        millis(p50),
        "",
        None,
    );
    table.row(
        "START -> START_SUCCESS, 500 on the channel, p99",
        millis(p99),
        "< 10 ms",
        Some(p99 < Duration::from_millis(10)),
    );
    Ok(())
}

/// One talker, more and more listeners: what a packet costs, beside the least it can, and how late it is.
async fn forwarding(table: &mut Table, cores: Cores) -> Result<()> {
    let mut boxed = boxed(cores, 1, 1001).await?;
    let load = Load::start()?;
    let mut talker = boxed.session().await?;
    let speaking = load.join(&mut talker, "hall0").await?;
    let mut crowd = Vec::new();
    let mut listeners = 0;
    for wanted in [10, 100, 200, 1000] {
        while listeners < wanted {
            let mut session = boxed.session().await?;
            load.join(&mut session, "hall0").await?;
            crowd.push(session);
            listeners += 1;
        }
        let site = &boxed.site;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let at_rest = idle(site, Duration::from_secs(3)).await?;
        let answer = talker
            .ask(json!({"type": "START", "channelId": "hall0"}))
            .await?;
        anyhow::ensure!(answer["type"] == "START_SUCCESS", "{answer}");
        load.talkers(&[speaking])?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        load.take_tally();
        let (mut costs, mut delays, mut busy) = (Vec::new(), Vec::new(), Vec::new());
        let mut missing = 0;
        for _ in 0..WINDOWS {
            let (before, crowd_before, since) =
                (cpu(site.pid())?, cpu(std::process::id())?, Instant::now());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let tally = load.take_tally();
            let passed = since.elapsed();
            let used = (cpu(site.pid())? - before).saturating_sub(passed.mul_f64(at_rest));
            busy.push(Duration::from_secs_f64(
                (cpu(std::process::id())? - crowd_before).as_secs_f64() / passed.as_secs_f64(),
            ));
            let due = (passed.as_secs_f64() * 50.0) as u64 * listeners as u64;
            missing += due.saturating_sub(tally.packets);
            costs.push(used / u32::try_from(tally.packets.max(1))?);
            delays.extend(tally.delays);
        }
        load.talkers(&[])?;
        talker
            .ask(json!({"type": "STOP", "channelId": "hall0"}))
            .await?;
        let cost = median(costs);
        if wanted == 200 {
            delays.sort();
            let p99 = percentile(&delays, 0.99);
            let most = cost.mul_f64(1.3 * 200.0) + Duration::from_micros(500);
            table.row(
                "added delay at 200 listeners, p50",
                millis(percentile(&delays, 0.5)),
                "",
                None,
            );
            table.row(
                "added delay at 200 listeners, p99",
                millis(p99),
                &format!("<= {}", millis(most)),
                Some(p99 <= most),
            );
        } else {
            let least = price::least(wanted, WINDOWS, cores)?;
            let ratio = cost.as_secs_f64() / least.as_secs_f64();
            let what = format!("CPU of a forwarded packet, {wanted} listeners");
            let measured = format!("{} : {} = {ratio:.2}", micros(cost), micros(least));
            table.row(&what, measured, "<= 2.0 x the least", Some(ratio <= 2.0));
        }
        let busy = median(busy).as_secs_f64();
        let lost = missing as f64 / (listeners * 50 * WINDOWS) as f64;
        if busy > 0.9 || lost > 0.01 {
            let what = format!("the crowd itself, {wanted} listeners");
            table.row(
                &what,
                format!(
                    "{:.0} % of its core, {:.1} % missing",
                    busy * 100.0,
                    lost * 100.0
                ),
                "< 90 %, < 1 %",
                Some(false),
            );
        }
    }
    Ok(())
}

/// Press -> first packet in Chromium, through the box and without it.
async fn presses(table: &mut Table, cores: Cores) -> Result<()> {
    pin(cores.server)?;
    let site = site().log_level("warn").start().await;
    // Browsers take what they get.
    machine::unpin()?;
    let mut press = press::press(&site?).await?;
    for (what, times) in [
        ("press -> first packet in Chromium", &mut press.box_times),
        (
            "the same in one page with itself",
            &mut press.loopback_times,
        ),
    ] {
        times.sort();
        let (p50, p90) = (percentile(times, 0.5), percentile(times, 0.9));
        table.row(
            what,
            format!("{} (p90 {})", millis(p50), millis(p90)),
            "",
            None,
        );
    }
    Ok(())
}
