//! One operation of the API: a method of a path, who may call it, what it takes, what it answers and how it may refuse.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{FromRequest, Handler, HttpResponse, Responder, Route, guard, web};
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    ContentBuilder, Header, ObjectBuilder, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{IntoParams, ToSchema};

use super::error::{ApiError, Code};
use super::view::Vehicle;
use crate::access::right::Need;
use crate::actors::mesh_registry::link_test::LinkTestStep;
use crate::domain::problem::FieldProblem;

/// An answer that is no refusal, as it is sent: its fields behind `"success": true`.
#[derive(Debug, Serialize)]
pub struct Success<T> {
    success: bool,
    #[serde(flatten)]
    answer: T,
}

/// What a handler gives.
pub type Answered = Result<HttpResponse, ApiError>;

/// An answer as it is sent.
pub(super) fn success<T: Serialize>(answer: T) -> Success<T> {
    Success { success: true, answer }
}

/// 200 with an answer.
pub(super) fn ok(answer: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(success(answer))
}

/// What every body may be refused for before anyone looks at what it says.
const OF_A_BODY: &[Code] = &[
    Code::InvalidJson,
    Code::InvalidBody,
    Code::BrokenBody,
    Code::RequestTimeout,
    Code::TooLarge,
    Code::UnsupportedMediaType,
];
const JSON: &str = "application/json";

/// A method of a path: who may call it, what it takes, how it is answered and refused. Its row stands beside its handler; routing,
/// access, figures and the document of the API come from it. Made by [`get`] and its like; what is added to it is in the order
/// of the document.
pub struct Operation {
    /// The pattern, as the router takes it.
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) need: Need,
    pub(super) route: Route,
    /// Told when somebody asks for the document: a central that routes only does not hold the schemas of all types.
    parts: Vec<Part>,
}

/// Adds one thing that the document says.
type Part = Box<dyn FnOnce(&mut Description)>;

/// What the document says of an operation.
struct Description {
    builder: OperationBuilder,
    codes: BTreeSet<Code>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// GET, and HEAD with it, which monitoring likes. `summary`: one sentence.
pub(super) fn get<A>(path: &'static str, need: Need, handler: impl Handles<A>, summary: &'static str) -> Operation
where
    A: FromRequest + 'static,
{
    let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    Operation::new("GET", path, need, route.to(handler), summary)
}

/// A WebSocket.
pub(super) fn socket<A>(path: &'static str, need: Need, handler: impl Handles<A>, summary: &'static str) -> Operation
where
    A: FromRequest + 'static,
{
    Operation::new("GET", path, need, web::route().guard(guard::Get()).to(handler), summary)
        .answers_empty(101, "The socket is open")
        .refuses(&[Code::NotAWebsocket])
}

pub(super) fn post<A>(path: &'static str, need: Need, handler: impl Handles<A>, summary: &'static str) -> Operation
where
    A: FromRequest + 'static,
{
    Operation::new("POST", path, need, web::post().to(handler), summary)
}

pub(super) fn put<A>(path: &'static str, need: Need, handler: impl Handles<A>, summary: &'static str) -> Operation
where
    A: FromRequest + 'static,
{
    Operation::new("PUT", path, need, web::put().to(handler), summary)
}

pub(super) fn delete<A>(path: &'static str, need: Need, handler: impl Handles<A>, summary: &'static str) -> Operation
where
    A: FromRequest + 'static,
{
    Operation::new("DELETE", path, need, web::delete().to(handler), summary)
}

/// A handler of requests.
pub(super) trait Handles<A>: Handler<A, Output: Responder + 'static> {}

impl<A, H: Handler<A, Output: Responder + 'static>> Handles<A> for H {}

impl Operation {
    fn new(method: &'static str, path: &'static str, need: Need, route: Route, summary: &'static str) -> Self {
        let begin = Box::new(move |description: &mut Description| description.begin(method, path, need, summary));
        Self { path, method, need, route, parts: vec![begin] }
    }

    fn with(mut self, part: impl FnOnce(&mut Description) + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// The part of the document it stands in.
    pub(super) fn tag(self, name: &'static str) -> Self {
        self.with(move |description| description.add(|builder| builder.tag(name)))
    }

    /// The parameters of its query.
    pub(super) fn query<P: IntoParams>(self) -> Self {
        let parameters = |description: &mut Description| {
            for parameter in P::into_params(|| Some(ParameterIn::Query)) {
                description.add(|builder| builder.parameter(parameter));
            }
        };
        self.with(parameters).refuses(&[Code::InvalidQuery])
    }

    /// A header that may be sent.
    pub(super) fn header(self, name: &'static str, meaning: &'static str, pattern: &'static str) -> Self {
        self.with(move |description| {
            let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
            let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).schema(Some(schema));
            description.add(|builder| builder.parameter(header.description(Some(meaning))));
        })
    }

