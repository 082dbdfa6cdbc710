//! One call in the simulated Asterisk: which events it makes, in which order.
//!
//! The order and the headers are those of captures of Asterisk 22 with PJSIP. A call that was
//! hung up by an action before its answer was not captured; it follows Asterisk's source.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::domain::call::Destination;
use crate::domain::call::cause::Cause;

use super::callee::{Callee, Pace, Refusal, Step};
use super::channel::{Channel, ChannelState, Party};
use super::originate::{Dialled, Originate};
use super::text::Text;
use super::user::Classes;

/// The context of the endpoint, where a channel is before its call is answered.
const ENDPOINT_CONTEXT: &str = "from-carrier";

/// A call from its `Newchannel` to its `Hangup`.
#[derive(Debug)]
pub(super) struct Call {
    originate: Originate,
    pub(super) channel: Channel,
    endpoint: String,
    dial_string: String,
    /// What is still to come.
    script: VecDeque<(Duration, Step)>,
}

/// In which order the two halves of an end are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOrder {
    /// `OriginateResponse`, then `Hangup`: the usual one.
    ResponseFirst,
    /// `Hangup` first, which a real Asterisk does now and then.
    HangupFirst,
}

impl Call {
    /// The call as it is dialled, and the events up to `DialBegin`. `serial` counts the channels.
    pub(super) fn dial(
        originate: Originate,
        dialled: Dialled,
        serial: u32,
        unique_id: String,
        (pace, channel_variables): (&Pace, &[String]),
        now: Instant,
    ) -> (Self, Vec<Text>) {
        let callee = Callee::behind(&dialled.endpoint, &dialled.number);
        let script = callee.script(pace, originate.ring_timeout);
        let channel = Channel {
            name: format!("PJSIP/{}-{serial:08x}", dialled.endpoint),
            unique_id,
            state: ChannelState::Down,
            caller: Party::default(),
            connected: Party::default(),
            account: String::new(),
            context: ENDPOINT_CONTEXT.to_owned(),
            exten: "s".to_owned(),
            priority: 1,
            application: ("AppDial2".to_owned(), "(Outgoing Line)".to_owned()),
            shown_variables: channel_variables.iter().map(|n| (n.clone(), String::new())).collect(),
            created: now,
        };
        let mut call = Self {
            originate,
            channel,
            endpoint: dialled.endpoint,
            dial_string: dialled.dial_string,
            script: script.into(),
        };
        let events = call.begin();
        (call, events)
    }

    /// The wait until the next step, and the step; none if nothing more happens by itself.
    pub(super) fn next_step(&self) -> Option<(Duration, Step)> {
        self.script.front().copied()
    }

    /// Takes the next step and tells its events. The call is over after a step that ends it.
    pub(super) fn step(&mut self, order: EndOrder) -> Vec<Text> {
        match self.script.pop_front() {
            Some((_, Step::Ring)) => self.ring(),
            Some((_, Step::Answer)) => self.answer(),
            Some((_, Step::Refuse(refusal))) => self.refuse(refusal, order),
            Some((_, Step::GiveUp)) => self.give_up(order),
            Some((_, Step::Finish)) => self.finish(),
            None => Vec::new(),
        }
    }

    /// Ends the call by a `Hangup` action with this cause.
    pub(super) fn hang_up(&mut self, cause: u16, order: EndOrder) -> Vec<Text> {
        let request = self.channel.event("SoftHangupRequest", Classes::CALL);
        let mut events = vec![request.header("Cause", cause)];
        if self.channel.state == ChannelState::Up {
            events.push(self.hangup_event(cause, None));
        } else {
            events.push(self.channel.dial_event("DialEnd").header("DialStatus", "NOANSWER"));
            events.extend(self.failed(1, cause, None, order));
        }
        events.push(self.device("NOT_INUSE"));
        events
    }

    fn begin(&mut self) -> Vec<Text> {
        let mut events = vec![
            self.channel.event("Newchannel", Classes::CALL),
            self.new_exten("AppDial2", "(Outgoing Line)"),
        ];
        // Asterisk sets the last variable first.
        for index in (0..self.originate.variables.len()).rev() {
            events.push(self.set_variable(index));
        }
        if !self.originate.account.is_empty() {
            self.channel.account.clone_from(&self.originate.account);
            let event = self.channel.event("NewAccountCode", Classes::CALL);
            events.push(event.header("OldAccountCode", ""));
        }
        self.channel.caller = self.originate.caller.clone();
        let event = self.channel.event("NewCallerid", Classes::CALL);
        events.push(event.header("CID-CallingPres", "0 (Presentation Allowed, Not Screened)"));
        self.channel.connected = self.originate.caller.clone();
        events.push(self.channel.event("NewConnectedLine", Classes::CALL));
        events.push(self.channel.dial_event("DialBegin").header("DialString", &self.dial_string));
        events
    }

    fn ring(&mut self) -> Vec<Text> {
        self.channel.state = ChannelState::Ringing;
        vec![
            self.channel.event("Newstate", Classes::CALL),
            self.device("RINGING"),
            self.channel.dial_event("DialState").header("DialStatus", "RINGING"),
        ]
    }

