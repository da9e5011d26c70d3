//! A WebSocket a test holds in its hands: it says what it likes, or nothing.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message, WebSocket};

/// How long one look at the socket takes at most.
const LOOK: Duration = Duration::from_millis(20);

/// One end of a WebSocket.
pub struct Ws(WebSocket<TcpStream>);

impl Ws {
    /// Dials `ws://{address}{path}`; `Err`: it was not upgraded.
    pub fn dial(address: &str, path: &str, protocol: Option<&str>) -> Result<Self, String> {
        Self::dial_with(address, path, protocol.map(|protocol| ("Sec-WebSocket-Protocol", protocol)))
    }

    /// As [`Ws::dial`], with a header.
    pub fn dial_with(address: &str, path: &str, header: Option<(&'static str, &str)>) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        Self::upgrade(stream, address, path, header)
    }

    fn upgrade(
        stream: TcpStream,
        address: &str,
        path: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Self, String> {
        let mut request = format!("ws://{address}{path}").into_client_request().map_err(|error| error.to_string())?;
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value.parse().expect("a header"));
        }
        let (socket, _) = tungstenite::client(request, stream).map_err(|error| error.to_string())?;
        socket.get_ref().set_read_timeout(Some(LOOK)).expect("a timeout");
        Ok(Self(socket))
    }

    /// As [`Ws::dial`], from an address of this machine.
    pub fn dial_from(from: IpAddr, address: SocketAddr, path: &str, protocol: Option<&str>) -> Result<Self, String> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let failed = |error: rustix::io::Errno| error.to_string();
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).map_err(failed)?;
        bind(&socket, &SocketAddr::new(from, 0)).map_err(failed)?;
        connect(&socket, &address).map_err(failed)?;
        let header = protocol.map(|protocol| ("Sec-WebSocket-Protocol", protocol));
        Self::upgrade(TcpStream::from(socket), &address.to_string(), path, header)
    }

    /// Takes the next connection within `patience`, whatever path it asks for.
    pub fn accept(listener: &TcpListener, patience: Duration) -> Option<Self> {
        listener.set_nonblocking(true).expect("a listener");
        let start = Instant::now();
        while start.elapsed() < patience {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a socket");
                    if let Ok(socket) = tungstenite::accept(stream) {
                        socket.get_ref().set_read_timeout(Some(LOOK)).expect("a timeout");
                        return Some(Self(socket));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        }
        None
    }

    /// Says a JSON value. `Err`: the socket has ended.
    pub fn say(&mut self, value: &Value) -> Result<(), String> {
        self.say_text(&value.to_string())
    }

    pub fn say_text(&mut self, text: &str) -> Result<(), String> {
        self.0.send(Message::text(text)).map_err(|error| error.to_string())
    }

    /// Says it in a binary frame.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.send(Message::binary(bytes.to_vec())).map_err(|error| error.to_string())
    }

    /// The next text within `patience`; `Ok(None)`: nothing was said; `Err`: the socket has ended. Pings are answered.
    pub fn hear(&mut self, patience: Duration) -> Result<Option<String>, String> {
        let start = Instant::now();
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.to_string())),
                Ok(Message::Close(reason)) => return Err(format!("closed: {reason:?}")),
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.to_string()),
            }
            if start.elapsed() > patience {
                return Ok(None);
            }
        }
    }

    /// The next JSON text for which `wanted` holds, within `patience`; what comes before it is dropped.
    #[track_caller]
    pub fn hear_json(&mut self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        while start.elapsed() < patience {
            match self.hear(LOOK) {
                Ok(Some(text)) => {
                    let value = serde_json::from_str(&text).unwrap_or(Value::Null);
                    if wanted(&value) {
                        return value;
                    }
                }
                Ok(None) => {}
                Err(reason) => panic!("the socket ended before it was said: {reason}"),
            }
        }
        panic!("not said within {patience:?}");
    }

    /// Waits until the other side has ended the socket; everything said until then.
    #[track_caller]
    pub fn until_ended(&mut self, patience: Duration) -> Vec<String> {
        let (start, mut said) = (Instant::now(), Vec::new());
        while start.elapsed() < patience {
            match self.hear(LOOK) {
                Ok(text) => said.extend(text),
                Err(_) => return said,
            }
        }
        panic!("the socket is still there after {patience:?}; it said {said:?}");
    }
}
