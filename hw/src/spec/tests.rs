use proptest::prelude::*;

use super::*;

fn sentence<T: FromStr<Err = HwError> + fmt::Debug>(text: &str) -> String {
    text.parse::<T>().unwrap_err().to_string()
}

#[test]
fn a_ptt_line_reads_as_it_is_written() {
    for text in [
        "none",
        "gpio:PTT1",
        "!gpio:PTT 1",
        "gpio:pinctrl-bcm2711/17",
        "!gpio:a/b/3",
        "cm108:auto#3",
        "!cm108:/dev/hidraw0#1",
        "cm108:usb:1-1.2#4",
        "serial:/dev/ttyUSB0#rts",
        "serial:/dev/ttyS0#dtr",
        "bench:/tmp/air.sock",
    ] {
        assert_eq!(text.parse::<PttSpec>().unwrap().to_string(), text);
    }
    assert_eq!(
        "cm108:auto".parse::<PttSpec>().unwrap().to_string(),
        "cm108:auto#3"
    );
    assert_eq!("!!gpio:X".parse::<PttSpec>().unwrap().to_string(), "gpio:X");
    let slash: PttSpec = "gpio:PHY/RST".parse().unwrap();
    let PttSpec::Gpio { line, .. } = slash else {
        panic!("{slash:?}")
    };
    assert_eq!(line, GpioLine::Name("PHY/RST".to_string()));
}

#[test]
fn a_sound_card_reads_as_it_is_written() {
    for text in [
        "card:Device",
        "usb:1-1.2",
        "pcm:pulse",
        "pcm:in,out",
        "pcm:hw:Loopback,1,0,hw:Loopback,0,0",
        "pcm:hw:CARD=A,DEV=0,plug:b",
        "bench:/tmp/air.sock",
        "simulated",
    ] {
        assert_eq!(text.parse::<SoundSpec>().unwrap().to_string(), text);
    }
}

#[test]
fn what_means_nothing_is_refused_with_what_would() {
    assert!(sentence::<PttSpec>("PTT1").contains("gpio:NAME"));
    assert!(sentence::<PttSpec>("!none").contains("no PTT line"));
    assert!(sentence::<PttSpec>("gpio:17").contains("change with the kernel"));
    assert!(sentence::<PttSpec>("gpio:").contains("gpio:NAME"));
    assert!(sentence::<PttSpec>("cm108:auto#5").contains("#1 to #4"));
    assert!(sentence::<PttSpec>("cm108:hidraw0").contains("/dev/hidraw0"));
    assert!(sentence::<PttSpec>("serial:/dev/ttyUSB0").contains("#rts or #dtr"));
    assert!(sentence::<PttSpec>("!serial:/dev/ttyS0#rts").contains("leave out the !"));
    assert!(sentence::<PttSpec>("serial:ttyUSB0#rts").contains("starts with /"));
    assert!(sentence::<SoundSpec>("card:0").contains("change their numbers"));
    assert!(sentence::<SoundSpec>("hw:0").contains("card:ID"));
    assert!(sentence::<SoundSpec>("usb:1.2").contains("1-1.2"));
    assert!(sentence::<SoundSpec>("pcm:").contains("pcm:NAME"));
    assert!(sentence::<SoundSpec>("pcm:a,b,c").contains("pcm:NAME"));
    assert!(sentence::<LampSpec>("cm108:auto").contains("no lamp"));
    assert!(sentence::<CarrierSpec>("").contains("no detector"));
    assert!(sentence::<CarrierSpec>("gpio:A and").contains("missing at the end"));
    assert!(sentence::<CarrierSpec>("gpio:A gpio:B").contains("where and or or should"));
    assert!(sentence::<CarrierSpec>("(gpio:A").contains("without its )"));
    assert!(sentence::<CarrierSpec>("gpio:A)").contains("without its ("));
    assert!(sentence::<CarrierSpec>("\"gpio:A").contains("quote"));
    assert!(sentence::<CarrierSpec>("or gpio:A").contains("where a detector should"));
    assert!(sentence::<CarrierSpec>("cm108:auto#3").contains("#down and #up"));
    assert!(sentence::<CarrierSpec>("serial:/dev/ttyS0#rts").contains("#cts"));
    assert!(sentence::<CarrierSpec>(&"(".repeat(100_000)).contains("too deep"));
    assert!(sentence::<CarrierSpec>(&"!".repeat(100_000)).contains("too deep"));
}

