//! Vehicle types: one name for each, whatever it is called.

use super::word::folded;

/// Longest name of a type that is kept, in characters.
const MAX_TYPE_CHARS: usize = 32;

/// One type: the name it is kept under, and what else it is called, folded.
struct VehicleType {
    name: &'static str,
    /// What it pays as where the tariff has no rate of its own for it.
    pays_as: Option<&'static str>,
    aliases: &'static [&'static str],
}

/// To teach a name of a vehicle, add it folded (see [`folded`]) to its line.
const KINDS: &[VehicleType] = &[
    VehicleType {
        name: "car",
        pays_as: None,
        aliases: &[
            "car",
            "cars",
            "oto",
            "xeoto",
            "otocon",
            "xehoi",
            "xecon",
            "auto",
            "automobile",
            "motorcar",
            "sedan",
            "suv",
            "hatchback",
            "coupe",
            "pickup",
            "xebantai",
            "bantai",
            "mpv",
            "passengercar",
            "smallcar",
            "taxi",
            "xetaxi",
            "electriccar",
            "otodien",
            "xeotodien",
            "ev",
            "lightvehicle",
            "privatecar",
            "otocon45cho",
            "xe4cho",
            "xe5cho",
            "xe7cho",
            "4cho",
            "5cho",
            "7cho",
            "jeep",
            "suvmpv",
            "4banh",
            "xe4banh",
            "bonbanh",
            "xebonbanh",
            "xedulich",
            "otodulich",
            "9cho",
            "xe9cho",
            "oto4cho",
            "oto5cho",
            "oto7cho",
            "oto9cho",
            "salooncar",
            "saloon",
            "wagon",
            "crossover",
            "cuv",
            "convertible",
            "pickuptruck",
            "smallvehicle",
            "fourwheeler",
            "4wheeler",
            "4wheels",
            "轿车",
            "小型车",
            "小车",
            "汽车",
        ],
    },
    VehicleType {
        name: "moto",
        pays_as: None,
        aliases: &[
            "moto",
            "motor",
            "motorbike",
            "motorbikes",
            "motorcycle",
            "motorcycles",
            "motocycle",
            "xemay",
            "xemoto",
            "xegan",
            "xeganmay",
            "xetayga",
            "xeso",
            "xe2banh",
            "xehaibanh",
            "2banh",
            "scooter",
            "moped",
            "twowheeler",
            "2wheeler",
            "mc",
            "bike",
            "motorbicycle",
            "mopedbike",
            "xm",
            "tayga",
            "haibanh",
            "twowheelvehicle",
            "2wheelvehicle",
            "twowheel",
            "twowheels",
            "2wheels",
            "motorscooter",
            "motobike",
            "xega",
            "xmay",
            "摩托车",
        ],
    },
    VehicleType {
        name: "bicycle",
        pays_as: None,
        aliases: &["bicycle", "bicycles", "cycle", "pushbike", "xedap", "dap", "velo", "自行车"],
    },
    VehicleType {
        name: "electric",
        pays_as: Some("moto"),
        aliases: &[
            "electric",
            "xedien",
            "xemaydien",
            "motodien",
            "xemotodien",
            "electricmotorbike",
            "electricmotorcycle",
            "electricmoto",
            "electricscooter",
            "escooter",
            "emoto",
            "emotorbike",
            "ebike",
            "electricbike",
            "electricbicycle",
            "xedapdien",
            "xedaptroluc",
            "电动车",
            "电动自行车",
        ],
    },
    VehicleType {
        name: "truck",
        pays_as: None,
        aliases: &[
            "truck",
            "trucks",
            "lorry",
            "xetai",
            "otai",
            "ototai",
            "xeototai",
            "tai",
            "heavytruck",
            "lighttruck",
            "smalltruck",
            "bigtruck",
            "xetainho",
            "xetainang",
            "xecontainer",
            "container",
            "dumptruck",
            "xeben",
            "trailer",
            "heavyvehicle",
            "hgv",
            "xedaukeo",
            "largetruck",
            "midtruck",
            "mediumtruck",
            "minitruck",
            "microtruck",
            "xetainhe",
            "tainhe",
            "tanker",
            "xebon",
            "daukeo",
            "semitrailer",
            "xecont",
            "卡车",
            "货车",
            "大货车",
            "小货车",
        ],
    },
    VehicleType {
        name: "van",
        pays_as: None,
        aliases: &["van", "xevan", "minivan", "xebanhmi", "microvan", "panelvan", "面包车"],
    },
    VehicleType {
        name: "bus",
        pays_as: None,
        aliases: &[
            "bus",
            "buses",
            "coach",
            "largebus",
            "xebuyt",
            "xebus",
            "buyt",
            "xekhach",
            "xeca",
            "minibus",
            "mediumbus",
            "microbus",
            "midbus",
            "schoolbus",
            "xe16cho",
            "16cho",
            "xe29cho",
            "29cho",
            "xe45cho",
            "45cho",
            "xekhach16cho",
            "xekhach29cho",
            "xekhach45cho",
            "客车",
            "大客车",
            "公交车",
        ],
    },
];

const TWO_WHEELS: [&str; 3] = ["moto", "bicycle", "electric"];

/// Words that say that no type is known.
const UNKNOWN: [&str; 13] = [
    "unknown",
    "unknow",
    "none",
    "null",
    "other",
    "others",
    "undefined",
    "vehicle",
    "khongro",
    "khac",
    "xekhac",
    "na",
    "khongxacdinh",
];

