#!/usr/bin/env python3
"""The program as a process: signals, missing or full standard streams, pipes whose reader goes, limits on files and threads.

  process_test.py PROGRAM [SHIM] [unittest's words...]

Without SHIM, the library of fault_shim.cpp, tests that need it are skipped.
"""
import os
import pathlib
import random
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
import unittest

import small_job

PROGRAM = sys.argv[1]
SHIM = str(pathlib.Path(sys.argv[2]).resolve()) if len(sys.argv) > 2 and sys.argv[2].endswith(".so") else None
LONG = ("run", "recipe.toml", "--set", "train.max_steps=1000000", "--out")
SHORT = ("run", "recipe.toml", "--set", "train.max_steps=4", "--out")


def wait_until(is_true, process=None):
    for _ in range(6000):
        if is_true():
            return
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode} before it got so far")
        time.sleep(0.01)
    raise AssertionError("waited for a minute in vain")


class ProcessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.job = small_job.SmallJob(PROGRAM)
        cls.job.make_record("record")

    @classmethod
    def tearDownClass(cls):
        cls.job.__exit__()

    def out(self):
        """A folder of this test's own, not there yet."""
        return self.id().rpartition(".")[2]

    def wait_for_steps(self, process, out):
        tape = self.job.folder / out / "tape.jsonl"
        wait_until(lambda: tape.exists() and tape.read_text().count("\n") > 3, process)

    def has_record(self, out):
        return (self.job.folder / out / "submission.json").exists()


