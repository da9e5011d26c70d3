//! Tests of the rules of stays.
