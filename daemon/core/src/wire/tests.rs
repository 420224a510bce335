//! `daemon/design/signaling.md` against the types.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::encoding::Encoding;
use super::signal::{Reply, Request};

const PAGE: &str = include_str!("../../../design/signaling.md");

fn lines_of(fence: &str) -> Vec<&'static str> {
    let mut inside = false;
    let inside = |line: &&str| {
        let opens = line.strip_prefix("```");
        inside = match opens {
            Some(opened) => opened == fence,
            None => inside,
        };
        inside && opens.is_none()
    };
    PAGE.lines().filter(inside).collect()
}

/// Every line is understood, nothing of it is ignored, and it is written the same way again.
fn replay<T: Serialize + DeserializeOwned>(fence: &str) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for line in lines_of(fence) {
        let value: Value = serde_json::from_str(line).expect(line);
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let bytes = encoding.encode(&value).expect(line);
            let message: T = encoding.decode(&bytes).expect(line);
            let again = serde_json::to_value(&message).expect(line);
            assert_eq!(again, value, "{encoding:?}");
        }
        types.insert(value["type"].as_str().expect(line).to_string());
    }
    types
}

/// The names of an enum's variants, as serde lists them when it is given none of them.
fn all_types<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(r#"{"type":"?"}"#);
    let error = error.err().expect("no message is called so").to_string();
    let names = error.split('`').skip(3).step_by(2);
    names.map(str::to_string).collect()
}

#[test]
fn every_message_on_the_design_page_is_what_the_types_say() {
    assert_eq!(replay::<Request>("json client"), all_types::<Request>());
    assert_eq!(replay::<Reply>("json box"), all_types::<Reply>());
}
