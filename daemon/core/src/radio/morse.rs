//! The international Morse code (ITU-R M.1677-1): a dash is three dots, the pause within a character one, between
//! characters three, between words seven.

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Morse code has no {0:?}")]
pub struct UnknownCharacter(pub char);

const CODE: [(char, &str); 53] = [
    ('A', ".-"),
    ('B', "-..."),
    ('C', "-.-."),
    ('D', "-.."),
    ('E', "."),
    ('É', "..-.."),
    ('F', "..-."),
    ('G', "--."),
    ('H', "...."),
    ('I', ".."),
    ('J', ".---"),
    ('K', "-.-"),
    ('L', ".-.."),
    ('M', "--"),
    ('N', "-."),
    ('O', "---"),
    ('P', ".--."),
    ('Q', "--.-"),
    ('R', ".-."),
    ('S', "..."),
    ('T', "-"),
    ('U', "..-"),
    ('V', "...-"),
    ('W', ".--"),
    ('X', "-..-"),
    ('Y', "-.--"),
    ('Z', "--.."),
    ('1', ".----"),
    ('2', "..---"),
    ('3', "...--"),
    ('4', "....-"),
    ('5', "....."),
    ('6', "-...."),
    ('7', "--..."),
    ('8', "---.."),
    ('9', "----."),
    ('0', "-----"),
    ('.', ".-.-.-"),
    (',', "--..--"),
    (':', "---..."),
    ('?', "..--.."),
    ('\'', ".----."),
    ('-', "-....-"),
    ('/', "-..-."),
    ('(', "-.--."),
    (')', "-.--.-"),
    ('"', ".-..-."),
    ('=', "-...-"),
    ('+', ".-.-."),
    ('×', "-..-"),
    ('*', "-..-"),
    ('@', ".--.-."),
    ('’', ".----."),
];

/// Marks and pauses, each so many dots long. No pause stands at the end.
pub(super) fn units(text: &str) -> Result<Vec<(bool, u32)>, UnknownCharacter> {
    let mut units: Vec<(bool, u32)> = Vec::new();
    for word in text.split_whitespace() {
        let mut pause = 7;
        for character in word.chars() {
            for sign in code(character)?.bytes() {
                if !units.is_empty() {
                    units.push((false, pause));
                }
                units.push((true, if sign == b'-' { 3 } else { 1 }));
                pause = 1;
            }
            pause = 3;
        }
    }
    Ok(units)
}

fn code(character: char) -> Result<&'static str, UnknownCharacter> {
    let upper = character.to_uppercase().next().unwrap_or(character);
    let found = CODE.iter().find(|(known, _)| *known == upper);
    found
        .map(|(_, code)| *code)
        .ok_or(UnknownCharacter(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is written in books: `=` a dash, `.` a dot, and a blank for each dot of silence.
    fn written(text: &str) -> String {
        let sign = |(mark, units): (bool, u32)| match (mark, units) {
            (true, 1) => ".".to_owned(),
            (true, _) => "=".to_owned(),
            (false, units) => " ".repeat(units as usize),
        };
        units(text)
            .expect("characters of the code")
            .into_iter()
            .map(sign)
            .collect()
    }

    #[test]
    fn pauses_are_one_three_and_seven_dots() {
        let table = [
            ("", ""),
            ("  ", ""),
            ("e", "."),
            ("sos", ". . .   = = =   . . ."),
            (" e t ", ".       ="),
            ("DL1", "= . .   . = . .   . = = = ="),
        ];
        for (text, expected) in table {
            assert_eq!(written(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_has_no_code_is_named() {
        assert_eq!(units("DB0 ÄÖ"), Err(UnknownCharacter('Ä')));
        let message = UnknownCharacter('#').to_string();
        assert_eq!(message, "the Morse code has no '#'");
    }

    #[test]
    fn no_two_characters_sound_alike_but_those_that_shall() {
        for (n, (a, one)) in CODE.iter().enumerate() {
            for (b, other) in &CODE[n + 1..] {
                let same_on_purpose = "X×*'’".contains(*a) && "X×*'’".contains(*b);
                assert!(one != other || same_on_purpose, "{a} {b}");
            }
        }
    }
}
