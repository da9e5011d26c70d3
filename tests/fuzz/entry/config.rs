//! A settings file, or the same as the body of a PUT.

use parkmesh::config::change::merge;
use parkmesh::config::model::Config;
use parkmesh::config::read;
use serde_json::Value;

/// What is accepted is whole and valid: written to a file and read again it is the same, and nobody complains of it.
pub fn run(input: &[u8]) {
    let text = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let Ok(json) = serde_json::from_slice::<Value>(text) else { return };
    let standalone = Config::standalone();
    let accepted = [read::config(&json), merge(&standalone, &json)];
    for config in accepted.into_iter().flatten().map(|read| read.config) {
        assert_eq!(read::check(&config), [], "{json}");
        for written in [config.to_json(), config.to_file_json()] {
            let again = read::config(&written).unwrap_or_else(|problems| panic!("{problems:?}: {written}"));
            assert_eq!(again.config, config, "{json}");
            let unknown: Vec<_> = again.warnings.iter().filter(|warning| warning.code == "unknown_key").collect();
            assert!(unknown.is_empty(), "{unknown:?}: {written}");
        }
        assert_eq!(config.version().len(), Config::standalone().version().len());
        let _ = config.listen_ip();
    }
}
