//! What would have been right: a suggestion for a row that failed.

use super::super::did::DidStatus;
use super::super::number::{E164, Region};
use super::cells::{Fault, is_scientific, word};

/// Words that other programs have for a status.
const STATUS_WORDS: [(&[&str], DidStatus); 4] = [
    (&["enabled", "live", "inservice", "on", "yes", "true", "1"], DidStatus::Active),
    (&["free", "unused", "unassigned", "new", "owned", "spare"], DidStatus::Available),
    (&["disabled", "paused", "off", "no", "false", "0", "retired"], DidStatus::Inactive),
    (&["blocked", "spam", "flagged", "quarantined", "banned"], DidStatus::Suspended),
];

/// Whose numbers come without `+` most often.
const REGIONS: [&str; 12] =
    ["US", "GB", "DE", "FR", "AU", "IN", "BR", "ES", "IT", "NL", "MX", "ZA"];

/// In how many countries a number is looked for at home.
const FITS_MAX: usize = 3;

/// How to mend this fault of this cell; none where it cannot be told.
pub(super) fn mend(fault: &Fault, cell: &str, region: Region) -> Option<String> {
    let text = word(cell);
    match fault.code {
        "invalid_phone_number" => number(text, region),
        "invalid_status" => status(text).map(|status| format!("did you mean {status}?")),
        "invalid_max_usage" => limit(text),
        "invalid_area_code" => {
            let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            (plain && (1..=7).contains(&digits.len()))
                .then(|| format!("write the digits alone: {digits}"))
        }
        "invalid_trunk" => {
            let bare = text.strip_prefix("PJSIP/").or_else(|| text.strip_prefix("pjsip/"))?;
            let name = bare.split('@').next_back().unwrap_or(bare);
            is_name(name).then(|| format!("write the endpoint's name alone: {name}"))
        }
        "invalid_campaign" => {
            let id = text.split_whitespace().collect::<Vec<_>>().join("_");
            is_name(&id).then(|| format!("did you mean {id}?"))
        }
        "invalid_metadata" => Some("write a JSON object, such as {\"notes\":\"Main\"}".into()),
        "bad_row" => Some("put quotes around a cell that holds the delimiter".into()),
        _ => None,
    }
}

/// Whether two words differ by a slip: one or two letters wrong, missing, surplus or swapped.
pub(super) fn is_near(text: &str, word: &str) -> bool {
    text.len() <= word.len() + 2 && distance(text, word) <= 2
}

fn number(text: &str, region: Region) -> Option<String> {
    if is_scientific(text) {
        return Some("format the column as text in the spreadsheet and export it again".into());
    }
    let bare = text.split(['x', 'X', '#', ';', ',', '/', 'e']).next().unwrap_or(text);
    if bare.len() < text.len()
        && let Ok(number) = E164::read(bare, region)
    {
        return Some(format!("a caller ID has no extension: write {number}"));
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = |c: char| c.is_ascii_digit() || c.is_whitespace() || "()-/".contains(c);
    if digits < 7 || !text.chars().all(is_plain) {
        return None;
    }
    if digits == 7 && region == Region::US {
        return Some("write the area code before it".into());
    }
    let others = REGIONS.iter().filter_map(|name| name.parse().ok()).filter(|it| *it != region);
    let mut fits: Vec<(E164, Region)> = others
        .filter_map(|other| Some((E164::read(text, other).ok()?, other)))
        .filter(|(number, _)| number.is_assigned())
        .take(FITS_MAX)
        .collect();
    // With an exit code such as 00 a number is the same in many countries.
    let in_many = fits.len() > 1;
    fits.dedup_by_key(|(number, _)| *number);
    Some(match fits.as_slice() {
        [(number, _)] if in_many => format!("write {number}"),
        [] => "write it with + and its country code, or pass defaultRegion".into(),
        [(number, other)] => format!("write {number} or pass defaultRegion={}", other.as_str()),
        several => {
            let each = several.iter().map(|(number, it)| format!("{number} in {}", it.as_str()));
            let each: Vec<String> = each.collect();
            format!("write it as {}, or pass defaultRegion", each.join(", as "))
        }
    })
}

fn status(text: &str) -> Option<DidStatus> {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let known = STATUS_WORDS.iter().find(|(words, _)| words.contains(&plain.as_str()));
    let all = STATUS_WORDS.iter().map(|(_, status)| *status);
    let near = || all.clone().find(|status| is_near(&plain, status.as_str()));
    known.map(|(_, status)| *status).or_else(near)
}

fn limit(text: &str) -> Option<String> {
    if ["none", "unlimited", "no limit", "infinite", "-1", "n/a", "-"]
        .contains(&text.to_lowercase().as_str())
    {
        return Some("leave the cell empty for no limit".into());
    }
    let grouped = text.chars().all(|c| c.is_ascii_digit() || ",.' \u{a0}\u{202f}".contains(c));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let in_threes = text.split(|c: char| !c.is_ascii_digit()).skip(1).all(|part| part.len() == 3);
    (grouped && in_threes && digits.len() > 3 && digits.parse::<u32>().is_ok())
        .then(|| format!("write the digits alone: {digits}"))
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Levenshtein's distance, over bytes.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (place, b) in other.iter().enumerate() {
            let changed = corner + usize::from(a != *b);
            corner = row[place + 1];
            row[place + 1] = changed.min(row[place] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        assert!(is_near("nubmer", "number"));
        assert!(is_near("actve", "active"));
        assert!(!is_near("gone", "active"));
        assert!(!is_near(&"x".repeat(10_000), "active"));
    }

    #[test]
    fn a_status_of_another_program_is_recognised() {
        assert_eq!(status("Enabled"), Some(DidStatus::Active));
        assert_eq!(status("inactiv"), Some(DidStatus::Inactive));
        assert_eq!(status("blue"), None);
    }
}
