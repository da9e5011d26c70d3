//! The code that sets the first administrator's password: made when it is needed, shown to who started the program.

use std::sync::Arc;

use log::warn;

use crate::actors::config_keeper::ConfigView;
use crate::actors::doorkeeper::Doorkeeper;
use crate::config::model::{AdminMode, Config};

/// Makes and logs the code that sets the first administrator's password, where one is needed and there is none.
pub(super) fn offer_first_code(door: &Doorkeeper, config: &Config) -> Option<String> {
    if config.security.admin != AdminMode::Password {
        return None;
    }
    let code = door.make_first_code()?;
    warn!(
        event = "first_code", code = code.as_str();
        "nobody administers this central yet: type this code on its page /login to set a password"
    );
    Some(code)
}

/// When passwords are switched on while this runs, a code is needed then.
pub(super) async fn offer_first_code_later(door: Arc<Doorkeeper>, mut config: ConfigView, mut offered: bool) {
    while config.changed().await.is_ok() {
        if !offered {
            let config = config.borrow_and_update().clone();
            offered = offer_first_code(&door, &config).is_some();
        }
    }
}
