//! Headless Chromium, driven over its DevTools protocol.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc as channel, oneshot};
use tokio_tungstenite::tungstenite::Message;

/// Names the browser to use.
const PROGRAM: &str = "NEXUS_TEST_CHROMIUM";
/// Set to 1, it makes a missing browser a failure.
const REQUIRE: &str = "NEXUS_TEST_REQUIRE";
const PROGRAMS: [&str; 4] =
    ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"];

/// A browser that answers nothing for so long is broken; it makes the test fail, not hang.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a page may take until a condition holds.
const CONDITION_MS: u32 = 30_000;

/// Without `--no-sandbox` it does not start as root; the pages it opens here are our own.
const OPTIONS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
];

/// A browser with an empty profile of its own. Dropped, it is gone with all its files.
pub(crate) struct Browser {
    devtools: DevTools,
    _process: Process,
}

impl Browser {
    /// Starts the browser of this machine; `None` when there is none, and none is required.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = program() else {
            let note = format!(
                "no Chromium found; install it (Debian: apt-get install chromium) or name it in {PROGRAM}"
            );
            assert_ne!(std::env::var(REQUIRE).as_deref(), Ok("1"), "{note}");
            eprintln!("skipped: {note}");
            return None;
        };
        let (process, url) = Process::start(&program);
        Some(Self { devtools: DevTools::connect(&url).await, _process: process })
    }

    /// Opens a page in a window of this size.
    pub(crate) async fn open(&self, url: &str, width: u32, height: u32) -> Page {
        let target =
            self.devtools.call(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.devtools.call(None, "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let page = Page { devtools: self.devtools.clone(), session };
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.resize(width, height).await;
        page.navigate(url).await;
        page
    }
}

/// One open page.
pub(crate) struct Page {
    devtools: DevTools,
    session: String,
}

impl Page {
    async fn call(&self, method: &str, parameters: Value) -> Value {
        self.devtools.call(Some(&self.session), method, parameters).await
    }

    /// Goes to this address and waits until everything of it is there.
    pub(crate) async fn navigate(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        let loaded = "new Promise((done) => document.readyState === 'complete'
            ? done() : addEventListener('load', () => done()))";
        self.evaluate(loaded).await;
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Asks for `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// The value of a JavaScript expression, or what its promise resolves to.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters).await;
        if let Some(thrown) = answer.get("exceptionDetails") {
            panic!("{expression}\nthrew {}", thrown["exception"]["description"]);
        }
        answer["result"]["value"].clone()
    }

    /// Waits until a condition holds. It is looked at whenever the document changes.
    pub(crate) async fn wait_for(&self, condition: &str) -> Value {
        self.evaluate(&format!(
            "new Promise((done, fail) => {{
                const holds = () => ({condition});
                const end = (how, what) => {{ clearTimeout(timer); changes.disconnect(); how(what); }};
                const look = () => {{
                    try {{ const held = holds(); if (held) end(done, held); }} catch (error) {{ end(fail, error); }}
                }};
                const changes = new MutationObserver(look);
                const timer = setTimeout(() => end(fail, new Error('it never held; the page says: '
                    + document.body.innerText.slice(0, 600))), {CONDITION_MS});
                changes.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                look();
            }})"
        ))
        .await
    }

    /// Clicks with the mouse where the element is.
    pub(crate) async fn click(&self, selector: &str) {
        let place = self
            .evaluate(&format!(
                "(() => {{ const found = document.querySelector({selector:?}); found.scrollIntoView({{ block: 'nearest' }});
                    const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses and releases a key, such as `Escape`, `ArrowDown`, `/` or a space.
    pub(crate) async fn press(&self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            other => u32::from(other.bytes().next().unwrap()),
        };
        let mut down = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        if key.len() == 1 {
            down["text"] = key.into();
        }
        self.call("Input.dispatchKeyEvent", down).await;
        let up = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", up).await;
    }

    /// Types into whatever has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Writes what the page looks like into a folder named by `NEXUS_TEST_SCREENSHOTS`, if it is set.
    pub(crate) async fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("NEXUS_TEST_SCREENSHOTS") else { return };
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = from_base64(answer["data"].as_str().unwrap());
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser found wrong so far: errors and warnings of the console, exceptions,
    /// requests that failed, violations of the content security policy and other issues.
    pub(crate) async fn problems(&self) -> Vec<String> {
        // Whatever was reported before this answer has arrived with it.
        self.evaluate("0").await;
        self.devtools.problems.lock().unwrap().clone()
    }
}

/// The connection to the browser.
#[derive(Clone)]
struct DevTools {
    commands: channel::UnboundedSender<(Value, oneshot::Sender<Value>)>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl DevTools {
    async fn connect(url: &str) -> Self {
        let address = url.split('/').nth(2).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let (mut out, mut incoming) = socket.split();
        let (commands, mut asked) = channel::unbounded_channel::<(Value, oneshot::Sender<Value>)>();
        let problems = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let problems = problems.clone();
            async move {
                let mut waiting: HashMap<u64, oneshot::Sender<Value>> = HashMap::new();
                loop {
                    tokio::select! {
                        asked = asked.recv() => {
                            let Some((command, answer)) = asked else { return };
                            waiting.insert(command["id"].as_u64().unwrap(), answer);
                            if out.send(Message::text(command.to_string())).await.is_err() { return }
                        }
                        message = incoming.next() => {
                            let Some(Ok(message)) = message else { return };
                            let Ok(text) = message.to_text() else { continue };
                            let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
                            match message["id"].as_u64().and_then(|id| waiting.remove(&id)) {
                                Some(answer) => drop(answer.send(message)),
                                None => problems.lock().unwrap().extend(problem(&message)),
                            }
                        }
                    }
                }
            }
        });
        Self { commands, problems }
    }

    async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        self.commands.send((command, answer)).expect("the browser is still there");
        let answer = tokio::time::timeout(DEADLINE, answered).await;
        let mut answer = answer.expect("the browser answers").expect("the browser is still there");
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }
}

/// What an event of the browser says is wrong, if anything.
fn problem(event: &Value) -> Option<String> {
    let parameters = &event["params"];
    let level = |value: &Value| matches!(value.as_str(), Some("error" | "warning" | "assert"));
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", parameters["exceptionDetails"])),
        "Runtime.consoleAPICalled" if level(&parameters["type"]) => {
            Some(format!("console: {}", parameters["args"]))
        }
        "Log.entryAdded" if level(&parameters["entry"]["level"]) => {
            Some(format!("log: {}", parameters["entry"]))
        }
        "Audits.issueAdded" => Some(format!("issue: {}", parameters["issue"])),
        _ => None,
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{PROGRAM} names {}, which is no file", named.display());
        return Some(named);
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut candidates =
        PROGRAMS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

/// The running browser and the folder of its profile.
struct Process {
    child: Child,
    profile: PathBuf,
}

impl Process {
    /// Starts it and returns the address of its DevTools.
    fn start(program: &Path) -> (Self, String) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let profile = std::env::temp_dir()
            .join(format!("nexus-events-chromium-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&profile).unwrap();
        let child = Command::new(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = match child {
            Ok(child) => Self { child, profile },
            Err(error) => panic!("cannot start {}: {error}", program.display()),
        };
        let said = BufReader::new(process.child.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that the browser never waits for somebody to read.
            for line in said.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut heard = String::new();
        while let Ok(line) = told.recv_timeout(DEADLINE) {
            if let Some((_, url)) = line.split_once("DevTools listening on ") {
                return (process, url.trim().to_owned());
            }
            heard.push_str(&line);
            heard.push('\n');
        }
        panic!("{} did not start; it said:\n{heard}", program.display());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its own children may still write for a moment after it is gone.
        for _ in 0..1_000 {
            if std::fs::remove_dir_all(&self.profile).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.bytes().filter_map(|byte| ALPHABET.iter().position(|letter| *letter == byte))
    {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
