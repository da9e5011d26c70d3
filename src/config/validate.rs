//! What must hold between the fields of the settings.

use std::collections::BTreeMap;

use super::host::Host;
use super::read::{CentralParts, Parts};
use super::reader::Report;
use crate::domain::problem::FieldProblem;

/// Reports every contradiction between fields that are right by themselves.
pub(super) fn check_whole(parts: &Parts, report: &mut Report) {
    check_ports(parts, report);
    check_peers(parts, report);
    let edge_ids = parts.edge_ids.iter().map(Option::as_ref);
    report_duplicates(edge_ids, |index| format!("edges[{index}].id"), report);
    if parts.names_key_alone {
        report.problems.push(FieldProblem::new(
            "security.api_certificate_file",
            "missing",
            "thiếu chứng chỉ của khóa trong security.api_key_file",
            "is missing: the certificate of the key in security.api_key_file",
        ));
    }
    if parts.reconnect_min_ms > parts.reconnect_max_ms {
        report.problems.push(FieldProblem::new(
            "tuning.reconnect_max_ms",
            "out_of_range",
            "không được nhỏ hơn reconnect_min_ms",
            "must not be less than reconnect_min_ms",
        ));
    }
}

/// Two servers of one process need two ports.
fn check_ports(parts: &Parts, report: &mut Report) {
    let same_port = |field: &str, other: &str| {
        let message_vi = format!("trùng với {other}; mỗi dịch vụ cần một cổng riêng");
        FieldProblem::new(field, "same_port", message_vi, format!("is the port of {other}; each needs its own"))
    };
    let CentralParts { p2p_port, api_port, .. } = parts.this_central;
    if p2p_port.is_some() && p2p_port == api_port {
        report.problems.push(same_port("this_central.api_port", "this_central.p2p_port"));
    }
    for (port, name) in [(p2p_port, "this_central.p2p_port"), (api_port, "this_central.api_port")] {
        if port.is_some() && port == parts.legacy_port {
            report.problems.push(same_port("security.legacy_port", name));
        }
    }
}

fn check_peers(parts: &Parts, report: &mut Report) {
    let own = &parts.this_central;
    for (index, peer) in parts.peers.iter().enumerate() {
        let self_as_peer = |key: &str| {
            let message_vi = "là chính central này; danh sách chỉ gồm các central khác";
            let message = "is this central itself; the list holds the others";
            FieldProblem::new(format!("peer_centrals[{index}].{key}"), "self_as_peer", message_vi, message)
        };
        if peer.id.is_some() && peer.id == own.id {
            report.problems.push(self_as_peer("id"));
        } else if address(peer).is_some() && address(peer) == address(own) {
            report.problems.push(self_as_peer("ip"));
        }
    }
    let ids = parts.peers.iter().map(|peer| peer.id.as_ref());
    report_duplicates(ids, |index| format!("peer_centrals[{index}].id"), report);
    let addresses = parts.peers.iter().map(address);
    report_duplicates(addresses, |index| format!("peer_centrals[{index}].ip"), report);

    let fingerprints = parts.peers.iter().map(|peer| peer.fingerprint);
    report_duplicates(fingerprints, |index| format!("peer_centrals[{index}].fingerprint"), report);

    // Not wrong: several centrals on one machine are how one tries a mesh.
    let others_are_away = parts.peers.iter().filter_map(|peer| peer.ip.as_ref()).any(|ip| !ip.is_loopback());
    if others_are_away && own.ip.as_ref().is_some_and(Host::is_loopback) {
        report.warnings.push(FieldProblem::new(
            "this_central.ip",
            "loopback_address",
            "là địa chỉ nội bộ của máy này; các central khác không kết nối được tới đây",
            "is a loopback address; centrals on other machines cannot reach this one",
        ));
    }
}

fn address(central: &CentralParts) -> Option<(&Host, u16)> {
    Some((central.ip.as_ref()?, central.p2p_port?))
}

/// Every value but the first of its kind is reported, naming the first.
fn report_duplicates<T: Ord>(
    values: impl Iterator<Item = Option<T>>,
    field: impl Fn(usize) -> String,
    report: &mut Report,
) {
    let mut first_at = BTreeMap::new();
    for (index, value) in values.enumerate() {
        let Some(value) = value else { continue };
        let first = *first_at.entry(value).or_insert(index);
        if first != index {
            let message_vi = format!("trùng với {}", field(first));
            let message = format!("is the same as {}", field(first));
            report.problems.push(FieldProblem::new(field(index), "duplicate", message_vi, message));
        }
    }
}
