//! SSRF, in a network namespace of its own where every address leads to a canary: a guard that fails is seen, and even
//! then nothing is sent to anybody real.

use std::{collections::BTreeMap, net::IpAddr, process::Command};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use weir_host::egress::{
    Egress, EgressConfig, EgressError, HostPort, Roots, StatusCode, SystemResolver,
    header::{HOST, HeaderValue},
};

use super::{
    egress,
    forms::{FORMS, NAMES},
    get, netlink, wanderer,
};
use crate::runtime::outside::{Outside, sent};

const NAME: &str = "egress::inside::a16_nothing_inside_is_reached_without_an_operators_leave";
const INSIDE: &str = "WEIR_TEST_INSIDE_NAMESPACE";

/// The addresses that stand for the internet.
const PUBLIC: [&str; 2] = ["93.184.216.34", "2606:4700::1111"];
const PORTS: [u16; 4] = [25, 80, 443, 8080];

/// What must not be reached; each one has a canary.
const CANARIES: [&str; 13] = [
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "10.0.0.5",
    "100.64.0.1",
    "fd00::1",
    "fd00:ec2::254",
    "172.16.0.1",
    "192.168.0.1",
    "168.63.129.16",
    "198.18.0.1",
    "64:ff9b::a00:5",
    "2002:a00:5::1",
];

#[test]
fn a16_nothing_inside_is_reached_without_an_operators_leave() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(inside());
    }
    let isolation = isolation();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("unshare");
    child.args(isolation).arg(program).args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(proxy, "http://127.0.0.1:8080");
    }
    let output = child.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(said.contains("canary hits = 0"), "{said}");
}

/// How this machine lets a test have a network of its own.
fn isolation() -> &'static [&'static str] {
    let works = |arguments: &&[&str]| {
        Command::new("unshare").args(*arguments).arg("true").output().is_ok_and(|o| o.status.success())
    };
    let ways: [&[&str]; 2] = [&["--map-root-user", "--net"], &["--net"]];
    ways.iter().find(|way| works(way)).expect(
        "this test needs a network namespace, which this machine does not permit: install util-linux, and allow user \
         namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0) or run as root",
    )
}

/// Everything that happens in the namespace.
async fn inside() {
    netlink::take_all_addresses();
    let mut canary = Canary::listen().await;
    canary.catches_everything().await;
    let mut cases = 0;
    cases += forms_are_refused().await;
    cases += names_are_refused().await;
    cases += redirects_are_refused().await;
    cases += dialling_is_refused().await;
    rebinding_is_refused().await;
    the_host_header_is_that_of_the_url().await;
    this_machines_own_name_is_refused().await;
    cases += plugins_are_refused().await;
    let hits = canary.hits_inside();
    assert!(hits.is_empty(), "reached: {hits:?}");
    assert!(cases >= 60, "{cases}");
    eprintln!("canary hits = 0 in {cases} cases");
    leave_is_for_exactly_this_host_and_port(&mut canary).await;
}

/// Listens on every address, and remembers which one was reached.
struct Canary {
    reached: mpsc::UnboundedReceiver<(IpAddr, u16)>,
}

impl Canary {
    async fn listen() -> Self {
        let (report, reached) = mpsc::unbounded_channel();
        for port in PORTS {
            let listener = TcpListener::bind(("::", port)).await.unwrap();
            let report = report.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let address = stream.local_addr().unwrap().ip().to_canonical();
                    report.send((address, port)).unwrap();
                    tokio::spawn(answer(stream));
                }
            });
        }
        Self { reached }
    }

    /// The canary itself works: a connection that nobody guards is seen, at every address.
    async fn catches_everything(&mut self) {
        for address in CANARIES.iter().chain(&PUBLIC) {
            let address: IpAddr = address.parse().unwrap();
            let stream = TcpStream::connect((address, 80)).await.unwrap_or_else(|e| panic!("{address}: {e}"));
            assert_eq!(self.reached.recv().await, Some((address, 80)));
            drop(stream);
        }
    }

    /// What was reached since the last time.
    fn hits(&mut self) -> BTreeMap<(IpAddr, u16), usize> {
        let mut hits = BTreeMap::new();
        while let Ok(hit) = self.reached.try_recv() {
            *hits.entry(hit).or_default() += 1;
        }
        hits
    }

    fn hits_inside(&mut self) -> Vec<(IpAddr, u16)> {
        let public = PUBLIC.map(|address| address.parse::<IpAddr>().unwrap());
        self.hits().into_keys().filter(|(address, _)| !public.contains(address)).collect()
    }
}

