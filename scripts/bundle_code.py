#!/usr/bin/env python3
"""Packs the sources that count against the cap into one compressed bundle for each set of features, and takes them apart again.

  bundle_code.py pack ROOT LIST FOLDER CPP   write the bundles and a C++ file that holds their bytes
  bundle_code.py sizes ROOT LIST [SET]       what each file and folder of a set's bundle adds to it
  bundle_code.py unpack BUNDLE FOLDER        write the sources
  bundle_code.py verify BUNDLE SCORER COMPILER ARGUMENTS...
                                             unpack to a temporary folder; check that every included project
                                             header is there, that each source compiles, and that they link
                                             (with what stands after "--") into a scorer, which is left at SCORER

The counted sources are stripped of comments, of white space between tokens that need none, of the help of recipe keys and of
the messages of checks, which are for programmers, as the challenge's records minify theirs; names stay. The stripped text is
still compilable C++: `verify` proves it. Same sources, same bytes.
"""

import concurrent.futures
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# One C++ token or one run of white space. Raw strings first: they may hold anything.
TOKEN = re.compile(
    r'''(?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")
      | (?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
      | (?P<space>\s+)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<number>\.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<char>'(?:\\.|[^'\\\n])+')
      | (?P<other>.)''',
    re.DOTALL | re.VERBOSE)
FILE_LINE = re.compile(r'^//@ (\S+)\n', re.MULTILINE)  # stripped text has no other comments
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# Of a row in a table of keys: what is shown to people, which a scorer never does.
HELP = re.compile(r',?\s*\.(?:help|env|unit) = (?:"(?:\\.|[^"\\\n])*"\s*)+')
CHECK = re.compile(r'\bPG_D?CHECK\((?!condition)')
MESSAGE = re.compile(r'(?:\s*"(?:\\.|[^"\\\n])*")+\s*')
OPERATOR = frozenset('+-*/%&|^!<>=:.#')

# Sections of the list: [all], and for each feature what is added with it and what without it.
FEATURES = ('learns', 'mixes')
SETS = {'plain': (), 'mixes': ('mixes',), 'learns': ('learns',), 'learns_mixes': ('learns', 'mixes')}
SOURCES = ('.h', '.inc', '.cpp')


def needs_gap(before, after):
    """Whether two tokens would be read as others if nothing stood between them."""
    if before in OPERATOR:
        return after in OPERATOR
    return (before.isalnum() or before in '_"') and (after.isalnum() or after in '_"')


def strip_messages(text):
    """Checks without their messages, where those are literals: for programmers, who have the whole source."""
    out = []
    at = 0
    for match in CHECK.finditer(text):
        depth, comma, end = 1, None, match.end()
        while depth > 0:
            token = TOKEN.match(text, end)
            depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(token.group(), 0)
            if token.group() == ',' and depth == 1:
                comma = end
            end = token.end()
        if comma is not None and MESSAGE.fullmatch(text, comma + 1, end - 1):
            out += [text[at:comma + 1], '""']
            at = end - 1
    return ''.join(out) + text[at:]


def strip_cpp(text):
    """The same tokens; white space between them only where it means something."""
    out = []
    gap = ''
    in_directive = goes_on = False
    text = strip_messages(re.sub(r'{,\s*', '{', HELP.sub('', text)))
    for match in TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup == 'comment':
            gap = gap or ' '
        elif match.lastgroup == 'space':
            gap = '\n' if '\n' in token else gap or ' '
        elif in_directive and token == '\\':
            goes_on = True  # in the next line
        else:
            if gap == '\n' and in_directive and not goes_on:
                in_directive = False
                out.append('\n')
            elif out and token == '#' and gap == '\n':
                out.append('\n')
            elif out and gap and (in_directive or needs_gap(out[-1][-1], token[0])):
                out.append(' ')
            in_directive = in_directive or (token == '#' and (not out or out[-1] == '\n'))
            out.append(token)
            gap = ''
            goes_on = False
    return ''.join(out) + '\n'