class Signals(ProcessTest):
    def test_one_at_any_moment_never_damages_a_run(self):
        draw = random.Random(1)
        for number in (signal.SIGINT, signal.SIGTERM):
            for i in range(10):
                process = self.job.start(*LONG, f"{self.out()}_{number}_{i}")
                time.sleep(draw.uniform(0.05, 0.3))
                process.send_signal(number)
                # Before the words are read it ends the process; later there is a record, or none before the first step.
                self.assertIn(process.wait(60), (0, 1, -number, 128 + number))

    def test_the_first_ends_gracefully_and_the_second_at_once(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            out = f"{self.out()}_{number}"
            # Scored with a window per token, which takes long enough for a second signal.
            process = self.job.start(*LONG, out, "--set", "eval.stride=1", "--set", "eval.batch_tokens=64",
                                     stderr=subprocess.PIPE)
            self.wait_for_steps(process, out)
            process.send_signal(number)
            said = b""
            while b"interrupted: " not in said:
                said += process.stderr.readline()
            process.send_signal(number)
            self.assertEqual(process.wait(60), 128 + number)
            process.stderr.close()
            self.assertEqual(small_job.list_stray(self.job.folder / out), [])

    def test_what_limits_and_schedulers_send_ends_a_run_with_its_record(self):
        for number in (signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
            out = f"{self.out()}_{number}"
            process = self.job.start(*LONG, out)
            self.wait_for_steps(process, out)
            process.send_signal(number)
            self.assertEqual(process.wait(60), 0)
            self.assertTrue(self.has_record(out))

    def test_one_that_waits_for_a_pipe_ends_at_the_first(self):
        os.mkfifo(self.job.folder / "nobody_writes")
        for words in (("run", "nobody_writes"), ("run", "recipe.toml", "--set", "data.tokenizer=nobody_writes")):
            process = self.job.start(*words, "--out", self.out(), stderr=subprocess.PIPE)
            # The signals' own thread is there once the main one waits.
            stacks = pathlib.Path(f"/proc/{process.pid}/task")
            wait_until(lambda: len(list(stacks.iterdir())) > 1, process)
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            self.assertEqual((process.wait(60), process.stderr.read()), (128 + signal.SIGTERM, b""))
            process.stderr.close()
            self.assertFalse((self.job.folder / self.out()).exists())

    def test_tokenizing_ends_as_if_it_had_not_begun(self):
        folder = self.job.folder / self.out()
        words = ("--tokenizer", "m.model", "--out", self.out(), "--shard-tokens", "512", "--force")
        self.assertEqual(self.job.run("tokenize", "text.jsonl", *words).returncode, 0)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with open(self.job.folder / "endless.jsonl", "w") as text:
            for i in range(200):
                text.write((self.job.folder / "text.jsonl").read_text().replace("Story", f"Tale {i} of"))
        process = self.job.start("tokenize", "endless.jsonl", *words, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(list(folder.glob("*.new"))) > 3, process)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 128 + signal.SIGINT, said)
        self.assertIn("no shards were written", said)
        self.assertEqual({path.name: path.read_bytes() for path in folder.iterdir()}, before)

    def test_a_terminal_that_goes_does_not_end_a_run(self):
        process = self.job.start(*LONG, self.out())
        self.wait_for_steps(process, self.out())
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertTrue(self.has_record(self.out()))

    def test_what_was_ignored_at_the_start_stays_ignored(self):
        def ignore():
            small_job.take_default_signals()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        process = self.job.start(*LONG, self.out(), preexec_fn=ignore)
        self.wait_for_steps(process, self.out())
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertTrue(self.has_record(self.out()))

    def test_other_commands_die_of_the_first(self):
        words = ("generate", "record/final_model.int6.bin", "--tokenizer", "m.model", "--tokens", "1000000", "--context", "64")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.job.start(*words, stdout=subprocess.PIPE)
            process.stdout.read(1)
            process.send_signal(number)
            self.assertEqual(process.wait(60), -number)
            process.stdout.close()


class KilledTokenizing(ProcessTest):
    def test_the_earlier_corpus_stands_until_the_new_one_is_whole(self):
        folder = self.job.folder / self.out()
        words = ("--tokenizer", "m.model", "--out", self.out(), "--shard-tokens", "512", "--force")
        self.assertEqual(self.job.run("tokenize", "text.jsonl", *words).returncode, 0)
        before = {path.name: path.read_bytes() for path in folder.glob("*_*")}
        with open(self.job.folder / "long.jsonl", "w") as text:
            for i in range(200):
                text.write((self.job.folder / "text.jsonl").read_text().replace("Story", f"Tale {i} of"))
        process = self.job.start("tokenize", "long.jsonl", *words)
        wait_until(lambda: len(list(folder.glob("*.new"))) > 3, process)
        process.kill()
        process.wait()
        (folder / ".corpus_train_000009.bin.71-0.train_gpt.tmp").write_text("half of a shard")
        for name, content in before.items():
            self.assertEqual((folder / name).read_bytes(), content)
        done = self.job.run("corpus", "info", str(folder / "corpus_train_*.bin"), "--tokenizer", "m.model")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.job.run("tokenize", "text.jsonl", *words).returncode, 0)
        self.assertEqual({path.name: path.read_bytes() for path in folder.glob("*_*")}, before)
        self.assertEqual(small_job.list_stray(folder), [])


class Descriptors(ProcessTest):
    def test_too_few_leave_nothing_half_written_and_are_named(self):
        commands = {"run": SHORT, "tokenize": ("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out"),
                    "eval": ("eval", "record/final_model.int6.bin", "--recipe", "record/recipe.toml", "--data")}
        for name, words in commands.items():
            codes = set()
            for allowed in range(4, 14):
                out = "shards/corpus_val_*.bin" if name == "eval" else f"{self.out()}_{name}_{allowed}"
                process = self.job.start(*words, out, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_NOFILE, (allowed, allowed)))
                said = process.communicate(timeout=60)[1]
                codes.add(process.returncode)
                if process.returncode == 127:  # the system's loader
                    continue
                self.assertIn(process.returncode, (0, 1), said)
                if process.returncode == 1:
                    self.assertIn("Too many open files; raise the limit on open files (ulimit -n)", said)
                if name != "eval" and (self.job.folder / out).exists():
                    left = small_job.list_stray(self.job.folder / out) + list((self.job.folder / out).glob(".run_lock"))
                    self.assertEqual(left, [], f"{name} with {allowed}: {said}")
            self.assertLessEqual({0, 1}, codes, name)


