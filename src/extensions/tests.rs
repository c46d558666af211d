use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;

use super::pages::{Access, PageServer, Pages};
use crate::component::{Endpoint, Listener, Listeners};
use crate::net::{Body, Client, ClientOptions, text};

struct Echo;

impl Pages for Echo {
    fn page(&self, uri: &Uri, _headers: &HeaderMap) -> Response<Body> {
        text(StatusCode::OK, uri.path().to_owned())
    }
}

/// Listeners with one for `127.0.0.1:0`, and the URL of it.
fn listeners() -> (Listeners, Endpoint, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = Endpoint::tcp("127.0.0.1:0", false);
    let listeners = Listeners::default();
    listeners.insert(&endpoint, Listener::Tcp(listener));
    (listeners, endpoint, url)
}

async fn ask(method: Method, url: &str, host: &str) -> (StatusCode, Bytes) {
    let request = Request::builder().method(method).uri(url).header(HOST, host);
    let client = Client::new(ClientOptions {
        timeout: Some(Duration::from_secs(5)),
        ..ClientOptions::default()
    });
    let response = client.send(request.body(Full::default()).unwrap()).await.unwrap();
    (response.status(), response.into_body())
}

#[tokio::test]
async fn pages_are_for_those_who_may_ask() {
    let (listeners, endpoint, url) = listeners();
    let server = PageServer::default();
    let access = Access::SameSite("agent.example".into());
    server.start(&listeners, &endpoint, (access, None), Arc::new(Echo)).unwrap();
    let url = format!("{url}/debug/x");
    for (host, status) in [
        ("localhost", StatusCode::OK),
        ("agent.example:1", StatusCode::OK),
        ("evil.example", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(ask(Method::GET, &url, host).await.0, status, "{host}");
    }
    let (status, _) = ask(Method::POST, &url, "localhost").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(ask(Method::GET, &url, "localhost").await.1, "/debug/x");
    server.stop().await;
}

#[tokio::test]
async fn probes_may_call_the_server_by_any_name_and_it_stops() {
    let (listeners, endpoint, url) = listeners();
    let server = PageServer::default();
    server.start(&listeners, &endpoint, (Access::Anyone, None), Arc::new(Echo)).unwrap();
    assert_eq!(ask(Method::GET, &url, "balancer.example").await.0, StatusCode::OK);
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap();
}

#[tokio::test]
async fn endpoint_that_was_not_bound_is_named() {
    let (listeners, _, _) = listeners();
    let endpoint = Endpoint::tcp("127.0.0.1:1", false);
    let server = PageServer::default();
    let error =
        server.start(&listeners, &endpoint, (Access::Anyone, None), Arc::new(Echo)).unwrap_err();
    assert_eq!(error.to_string(), "cannot serve on `127.0.0.1:1`");
}
