//! Values that are a text outside: in JSON, in tables, in the log.

/// Gives a type that is read by `FromStr` and written by `Display` the conversions serde asks for,
/// and a `Debug` that prints the text alone.
macro_rules! is_a_text {
    ($name:ident or $error:ident) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}
pub(super) use is_a_text;
