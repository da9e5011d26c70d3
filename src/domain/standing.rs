//! Which centrals belong to the mesh, as its members say: events like any other, of which the latest about a certificate counts,
//! as far as it counts at all ([`in_force`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::ids::CentralId;

/// Where a central stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A person let it in at one central: whoever has its key is let in at all of them.
    Admitted,
    /// A person threw it out: nobody talks to it.
    Expelled,
}

/// From now on a central stands so. It is known by its certificate; its id may be given to another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CentralStanding {
    pub central: CentralId,
    pub fingerprint: Fingerprint,
    pub standing: Standing,
    /// Of one that was let in: where it said it can be dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2p_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A decision as it is held: who wrote it, and its place in the order of the mesh, of which the last counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<O> {
    pub author: CentralId,
    pub order: O,
    pub said: CentralStanding,
}

/// What of all that was decided about one certificate counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InForce<'a> {
    pub said: &'a CentralStanding,
    pub author: &'a CentralId,
    /// `false`: it was let in, and by none but those whose word counts no more.
    pub counts: bool,
}

/// Whom a person here trusts, whatever the mesh says: from there admissions are believed.
#[derive(Debug, Clone)]
pub struct Trusted {
    pub own: CentralId,
    /// Peers, each with its certificate, that were set up or confirmed here, and not merely let in on the word of another.
    pub peers: BTreeMap<CentralId, Fingerprint>,
}