    /// Its body, as JSON.
    pub(super) fn body<B: ToSchema + 'static>(self) -> Self {
        self.takes(Description::schema::<B>)
    }

    /// Its body, which has a schema that no type has: see `routes.rs`.
    pub(super) fn body_named(self, schema: &'static str) -> Self {
        self.takes(move |_| Ref::from_schema_name(schema))
    }

    fn takes(self, schema: impl FnOnce(&mut Description) -> Ref + 'static) -> Self {
        let body = |description: &mut Description| {
            let content = ContentBuilder::new().schema(Some(schema(description))).build();
            let body = RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content).build();
            description.add(|builder| builder.request_body(Some(body)));
        };
        self.with(body).refuses(OF_A_BODY)
    }

    /// 200 with this.
    pub(super) fn answers<A: ToSchema>(self, meaning: &'static str) -> Self {
        self.answers_with::<A>(200, meaning)
    }

    /// A success with this status.
    pub(super) fn answers_with<A: ToSchema>(self, status: u16, meaning: &'static str) -> Self {
        self.with(move |description| {
            let content = ContentBuilder::new().schema(Some(description.success::<A>())).build();
            description.answer(status, ResponseBuilder::new().description(meaning).content(JSON, content));
        })
    }

    /// 200 with one of two shapes.
    pub(super) fn answers_either<A: ToSchema, B: ToSchema>(self, meaning: &'static str) -> Self {
        self.with(move |description| {
            let either = AnyOfBuilder::new().item(description.success::<A>()).item(description.success::<B>());
            let content = ContentBuilder::new().schema(Some(either)).build();
            description.answer(200, ResponseBuilder::new().description(meaning).content(JSON, content));
        })
    }

    /// 200 with this, or with lines of JSON if that was asked for.
    pub(super) fn answers_or_streams<A: ToSchema>(self, meaning: &'static str) -> Self {
        self.with(move |description| {
            let content = ContentBuilder::new().schema(Some(description.success::<A>())).build();
            let lines = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
            let response = ResponseBuilder::new().description(meaning).content(JSON, content);
            description.answer(200, response.content("application/x-ndjson", lines));
        })
    }

    /// 200 with something no type describes.
    pub(super) fn answers_text(self, media_types: &'static [&'static str], meaning: &'static str) -> Self {
        self.with(move |description| {
            let mut response = ResponseBuilder::new().description(meaning);
            for media_type in media_types {
                let kind = if *media_type == JSON { SchemaType::AnyValue } else { Type::String.into() };
                let content = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).build();
                response = response.content(*media_type, content);
            }
            description.answer(200, response);
        })
    }

    /// A status without a body.
    pub(super) fn answers_empty(self, status: u16, meaning: &'static str) -> Self {
        self.with(move |description| description.answer(status, ResponseBuilder::new().description(meaning)))
    }

    /// The codes of its refusals, beside those that follow from what it takes.
    pub(super) fn refuses(self, codes: &'static [Code]) -> Self {
        self.with(move |description| description.codes.extend(codes))
    }

    /// Writes it down.
    pub(super) fn finish(self, paths: &mut BTreeMap<String, PathItem>, schemas: &mut BTreeMap<String, RefOr<Schema>>) {
        let mut description =
            Description { builder: OperationBuilder::new(), codes: BTreeSet::new(), schemas: Vec::new() };
        self.parts.into_iter().for_each(|part| part(&mut description));
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in &description.codes {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            description.answer(status, refusal(&codes));
        }
        // What refusals refer to.
        description.schema::<Vehicle>();
        description.schema::<FieldProblem>();
        description.schema::<LinkTestStep>();
        schemas.extend(description.schemas);
        let method = match self.method {
            "GET" => HttpMethod::Get,
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            _ => HttpMethod::Delete,
        };
        let item = PathItem::new(method, description.builder);
        paths.entry(shown(self.path)).or_default().merge_operations(item);
    }
}