def list_set(root, list_path, features):
    """Files of a set of features, sorted. A line names a file or a folder, without its subfolders."""
    names = set()
    section = ''
    for line in pathlib.Path(list_path).read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('['):
            section = line.strip('[]')
            if section != 'all' and section.removeprefix('without ') not in FEATURES:
                raise SystemExit(f'unknown section: "{line}" of "{list_path}"; known are [all], and for each of '
                                 f'{", ".join(FEATURES)}: [it], [without it]')
            continue
        wanted = section == 'all' or section in features or (
            section.startswith('without ') and section.removeprefix('without ') not in features)
        if not line or not wanted:
            continue
        path = root / line
        found = [path] if path.is_file() else [f for f in path.glob('*') if f.suffix in SOURCES]
        if not found:
            raise SystemExit(f'no sources there: "{line}" of "{list_path}"; name a folder with sources, or a file')
        names.update(f.relative_to(root).as_posix() for f in found)
    return drop_unread_headers(root, names)


def drop_unread_headers(root, names):
    """The sources and the headers that they include, through others or directly; sorted."""
    read = set()
    pending = [name for name in names if name.endswith('.cpp')]
    while pending:
        name = pending.pop()
        if name not in read:
            read.add(name)
            pending += [header for header in INCLUDE.findall((root / name).read_text()) if header in names]
    return sorted(read)