#[test]
fn a_carrier_reads_as_it_is_written() {
    for (written, read) in [
        ("gpio:COR1", "gpio:COR1"),
        ("!gpio:COR1", "!gpio:COR1"),
        ("not not gpio:COR1", "gpio:COR1"),
        ("gpio:COR1#pull-up", "gpio:COR1#pull-up"),
        ("gpio:\"COR (1)\"", "\"gpio:COR (1)\""),
        ("!\"gpio:COR 1\"", "!\"gpio:COR 1\""),
        ("cm108:auto", "cm108:auto#down"),
        (
            "serial:/dev/ttyUSB0#dcd and vox",
            "serial:/dev/ttyUSB0#dcd and vox",
        ),
        ("vox or always and !vox", "vox or (always and !vox)"),
        ("(vox or always) and !vox", "(vox or always) and !vox"),
        ("not (vox and always)", "not (vox and always)"),
        ("!(vox)", "!vox"),
    ] {
        let spec: CarrierSpec = written.parse().unwrap();
        assert_eq!(spec.to_string(), read);
        assert_eq!(read.parse::<CarrierSpec>().unwrap(), spec);
    }
}

#[test]
fn what_would_clash_in_the_hardware_clashes_in_the_settings() {
    let ptt = |text: &str| ptt_claims(&text.parse().unwrap(), &SoundSpec::Card("A".to_string()));
    assert!(ptt("gpio:P")[0].clashes(&ptt("!gpio:P")[0]));
    assert!(!ptt("serial:/dev/ttyS0#rts")[0].clashes(&ptt("serial:/dev/ttyS0#dtr")[0]));
    assert!(ptt("gpio:P")[0].clashes(&carrier_claims(&"vox and gpio:P".parse().unwrap())[0]));
    let sound = |text: &str, side| sound_claims(&text.parse().unwrap(), side);
    let left = &sound("pcm:A", Side::Left)[0];
    assert!(left.clashes(&sound("pcm:A", Side::Mono)[0]));
    assert!(!left.clashes(&sound("pcm:A", Side::Right)[0]));
    assert!(!left.clashes(&sound("pcm:B,A", Side::Left)[0]));
    assert_eq!(
        left.to_string(),
        "the left side of the sound card A (capture)"
    );
    let left = &sound("card:A", Side::Left)[0];
    assert!(left.clashes(&sound("card:A", Side::Right)[0]));
    assert!(ptt("cm108:auto#3")[0].clashes(&ptt("cm108:auto#4")[0]));
    assert!(sound("simulated", Side::Mono).is_empty());
}

fn any_carrier() -> impl Strategy<Value = CarrierSpec> {
    let leaf = prop_oneof![
        Just("vox"),
        Just("always"),
        Just("gpio:COR1"),
        Just("gpio:\"a b\"#pull-down"),
        Just("serial:/dev/ttyS0#ri"),
    ];
    let leaf = leaf.prop_map(|text| text.parse::<CarrierSpec>().unwrap());
    leaf.prop_recursive(4, 20, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(carrier::not),
            prop::collection::vec(inner.clone(), 2..4).prop_map(CarrierSpec::And),
            prop::collection::vec(inner, 2..4).prop_map(CarrierSpec::Or),
        ]
    })
}

proptest! {
    #[test]
    fn any_carrier_survives_being_written_down(spec in any_carrier()) {
        prop_assert_eq!(spec.to_string().parse::<CarrierSpec>().unwrap(), spec);
    }

    #[test]
    fn no_text_breaks_a_parser(text in "[!()\" a-z:/#0-9]{0,40}") {
        let _ = text.parse::<CarrierSpec>();
        let _ = text.parse::<PttSpec>();
        let _ = text.parse::<SoundSpec>();
    }
}