impl Description {
    fn begin(&mut self, method: &str, path: &str, need: Need, summary: &str) {
        // Each `{name}` of the path is a text.
        let shown = shown(path);
        self.add(|builder| builder.summary(Some(summary)).operation_id(Some(operation_id(method, &shown))));
        for parameter in shown.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
            let parameter = ParameterBuilder::new()
                .name(parameter)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text));
            self.add(|builder| builder.parameter(parameter));
        }
        self.codes.extend([Code::Internal, Code::UnknownHost, Code::TooManyRequests]);
        if path.starts_with("/api/") {
            self.codes.insert(Code::Stopping);
        }
        if method != "GET" || path.starts_with("/ws/") {
            self.codes.insert(Code::ForeignPage);
        }
        if method == "GET" && !matches!(need, Need::Nothing | Need::Gate) {
            // Too much of other answers is not taken yet.
            self.codes.insert(Code::Busy);
        }
        self.codes.extend(of_its_need(need));
    }

    fn add(&mut self, more: impl FnOnce(OperationBuilder) -> OperationBuilder) {
        self.builder = more(std::mem::take(&mut self.builder));
    }

    fn answer(&mut self, status: u16, response: impl Into<RefOr<Response>>) {
        self.add(|builder| builder.response(status.to_string(), response));
    }

    /// As [`Description::schema`], of an answer that is no refusal.
    fn success<T: ToSchema>(&mut self) -> Ref {
        let name = self.schema::<T>();
        let success = ObjectBuilder::new().schema_type(Type::Boolean);
        match self.schemas.last_mut() {
            Some((name, RefOr::T(Schema::Object(answer)))) => {
                debug_assert!(
                    !answer.properties.contains_key("success"),
                    "{name}: every answer has its success from `ok`"
                );
                answer.properties.insert("success".to_owned(), success.into());
                answer.required.push("success".to_owned());
            }
            Some((_, RefOr::T(Schema::AllOf(answer)))) => {
                answer.items.push(ObjectBuilder::new().property("success", success).required("success").into());
            }
            _ => {}
        }
        name
    }

    /// Keeps a type for the list of schemas and gives the name it is there under.
    fn schema<T: ToSchema>(&mut self) -> Ref {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name())
    }
}

/// The pattern as people read it: `/static/{path}`.
pub(super) fn shown(path: &str) -> String {
    path.replace(":.*", "")
}

/// What a caller is refused for who may not call it.
fn of_its_need(need: Need) -> &'static [Code] {
    match need {
        Need::Nothing => &[],
        Need::Look | Need::Login => &[Code::LoginRequired, Code::Forbidden],
        Need::Gate => &[Code::EdgeKeyRequired, Code::OtherEdge],
        Need::Amend | Need::Administer => &[Code::LoginRequired, Code::Forbidden, Code::LocalOnly],
    }
}

/// `PUT /api/parking/history/{event_id}` is `put_api_parking_history_event_id`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = method.to_lowercase();
    let words: Vec<&str> = std::iter::once(method.as_str()).chain(words).collect();
    if words.len() == 1 { format!("{method}_root") } else { words.join("_") }
}

/// A field that comes with a code, beside the three every refusal has.
enum More {
    Vehicle,
    Problems,
    Steps,
    Text,
    Count,
    Any,
}

fn more(code: Code) -> &'static [(&'static str, More)] {
    match code {
        Code::InvalidField => &[("field", More::Text), ("problems", More::Problems)],
        Code::AlreadyInside | Code::NotInside | Code::JustEntered | Code::LongStay => {
            &[("vehicle_info", More::Vehicle)]
        }
        Code::StaleVersion => &[("version", More::Any), ("difference", More::Any)],
        Code::StaleList => &[("version", More::Any), ("would_remove", More::Any), ("difference", More::Any)],
        Code::ShiftOpen => &[("shift", More::Text), ("person", More::Text)],
        Code::ShiftClosed => &[("shift", More::Text)],
        Code::ShiftElsewhere => &[("central", More::Text)],
        Code::PeerUnreachable => &[("steps", More::Steps)],
        Code::NotDurable => &[("reason", More::Text)],
        Code::Remaking => &[("done", More::Count), ("total", More::Count)],
        _ => &[],
    }
}

/// The answer of these codes, which have one status.
fn refusal(codes: &[Code]) -> Response {
    let names = codes.iter().map(|code| code.name());
    let mut body = ObjectBuilder::new()
        .property("success", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])))
        .property("error", ObjectBuilder::new().schema_type(Type::String).description(Some("for people")))
        .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)))
        .required("success")
        .required("error")
        .required("code");
    for (name, field) in codes.iter().flat_map(|code| more(*code)) {
        let schema: RefOr<Schema> = match field {
            More::Vehicle => Ref::from_schema_name(Vehicle::name()).into(),
            More::Problems => Ref::from_schema_name(FieldProblem::name()).to_array_builder().into(),
            More::Steps => Ref::from_schema_name(LinkTestStep::name()).to_array_builder().into(),
            More::Text => ObjectBuilder::new().schema_type(Type::String).into(),
            More::Count => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into(),
            More::Any => ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
        };
        body = body.property(*name, schema);
    }
    let meanings: Vec<String> = codes.iter().map(|code| format!("`{}`: {}.", code.name(), code.meaning())).collect();
    let content = ContentBuilder::new().schema(Some(body)).build();
    let response = ResponseBuilder::new().description(meanings.join(" ")).content(JSON, content);
    let retries = codes.iter().any(|code| matches!(code.status(), 429 | 503) || *code == Code::JustEntered);
    if !retries {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).description(Some("s"));
    response.header("Retry-After", Header::new(seconds)).build()
}