def compress(parts):
    filters = [{'id': lzma.FILTER_LZMA2, 'preset': 9 | lzma.PRESET_EXTREME, 'lc': 4, 'pb': 0}]
    return lzma.compress(''.join(parts).encode(), format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def make_parts(root, names):
    """Stripped files, each behind a line with its name."""
    parts = {name: f'//@ {name}\n' + strip_cpp((root / name).read_text()) for name in names}
    for name, part in parts.items():
        if len(FILE_LINE.findall(part)) != 1:
            raise SystemExit(f'a literal looks like the head of a file: "{name}"; write it in another way')
    return parts


def pack(root, list_path, folder, cpp_path):
    root = pathlib.Path(root)
    arrays, rows = [], []
    for name, features in SETS.items():
        parts = make_parts(root, list_set(root, list_path, features))
        bundle = compress(parts.values())
        (pathlib.Path(folder) / f'code_bundle_{name}.xz').write_bytes(bundle)
        lines = [', '.join(str(b) for b in bundle[i:i + 24]) for i in range(0, len(bundle), 24)]
        array = 'k' + ''.join(word.capitalize() for word in name.split('_'))
        arrays.append(f'constexpr uint8_t {array}[] = {{\n    ' + ',\n    '.join(lines) + '};\n')
        flags = ', '.join(str(f in features).lower() for f in FEATURES)
        rows.append(f'    {{{{{flags}}}, {array}, {len(parts)}}},\n')
        print(f'code bundle, {name}: {len(parts)} files, {len(bundle)} bytes counted')
    pathlib.Path(cpp_path).write_text(
        '// Generated by scripts/bundle_code.py from quant/artifact_sources.txt.\n'
        '#include <algorithm>\n#include <iterator>\n#include <span>\n\n'
        '#include "quant/method/seal.h"\n\n'
        'namespace pg {\nnamespace {\n\n' + '\n'.join(arrays) +
        '\nstruct CodeBundle {\n  CodeFeatures features;\n  std::span<const uint8_t> bytes;\n  int64_t files;\n};\n'
        'constexpr CodeBundle kBundles[] = {\n' + ''.join(rows) + '};\n\n'
        'const CodeBundle& find_bundle(const CodeFeatures& features) {\n'
        '  return *std::ranges::find(kBundles, features, &CodeBundle::features);\n}\n\n'
        '}  // namespace\n\n'
        'int64_t counted_code_bytes(const CodeFeatures& features) { return std::ssize(find_bundle(features).bytes); }\n'
        'int64_t counted_code_files(const CodeFeatures& features) { return find_bundle(features).files; }\n'
        'Bytes code_bundle(const CodeFeatures& features) {\n'
        '  const auto bytes = find_bundle(features).bytes;\n  return Bytes(bytes.begin(), bytes.end());\n}\n\n'
        '}  // namespace pg\n')


def print_sizes(root, list_path, set_name):
    """Bytes that each folder and file adds to the bundle; what several share counts for none of them."""
    if set_name not in SETS:
        raise SystemExit(f'unknown set of features: "{set_name}"; known are {", ".join(SETS)}')
    root = pathlib.Path(root)
    parts = make_parts(root, list_set(root, list_path, SETS[set_name]))
    total = len(compress(parts.values()))
    folders = {}
    for name in parts:
        folders.setdefault(name.rpartition('/')[0], []).append(name)
    for folder, names in folders.items():
        rest = [part for name, part in parts.items() if name not in names]
        print(f'{total - len(compress(rest)):>7,}  {folder}')
        for name in names:
            rest = [part for other, part in parts.items() if other != name]
            print(f'{total - len(compress(rest)):>11,}  {name.rpartition("/")[2]}')
    print(f'{total:>7,}  all of "{set_name}"')


def read_bundle(bundle_path):
    text = lzma.decompress(pathlib.Path(bundle_path).read_bytes()).decode()
    before, *pieces = FILE_LINE.split(text)
    if before or not pieces:
        raise SystemExit(f'not a code bundle: "{bundle_path}"; build it again')
    return {name: body.encode() for name, body in zip(pieces[::2], pieces[1::2])}


def unpack(bundle_path, folder):
    files = read_bundle(bundle_path)
    for name, body in files.items():
        if name.startswith('/') or '..' in pathlib.PurePosixPath(name).parts:
            raise SystemExit(f'bundle names a file outside its folder: "{name}"')
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return files


def verify(bundle_path, scorer_path, compiler, arguments):
    """arguments: compiler flags, then "--", then what to link with."""
    flags, libraries = arguments, []
    if '--' in arguments:
        at = arguments.index('--')
        flags, libraries = arguments[:at], arguments[at + 1:]
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(bundle_path, folder)
        missing = sorted({(name, header) for name, body in files.items()
                          for header in INCLUDE.findall(body.decode())
                          if header not in files})
        for name, header in missing:
            print(f'"{name}" includes "{header}", which is not in the bundle; '
                  'add it to quant/artifact_sources.txt')
        sources = [name for name in files if name.endswith('.cpp')]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            codes = list(pool.map(lambda name: subprocess.run(
                [compiler, '-O0', '-I.', *flags, '-c', name, '-o', name + '.o'], cwd=folder).returncode, sources))
        failed = [name for name, code in zip(sources, codes) if code != 0]
        for name in failed:
            print(f'"{name}" does not compile once stripped')
        if missing or failed:
            raise SystemExit(1)
        linked = subprocess.run([compiler, *[name + '.o' for name in sources], '-o', 'score_artifact', *libraries],
                                cwd=folder)
        if linked.returncode != 0:
            raise SystemExit('the counted sources do not link into a scorer; add what is missing to '
                             'quant/artifact_sources.txt')
        usage = subprocess.run(['./score_artifact'], cwd=folder, capture_output=True, text=True)
        if usage.returncode != 2 or not usage.stderr.startswith('usage:'):
            raise SystemExit(f'the scorer built from the bundle does not run: "{usage.stderr}"')
        shutil.copy(pathlib.Path(folder) / 'score_artifact', scorer_path)
        print(f'code bundle: {len(files)} files compile and link into a scorer')


def main(arguments):
    if len(arguments) == 5 and arguments[0] == 'pack':
        pack(*arguments[1:])
    elif len(arguments) in (3, 4) and arguments[0] == 'sizes':
        print_sizes(*arguments[1:3], arguments[3] if len(arguments) == 4 else 'learns_mixes')
    elif len(arguments) == 3 and arguments[0] == 'unpack':
        unpack(*arguments[1:])
    elif len(arguments) >= 4 and arguments[0] == 'verify':
        verify(*arguments[1:4], arguments[4:])
    else:
        raise SystemExit(__doc__)


if __name__ == '__main__':
    main(sys.argv[1:])