class Folders(ProcessTest):
    def test_one_that_is_moved_during_a_run_is_said(self):
        process = self.job.start(*LONG, self.out(), stderr=subprocess.PIPE, text=True)
        self.wait_for_steps(process, self.out())
        moved = self.job.folder / f"{self.out()}_moved"
        (self.job.folder / self.out()).rename(moved)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 0, said)
        self.assertIn("warning: the output folder was moved or removed while the run was on", said)
        self.assertIn("warning: the output folder was moved", (moved / "train_seed1337.log").read_text())

    def test_what_comes_into_one_during_a_run_is_kept(self):
        process = self.job.start(*LONG, self.out())
        self.wait_for_steps(process, self.out())
        folder = self.job.folder / self.out()
        for name in ("README.md", "submission.json", "README.md.tmp", "submission.json.tmp", "checkpoint.bin.tmp"):
            (folder / name).write_text("mine")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0)
        for name in ("README.md.before", "submission.json.before", "README.md.tmp", "submission.json.tmp",
                     "checkpoint.bin.tmp"):
            self.assertEqual((folder / name).read_text(), "mine")
        self.assertIn('"seeds"', (folder / "submission.json").read_text())

    @unittest.skipIf(os.geteuid() != 0, "only root becomes somebody else")
    def test_a_lack_of_permission_is_named(self):
        os.chmod(self.job.folder, 0o755)
        closed, locked = self.job.folder / "closed", self.job.folder / "locked"
        closed.mkdir(mode=0o000)
        locked.mkdir(mode=0o555)
        for words in (("eval", "record/final_model.int6.bin", "--tokenizer", "m.model", "--data", "closed/*.bin"),
                      ("run", "recipe.toml", "--set", "data.train_shards=closed/*.bin", "--out", "locked/x"),
                      ("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", "locked/x"),
                      ("audit", "record/final_model.int6.bin", "--recipe", "record/recipe.toml", "--out", "locked/x"),
                      (*SHORT, "locked/x")):
            # The privileges of root that a user of its own keeps would pass over the modes.
            done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", self.job.program, *words],
                                  cwd=self.job.folder, env=self.job.environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("Permission denied", done.stderr)