    fn answer(&mut self) -> Vec<Text> {
        self.channel.state = ChannelState::Up;
        let mut events = vec![
            self.channel.event("Newstate", Classes::CALL),
            self.channel.dial_event("DialEnd").header("DialStatus", "ANSWER"),
            self.originate_response(Ok(())),
            self.device("INUSE"),
        ];
        match self.originate.destination.clone() {
            Some(Destination::Dialplan { context, exten, priority }) => {
                (self.channel.context, self.channel.exten) = (context, exten);
                self.channel.priority = priority;
                self.channel.application = ("Wait".to_owned(), String::new());
                events.push(self.new_exten("Wait", ""));
            }
            Some(Destination::Application { application, data }) => {
                self.channel.application = (application, data);
            }
            Some(Destination::Untold) | None => {
                // Nowhere to go: Asterisk drops it as soon as it is answered.
                self.script = VecDeque::from([(Duration::ZERO, Step::Finish)]);
            }
        }
        events
    }

    fn refuse(&self, refusal: Refusal, order: EndOrder) -> Vec<Text> {
        let Refusal { cause, sip_code, dial_status, early_media } = refusal;
        let mut events = Vec::with_capacity(5);
        if early_media {
            events.push(self.channel.dial_event("DialState").header("DialStatus", "PROGRESS"));
        }
        let request = self.channel.event("HangupRequest", Classes::CALL);
        events.push(request.header("Cause", cause).header("TechCause", sip_code));
        events.push(self.channel.dial_event("DialEnd").header("DialStatus", dial_status));
        events.extend(self.failed(0, cause, Some(sip_code), order));
        events
    }

    fn give_up(&self, order: EndOrder) -> Vec<Text> {
        let mut events = self.failed(3, 19, Some(480), order);
        events.push(self.device("NOT_INUSE"));
        events
    }

    /// The end of an answered call. The dialplan hangs up with cause 16; after an application
    /// that just returns, Asterisk gives cause 0.
    fn finish(&self) -> Vec<Text> {
        let by_dialplan = matches!(self.originate.destination, Some(Destination::Dialplan { .. }));
        let mut events = Vec::with_capacity(3);
        if by_dialplan {
            let request = self.channel.event("SoftHangupRequest", Classes::CALL);
            events.push(request.header("Cause", 16));
        }
        events.push(self.hangup_event(if by_dialplan { 16 } else { 0 }, None));
        events.push(self.device("NOT_INUSE"));
        events
    }

    fn failed(&self, reason: u8, cause: u16, sip_code: Option<u16>, order: EndOrder) -> Vec<Text> {
        let response = self.originate_response(Err(reason));
        let hangup = self.hangup_event(cause, sip_code);
        match order {
            EndOrder::ResponseFirst => vec![response, hangup],
            EndOrder::HangupFirst => vec![hangup, response],
        }
    }

    fn originate_response(&self, outcome: Result<(), u8>) -> Text {
        let text = originate_response(&self.originate, outcome, Some(&self.channel));
        let shown = self.channel.shown_variables.iter().filter(|_| outcome.is_ok());
        shown.fold(text, |text, (name, value)| {
            let key = format_args!("ChanVariable({})", self.channel.name).to_string();
            text.header(key, format_args!("{name}={value}"))
        })
    }

    fn hangup_event(&self, cause: u16, sip_code: Option<u16>) -> Text {
        let words = if cause == 0 { "Unknown" } else { Cause(cause).text() };
        let event = self.channel.event("Hangup", Classes::CALL);
        let event = event.header("Cause", cause).header("Cause-txt", words);
        match sip_code {
            Some(code) => event.header("TechCause", code),
            None => event,
        }
    }

    fn set_variable(&mut self, index: usize) -> Text {
        let (name, value) = &self.originate.variables[index];
        let bare = name.trim_start_matches('_');
        for (shown, shown_value) in &mut self.channel.shown_variables {
            if shown == bare {
                shown_value.clone_from(value);
            }
        }
        let event = self.channel.event("VarSet", Classes::DIALPLAN);
        event.header("Variable", name).header("Value", value)
    }

    fn new_exten(&self, application: &str, data: &str) -> Text {
        let event = self.channel.event("Newexten", Classes::DIALPLAN);
        let event = event.header("Extension", &self.channel.exten);
        event.header("Application", application).header("AppData", data)
    }

    fn device(&self, state: &str) -> Text {
        let event = Text::event("DeviceStateChange", Classes::CALL);
        event.header("Device", format_args!("PJSIP/{}", self.endpoint)).header("State", state)
    }
}

/// The event that tells how an Originate went: an error is its `Reason`. Where no channel came to
/// be, there is none to name.
pub(super) fn originate_response(
    originate: &Originate,
    outcome: Result<(), u8>,
    channel: Option<&Channel>,
) -> Text {
    let (word, reason) = match outcome {
        Ok(()) => ("Success", 4),
        Err(reason) => ("Failure", reason),
    };
    let answered_as = channel.filter(|_| outcome.is_ok());
    // A failed call has the id it asked for, never the one it was given.
    let unique_id = match answered_as {
        Some(channel) => &channel.unique_id,
        None => originate.channel_id.as_deref().unwrap_or("<unknown>"),
    };
    let mut text = Text::event("OriginateResponse", Classes::CALL);
    if let Some(id) = &originate.action_id {
        text = text.header("ActionID", id);
    }
    text = text.header("Response", word);
    text = text.header("Channel", answered_as.map_or(&originate.channel, |channel| &channel.name));
    text = match &originate.destination {
        Some(Destination::Dialplan { context, exten, .. }) => {
            text.header("Context", context).header("Exten", exten)
        }
        Some(Destination::Application { application, data }) => {
            text.header("Application", application).header("Data", data)
        }
        Some(Destination::Untold) | None => text,
    };
    text.header("Reason", reason)
        .header("Uniqueid", unique_id)
        .header("CallerIDNum", originate.caller.number())
        .header("CallerIDName", originate.caller.name())
}
