#!/usr/bin/env python3
"""Builds the program whose sources it carries, and runs it.

  python3 train_gpt.py                      trains, packs and scores by the recipe below; SEED and the other variables
                                            of the environment that the public scripts have count
  python3 train_gpt.py COMMAND [WORDS...]   any command of the program: eval, replay, verify, --help
  python3 train_gpt.py --unpack FOLDER      the sources and the recipe alone

The build takes a C++20 compiler, CMake, Ninja, zpaq and the libraries that packages.txt among the sources lists (Debian's
names). It goes to train_gpt_build beside this file, or to the folder that TRAIN_GPT_BUILD names, once.
"""
import base64
import fcntl
import hashlib
import io
import lzma
import os
import pathlib
import subprocess
import sys
import tarfile

RECIPE = [
@RECIPE@]
SOURCES = """\
@SOURCES@"""


def unpack(folder):
    packed = base64.b85decode(SOURCES.replace('\n', ''))
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(packed))) as archive:
        archive.extractall(folder)
    (folder / 'recipe.toml').write_text('\n'.join(RECIPE) + '\n', encoding='utf-8')


def build():
    """The folder with the program. Of several ranks that start at once the first builds, the others wait for it."""
    above = os.environ.get('TRAIN_GPT_BUILD') or pathlib.Path(__file__).resolve().parent / 'train_gpt_build'
    name = hashlib.sha256(('\n'.join(RECIPE) + SOURCES).encode()).hexdigest()[:16]
    folder = pathlib.Path(above).resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / 'built').exists():
            unpack(folder)
            for command in (['-S', folder, '-B', folder / 'build', '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release',
                             '-DBUILD_TESTING=OFF'],
                            ['--build', folder / 'build', '--target', 'train_gpt']):
                subprocess.run(['cmake', *map(str, command)], check=True, stdout=sys.stderr)
            (folder / 'built').touch()
    return folder


def main(words):
    if words[:1] == ['--unpack'] and len(words) == 2:
        folder = pathlib.Path(words[1])
        folder.mkdir(parents=True, exist_ok=True)
        return unpack(folder)
    folder = build()
    program = str(folder / 'build' / 'train_gpt')
    os.execv(program, [program, *(words or ['run', str(folder / 'recipe.toml')])])


if __name__ == '__main__':
    main(sys.argv[1:])
