//! Values that have a stable name: in the database, on the wire, in answers and settings.

/// All values of a type, each with its name.
pub trait HasNames: Copy + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

/// Declares enums of which each value stands beside its name. Names only grow.
macro_rules! named {
    ($(
        $(#[$on_type:meta])*
        pub enum $type:ident { $($(#[$on_value:meta])* $value:ident = $name:literal,)* }
    )*) => {$(
        $(#[$on_type])*
        pub enum $type { $($(#[$on_value])* $value,)* }

        impl $crate::domain::named::HasNames for $type {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$value),)*];
        }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }
    )*};
}
pub(crate) use named;
