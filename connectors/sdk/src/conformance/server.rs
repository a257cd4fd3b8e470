//! A scripted platform on loopback, for the pollers of subjects: a few lines of HTTP, no framework.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Largest request that is read, bytes: requests of pollers are small.
const MOST_REQUEST: usize = 1024 * 1024;

/// A request, as the script sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedRequest {
    /// Method, upper case.
    pub method: String,
    /// Host and port it was sent to: the server's own.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Body.
    pub body: Bytes,
}

impl ScriptedRequest {
    /// A parameter by its name, in the query or in a form, decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params()
            .into_iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// All parameters, those of the query first.
    pub fn params(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let body = std::str::from_utf8(&self.body).unwrap_or_default();
        let both = format!("http://{}/?{query}&{body}", self.host);
        Url::parse(&both).map_or_else(|_| Vec::new(), |url| url.query_pairs().into_owned().collect())
    }
}

/// An answer of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedAnswer {
    /// HTTP status.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
}

impl ScriptedAnswer {
    /// 200 with a JSON body.
    pub fn json(value: &serde_json::Value) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/json".into())],
            body: value.to_string().into(),
        }
    }

    /// A body that is no JSON of the platform's, or JSON as it is written.
    pub fn text(status: u16, body: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

type Script = dyn Fn(&ScriptedRequest) -> ScriptedAnswer + Send + Sync;

/// The server; it stops when dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ScriptedServer {
    /// Starts on a free port of loopback. Connections are served one request each, at the same time.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(
        script: impl Fn(&ScriptedRequest) -> ScriptedAnswer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let script: Arc<Script> = Arc::new(script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = script.clone();
                // A client that goes away in the middle is its own affair.
                tokio::spawn(async move { serve(stream, script.as_ref()).await });
            }
        });
        Ok(Self { address, task })
    }

    /// Address of the server, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, script: &Script) -> io::Result<()> {
    let request = read(&mut stream).await?;
    let answer = script(&request);
    let mut head = format!(
        "HTTP/1.1 {} scripted\r\ncontent-length: {}\r\nconnection: close\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&answer.body).await?;
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> io::Result<ScriptedRequest> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut bytes = BytesMut::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(broken());
    };
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim())
    };
    let length = header("content-length")
        .map_or(Ok(0), str::parse::<usize>)
        .map_err(|_| broken())?;
    while bytes.len() - head_end < length {
        more(stream, &mut bytes).await?;
    }
    Ok(ScriptedRequest {
        method: method.to_owned(),
        host: header("host").unwrap_or_default().to_owned(),
        target: target.to_owned(),
        body: bytes.freeze().slice(head_end..head_end + length),
    })
}

async fn more(stream: &mut TcpStream, bytes: &mut BytesMut) -> io::Result<()> {
    if bytes.len() > MOST_REQUEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    match stream.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::{HttpClient, HttpOptions, HttpRequest};

    #[tokio::test]
    async fn it_answers_as_the_script_says() {
        let server = ScriptedServer::start(|request| {
            let seen = json!({"method": request.method, "target": request.target, "bytes": request.body.len(),
                "a": request.param("a"), "host": request.host});
            ScriptedAnswer::json(&seen).with_status(if request.body.is_empty() { 404 } else { 200 })
        })
        .await
        .expect("a free port");
        let client = HttpClient::new(HttpOptions::default()).expect("a client");
        let post =
            HttpRequest::post(format!("{}/a?b=c&a=%D1%8F+%26", server.url())).body("text/plain", vec![b'x'; 100_000]);
        let answer = client.send(post).await.expect("an answer");
        let seen: serde_json::Value = answer.json().expect("JSON");
        let host = server.url().replace("http://", "");
        let expected =
            json!({"method": "POST", "target": "/a?b=c&a=%D1%8F+%26", "bytes": 100_000, "a": "я &", "host": host});
        assert_eq!(seen, expected);
        let answer = client.send(HttpRequest::get(server.url())).await.expect("an answer");
        assert_eq!(answer.status, 404);
    }
}