/// Answers a request: `/302/URL` redirects there, everything else is fine.
async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let redirect = path[1..].split_once('/').and_then(|(status, url)| Some((status.parse::<u16>().ok()?, url)));
    let head = match redirect {
        Some((status, url)) => format!("HTTP/1.1 {status} Go\r\nlocation: {url}\r\n"),
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    stream.write_all(format!("{head}content-length: 2\r\n\r\nok").as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

/// What a guard without any leave says to a URL.
async fn verdict(guard: &Egress, url: &str) -> Result<StatusCode, EgressError> {
    guard.send(&wanderer(), get(url)).await.map(|answer| answer.status)
}

async fn refused(guard: &Egress, url: &str) {
    let error = verdict(guard, url).await.expect_err(url);
    assert!(error.is_refusal(), "{url}: {error}");
}

async fn forms_are_refused() -> usize {
    let guard = egress(EgressConfig::default(), &NAMES);
    for form in FORMS {
        for url in [format!("http://{form}/"), format!("https://{form}/"), format!("http://{form}:8080/")] {
            // A form that says itself what stands behind the host takes no port.
            if verdict(&guard, &url).await.is_ok() {
                panic!("{url} was reached");
            }
        }
        refused(&guard, &format!("http://{form}/")).await;
    }
    for url in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http:127.0.0.1",
        "http:///127.0.0.1",
        "//127.0.0.1",
        "http://",
        "http://:80",
        " http://127.0.0.1",
    ] {
        refused(&guard, url).await;
    }
    FORMS.len() + 9
}

async fn names_are_refused() -> usize {
    let guard = egress(EgressConfig::default(), &NAMES);
    for name in ["public.test", "public6.test", "PUBLIC.test."] {
        assert_eq!(verdict(&guard, &format!("http://{name}/")).await.unwrap(), StatusCode::OK, "{name}");
    }
    let inside = |name: &&str| !name.starts_with("public") && !name.starts_with("rebinding") && *name != "nothing.test";
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).filter(inside).collect();
    for name in &names {
        for written in [(*name).to_owned(), name.to_uppercase(), format!("{name}.")] {
            refused(&guard, &format!("http://{written}/")).await;
        }
    }
    assert!(matches!(verdict(&guard, "http://nothing.test/").await, Err(EgressError::Resolve { .. })));
    assert!(matches!(verdict(&guard, "http://unknown.test/").await, Err(EgressError::Resolve { .. })));
    names.len()
}

async fn redirects_are_refused() -> usize {
    let guard = egress(EgressConfig::default(), &NAMES);
    let targets = [
        "http://127.0.0.1/",
        "http://localhost:8080/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.5/",
        "http://[::ffff:10.0.0.5]/",
        "http://2130706433/",
        "http://private.test/",
        "http://mixed.test/",
        "//127.0.0.1/",
        "http://public.test/302/http://127.0.0.1/",
        "http://public6.test/307/http://metadata.test/",
    ];
    for status in [301, 302, 303, 307, 308] {
        for target in targets {
            refused(&guard, &format!("http://public.test/{status}/{target}")).await;
        }
    }
    let followed = verdict(&guard, "http://public.test/302/http://public6.test/").await;
    assert_eq!(followed.unwrap(), StatusCode::OK, "a redirect to the outside is followed");
    5 * targets.len()
}

async fn dialling_is_refused() -> usize {
    let guard = egress(EgressConfig::default(), &NAMES);
    let hosts = ["127.0.0.1", "::1", "[::1]", "localhost", "private.test", "10.0.0.5", "0x7f.1", "169.254.169.254"];
    for host in hosts {
        let target = HostPort::new(host, 25).unwrap();
        let error = guard.dial(&target).await.expect_err(host);
        assert!(matches!(error, EgressError::Refused { .. }), "{host}: {error}");
    }
    guard.dial(&HostPort::new("public.test", 25).unwrap()).await.unwrap();
    hosts.len()
}

/// The first answer of the name server is public, all later ones are not.
async fn rebinding_is_refused() {
    let guard = egress(EgressConfig::default(), &NAMES);
    assert_eq!(verdict(&guard, "http://rebinding.test/").await.unwrap(), StatusCode::OK);
    refused(&guard, "http://rebinding.test/").await;
    // Here the second answer is asked for by a redirect to the same name.
    let guard = egress(EgressConfig::default(), &NAMES);
    refused(&guard, "http://rebinding.test/302/http://rebinding.test/").await;
}

