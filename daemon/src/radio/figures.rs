//! A radio's figures for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{counter, gauge};

use super::gauges::Gauges;
use super::keyer::Keyed;

pub fn tell(radio: &str, gauges: &Gauges, keyed: Keyed) {
    let count = |name: &'static str, figure: &AtomicU64| {
        let figure = figure.load(Ordering::Relaxed);
        counter!(name, "radio" => radio.to_string()).absolute(figure);
    };
    let each = |name: &'static str, way: &'static str, figure: &AtomicU64| {
        let figure = figure.load(Ordering::Relaxed);
        counter!(name, "radio" => radio.to_string(), "side" => way).absolute(figure);
    };
    for (way, direction) in [("rx", &gauges.rx), ("tx", &gauges.tx)] {
        each("pttd_radio_xruns_total", way, &direction.xruns);
        each("pttd_radio_clips_total", way, &direction.clips);
        each("pttd_radio_panics_total", way, &direction.panics);
        let dropped = &direction.orders_dropped;
        each("pttd_radio_orders_dropped_total", way, dropped);
    }
    count("pttd_radio_squelch_opens_total", &gauges.squelch_opens);
    count("pttd_radio_garbage_total", &gauges.garbage);
    count("pttd_radio_packets_dropped_total", &gauges.packets_dropped);
    count("pttd_radio_events_dropped_total", &gauges.events_dropped);
    count("pttd_radio_frames_skipped_total", &gauges.frames_skipped);
    let packets = &gauges.packets;
    count("pttd_radio_packets_lost_total", &packets.lost);
    count("pttd_radio_packets_recovered_total", &packets.recovered);
    count("pttd_radio_packets_late_total", &packets.late);
    count("pttd_radio_packets_duplicate_total", &packets.duplicates);
    count("pttd_radio_packets_undecodable_total", &packets.undecodable);
    count("pttd_radio_packets_overflowed_total", &packets.dropped);
    count("pttd_radio_starved_total", &packets.starved);
    let counter = |name: &'static str| counter!(name, "radio" => radio.to_string());
    counter("pttd_radio_keyed_total").absolute(keyed.times);
    counter("pttd_radio_on_air_seconds_total").absolute(keyed.on_air.as_secs());
    counter("pttd_radio_lease_refusals_total").absolute(keyed.refused);
    let gauge = |name: &'static str| gauge!(name, "radio" => radio.to_string());
    gauge("pttd_radio_on_air").set(f64::from(u8::from(keyed.keyed)));
    gauge("pttd_radio_working").set(f64::from(u8::from(gauges.problem().is_none())));
    let buffer = gauges.buffer_us.load(Ordering::Relaxed) as f64 / 1e6;
    gauge("pttd_radio_buffer_seconds").set(buffer);
}
