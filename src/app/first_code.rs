//! The code that sets the first administrator's password: made when it is needed, shown to who started the program.

use std::sync::Arc;
use std::time::Duration;

use log::warn;

use crate::actors::config_keeper::ConfigView;
use crate::actors::supervise;
use crate::config::model::{AdminMode, Config};
use crate::desks::doorkeeper::Doorkeeper;
use crate::ops::console;

/// How soon the console's notice goes once there is an administrator.
const NOTICE_PERIOD: Duration = Duration::from_secs(2);

/// Makes and logs the code that sets the first administrator's password, where one is needed and there is none. Until it
/// is used, the machine's console shows it too.
pub(super) fn offer_first_code(door: &Arc<Doorkeeper>, config: &Config) -> Option<String> {
    if config.security.admin != AdminMode::Password {
        return None;
    }
    let code = door.make_first_code()?;
    warn!(
        event = "first_code", code = code.as_str();
        "nobody administers this central yet: type this code on its page /login to set a password"
    );
    let (scheme, address) =
        (config.security.api.scheme(), config.this_central.ip.with_port(config.this_central.api_port));
    console::show(&format!(
        "\nParkMesh {}: open {scheme}://{address}/login on a computer of this network\nand set the password with the one-time code {code}\n\n",
        config.this_central.id
    ));
    supervise::spawn(take_notice_down(door.clone()));
    Some(code)
}

async fn take_notice_down(door: Arc<Doorkeeper>) {
    while door.lacks_administrator() {
        tokio::time::sleep(NOTICE_PERIOD).await;
    }
    console::take_down();
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