class Outlets(ProcessTest):
    def test_a_run_outlives_who_reads_its_words(self):
        reader, writer = os.pipe()
        process = self.job.start(*LONG, self.out(), stdout=writer, stderr=writer)
        os.close(writer)
        self.wait_for_steps(process, self.out())
        os.close(reader)
        log = self.job.folder / self.out() / "train_seed1337.log"
        wait_until(lambda: "progress cannot be shown (Broken pipe)" in log.read_text(), process)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 1)  # its result was not read
        self.assertTrue(self.has_record(self.out()))
        self.assertEqual(log.read_text().count("progress cannot be shown"), 1)

    def test_a_run_goes_on_with_full_streams(self):
        with open("/dev/full", "w") as full:
            done = self.job.run(*SHORT, self.out(), stdout=full)
            self.assertEqual(done.returncode, 1)
            self.assertIn("output was lost", done.stderr)
            self.assertTrue(self.has_record(self.out()))
            done = self.job.run(*SHORT, self.out() + "_2", stderr=full)
            self.assertEqual(done.returncode, 0)
            self.assertIn("val_bpb", done.stdout)

    def test_lost_output_is_a_failure_of_every_command(self):
        artifact, recipe = "record/final_model.int6.bin", ("--recipe", "record/recipe.toml")
        self.job.run("encode", artifact, *recipe, "--text", "text.txt", "--out", "coded.pgt")
        commands = (
            ("recipe",), ("recipe", "--help-keys"), ("--help",), ("run", "--help"), ("size", artifact), ("docs", "ops"),
            ("eval", artifact, *recipe), ("export", artifact, "weights.safetensors"),
            ("pack", "record/final_model.safetensors", "packed.bin", *recipe),
            ("generate", artifact, "--tokenizer", "m.model", "--tokens", "3", "--context", "64"),
            ("encode", artifact, *recipe, "--text", "text.txt", "--out", "again.pgt"),
            ("decode", artifact, "coded.pgt", "--tokenizer", "m.model"),
            ("tokenizer", "train", "text.jsonl", "--vocab-size", "300", "--out", "again.model"),
            ("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", "again"),
            ("corpus", "info", "shards/corpus_val_*.bin", "--tokenizer", "m.model"), ("audit", artifact, *recipe))
        for words in commands:
            with self.subTest(words=words), open("/dev/full", "w") as full:
                done = self.job.run(*words, stdout=full)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr.count("train_gpt: output was lost: "), 1)
                self.assertIn("No space left on device", done.stderr)

    def test_missing_streams_are_no_place_for_files(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            out = f"{self.out()}_{''.join(map(str, closed))}"

            def close():
                small_job.take_default_signals()
                for fd in closed:
                    os.close(fd)
            code = self.job.start(*SHORT, out, preexec_fn=close).wait(60)
            self.assertEqual(code, 1 if 1 in closed else 0)
            self.assertTrue(self.has_record(out))
            for name in ("run.jsonl", "tape.jsonl"):
                for line in (self.job.folder / out / name).read_text().splitlines():
                    self.assertTrue(line.startswith("{"), line)

    def test_printing_into_a_closed_pipe_is_the_usual_death(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = self.job.start("recipe", stdout=writer)
        os.close(writer)
        self.assertEqual(process.wait(60), -signal.SIGPIPE)

    def test_a_limit_on_file_sizes_is_an_error_with_advice(self):
        def limit():
            small_job.take_default_signals()
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        process = self.job.start("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", self.out(), preexec_fn=limit,
                                 stderr=subprocess.PIPE)
        said = process.communicate()[1].decode()
        self.assertEqual(process.returncode, 1)
        self.assertIn("ulimit -f", said)
        self.assertEqual(small_job.list_stray(self.job.folder), [])

    def test_a_limit_below_the_checkpoint_is_refused_before_training(self):
        def start(out, bytes_allowed):
            process = self.job.start(*SHORT, out, stderr=subprocess.PIPE, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (bytes_allowed, resource.RLIM_INFINITY)))
            return process.communicate()[1].decode(), process.returncode
        said, code = start(self.out(), 2000)
        self.assertEqual(code, 1)
        self.assertIn("ulimit -f unlimited", said)
        self.assertFalse((self.job.folder / self.out()).exists())
        needed = int(re.search("the checkpoint takes ([0-9,]+)", said)[1].replace(",", ""))
        self.assertEqual(start(self.out(), needed - 1)[1], 1)
        said, code = start(self.out(), needed)
        self.assertEqual((code, self.has_record(self.out())), (0, True), said)
        self.assertNotIn("cannot", said)


class Places(ProcessTest):
    WORDS = ("decode", "record/final_model.int6.bin", "coded.pgt", "--tokenizer", "m.model", "--out")

    def setUp(self):
        self.job.run("encode", "record/final_model.int6.bin", "--recipe", "record/recipe.toml", "--text", "text.txt", "--out",
                     "coded.pgt")
        self.text = (self.job.folder / "text.txt").read_text()

    def test_standard_output_as_a_file(self):
        done = self.job.run(*self.WORDS, "/dev/stdout")
        self.assertEqual((done.returncode, done.stdout), (0, self.text))
        path = self.job.folder / self.out()
        with open(path, "w") as out:
            self.assertEqual(self.job.run(*self.WORDS, "/dev/stdout", stdout=out).returncode, 0)
        self.assertEqual(path.read_text(), self.text)

    def test_lines_about_a_file_never_stand_in_it(self):
        artifact, weights = "record/final_model.int6.bin", "record/final_model.safetensors"
        commands = {
            "encode": ("encode", artifact, "--recipe", "record/recipe.toml", "--text", "text.txt", "--out"),
            "decode": self.WORDS,
            "export": ("export", artifact),
            "pack": ("pack", weights, "--set", "quant.rounding=nearest", "--set", "quant.scales=sdclip"),
            "tokenizer": ("tokenizer", "train", "text.jsonl", "--vocab-size", "300", "--out"),
        }
        pack_out = {"pack": 2}  # its output stands before its options
        for name, words in commands.items():
            def run(out, **options):
                place = pack_out.get(name, len(words))
                return self.job.run(*words[:place], out, *words[place:], **options)
            whole = f"{self.out()}_{name}"
            done = run(whole)
            self.assertEqual(done.returncode, 0, done.stderr)
            expected = (self.job.folder / whole).read_bytes()
            path = self.job.folder / f"{whole}_stdout"
            for out in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", path.name):
                with open(path, "w") as stdout:
                    done = run(out, stdout=stdout)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(path.read_bytes(), expected, f"{name} {out}")
                self.assertNotEqual(done.stderr, "")
            with open(path, "w") as both:  # progress would stand in the file
                run("/dev/stdout", stdout=both, stderr=both)
            self.assertIn("the messages would be mixed into the output", path.read_text())
            piped = subprocess.run(["bash", "-c", '"$@" | cat', "-", self.job.program, *words[:pack_out.get(name, len(words))],
                                    "/dev/stdout", *words[pack_out.get(name, len(words)):]], cwd=self.job.folder,
                                   env=self.job.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            self.assertEqual(piped.stdout, expected, name)

    def test_a_pipe_with_a_name(self):
        path = self.job.folder / self.out()
        os.mkfifo(path)
        found = []
        reader = threading.Thread(target=lambda: found.append(path.read_text()))
        reader.start()
        self.assertEqual(self.job.run(*self.WORDS, path.name).returncode, 0)
        reader.join()
        self.assertEqual(found, [self.text])
        self.assertTrue(stat.S_ISFIFO(path.stat().st_mode))

    def test_a_device_stays_one(self):
        path = self.job.folder / self.out()
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            self.skipTest("only root makes device nodes")
        self.assertEqual(self.job.run(*self.WORDS, path.name).returncode, 0)
        self.assertTrue(stat.S_ISCHR(path.stat().st_mode))


class ThreadCount(ProcessTest):
    def test_a_number_too_large_is_said_as_it_was_given(self):
        done = self.job.run("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", self.out(),
                            environment={"OMP_NUM_THREADS": "99999999999"})
        self.assertEqual(done.stderr.count("OMP_NUM_THREADS is 99999999999, for "), 1, done.stderr)

    def test_a_variable_that_is_no_number_is_named(self):
        for text in ("abc", "0", "-2", "2x"):
            done = self.job.run("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", self.out(),
                                environment={"OMP_NUM_THREADS": text})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(f'OMP_NUM_THREADS is "{text}", no number of threads: '), 1, done.stderr)
        for text in ("", "1", " 2", "2,1"):
            done = self.job.run("tokenize", "text.jsonl", "--tokenizer", "m.model", "--out", self.out(),
                                environment={"OMP_NUM_THREADS": text})
            self.assertEqual((done.returncode, done.stderr.count("no number of threads")), (0, 0), done.stderr)


@unittest.skipIf(SHIM is None, "needs the library of fault_shim.cpp")
class Threads(ProcessTest):
    def test_many_threads_to_a_core_are_not_started(self):
        done = self.job.run(*SHORT, self.out(), "--seed", small_job.SEED, environment={"OMP_NUM_THREADS": "100000"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("more would only slow each other down"), 1, done.stderr)

    def test_fewer_threads_give_the_same_bytes(self):
        whole = (self.job.folder / "record" / "final_model.int6.bin").read_bytes()
        for first in range(1, 8):
            out = f"{self.out()}_{first}"
            done = self.job.run(*SHORT, out, "--seed", small_job.SEED, environment={
                "LD_PRELOAD": SHIM, "FAULT_KIND": "thread", "FAULT_AT": str(first), "FAULT_ERRNO": "11", "OMP_NUM_THREADS": "6"})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count("see ulimit -u"), 1, done.stderr)
            self.assertEqual((self.job.folder / out / "final_model.int6.bin").read_bytes(), whole)


if __name__ == "__main__":
    sys.argv = [sys.argv[0], *sys.argv[(3 if SHIM else 2):]]
    unittest.main()
