"""A text, a tokenizer, shards, a recipe and a finished record in a folder of their own, for tests that disturb the program.
The text and the recipe are those of tests/cli/tiny_corpus.sh."""
import os
import pathlib
import signal
import subprocess
import tempfile

TINY_CORPUS = pathlib.Path(__file__).resolve().parent.parent / "cli" / "tiny_corpus.sh"
TIMEOUT_S = 120
SEED = "7"


def take_default_signals():
    """In a child: a test started with & in a script ignores Ctrl-C, and what it starts would too."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


class SmallJob:
    def __init__(self, program):
        self.program = str(pathlib.Path(program).resolve())
        self._folder = tempfile.TemporaryDirectory(prefix="pg_faults_")
        self.folder = pathlib.Path(self._folder.name).resolve()
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "train_gpt").symlink_to(self.program)
        # Nothing of the caller's environment: recipe keys may come from variables such as SEED.
        self.environment = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        subprocess.run(["bash", "-euc", f'source "{TINY_CORPUS}"'], cwd=self.folder, env=self.environment, check=True,
                       stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
        (self.folder / "text.txt").write_text("the cat sat by the river and the bird sang of bread")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def run(self, *words, environment=None, **options):
        """Gives the ended process; stdout and stderr are text unless options say where they go."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run([self.program, *words], cwd=self.folder, env={**self.environment, **(environment or {})},
                              stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=TIMEOUT_S,
                              preexec_fn=take_default_signals, **streams)

    def start(self, *words, preexec_fn=take_default_signals, **options):
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        return subprocess.Popen([self.program, *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                preexec_fn=preexec_fn, **streams)

    def make_record(self, name):
        """A finished record in folder/name."""
        done = self.run("run", "recipe.toml", "--seed", SEED, "--out", name, "--set", "train.max_steps=4")
        if done.returncode != 0:
            raise RuntimeError(f"the undisturbed run failed: {done.stderr}")
        return self.folder / name


def list_stray(folder):
    """Files that no finished command leaves behind."""
    return sorted(str(path.relative_to(folder)) for pattern in ("*.tmp", "*.new") for path in folder.rglob(pattern))
