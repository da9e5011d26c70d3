//! One operation of the document: a method of a path, with what it takes, what it answers and how it may refuse.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    ContentBuilder, Header, ObjectBuilder, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{IntoParams, ToSchema};

use crate::access::right::Need;
use crate::actors::mesh_view::LinkTestStep;
use crate::domain::problem::FieldProblem;
use crate::http::code::Code;
use crate::http::routes::ROUTES;
use crate::http::view::Vehicle;

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

/// A method of a path. Made by [`get`] and its like; what is added to it is in the order of the document.
pub(super) struct Operation {
    path: &'static str,
    method: HttpMethod,
    builder: OperationBuilder,
    codes: BTreeSet<Code>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// `summary`: one sentence.
pub(super) fn get(path: &'static str, summary: &str) -> Operation {
    Operation::new(HttpMethod::Get, "get", path, summary)
}

pub(super) fn post(path: &'static str, summary: &str) -> Operation {
    Operation::new(HttpMethod::Post, "post", path, summary)
}

pub(super) fn put(path: &'static str, summary: &str) -> Operation {
    Operation::new(HttpMethod::Put, "put", path, summary)
}

pub(super) fn delete(path: &'static str, summary: &str) -> Operation {
    Operation::new(HttpMethod::Delete, "delete", path, summary)
}

impl Operation {
    fn new(method: HttpMethod, name: &str, path: &'static str, summary: &str) -> Self {
        // Each `{name}` of the path is a text.
        let parameters = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut builder = OperationBuilder::new().summary(Some(summary)).operation_id(Some(operation_id(name, path)));
        for parameter in parameters {
            let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
            let parameter = ParameterBuilder::new()
                .name(parameter)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text));
            builder = builder.parameter(parameter);
        }
        let mut codes = BTreeSet::from([Code::Internal, Code::UnknownHost, Code::TooManyRequests]);
        if path.starts_with("/api/") {
            codes.insert(Code::Stopping);
        }
        if name != "get" || path.starts_with("/ws/") {
            codes.insert(Code::ForeignPage);
        }
        codes.extend(of_its_need(name, path));
        Self { path, method, builder, codes, schemas: Vec::new() }
    }

    /// The part of the document it stands in.
    pub(super) fn tag(mut self, name: &str) -> Self {
        self.builder = self.builder.tag(name);
        self
    }

    /// The parameters of its query.
    pub(super) fn query<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| Some(ParameterIn::Query)) {
            self.builder = self.builder.parameter(parameter);
        }
        self.refuses(&[Code::InvalidQuery])
    }

    /// A header that may be sent.
    pub(super) fn header(mut self, name: &str, description: &str, pattern: &str) -> Self {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
        let header = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).schema(Some(schema));
        self.builder = self.builder.parameter(header.description(Some(description)));
        self
    }

    /// Its body, as JSON.
    pub(super) fn body<B: ToSchema>(mut self) -> Self {
        let content = ContentBuilder::new().schema(Some(self.schema::<B>())).build();
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content).build();
        self.builder = self.builder.request_body(Some(body));
        self.refuses(OF_A_BODY)
    }

    /// Its body, which has a schema that no type has: see `partial.rs`.
    pub(super) fn body_named(mut self, schema: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content).build();
        self.builder = self.builder.request_body(Some(body));
        self.refuses(OF_A_BODY)
    }

    /// 200 with this.
    pub(super) fn answers<A: ToSchema>(self, description: &str) -> Self {
        self.answers_with::<A>(200, description)
    }

    /// A success with this status.
    pub(super) fn answers_with<A: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(self.schema::<A>())).build();
        let response = ResponseBuilder::new().description(description).content(JSON, content);
        self.builder = self.builder.response(status.to_string(), response);
        self
    }

    /// 200 with one of two shapes.
    pub(super) fn answers_either<A: ToSchema, B: ToSchema>(mut self, description: &str) -> Self {
        let either = AnyOfBuilder::new().item(self.schema::<A>()).item(self.schema::<B>());
        let content = ContentBuilder::new().schema(Some(either)).build();
        self.builder =
            self.builder.response("200", ResponseBuilder::new().description(description).content(JSON, content));
        self
    }

    /// 200 with this, or with lines of JSON if that was asked for.
    pub(super) fn answers_or_streams<A: ToSchema>(mut self, description: &str) -> Self {
        let content = ContentBuilder::new().schema(Some(self.schema::<A>())).build();
        let lines = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
        let response = ResponseBuilder::new().description(description).content(JSON, content);
        self.builder = self.builder.response("200", response.content("application/x-ndjson", lines));
        self
    }

    /// 200 with something no type describes.
    pub(super) fn answers_text(mut self, media_types: &[&str], description: &str) -> Self {
        let mut response = ResponseBuilder::new().description(description);
        for media_type in media_types {
            let kind = if *media_type == JSON { SchemaType::AnyValue } else { Type::String.into() };
            let content = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).build();
            response = response.content(*media_type, content);
        }
        self.builder = self.builder.response("200", response);
        self
    }

    /// A status without a body.
    pub(super) fn answers_empty(mut self, status: u16, description: &str) -> Self {
        self.builder = self.builder.response(status.to_string(), ResponseBuilder::new().description(description));
        self
    }

    /// The codes of its refusals, beside those that follow from what it takes.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Writes it down.
    pub(super) fn finish(
        mut self,
        paths: &mut BTreeMap<String, PathItem>,
        schemas: &mut BTreeMap<String, RefOr<Schema>>,
    ) {
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in &self.codes {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            self.builder = self.builder.response(status.to_string(), refusal(&codes));
        }
        // What refusals refer to.
        self.schema::<Vehicle>();
        self.schema::<FieldProblem>();
        self.schema::<LinkTestStep>();
        schemas.extend(self.schemas);
        let item = PathItem::new(self.method, self.builder);
        paths.entry(self.path.to_owned()).or_default().merge_operations(item);
    }

    /// Keeps a type for the list of schemas and gives the name it is there under.
    fn schema<T: ToSchema>(&mut self) -> Ref {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name())
    }
}

/// What a caller is refused for who may not call it: follows from the need that stands beside the route.
fn of_its_need(method: &str, path: &str) -> &'static [Code] {
    let route = ROUTES.iter().find(|(pattern, _)| pattern.replace(":.*", "") == path);
    let needs = route.into_iter().flat_map(|(_, needs)| *needs);
    let need = needs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(method)).map(|(_, need)| *need);
    match need {
        None | Some(Need::Nothing) => &[],
        Some(Need::Look | Need::Login) => &[Code::LoginRequired, Code::Forbidden],
        Some(Need::Gate) => &[Code::EdgeKeyRequired, Code::OtherEdge],
        Some(Need::Amend | Need::Administer) => &[Code::LoginRequired, Code::Forbidden, Code::LocalOnly],
    }
}

/// `PUT /api/parking/history/{event_id}` is `put_api_parking_history_event_id`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = std::iter::once(method).chain(words).collect();
    if words.len() == 1 { format!("{method}_root") } else { words.join("_") }
}

/// A field that comes with a code, beside the three every refusal has.
enum More {
    Vehicle,
    Problems,
    Steps,
    Text,
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
        Code::PeerUnreachable => &[("steps", More::Steps)],
        Code::NotDurable => &[("reason", More::Text)],
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
