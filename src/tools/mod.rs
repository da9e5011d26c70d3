//! Programs that drive running centrals over HTTP from outside: `bench` and `demo`.
