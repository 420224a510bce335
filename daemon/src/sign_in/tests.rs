use jsonwebtoken::{EncodingKey, Header, encode};
use pttd_core::authority::Invitation;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::{self, TokenAlgorithm, TokenKey};
use crate::roster_file;
use crate::store::hash;

const SECRET: &str = "a secret of thirty-two bytes or more";
const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20));

struct Door {
    _dir: TempDir,
    store: Arc<Store>,
    sign_in: SignIn,
}

/// A box with the built-in roster that takes HS256 tokens, and an invitation `i` of Anna's for one device.
fn door() -> Door {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let key = TokenKey {
        algorithm: TokenAlgorithm::HS256,
        file,
        id: None,
    };
    let settings = config::Tokens {
        key: vec![key],
        ..config::Tokens::default()
    };
    let store = Arc::new(Store::open(&dir.path().join("state")).unwrap());
    let invitation = Invitation {
        user: UserId::from("anna"),
        devices_left: 1,
        used: 0,
        ends: utc::now() + 60,
        revoked: false,
    };
    store
        .change(|roster| {
            *roster = roster_file::built_in().unwrap();
            Ok(((), vec![(hash("i"), invitation)]))
        })
        .unwrap();
    let sign_in = SignIn::new(store.clone(), Tokens::load(&settings).unwrap()).unwrap();
    Door {
        _dir: dir,
        store,
        sign_in,
    }
}

fn token(user: &str) -> String {
    let claims = json!({ "userId": user, "exp": utc::now() + 60 });
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap()
}

#[test]
fn an_invitation_leaves_a_credential_that_lets_the_device_in_again() {
    let door = door();
    let admitted = door.sign_in.with_invitation("i", None, PHONE).unwrap();
    assert_eq!(admitted.device.len(), 43);
    assert_eq!(admitted.entry().unwrap().name, "Anna");
    let again = door.sign_in.with_device(&admitted.device).unwrap();
    assert_eq!(again.user.as_str(), "anna");
    assert_eq!(again.device, admitted.device);
    let second = door.sign_in.with_invitation("i", None, PHONE);
    assert!(matches!(second, Err(Refused::SignIn(SignInError::UsedUp))));
    let guessed = door.sign_in.with_device("guessed");
    assert!(matches!(
        guessed,
        Err(Refused::SignIn(SignInError::UnknownDevice))
    ));
}

#[test]
fn a_token_shown_twice_is_one_device_and_can_be_locked_out() {
    let door = door();
    let (bens, annas) = (token("ben"), token("anna"));
    let first = door.sign_in.with_token(&bens, PHONE).unwrap();
    let second = door.sign_in.with_bearer(&bens, PHONE).unwrap();
    assert_eq!(first.device, second.device);
    let other = door.sign_in.with_token(&annas, PHONE).unwrap();
    assert_ne!(first.device, other.device);
    let known = door.sign_in.with_bearer(&first.device, PHONE).unwrap();
    assert_eq!(known.user.as_str(), "ben");

    let device = door.store.device(&first.device).unwrap().unwrap();
    let revoked = Device {
        revoked: true,
        ..device
    };
    door.store.put_device(&first.device, &revoked).unwrap();
    for refused in [
        door.sign_in.with_token(&bens, PHONE),
        door.sign_in.with_device(&first.device),
    ] {
        assert!(matches!(
            refused,
            Err(Refused::SignIn(SignInError::LockedOut))
        ));
    }
}

#[test]
fn a_good_token_of_someone_not_on_the_roster_leaves_nothing() {
    let door = door();
    let strangers = token("stranger");
    let refused = door.sign_in.with_token(&strangers, PHONE);
    assert!(matches!(
        refused,
        Err(Refused::SignIn(SignInError::NotOnRoster))
    ));
    let tag = hmac::sign(&door.sign_in.box_key, strangers.as_bytes());
    assert_eq!(
        door.store.device(&URL_SAFE_NO_PAD.encode(tag)).unwrap(),
        None
    );
}

#[test]
fn a_device_whose_user_left_the_roster_stays_outside() {
    let door = door();
    let by_invitation = door.sign_in.with_invitation("i", None, PHONE).unwrap();
    let by_token = door.sign_in.with_token(&token("anna"), PHONE).unwrap();
    let left = door.store.change(|roster| {
        roster.users.remove(&UserId::from("anna"));
        Ok(((), Vec::new()))
    });
    left.unwrap();
    for device in [by_invitation.device, by_token.device] {
        let refused = door.sign_in.with_device(&device);
        assert!(matches!(
            refused,
            Err(Refused::SignIn(SignInError::NotOnRoster))
        ));
    }
}

#[test]
fn who_is_wrong_too_often_waits_and_nobody_else_does() {
    let door = door();
    for _ in 0..MAX_FAILED {
        let wrong = door.sign_in.with_invitation("wrong", None, PHONE);
        assert!(matches!(
            wrong,
            Err(Refused::SignIn(SignInError::UnknownInvitation))
        ));
    }
    let right = door.sign_in.with_invitation("i", None, PHONE);
    assert!(matches!(right, Err(Refused::TooManyTries)));
    assert_eq!(right.unwrap_err().code(), ErrorCode::TooManyTries);
    let neighbour: IpAddr = "192.168.1.21".parse().unwrap();
    assert!(door.sign_in.with_invitation("i", None, neighbour).is_ok());
}

#[test]
fn a_phone_that_is_known_comes_in_however_often_others_behind_its_address_are_wrong() {
    let door = door();
    let phone = door
        .sign_in
        .with_invitation("i", None, PHONE)
        .unwrap()
        .device;
    for _ in 0..=MAX_FAILED {
        let _ = door.sign_in.with_bearer("guessed", PHONE);
        let _ = door.sign_in.with_invitation("wrong", None, PHONE);
    }
    let throttled = door
        .sign_in
        .with_invitation("wrong", None, PHONE)
        .unwrap_err();
    assert_eq!(throttled.code(), ErrorCode::TooManyTries);
    let again = door.sign_in.with_bearer(&phone, PHONE).unwrap();
    assert_eq!(again.user.as_str(), "anna");
    let unknown = door.sign_in.with_device("guessed").unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::BadCredential);
}

#[test]
fn wrong_tries_are_forgiven_with_time_and_counted_by_network() {
    let tries = Tries::default();
    let start = Instant::now();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for _ in 0..MAX_FAILED {
        tries.failed(ip("2001:db8::1"), start);
    }
    assert!(!tries.may_try(ip("2001:db8::1"), start));
    assert!(
        !tries.may_try(ip("2001:db8::ffff"), start),
        "the same network"
    );
    assert!(tries.may_try(ip("2001:db8:0:1::1"), start), "another one");
    assert!(!tries.may_try(ip("2001:db8::1"), start + FORGIVEN_EVERY / 2));
    assert!(tries.may_try(ip("2001:db8::1"), start + FORGIVEN_EVERY));
    tries.failed(ip("::ffff:10.0.0.1"), start);
    assert_eq!(tries.0.lock().unwrap()[&ip("10.0.0.1")].count, 1);
}

#[test]
fn the_memory_of_wrong_tries_is_bounded() {
    let tries = Tries::default();
    let start = Instant::now();
    for n in 0..2 * MAX_ADDRESSES as u32 {
        tries.failed(
            std::net::Ipv4Addr::from_bits(n).into(),
            start + Duration::from_micros(n.into()),
        );
    }
    assert_eq!(tries.0.lock().unwrap().len(), MAX_ADDRESSES);
}
