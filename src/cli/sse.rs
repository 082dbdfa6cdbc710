//! Reading Server-Sent Events as they come, in pieces of any size.

/// An event, or a comment that sets the id alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// By which a reader goes on behind it.
    pub(super) id: Option<String>,
    /// What it says; empty where nothing is told.
    pub(super) data: String,
}

/// What has come and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    line: Vec<u8>,
    frame: Frame,
}

impl Frames {
    /// Takes a piece in and gives the events that it completes, in order.
    pub(super) fn take_in(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut whole = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            match line.trim_end_matches('\r') {
                "" => whole.push(std::mem::take(&mut self.frame)),
                line => self.frame.take_in(line),
            }
        }
        whole
    }
}

impl Frame {
    fn take_in(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.id = Some(value.to_owned()),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // The type is in the data too, and a comment has no name.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = ": \nid: r-1\n\nevent: call.ringing\nid: r-2\ndata: {\"a\":\ndata: 1}\n\ndata: x\r\n\r\nid: r-3\n";
        let frame = |id: Option<&str>, data: &str| Frame {
            id: id.map(str::to_owned),
            data: data.to_owned(),
        };
        let expected =
            [frame(Some("r-1"), ""), frame(Some("r-2"), "{\"a\":\n1}"), frame(None, "x")];

        for size in 1..text.len() {
            let mut frames = Frames::default();
            let pieces = text.as_bytes().chunks(size);

            let read: Vec<Frame> = pieces.flat_map(|piece| frames.take_in(piece)).collect();

            assert_eq!(read, expected, "in pieces of {size}");
        }
    }
}
