//! Three hosts on a network that swallows packets: everything, one way, some, again and again.

use std::time::Duration;

use crate::common::central::P2P_PORT;
use crate::common::load::{Load, check_mesh};
use crate::common::{Central, DEADLINE, Mesh, skip};
use crate::netns::Hosts;

/// Calls answered under each fault. The gates of the host concerned are served throughout: only peers suffer.
const CALLS: u64 = 120;

/// What goes wrong between the third host and the others: its name, and the rules of the third host.
fn faults() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let peers = |rule: &str| format!("tcp dport {P2P_PORT} {rule}");
    let dialled = |rule: &str| format!("tcp sport {P2P_PORT} {rule}");
    let both = |chain, rule: &str| vec![(chain, peers(rule)), (chain, dialled(rule))];
    let lossy = "numgen random mod 100 < 30 drop";
    vec![
        ("black hole", [both("input", "drop"), both("output", "drop")].concat()),
        ("nothing goes out", both("output", "drop")),
        ("nothing comes in", both("input", "drop")),
        ("a third is lost", [both("input", lossy), both("output", lossy)].concat()),
        ("a third is lost one way", both("output", lossy)),
        ("connections are reset", both("input", "reject with tcp reset")),
    ]
}

#[test]
fn whatever_the_network_swallows_arrives_after_it() {
    let hosts = match Hosts::new(3) {
        Ok(hosts) => hosts,
        Err(reason) => return skip("whatever_the_network_swallows_arrives_after_it", &reason),
    };
    let mut mesh = Mesh::without_proxies(3);
    let addresses: Vec<String> = (0..3).map(|host| hosts.address(host)).collect();
    for (host, central) in mesh.centrals.iter_mut().enumerate() {
        *central = placed(&hosts, host, &addresses);
    }
    mesh.start_all();
    let told = Load::during(&mut mesh, |mesh, load| {
        for (name, rules) in faults() {
            let rules: Vec<(&str, &str)> = rules.iter().map(|(chain, rule)| (*chain, rule.as_str())).collect();
            hosts.filter(2, &rules).expect("rules that held a moment ago");
            load.wait_answered(CALLS);
            hosts.filter(2, &[]).expect("no rules");
            mesh.wait_linked(3 * DEADLINE);
            println!("{name}: linked again");
        }
        // Twenty resets a second.
        for _ in 0..40 {
            hosts.filter(2, &[("output", &format!("tcp dport {P2P_PORT} reject with tcp reset"))]).expect("rules");
            std::thread::sleep(Duration::from_millis(25));
            hosts.filter(2, &[]).expect("no rules");
            std::thread::sleep(Duration::from_millis(25));
        }
        mesh.wait_linked(3 * DEADLINE);
    });
    check_mesh(&mut mesh, &told);
}

/// A central on a host, which knows the others by their addresses.
fn placed(hosts: &Hosts, host: usize, addresses: &[String]) -> Central {
    let mut central = Central::new(&format!("central-{}", host + 1));
    central.at_address(&addresses[host]);
    central.run_by(&hosts.runner(host));
    for (other, address) in addresses.iter().enumerate().filter(|(other, _)| *other != host) {
        central.add_peer(&format!("central-{}", other + 1), address, P2P_PORT);
    }
    central
}
