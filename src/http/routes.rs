//! Every route of a central, put together from the rows that stand beside the handlers. What each takes and answers:
//! docs/http-api.md.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{ServiceConfig, post, resource, to};
use actix_web::{HttpResponse, Resource, ResponseError, Route, web};

use super::access::enforce;
use super::error::ApiError;
use super::operation::Operation;
use super::{
    accounts, alarms, amendments, audit, backup, edge_keys, edge_programs, edges, health, history, members, mesh,
    openapi, p2p, pages, parking, predecessors, shifts, stories, subscriptions, vietqr, ws_edge, ws_peer, ws_status,
};
use crate::access::right::Need;

/// All operations, with the part of the document they stand in. They are tried in this order: what gates call does not wait for
/// the patterns below.
pub(super) fn operations() -> impl Iterator<Item = Operation> {
    [
        ("gates", edges::operations()),
        ("gates", edge_programs::operations()),
        ("gates", ws_edge::operations()),
        ("pages and monitoring", pages::operations()),
        ("pages and monitoring", openapi::operations()),
        ("pages and monitoring", ws_status::operations()),
        ("pages and monitoring", health::operations()),
        ("lot", history::operations()),
        ("lot", amendments::operations()),
        ("lot", stories::operations()),
        ("lot", parking::operations()),
        ("lot", vietqr::operations()),
        ("lot", shifts::operations()),
        ("lot", subscriptions::operations()),
        ("mesh", p2p::operations()),
        ("mesh", members::operations()),
        ("mesh", mesh::operations()),
        ("mesh", predecessors::operations()),
        ("mesh", ws_peer::operations()),
        ("pages and monitoring", backup::operations()),
        ("pages and monitoring", alarms::operations()),
        ("access", accounts::operations()),
        ("access", edge_keys::operations()),
        ("access", audit::operations()),
    ]
    .into_iter()
    .flat_map(|(tag, operations)| operations.into_iter().map(|operation| operation.tag(tag)))
}

/// A path pattern, the methods it takes, and what each needs of its caller.
pub type Row = (&'static str, Vec<(&'static str, Need)>);

/// The one list that the access rules, the figures and the tests go by.
pub static ROUTES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<Row> = Vec::new();
    for operation in operations() {
        let need = (operation.method, operation.need);
        match rows.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, needs)) => needs.push(need),
            None => rows.push((operation.path, vec![need])),
        }
    }
    rows
});

/// Puts every route in place.
pub fn configure(app: &mut ServiceConfig) {
    let mut routes: HashMap<&str, Vec<Route>> = HashMap::new();
    operations().for_each(|operation| routes.entry(operation.path).or_default().push(operation.route));
    for (path, needs) in ROUTES.iter() {
        let handlers = routes.remove(path).into_iter().flatten();
        let resource = handlers.fold(resource(*path), Resource::route);
        let guarded = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| enforce(needs, request, next));
        app.service(otherwise(resource, needs).wrap(guarded));
    }
    // For tests of supervision; without the fault switch it answers as if it were not there.
    app.service(resource("/api/test/panic").route(post().to(health::panic)));
    app.default_service(to(|| async { ApiError::no_such_path().error_response() }));
}

/// Another method on a path that is there: 405 that says which it takes.
fn otherwise(resource: Resource, needs: &'static [(&'static str, Need)]) -> Resource {
    resource.default_service(web::to(move || async move { wrong_method(needs) }))
}

fn wrong_method(needs: &[(&'static str, Need)]) -> HttpResponse {
    ApiError::wrong_method(methods(needs)).error_response()
}

/// As the header `Allow` lists them: `GET, PUT`.
#[must_use]
pub fn methods(needs: &[(&'static str, Need)]) -> String {
    needs.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::right::{Modes, decide};
    use crate::access::who::{Role, Who};
    use crate::http::operation::shown;

    #[test]
    fn every_route_is_there_once_and_has_its_place_in_the_documents() {
        let document = include_str!("../../docs/http-api.md");
        for (path, needs) in ROUTES.iter() {
            let shown = format!("{} {}", methods(needs), shown(path));
            assert!(document.contains(&shown), "{shown} in docs/http-api.md");
            let of_path: Vec<_> = needs.iter().map(|(method, _)| method).collect();
            let once: std::collections::BTreeSet<_> = of_path.iter().collect();
            assert_eq!(once.len(), of_path.len(), "{path}");
        }
    }

    /// The two tables of docs/http-api.md, from the code.
    fn tables() -> (String, String) {
        let mut routes = String::from("| needs | calls |\n|---|---|\n");
        for need in Need::ALL {
            let of_need = |(path, needs): &Row| {
                let methods: Vec<_> = needs.iter().filter(|(_, other)| *other == need).copied().collect();
                (!methods.is_empty()).then(|| format!("`{} {}`", super::methods(&methods), shown(path)))
            };
            let calls: Vec<String> = ROUTES.iter().filter_map(of_need).collect();
            routes.push_str(&format!("| *{}* | {} |\n", need.name(), calls.join(", ")));
        }
        let person = |role| Who::Person { name: String::new(), role };
        let roles = [Role::Operator, Role::ShiftLead, Role::Administrator];
        let callers: Vec<Who> = [Who::Nobody, Who::Edge(String::new())].into_iter().chain(roles.map(person)).collect();
        let mut needs = String::from(
            "| needs | with | nobody | edge with its key | operator, or such a token | shift lead, or such a token | administrator, or such a token |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for (need, setting, here) in [
            (Need::Nothing, "", true),
            (Need::Look, "`reads: open`", true),
            (Need::Look, "`reads: login`", true),
            (Need::Gate, "`edges: open`", true),
            (Need::Gate, "`edges: keys`", true),
            (Need::Login, "", true),
            (Need::Amend, "`admin: password`", true),
            (Need::Amend, "`admin: open`, here", true),
            (Need::Amend, "`admin: open`, elsewhere", false),
            (Need::Administer, "`admin: password`", true),
            (Need::Administer, "`admin: open`, here", true),
            (Need::Administer, "`admin: open`, elsewhere", false),
        ] {
            let modes = Modes {
                admin_password: setting.contains("password"),
                edge_keys: setting.contains("keys"),
                reads_login: setting.contains("login"),
            };
            let may = |who: &Who| match decide(need, modes, who, here) {
                Ok(()) => "yes".to_owned(),
                Err(why) => {
                    let error = ApiError::denied(why);
                    format!("{} `{}`", error.status_code().as_u16(), error.code())
                }
            };
            let cells: Vec<String> = callers.iter().map(may).collect();
            needs.push_str(&format!("| *{}* | {setting} | {} |\n", need.name(), cells.join(" | ")));
        }
        (routes, needs)
    }

    #[test]
    fn who_may_call_what_is_written_as_it_is_enforced() {
        let document = include_str!("../../docs/http-api.md");
        let (routes, needs) = tables();
        for table in [routes, needs] {
            assert!(document.contains(&table), "docs/http-api.md, \"Who may call what\", should have:\n{table}");
        }
    }
}
