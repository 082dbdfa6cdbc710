//! Telephone numbers as people and spreadsheets write them.
//!
//! Nearly all numbers of a rotation are North American (NANP) and plainly written; those are read
//! here, in a few nanoseconds. The rest is left to libphonenumber's rules.

use std::num::NonZeroU32;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat};

use super::{AreaCode, E164, InvalidPhoneNumber, Region};

/// No number with all its punctuation is longer, in bytes.
const TEXT_MAX: usize = 64;

impl E164 {
    /// Reads a number in any written form: `+14045556789`, `(404) 555-6789`, `020 7183 8750`.
    ///
    /// Without `+` it is read by the plan of `default_region`. Letters, extensions and local numbers
    /// without their area code are refused: a caller ID must be dialable from anywhere.
    ///
    /// What is checked is the length for its country, and that a NANP area code begins with 2 to 9;
    /// *not* whether the number is assigned. The tables of assigned ranges lag behind the
    /// carriers, and the 555 numbers that tests and documents use are in none of them.
    pub fn read(text: &str, default_region: Region) -> Result<Self, InvalidPhoneNumber> {
        match read_nanp(text, default_region) {
            Plain::Nanp(number) => Some(number),
            Plain::Other => read_any(text, default_region),
            Plain::Wrong => None,
        }
        .ok_or_else(|| InvalidPhoneNumber(text.trim().to_owned()))
    }

    /// Whether the number lies in a range that is assigned, as far as libphonenumber's tables know.
    ///
    /// For guesses only; see [`E164::read`].
    pub fn is_assigned(self) -> bool {
        library_number(self).is_some_and(|number| number.is_valid())
    }

    /// The area code: three digits after `+1`; elsewhere the geographical area code without its
    /// leading 0, where the country has one (`20` for `+442071838750`).
    pub fn area_code(self) -> Option<AreaCode> {
        if let Some(national) = self.nanp() {
            // Three digits, marked as `AreaCode` marks them.
            return NonZeroU32::new(1000 + (national / 10_000_000) as u32).map(AreaCode);
        }
        let number = library_number(self)?;
        let digits = number.get_national_significant_number();
        digits.get(..number.get_length_of_geographical_area_code())?.parse().ok()
    }

    /// The ten digits after `+1`.
    fn nanp(self) -> Option<u64> {
        (self.0 / 10_000_000_000 == 1).then_some(self.0 % 10_000_000_000)
    }
}

impl Region {
    /// Whether its numbers are read here. The smaller countries of the plan are left to the
    /// library, which reads them the same way.
    fn is_nanp(self) -> bool {
        self == Self::US || self == Self::CA
    }
}

enum Plain {
    Nanp(E164),
    /// In a form, or of a country, that the library must look at.
    Other,
    Wrong,
}

fn read_nanp(text: &str, default_region: Region) -> Plain {
    let (mut digits, mut count, mut plus) = (0_u64, 0, false);
    for c in text.chars() {
        match c {
            '0'..='9' if count == 15 => return Plain::Other,
            '0'..='9' => {
                digits = digits * 10 + u64::from(c as u32 - '0' as u32);
                count += 1;
            }
            '+' if count == 0 && !plus => plus = true,
            c if is_punctuation(c) => {}
            _ => return Plain::Other,
        }
    }
    let national = match (plus, count) {
        (true, 11) if digits / 10_000_000_000 == 1 => digits % 10_000_000_000,
        (false, 11) if default_region.is_nanp() && digits / 10_000_000_000 == 1 => {
            digits % 10_000_000_000
        }
        (false, 10) if default_region.is_nanp() => digits,
        (true | false, _) => return Plain::Other,
    };
    if national < 2_000_000_000 {
        return Plain::Wrong;
    }
    Plain::Nanp(E164(10_000_000_000 + national))
}

/// What may stand between digits: spaces of all widths, dashes, dots, brackets, and the invisible
/// marks that address books put around copied numbers.
fn is_punctuation(c: char) -> bool {
    matches!(c, ' ' | '\t' | '-' | '.' | '(' | ')' | '\u{a0}' | '\u{feff}' | '\u{3000}')
        || matches!(c, '\u{2000}'..='\u{200f}' | '\u{2010}'..='\u{2015}' | '\u{202a}'..='\u{202f}')
        || matches!(c, '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{2212}')
}

