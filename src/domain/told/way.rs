//! Which way a car passes, and what else a program calls an event.

use super::Note;
use super::word::folded;
use crate::domain::direction::Direction;

/// What is said where the lane of the gate alone told the way.
pub fn of_lane(field: &'static str, direction: Direction) -> Note {
    let (vi, en) = in_words(direction);
    Note::new(
        field,
        "assumed",
        format!("không báo xe vào hay ra: ghi theo hướng của cổng, xe {vi}"),
        format!("in or out is not told: by the lane of the gate it is {en}"),
    )
}

fn in_words(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Entry => ("vào", "an entry"),
        Direction::Exit => ("ra", "an exit"),
    }
}

/// What is said where nothing told the way.
pub fn assumed(field: &'static str, direction: Direction) -> Note {
    let (vi, en) = in_words(direction);
    Note::new(
        field,
        "assumed",
        format!("không rõ xe vào hay ra (cổng chưa đặt hướng): ghi là xe {vi}"),
        format!("in or out? the gate has no lane in the settings: taken for {en}"),
    )
}

/// Folded, see [`folded`].
const IN: &[&str] = &[
    "entry",
    "in",
    "enter",
    "entering",
    "entered",
    "entrance",
    "ingress",
    "arrival",
    "arrive",
    "checkin",
    "inbound",
    "carin",
    "vehiclein",
    "vehicleentry",
    "vao",
    "vaobai",
    "xevao",
    "luotvao",
    "huongvao",
    "chieuvao",
    "congvao",
    "lanvao",
    "divao",
    "vaocong",
    "xevaobai",
    "gatein",
    "arrived",
    "entryevent",
    "vehicleentered",
];
const OUT: &[&str] = &[
    "exit",
    "out",
    "leave",
    "leaving",
    "exiting",
    "egress",
    "departure",
    "depart",
    "checkout",
    "outbound",
    "carout",
    "vehicleout",
    "vehicleexit",
    "ra",
    "rabai",
    "xera",
    "luotra",
    "huongra",
    "chieura",
    "congra",
    "lanra",
    "rakhoibai",
    "dira",
    "racong",
    "xerabai",
    "xerakhoibai",
    "gateout",
    "exited",
    "departed",
    "exitevent",
    "vehicleexited",
];

/// Reads a direction in any spelling: `ENTRY`, `in`, `VÀO`, `xe ra`.
pub fn read(text: &str) -> Option<Direction> {
    // Most say it as it is kept.
    if let Some(direction) = Direction::from_name(text) {
        return Some(direction);
    }
    let word = folded(text);
    let is_one_of = |words: &[&str]| words.contains(&word.as_str());
    match (is_one_of(IN), is_one_of(OUT)) {
        (true, _) => Some(Direction::Entry),
        (_, true) => Some(Direction::Exit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_read_in_every_common_spelling() {
        for (text, direction) in [
            ("ENTRY", Some(Direction::Entry)),
            ("entry", Some(Direction::Entry)),
            (" In ", Some(Direction::Entry)),
            ("VÀO", Some(Direction::Entry)),
            ("Vào bãi", Some(Direction::Entry)),
            ("xe vào", Some(Direction::Entry)),
            ("check-in", Some(Direction::Entry)),
            ("ENTRY_EVENT", Some(Direction::Entry)),
            ("đi vào", Some(Direction::Entry)),
            ("EXIT", Some(Direction::Exit)),
            ("OUT", Some(Direction::Exit)),
            ("RA", Some(Direction::Exit)),
            ("Xe ra", Some(Direction::Exit)),
            ("Check out", Some(Direction::Exit)),
            ("exited", Some(Direction::Exit)),
            ("Xe ra khỏi bãi", Some(Direction::Exit)),
            ("", None),
            ("UP", None),
            ("left", None),
            ("1", None),
            ("both", None),
        ] {
            assert_eq!(read(text), direction, "{text}");
        }
    }

    #[test]
    fn a_word_means_one_direction_and_is_written_folded() {
        assert!(IN.iter().all(|word| !OUT.contains(word)));
        assert!(IN.iter().chain(OUT).all(|word| folded(word) == **word));
    }
}
