//! Routes and thin handlers; the only place that knows status codes.