/// What counts, of each certificate anything was decided about: a function of what was said and of whom a person here trusts, not of
/// the order in which it was heard.
///
/// - Expulsions count, whoever says so. Of them and the admissions that count the latest is in force.
/// - An admission counts while its author is of the mesh. Its author is this central; or is trusted here and its certificate is not
///   expelled, under whatever name; or was let in by an admission that counts; or it is not trusted here and nobody ever decided
///   anything about it, as where it is linked with others only. So what an expelled one let in ends with it, and what those let in; and no two let each other in.
/// - The central a certificate was expelled as never lets that in again, whatever clock it writes.
pub fn in_force<'a, O: Ord>(decisions: &'a [Decision<O>], trusted: &'a Trusted) -> BTreeMap<Fingerprint, InForce<'a>> {
    let mut thrown_out: BTreeMap<Fingerprint, (&O, BTreeSet<&CentralId>)> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for Decision { order, said, .. } in decisions {
        named.insert(&said.central);
        if said.standing == Standing::Expelled {
            let (latest, as_whom) = thrown_out.entry(said.fingerprint).or_insert((order, BTreeSet::new()));
            *latest = (*latest).max(order);
            as_whom.insert(&said.central);
        }
    }
    let of_itself = |decision: &Decision<O>| {
        thrown_out.get(&decision.said.fingerprint).is_some_and(|(_, as_whom)| as_whom.contains(&decision.author))
    };
    let admissions: Vec<&Decision<O>> = decisions
        .iter()
        .filter(|decision| decision.said.standing == Standing::Admitted && !of_itself(decision))
        .collect();
    let mut by_author: BTreeMap<&CentralId, Vec<&Decision<O>>> = BTreeMap::new();
    for admission in &admissions {
        by_author.entry(&admission.author).or_default().push(admission);
    }
    // Whose word counts: from those it is sure of, on and on to those they let in. It only grows, so each is taken up once, however long
    // a chain a liar makes.
    let (mut counting, mut members, mut returned) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut to_judge: Vec<&CentralId> = by_author.keys().copied().collect();
    while let Some(author) = to_judge.pop() {
        let is_out = |key: &Fingerprint| thrown_out.contains_key(key) && !returned.contains(key);
        let counts = *author == trusted.own
            || members.contains(author)
            || trusted.peers.get(author).map_or_else(|| !named.contains(author), |key| !is_out(key));
        if !counts || !counting.insert(author) {
            continue;
        }
        for Decision { order, said, .. } in by_author.get(author).into_iter().flatten() {
            if thrown_out.get(&said.fingerprint).is_none_or(|(latest, _)| *latest < order) {
                members.insert(&said.central);
                returned.insert(said.fingerprint);
                to_judge.push(&said.central);
                to_judge
                    .extend(trusted.peers.iter().filter(|(_, key)| **key == said.fingerprint).map(|(peer, _)| peer));
            }
        }
    }
    let mut in_force: BTreeMap<Fingerprint, (bool, &Decision<O>)> = BTreeMap::new();
    let expulsions = decisions.iter().filter(|decision| decision.said.standing == Standing::Expelled);
    for decision in expulsions.chain(admissions.iter().copied()) {
        let counts = decision.said.standing == Standing::Expelled || counting.contains(&decision.author);
        let held = in_force.entry(decision.said.fingerprint).or_insert((counts, decision));
        if (counts, &decision.order) > (held.0, &held.1.order) {
            *held = (counts, decision);
        }
    }
    let shown = |(counts, decision): (bool, &'a Decision<O>)| InForce {
        said: &decision.said,
        author: &decision.author,
        counts,
    };
    in_force.into_iter().map(|(fingerprint, held)| (fingerprint, shown(held))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> CentralId {
        format!("c{number}").parse().unwrap()
    }

    fn key(number: u8) -> Fingerprint {
        Fingerprint::of_certificate(&[number])
    }

    fn decision(author: u8, order: u32, central: u8, of: u8, standing: Standing) -> Decision<u32> {
        let (ip, p2p_port, reason, by) = Default::default();
        let said = CentralStanding { central: id(central), fingerprint: key(of), standing, ip, p2p_port, reason, by };
        Decision { author: id(author), order, said }
    }

    /// This central is c0, and a person linked c1 and c2, with keys of their number.
    fn trusted() -> Trusted {
        Trusted { own: id(0), peers: [1, 2].map(|number| (id(number), key(number))).into() }
    }

    /// How this key stands: let in, thrown out, let in by nobody who counts, or nobody said anything.
    fn stands(decisions: &[Decision<u32>], of: u8) -> &'static str {
        match in_force(decisions, &trusted()).get(&key(of)) {
            None => "unknown",
            Some(InForce { counts: false, .. }) => "void",
            Some(InForce { said: CentralStanding { standing: Standing::Admitted, .. }, .. }) => "in",
            Some(_) => "out",
        }
    }

    #[test]
    fn whom_an_expelled_one_let_in_is_out_with_it_and_all_they_let_in() {
        use Standing::{Admitted, Expelled};
        // c1 lets in c7, who lets in c8; then c1 is thrown out, and they say yes to each other and to c1.
        let mut said = vec![decision(1, 10, 7, 7, Admitted), decision(7, 11, 8, 8, Admitted)];
        assert_eq!([7, 8].map(|of| stands(&said, of)), ["in", "in"]);
        said.push(decision(2, 20, 1, 1, Expelled));
        assert_eq!([1, 7, 8].map(|of| stands(&said, of)), ["out", "void", "void"]);
        said.extend([
            decision(7, 90, 1, 1, Admitted),
            decision(8, 91, 7, 7, Admitted),
            decision(1, 92, 8, 8, Admitted),
        ]);
        assert_eq!([1, 7, 8].map(|of| stands(&said, of)), ["out", "void", "void"], "none lets the other in");
        // A second key, or a second name, makes nobody another.
        said.extend([decision(1, 93, 1, 9, Admitted), decision(7, 94, 1, 9, Admitted)]);
        assert_eq!([1, 9].map(|of| stands(&said, of)), ["out", "void"]);
        // Who is of the mesh says yes to one of them: that one stands, and who it let in.
        said.push(decision(2, 30, 7, 7, Admitted));
        assert_eq!([7, 8].map(|of| stands(&said, of)), ["in", "in"]);
    }

    #[test]
    fn whom_a_replaced_machine_let_in_stays() {
        use Standing::{Admitted, Expelled};
        let mut said = vec![decision(1, 10, 7, 7, Admitted), decision(0, 20, 1, 1, Expelled)];
        assert_eq!(stands(&said, 7), "void");
        said.push(decision(0, 21, 1, 11, Admitted));
        assert_eq!([1, 11, 7].map(|of| stands(&said, of)), ["out", "in", "in"]);
    }

    #[test]
    fn a_made_up_admission_takes_nobody_his_word() {
        use Standing::{Admitted, Expelled};
        // c1 went bad, and says that a key of its own is that of c2, whom a person here linked.
        let said = [decision(1, 10, 2, 9, Admitted), decision(2, 11, 7, 7, Admitted), decision(0, 20, 1, 1, Expelled)];
        assert_eq!([9, 7].map(|of| stands(&said, of)), ["void", "in"]);
    }

    #[test]
    fn who_is_expelled_under_another_name_lets_nobody_in_either() {
        use Standing::{Admitted, Expelled};
        let mut said = vec![decision(1, 10, 7, 7, Admitted)];
        assert_eq!(stands(&said, 7), "in");
        said.push(decision(2, 20, 5, 1, Expelled));
        assert_eq!([1, 7].map(|of| stands(&said, of)), ["out", "void"]);
    }

    fn anything() -> impl Strategy<Value = Vec<Decision<u32>>> {
        let standing = prop_oneof![Just(Standing::Admitted), Just(Standing::Expelled)];
        let one = (0..6_u8, 0..6_u8, 0..8_u8, standing);
        proptest::collection::vec(one, 0..12).prop_map(|said| {
            (0..)
                .zip(said)
                .map(|(order, (author, central, of, standing))| decision(author, order, central, of, standing))
                .collect()
        })
    }

    proptest! {
        /// What counts does not depend on the order of hearing, and whoever is out lets nobody in.
        #[test]
        fn what_counts_is_a_function_of_what_was_said((said, heard) in anything().prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle()))) {
            let trusted = trusted();
            let counts = in_force(&said, &trusted);
            prop_assert_eq!(&counts, &in_force(&heard, &trusted));
            let out = id(1);
            let is_out = counts.get(&key(1)).is_some_and(|it| it.said.standing == Standing::Expelled)
                && !said.iter().any(|it| it.said.standing == Standing::Admitted && it.said.central == out);
            if is_out {
                let without: Vec<_> = said.iter().filter(|decision| decision.author != out || decision.said.standing == Standing::Expelled).cloned().collect();
                let let_in = |said: &[Decision<u32>]| -> BTreeSet<Fingerprint> {
                    let counts = in_force(said, &trusted);
                    let admitted = counts.iter().filter(|(_, it)| it.counts && it.said.standing == Standing::Admitted);
                    admitted.map(|(key, _)| *key).collect()
                };
                prop_assert!(let_in(&said).is_subset(&let_in(&without)));
            }
        }
    }
}
