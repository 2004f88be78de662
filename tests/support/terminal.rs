//! `orderctl` in a real pseudo-terminal, and what it shows there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::future::ready;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::wait::poll_until;

/// Size of a character of a picture, in its units.
const WIDTH: u16 = 9;
const HEIGHT: u16 = 20;

/// Who runs it: the variables that differ from those of the tests.
pub type Session = HashMap<&'static str, String>;

/// The binary of `orderctl` that was built beside these tests.
#[must_use]
pub fn orderctl_binary() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    // A program is in the target folder, a test one level deeper.
    let mut candidates = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("orderctl"));
    candidates
        .find(|candidate| candidate.is_file())
        .expect("orderctl, which make builds before it runs this")
}

/// `orderctl` in a pseudo-terminal of 100 columns and 30 lines.
pub struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    /// Draws on the screen until the command has closed the terminal.
    drawing: JoinHandle<()>,
    _pair: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    /// Starts `orderctl` in it.
    #[must_use]
    pub fn run(session: &Session, arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(orderctl_binary());
        command.args(arguments);
        for (name, value) in session {
            command.env(name, value);
        }
        Self::start(command)
    }

    /// Starts `orderctl` in it so that it may draw and can read no keys: without a terminal of its own, and with nothing as
    /// its input.
    #[must_use]
    pub fn without_keys(arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new("setsid");
        command.args(["--wait", "sh", "-c", "exec \"$@\" </dev/null", "sh"]);
        command.arg(orderctl_binary());
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a shell in it that finds `orderctl`, in the folder of this repository.
    #[must_use]
    pub fn shell() -> Self {
        let mut command = CommandBuilder::new("bash");
        command.args(["--norc", "--noprofile"]);
        command.env("PS1", "$ ");
        command.env("HISTFILE", "/dev/null");
        let programs = orderctl_binary();
        let programs = programs.parent().expect("its folder").display();
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{programs}:{path}"));
        command.cwd(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        Self::start(command)
    }

    fn start(mut command: CommandBuilder) -> Self {
        let size = PtySize {
            rows: 30,
            cols: 100,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).expect("orderctl");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size.rows, size.cols, 0)));
        let mut reader = pair.master.try_clone_reader().expect("what it prints");
        let drawn = screen.clone();
        let drawing = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                drawn.lock().expect("the screen").process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().expect("its keys");
        Self {
            screen,
            keys,
            child,
            drawing,
            _pair: pair.master,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn contents(&self) -> String {
        self.screen.lock().expect("the screen").screen().contents()
    }

    /// Waits until it shows a text.
    pub async fn wait_for(&self, what: &str) {
        self.wait_until(what, |screen| screen.contains(what)).await;
    }

    /// Waits until what it shows is right.
    pub async fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        poll_until(|| async {
            let screen = self.contents();
            if holds(&screen) {
                return Ok(());
            }
            Err(format!(
                "{what} is not on the screen. It shows:\n{screen}\n"
            ))
        })
        .await;
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
        self.keys.flush().expect("keys");
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> String {
        self.child.process_id().expect("a process").to_string()
    }

    /// Whether the terminal shows again what it showed before the command took all of it.
    #[must_use]
    pub fn is_given_back(&self) -> bool {
        !self
            .screen
            .lock()
            .expect("the screen")
            .screen()
            .alternate_screen()
    }

    /// What it shows, as a picture.
    #[must_use]
    pub fn svg(&self) -> String {
        svg(self.screen.lock().expect("the screen").screen())
    }

    /// Waits until the command has ended and all that it printed is on the screen; gives its exit code.
    pub async fn end(&mut self) -> u32 {
        let status = poll_until(|| {
            let ended = self.child.try_wait().expect("a process");
            let ended = ended.filter(|_| self.drawing.is_finished());
            let missed = || format!("it does not end. It shows:\n{}\n", self.contents());
            ready(ended.ok_or_else(missed))
        })
        .await;
        status.exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
    }
}

/// A screen as SVG: one text for each run of characters of the same look.
fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (columns * WIDTH + 2 * HEIGHT, rows * HEIGHT + 2 * HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"15\" fill=\"#d8dee9\" xml:space=\"preserve\">\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1e2430\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let look = |column| screen.cell(row, column).map(look_of);
            let begin = column;
            let mut text = String::new();
            while column < columns && look(column) == look(begin) {
                let contents = screen.cell(row, column).map_or("", vt100::Cell::contents);
                text.push_str(if contents.is_empty() { " " } else { contents });
                column += 1;
            }
            let Some((color, bold, dim, inverse)) = look(begin) else {
                continue;
            };
            let (x, y) = (HEIGHT + begin * WIDTH, HEIGHT + row * HEIGHT);
            let length = (column - begin) * WIDTH;
            let mut fill = match color {
                vt100::Color::Idx(1 | 9) => "#ef6b73",
                vt100::Color::Idx(2 | 10) => "#8fce7e",
                vt100::Color::Idx(3 | 11) => "#ebcb8b",
                _ => "#d8dee9",
            };
            if inverse {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{length}\" height=\"{HEIGHT}\" fill=\"{fill}\"/>"
                );
                fill = "#1e2430";
            }
            if text.trim().is_empty() {
                continue;
            }
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let opacity = if dim { " opacity=\"0.6\"" } else { "" };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" textLength=\"{length}\" fill=\"{fill}\"{weight}{opacity}>{text}</text>",
                y + 15
            );
        }
    }
    svg + "</svg>\n"
}

/// What makes one character look different from another one.
fn look_of(cell: &vt100::Cell) -> (vt100::Color, bool, bool, bool) {
    (cell.fgcolor(), cell.bold(), cell.dim(), cell.inverse())
}
