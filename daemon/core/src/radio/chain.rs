//! What sound passes between the wire and a packet, in each direction, in this order.

use super::filters::{Emphasis, OffsetFilter, VoiceBand};
use super::levels::Meter;
use super::limiter::Limiter;

/// From a receiver or a microphone: offset, meter, de-emphasis, voice band. VOX and packets get what comes out.
#[derive(Debug)]
pub struct RxChain {
    offset: OffsetFilter,
    meter: Meter,
    de_emphasis: Option<Emphasis>,
    voice_band: Option<VoiceBand>,
}

impl RxChain {
    pub fn new(de_emphasis: bool, voice_band: bool) -> Self {
        RxChain {
            offset: OffsetFilter::new(),
            meter: Meter::default(),
            de_emphasis: de_emphasis.then(Emphasis::de),
            voice_band: voice_band.then(VoiceBand::new),
        }
    }

    /// Takes the next period.
    pub fn process(&mut self, samples: &mut [f32]) {
        self.meter.count_clips(samples);
        self.offset.process(samples);
        self.meter.feed(samples);
        if let Some(de_emphasis) = &mut self.de_emphasis {
            de_emphasis.process(samples);
        }
        if let Some(voice_band) = &mut self.voice_band {
            voice_band.process(samples);
        }
    }

    /// What the card hears, before any filter.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

/// To a transmitter or a speaker: voice band, pre-emphasis, limiter, meter. The box's own tones go through
/// it as well. Late by 2 ms, the limiter's.
#[derive(Debug)]
pub struct TxChain {
    voice_band: Option<VoiceBand>,
    pre_emphasis: Option<Emphasis>,
    limiter: Limiter,
    meter: Meter,
}

impl TxChain {
    pub fn new(voice_band: bool, pre_emphasis: bool, ceiling_dbfs: f32) -> Self {
        TxChain {
            voice_band: voice_band.then(VoiceBand::new),
            pre_emphasis: pre_emphasis.then(Emphasis::pre),
            limiter: Limiter::new(ceiling_dbfs),
            meter: Meter::default(),
        }
    }

    /// Takes the next period.
    pub fn process(&mut self, samples: &mut [f32]) {
        if let Some(voice_band) = &mut self.voice_band {
            voice_band.process(samples);
        }
        if let Some(pre_emphasis) = &mut self.pre_emphasis {
            pre_emphasis.process(samples);
        }
        // What the limiter had to turn down is what would have been clipped.
        self.meter.count_clips(samples);
        self.limiter.process(samples);
        self.meter.feed(samples);
    }

    /// What the card is given.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::levels::{amplitude, loudness};
    use crate::radio::signals::sine;

    #[test]
    fn the_receivers_meter_shows_what_the_card_hears_and_not_what_filters_leave() {
        let mut chain = RxChain::new(true, true);
        let mut sound = sine(5000.0, -20.0, 96_000);
        sound.iter_mut().for_each(|sample| *sample += 0.2);
        sound
            .chunks_mut(480)
            .for_each(|period| chain.process(period));
        let mean = chain.meter().mean();
        assert!((mean - -20.0).abs() < 0.5, "without the offset: {mean}");
        let left = loudness(&sound[48_000..]);
        assert!(left < -45.0, "beyond the voice band: {left}");
        assert_eq!(chain.meter().clips(), 0);
        chain.process(&mut [1.0; 480]);
        assert_eq!(chain.meter().clips(), 1);
    }

    #[test]
    fn nothing_leaves_above_the_ceiling_whatever_emphasis_does_to_it() {
        for (voice_band, pre_emphasis) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let mut chain = TxChain::new(voice_band, pre_emphasis, -6.0);
            let mut sound = sine(2900.0, -1.0, 48_000);
            sound
                .chunks_mut(480)
                .for_each(|period| chain.process(period));
            let peak = sound.iter().fold(0f32, |peak, s| peak.max(s.abs()));
            assert!(peak <= amplitude(-6.0), "{peak}");
            let shown = chain.meter().peak();
            assert!((shown - -6.0).abs() < 0.5, "{shown}");
            assert_eq!(chain.meter().clips() > 0, pre_emphasis);
        }
    }
}
