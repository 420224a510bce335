//! What each figure of `/metrics` means, for whoever reads it there.

use metrics::{describe_counter, describe_gauge};

pub fn describe() {
    describe_gauge!("pttd_build_info", "1, with the version as a label");
    describe_gauge!(
        "pttd_sessions",
        "devices signed in, also those lost a moment ago"
    );
    describe_gauge!("pttd_websockets", "WebSockets open");
    describe_gauge!("pttd_talks", "channels on which someone is heard now");
    describe_gauge!(
        "pttd_board_unwritten",
        "1 while the dispatchers' calls, emergencies, positions or silences are newer than what is on disk"
    );
    describe_gauge!("pttd_recordings", "recordings kept");
    describe_gauge!("pttd_recordings_bytes", "what they take");
    describe_gauge!("pttd_radio_on_air", "1 while a transmitter is keyed");
    describe_gauge!(
        "pttd_radio_working",
        "1 while a radio's sound card and carrier line are there"
    );
    describe_gauge!(
        "pttd_radio_buffer_seconds",
        "what is held back before a radio sends it out"
    );
    describe_gauge!("pttd_media_transports", "WebRTC connections of a shard");
    for (name, meaning) in [
        (
            "pttd_floor_total",
            "answers of the floors: granted, denied, revoked",
        ),
        ("pttd_sign_ins_total", "uses of an invitation, by outcome"),
        (
            "pttd_joins_total",
            "people at the posters: admitted, waits, turned_away, refused",
        ),
        (
            "pttd_connections_turned_away_total",
            "TCP connections beyond the limit",
        ),
        (
            "pttd_happenings_dropped_total",
            "events the recorder or the journal had no room for",
        ),
        (
            "pttd_clients_too_slow_total",
            "clients dropped because they did not read",
        ),
        (
            "pttd_clients_slowed_total",
            "messages that waited because their client sends too fast",
        ),
        (
            "pttd_messages_not_understood_total",
            "signaling messages that were none",
        ),
        (
            "pttd_media_datagrams_received_total",
            "UDP datagrams received",
        ),
        ("pttd_media_datagrams_sent_total", "UDP datagrams sent"),
        (
            "pttd_media_datagrams_not_sent_total",
            "UDP datagrams dropped: the kernel had no room",
        ),
        (
            "pttd_media_unknown_peer_total",
            "UDP datagrams of no transport of ours",
        ),
        (
            "pttd_media_undecodable_total",
            "UDP datagrams dropped: not decoded or not authentic",
        ),
        ("pttd_media_packets_received_total", "RTP packets received"),
        (
            "pttd_media_packets_without_floor_total",
            "RTP packets dropped: their sender had no floor",
        ),
        (
            "pttd_media_packets_forwarded_total",
            "RTP packets forwarded, one for each listener",
        ),
        (
            "pttd_media_fan_out_dropped_total",
            "packets dropped between shards: the other was too slow",
        ),
        (
            "pttd_media_taps_dropped_total",
            "packets dropped on their way to the recorder: it was too slow",
        ),
        (
            "pttd_media_radio_taps_dropped_total",
            "packets dropped on their way to a radio: its thread was too slow",
        ),
        (
            "pttd_recorder_packets_total",
            "packets of recorded channels that reached the recorder",
        ),
        (
            "pttd_recorder_packets_unwanted_total",
            "packets of no recording: the disk is full, or it could not be written",
        ),
        ("pttd_recordings_made_total", "recordings finished"),
        (
            "pttd_recordings_lost_total",
            "recordings that could not be written",
        ),
        (
            "pttd_recordings_removed_total",
            "recordings removed because their time or the room was over",
        ),
        (
            "pttd_guardian_lost_total",
            "guardians that ended, or were killed because they hung",
        ),
        (
            "pttd_guardian_orders_dropped_total",
            "orders to key or unkey that the guardian did not take",
        ),
        (
            "pttd_radio_xruns_total",
            "times a radio's sound card was not served in time",
        ),
        (
            "pttd_radio_clips_total",
            "times a radio's sound reached the end of the scale",
        ),
        (
            "pttd_radio_panics_total",
            "times a radio's thread had an error of its own and began anew",
        ),
        (
            "pttd_radio_orders_dropped_total",
            "orders a radio's thread had no room for",
        ),
        (
            "pttd_radio_events_dropped_total",
            "events of a radio the floor had no room for",
        ),
        (
            "pttd_radio_packets_dropped_total",
            "packets a radio received and a media thread had no room for",
        ),
        (
            "pttd_radio_packets_lost_total",
            "packets of talkers that never came to a radio, or too late",
        ),
        (
            "pttd_radio_packets_recovered_total",
            "lost ones that the next one told of",
        ),
        (
            "pttd_radio_packets_late_total",
            "packets of talkers that came to a radio after their time",
        ),
        (
            "pttd_radio_packets_duplicate_total",
            "packets of talkers that came to a radio once more",
        ),
        (
            "pttd_radio_packets_undecodable_total",
            "packets of talkers that a radio's decoder would not take",
        ),
        (
            "pttd_radio_packets_overflowed_total",
            "packets of talkers that a radio's buffer had no room for",
        ),
        (
            "pttd_radio_starved_total",
            "times a radio's buffer ran empty before the next packet came",
        ),
        (
            "pttd_radio_frames_skipped_total",
            "frames of 20 ms a radio received and nobody fetched in time",
        ),
        (
            "pttd_radio_squelch_opens_total",
            "transmissions a radio has received",
        ),
        (
            "pttd_radio_garbage_total",
            "reports of a radio's carrier line that nobody understood, and bytes of text on its serial port",
        ),
        ("pttd_radio_keyed_total", "times a transmitter was keyed"),
        (
            "pttd_radio_on_air_seconds_total",
            "how long it was, all together",
        ),
        (
            "pttd_radio_lease_refusals_total",
            "times a transmitter was not kept keyed because its sound card stood still",
        ),
        (
            "pttd_media_panics_total",
            "transports lost to a panic of the WebRTC stack",
        ),
    ] {
        describe_counter!(name, meaning);
    }
}