fn read_any(text: &str, default_region: Region) -> Option<E164> {
    // The library would read letters as keys and cut off what looks like an extension.
    let foreign =
        |c: char| c.is_alphabetic() || (c.is_control() && c != '\t') || "#*;,=".contains(c);
    if text.len() > TEXT_MAX || text.contains(foreign) {
        return None;
    }
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let region = default_region.as_str().parse().ok();
    let number = PHONE_NUMBER_UTIL.parse(&visible, region).ok()?;
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossible) => {}
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(_) => return None,
    }
    let e164: E164 = number.format_as(PhoneNumberFormat::E164).parse().ok()?;
    e164.nanp().is_none_or(|national| national >= 2_000_000_000).then_some(e164)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn library_number(number: E164) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL.parse(number.to_string(), None).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_written_form_of_a_number_is_the_same_number() {
        for text in [
            "+14045556789",
            "14045556789",
            "4045556789",
            "(404) 555-6789",
            "+1 (404) 555-6789",
            "1-404-555-6789",
            "404.555.6789",
            " 404\u{a0}555\u{a0}6789 ",
            "404\u{2011}555\u{2013}6789",
            "\u{202a}+1 404 555 6789\u{202c}",
            "011 1 404 555 6789",
            "\u{ff0b}14045556789",
        ] {
            assert_eq!(read(text), Some("+14045556789".into()), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_tests_and_documents_use_are_numbers() {
        for text in ["+14045556789", "+14155550123", "+15551230000", "+12125550100"] {
            assert_eq!(read(text), Some(text.into()));
        }
    }

    #[test]
    fn what_cannot_be_dialled_from_anywhere_is_refused() {
        for text in [
            "",
            "+",
            "1",
            "404555",
            "5556789",
            "40455567890",
            "+1404555678",
            "+140455567890",
            "+10045556789",
            "1045556789",
            "+1404555678901234567",
            "1-800-FLOWERS",
            "404555678O",
            "4045556789 x12",
            "4045556789;ext=12",
            "4045556789#12",
            "4045556789,12",
            "abc",
            "404\r\n5556789",
            "4.04556E+09",
            "+999123456789",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_refusal_names_the_number() {
        let error = E164::read("404555", Region::US).unwrap_err();

        assert_eq!(error.to_string(), "Invalid phone number: 404555");
    }

    #[test]
    fn other_countries_are_read_by_the_default_region() {
        let gb: Region = "GB".parse().unwrap();

        let number = E164::read("020 7183 8750", gb).unwrap();
        assert_eq!(number.to_string(), "+442071838750");
        assert_eq!(E164::read("+1 404 555 6789", gb).unwrap().to_string(), "+14045556789");
        assert_eq!(read("+39 06 698 2044"), Some("+39066982044".into()));
    }

    #[test]
    fn an_area_code_is_read_from_the_number() {
        let code = |text: &str| {
            E164::read(text, Region::US).unwrap().area_code().map(|code| code.to_string())
        };

        assert_eq!(code("+14045556789"), Some("404".into()));
        assert_eq!(code("+442071838750"), Some("20".into()));
        assert_eq!(code("+6565218000"), None);
    }

    #[test]
    fn an_area_code_is_where_a_number_is_at_home_and_mobiles_mostly_have_none() {
        let code = |region: &str, text: &str| {
            let number = E164::read(text, region.parse().unwrap()).unwrap();
            number.area_code().map(|code| code.to_string())
        };
        for (region, text, expected) in [
            ("GB", "020 7946 0018", Some("20")),
            ("GB", "0131 496 0018", Some("131")),
            ("GB", "07700 900123", None),
            ("DE", "030 901820", Some("30")),
            ("DE", "0151 23456789", None),
            ("FR", "01 42 68 53 00", Some("1")),
            ("FR", "06 12 34 56 78", None),
            ("AU", "(02) 9374 4000", Some("2")),
            ("AU", "0412 345 678", None),
            ("IN", "011 2345 6789", Some("11")),
            ("IN", "098765 43210", None),
            ("BR", "(11) 3071-0000", Some("11")),
            ("BR", "(11) 91234-5678", Some("11")),
        ] {
            assert_eq!(code(region, text).as_deref(), expected, "{region} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = E164::read(&text, Region::US);
        }

        #[test]
        fn what_was_read_reads_back_as_itself(text in "\\+?[0-9 ().-]{7,18}") {
            if let Ok(number) = E164::read(&text, Region::US) {
                prop_assert_eq!(E164::read(&number.to_string(), Region::US), Ok(number));
            }
        }
    }

    fn read(text: &str) -> Option<String> {
        E164::read(text, Region::US).ok().map(|number| number.to_string())
    }
}
