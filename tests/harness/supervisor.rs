//! The other end of `tests/harness/servers`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Servers that live as long as this value or, in a static, as long as the process.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    /// Its end is the servers' end. `None` only while being dropped.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Supervisor {
    /// Starts servers and waits until they are ready; gives what the supervisor says about them.
    ///
    /// # Panics
    /// With the supervisor's own words, which name `make parts` when the parts are missing.
    pub fn start(arguments: &[&str]) -> (Self, Value) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/servers");
        let mut child = Command::new(&program)
            .args(arguments)
            .arg("--control")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} does not start (it needs python3): {error}",
                    program.display()
                )
            });
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut supervisor = Self {
            child,
            input,
            output,
        };
        let report = supervisor.read_line();
        if let Some(error) = report["error"].as_str() {
            panic!("{error}");
        }
        (supervisor, report)
    }

    /// Sends one command and waits until it is done.
    ///
    /// # Panics
    /// When the supervisor refuses it or it fails.
    #[track_caller]
    pub fn control(&mut self, command: &str) {
        let answer = self.try_control(command);
        assert_eq!(answer["ok"], true, "{command}: {answer}");
    }

    /// Sends one command and waits for its end, which it gives.
    pub fn try_control(&mut self, command: &str) -> Value {
        let input = self.input.as_mut().expect("only drop takes it");
        writeln!(input, "{command}").expect("the supervisor listens");
        self.read_line()
    }

    fn read_line(&mut self) -> Value {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the supervisor's output is text");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the test servers said {line:?}: {error}"))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().ok();
    }
}

/// The text at a JSON pointer of the supervisor's report.
pub fn text(report: &Value, pointer: &str) -> String {
    report
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("the test servers' report has no {pointer}: {report}"))
        .to_owned()
}
