//! Opus, both ways: mono, 48 kHz.

use std::sync::Arc;

use opus::{Application, Bitrate, Channels, Signal};
use pttd_core::radio::RATE;
use pttd_core::radio::gate::FRAME;
use pttd_core::radio::player;

/// The longest Opus packet of one frame, RFC 6716 3.4.
const LONGEST: usize = 1275;
/// What browsers on a Wi-Fi lose: so much is spent on in-band FEC.
const EXPECTED_LOSS_PERCENT: i32 = 8;

pub struct Encoder {
    opus: opus::Encoder,
    packet: [u8; LONGEST],
}

impl Encoder {
    pub fn new(complexity: u8, bitrate: i32) -> opus::Result<Encoder> {
        let mut opus = opus::Encoder::new(RATE, Channels::Mono, Application::Voip)?;
        opus.set_complexity(i32::from(complexity))?;
        opus.set_bitrate(Bitrate::Bits(bitrate))?;
        opus.set_signal(Signal::Voice)?;
        opus.set_inband_fec(true)?;
        opus.set_packet_loss_perc(EXPECTED_LOSS_PERCENT)?;
        Ok(Encoder {
            opus,
            packet: [0; LONGEST],
        })
    }

    /// Another transmission begins: nothing of the last one is remembered.
    pub fn reset(&mut self) -> opus::Result<()> {
        self.opus.reset_state()
    }

    pub fn encode(&mut self, frame: &[f32; FRAME]) -> opus::Result<Arc<[u8]>> {
        let length = self.opus.encode_float(frame, &mut self.packet)?;
        Ok(self.packet[..length].into())
    }
}

pub struct Decoder(opus::Decoder);

impl Decoder {
    pub fn new() -> opus::Result<Decoder> {
        opus::Decoder::new(RATE, Channels::Mono).map(Decoder)
    }

    fn decodes(&mut self, packet: &[u8], into: &mut [f32], fec: bool) -> bool {
        matches!(self.0.decode_float(packet, into, fec), Ok(n) if n == into.len())
    }
}

impl player::Decoder for Decoder {
    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> bool {
        // An empty one would be concealed.
        !packet.is_empty() && self.decodes(packet, into, false)
    }

    fn recover(&mut self, next: &[u8], into: &mut [f32]) -> bool {
        !next.is_empty() && self.decodes(next, into, true)
    }

    fn conceal(&mut self, into: &mut [f32]) {
        if !self.decodes(&[], into, false) {
            into.fill(0.0);
        }
    }

    fn reset(&mut self) {
        // It fails for no state it can be in; the last talker's echo would be all that is heard.
        let _ = self.0.reset_state();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use player::Decoder as _;
    use std::f32::consts::TAU;

    fn tone(n: usize) -> [f32; FRAME] {
        std::array::from_fn(|i| 0.3 * (TAU * 440.0 * (n * FRAME + i) as f32 / 48_000.0).sin())
    }

    fn loudness(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn what_is_encoded_is_heard_and_what_is_lost_is_recovered_from_the_next() {
        let mut encoder = Encoder::new(5, 24_000).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let packets: Vec<_> = (0..50).map(|n| encoder.encode(&tone(n)).unwrap()).collect();
        let mut frame = [0.0; FRAME];
        for packet in &packets[..40] {
            assert!(decoder.decode(packet, &mut frame));
        }
        assert!((0.15..0.3).contains(&loudness(&frame)), "heard");
        assert!(decoder.recover(&packets[41], &mut frame));
        assert!((0.15..0.3).contains(&loudness(&frame)), "recovered");
        decoder.conceal(&mut frame);
        assert!(loudness(&frame) > 0.05, "concealed");
        decoder.reset();
        decoder.conceal(&mut frame);
        assert!(loudness(&frame) < 0.01, "nothing of the last one is left");
    }

    #[test]
    fn garbage_is_not_heard() {
        let mut decoder = Decoder::new().unwrap();
        let mut frame = [0.0; FRAME];
        assert!(!decoder.decode(&[], &mut frame));
        assert!(!decoder.decode(&[0xff; 3], &mut frame));
    }
}