async fn the_host_header_is_that_of_the_url() {
    let guard = egress(EgressConfig::default(), &NAMES);
    let mut request = get("http://public.test/");
    request.headers.insert(HOST, HeaderValue::from_static("127.0.0.1"));
    assert!(matches!(guard.send(&wanderer(), request).await, Err(EgressError::Header { .. })));
}

/// With the machine's real resolver, which knows `localhost`.
async fn this_machines_own_name_is_refused() {
    let guard = Egress::with(EgressConfig::default(), Box::new(SystemResolver), Roots::Only(Vec::new()));
    for name in ["localhost", "localhost.", "LocalHost"] {
        let error = verdict(&guard, &format!("http://{name}/")).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused { .. }), "{name}: {error}");
    }
}

/// The same from inside a plugin that was granted every host and every method, through both of its ways out.
async fn plugins_are_refused() -> usize {
    let everything = json!([{ "host": "*", "methods": ["*"] }]);
    let guard = egress(EgressConfig::default(), &NAMES);
    let redirects = ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.5", "private.test", "mixed.test", "localhost"];
    let redirects = redirects.map(|inside| format!("public.test/302/http://{inside}"));
    let names = NAMES.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("public"));
    let inside: Vec<&str> = FORMS.into_iter().chain(names).chain(redirects.iter().map(String::as_str)).collect();
    for way in ["weir", "wasi"] {
        let reached = sent(way, "GET 1 0 1 0 http://public.test/", Outside::new(guard.clone(), &everything)).await;
        assert!(reached[0].starts_with("200 2"), "{way}: {reached:?}");
        // The first answer of the name server is public: it is taken once.
        sent(way, "GET 1 0 1 0 http://rebinding.test/", Outside::new(guard.clone(), &everything)).await;
        for place in &inside {
            let order = format!("GET 1 0 1 0 http://{place}/");
            let told = sent(way, &order, Outside::new(guard.clone(), &everything)).await;
            assert!(!told[0].starts_with("200"), "{way}: {place} was reached: {told:?}");
        }
    }
    2 * inside.len()
}

async fn leave_is_for_exactly_this_host_and_port(canary: &mut Canary) {
    let allow = [
        "10.0.0.5:8080",
        "db.internal:8080",
        "meta.internal:8080",
        "localhost:8080",
        "[fd00::1]:8080",
        "169.254.169.254:8080",
    ];
    let guard = egress(
        EgressConfig { allow: allow.map(|one| one.parse().unwrap()).to_vec(), ..EgressConfig::default() },
        &NAMES,
    );
    canary.hits();
    let reached = [
        ("http://10.0.0.5:8080/", "10.0.0.5"),
        ("http://167772165:8080/", "10.0.0.5"),
        ("http://db.internal:8080/", "10.0.0.7"),
        ("http://DB.internal.:8080/", "10.0.0.7"),
        ("http://localhost:8080/", "127.0.0.1"),
        ("http://[fd00::1]:8080/", "fd00::1"),
        ("http://169.254.169.254:8080/", "169.254.169.254"),
    ];
    for (url, address) in reached {
        assert_eq!(verdict(&guard, url).await.unwrap(), StatusCode::OK, "{url}");
        assert_eq!(canary.hits(), BTreeMap::from([((address.parse().unwrap(), 8080), 1)]), "{url}");
    }
    let not_meant = [
        "http://10.0.0.5/",
        "http://10.0.0.5:443/",
        "http://10.0.0.6:8080/",
        "http://[::ffff:10.0.0.5]:8080/",
        "http://[64:ff9b::10.0.0.5]:8080/",
        "http://other.test:8080/",
        "http://db.internal/",
        "http://10.0.0.7:8080/",
        "http://a.db.internal:8080/",
        "http://meta.internal:8080/",
        "http://metadata.test:8080/",
        "http://127.0.0.1:8080/",
        "http://localhost/",
        "http://[fd00::2]:8080/",
        "http://user@10.0.0.5:8080/",
        "http://public.test/302/http://10.0.0.5/",
        "http://public.test/302/http://127.0.0.1:8080/",
    ];
    for url in not_meant {
        assert!(verdict(&guard, url).await.is_err(), "{url}");
    }
    let hits = canary.hits_inside();
    assert!(hits.is_empty(), "reached: {hits:?}");
}
