//! Whether Asterisk can reach where our calls leave.

use serde::Deserialize;

use super::AriError;
use super::rest::Rest;

#[derive(Deserialize)]
struct Endpoint {
    state: Option<String>,
}

/// Asks about each of these PJSIP endpoints; those that are not there or not online, with what
/// Asterisk says of them. With none to ask about, only whether it answers.
///
/// # Errors
/// Asterisk does not answer, or not for us.
pub(super) async fn offline(rest: &Rest, names: &[String]) -> Result<Vec<String>, AriError> {
    if names.is_empty() {
        // Not `/asterisk/ping`, which the oldest have not.
        rest.get("/asterisk/info?only=status").await?.done()?;
    }
    let mut offline = Vec::new();
    for name in names {
        let answer = rest.get(&format!("/endpoints/PJSIP/{}", escaped(name))).await?;
        let state = match answer.status.as_u16() {
            404 => "is not in pjsip.conf".to_owned(),
            _ => match answer.json::<Endpoint>()?.state.as_deref() {
                Some("online") => continue,
                // What Asterisk says of one without contacts, or whose contacts are not looked at.
                None | Some("unknown") => "is in an unknown state".to_owned(),
                Some(state) => format!("is {state}"),
            },
        };
        offline.push(format!("the endpoint {name} ({state})"));
    }
    Ok(offline)
}

/// A name as a part of a path.
pub(super) fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        assert_eq!(escaped("carrier-1_a.b~c"), "carrier-1_a.b~c");
        assert_eq!(escaped("../x?y#z%é"), "..%2Fx%3Fy%23z%25%C3%A9");
    }
}