/// What was told of the type of a vehicle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldVehicle {
    /// Nothing, or that it is not known.
    Nothing,
    /// One of the list, under the name it is kept by.
    Known(&'static str),
    /// None of the list: as it was told, shortened where nobody would read it all.
    Other(String),
}

/// The names types are kept under.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Reads the name of a type in any spelling.
pub fn read(text: &str) -> ToldVehicle {
    // Most say it as it is kept.
    if let Some(name) = names().find(|name| *name == text) {
        return ToldVehicle::Known(name);
    }
    let word = folded(text);
    if word.is_empty() || UNKNOWN.contains(&word.as_str()) {
        return ToldVehicle::Nothing;
    }
    match kind_called(&word) {
        Some(kind) => ToldVehicle::Known(kind.name),
        None => ToldVehicle::Other(text.trim().chars().filter(|c| !c.is_control()).take(MAX_TYPE_CHARS).collect()),
    }
}

/// Whether two names mean one type: `MOTO`, `xe máy` and `moto` do.
pub fn same(one: &str, other: &str) -> bool {
    one == other || key(one) == key(other)
}

/// What a type pays as where it has no rate of its own.
pub fn pays_as(name: &str) -> Option<&'static str> {
    kind_called(&folded(name))?.pays_as
}

/// Whether two types are of vehicles that nobody takes for each other: one has two wheels, the other has more. A car and a
/// truck may be one vehicle that two cameras see differently.
pub fn are_unlike(one: &str, other: &str) -> bool {
    let two_wheels = |name: &str| {
        let kind = kind_called(&folded(name))?;
        Some(TWO_WHEELS.contains(&kind.name))
    };
    one != other && matches!((two_wheels(one), two_wheels(other)), (Some(one), Some(other)) if one != other)
}

/// A type's name as it is compared.
fn key(name: &str) -> std::borrow::Cow<'static, str> {
    let word = folded(name);
    kind_called(&word).map_or_else(|| word.clone().into(), |kind| kind.name.into())
}

fn kind_called(word: &str) -> Option<&'static VehicleType> {
    KINDS.iter().find(|kind| kind.aliases.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_whatever_it_is_called() {
        for (name, spellings) in [
            (
                "car",
                &["car", "Car", "CAR", "ô tô", "Ô TÔ", "oto", "o to", "xe hơi", "Xe con", "MotorCar", "SUV", "sedan"][..],
            ),
            (
                "moto",
                &[
                    "moto",
                    "Moto",
                    "MOTO",
                    " moto ",
                    "motorcycle",
                    "Motorbike",
                    "xe máy",
                    "XE MÁY",
                    "xe may",
                    "xe_may",
                    "xe-máy",
                ],
            ),
            ("moto", &["twoWheelVehicle", "XM", "tay ga", "hai bánh"]),
            ("car", &["SUVMPV", "4 bánh", "bốn bánh", "xe du lịch", "ô tô du lịch"]),
            ("bus", &["minibus", "mediumBus", "xe 16 chỗ", "29 chỗ", "客车"]),
            ("car", &["ô tô 7 chỗ", "SaloonCar", "轿车"]),
            ("moto", &["two_wheel", "xe ga", "摩托车"]),
            ("truck", &["MidTruck", "xe tải nhẹ", "货车"]),
            ("bicycle", &["bicycle", "xe đạp", "Xe Đạp"]),
            ("electric", &["electric", "xe máy điện", "E-bike", "xe đạp điện", "xe điện"]),
            ("truck", &["truck", "Xe tải", "XE TAI", "lorry"]),
            ("van", &["van"]),
            ("bus", &["bus", "xe khách", "Xe buýt"]),
        ] {
            for spelling in spellings {
                assert_eq!(read(spelling), ToldVehicle::Known(name), "{spelling}");
                assert!(same(spelling, name), "{spelling}");
            }
        }
    }

    #[test]
    fn what_says_nothing_and_what_is_not_listed_are_told_apart() {
        for nothing in ["", " ", "-", "unknown", "Unknown", "N/A", "không rõ"] {
            assert_eq!(read(nothing), ToldVehicle::Nothing, "{nothing:?}");
        }
        assert_eq!(read(" Xe lu "), ToldVehicle::Other("Xe lu".into()));
        assert_eq!(read(&"x\n".repeat(50)), ToldVehicle::Other("x".repeat(32)));
        assert!(same("Xe lu", "xe LU") && !same("Xe lu", "car") && !same("car", "moto"));
    }

    #[test]
    fn an_alias_means_one_type_and_is_written_folded() {
        let aliases: Vec<&str> = KINDS.iter().flat_map(|kind| kind.aliases.iter().copied()).chain(UNKNOWN).collect();
        let distinct: std::collections::BTreeSet<&str> = aliases.iter().copied().collect();
        assert_eq!(aliases.len(), distinct.len());
        for alias in aliases {
            assert_eq!(folded(alias), alias);
        }
        for kind in KINDS {
            assert!(kind.aliases.contains(&kind.name));
            assert!(kind.aliases.iter().all(|alias| super::super::way::read(alias).is_none()), "{}", kind.name);
            assert!(kind.pays_as.is_none_or(|other| KINDS.iter().any(|kind| kind.name == other)));
        }
    }
}
