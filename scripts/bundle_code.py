#!/usr/bin/env python3
"""Packs the sources that count against the cap into one C++ file for each set of features, compressed.

  bundle_code.py pack ROOT LIST FOLDER CPP   write the bundles and a C++ file that holds their bytes
  bundle_code.py sizes ROOT LIST [SET [FOLDER]]
                                             what each folder adds to a set's bundle, or each file of one folder
  bundle_code.py verify BUNDLE SCORER COMPILER ARGUMENTS...
                                             unpack the bundle in an empty folder and build the scorer from it, which
                                             is left at SCORER

A bundle is a zpaq archive with one file, score_artifact.cpp. `zpaq x` takes it out and one command compiles it. It is what
the counted sources become when each header stands where it is read first, and when what only people need is left out, as the
challenge's records do: comments, white space, the help of recipe keys, messages of checks, the words of errors (numbers stand
for them; `train_gpt` has the words), long names (short ones stand for them). Same sources, same bytes.
"""

import concurrent.futures
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import counted_text

# The models of the archive, in zpaq's words; chosen on the counted text itself, in hundreds of trials.
METHOD = ('s1,0'                                 # a streaming archive, which has no journal; the text as it is
          'a28'                                  # the longest match
          'c0,0,255,0,255c0,0,0,255,255'         # bytes 1 and 3 back; 2 and 3
          'w2.65.58.255.20'                      # words, in the case they have
          'c0,1040,255c0,1059,255'               # how far behind the last ( and ; and the byte before
          'c0,0,224,224,224,255'                 # kinds of bytes
          'ci1,1,1,1,1,1,2a'                     # orders 0 to 6 and 8, a match
          'c255w2.95.28.255.20i2c0,0,0,255i1c32,0,255'
          'mm16ts19t0')                          # mixers

# Sections of the list: [all], and for each feature what is added with it and what without it. What a feature needs of a
# source that others need too stands between marks there: counted_text.MARK.
FEATURES = counted_text.FEATURES
CODERS = ('own', 'zstd', 'lzma')  # a set has one; "plain" is that of our own coder
SETS = {('_'.join(features) or 'plain') + ('' if coder == 'own' else f'_{coder}'): (*features, coder)
        for coder in CODERS
        for count in range(len(FEATURES) + 1)
        for features in itertools.combinations(FEATURES, count)}
SOURCES = ('.h', '.inc', '.cpp')


def list_set(root, list_path, features):
    """Files of a set of features, sorted. A line names a file or a folder, without its subfolders."""
    names = set()
    section = ''
    for line in pathlib.Path(list_path).read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('['):
            section = line.strip('[]')
            if section != 'all' and section.removeprefix('without ') not in FEATURES + CODERS:
                raise SystemExit(f'unknown section: "{line}" of "{list_path}"; known are [all], and for each of '
                                 f'{", ".join(FEATURES + CODERS)}: [it], [without it]')
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
    return drop_unread_headers(root, names, features)


def drop_unread_headers(root, names, features):
    """The sources and the headers that they include, through others or directly; sorted."""
    read = set()
    pending = [name for name in names if name.endswith('.cpp')]
    while pending:
        name = pending.pop()
        if name not in read:
            read.add(name)
            text = counted_text.keep_features((root / name).read_text(), features, name)
            pending += [header for header in counted_text.INCLUDE.findall(text) if header in names]
    return sorted(read)


def compress(text):
    """The bytes of a zpaq archive with the text as its one file. Nothing of the machine or of the day is in it."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, 'score_artifact.cpp')
        source.write_text(text)
        os.utime(source, (0, 0))
        done = subprocess.run(['zpaq', 'add', 'code.zpaq', source.name, '-method', METHOD, '-noattributes', '-threads', '1'],
                              cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f'zpaq does not pack the counted code: {done.stderr.strip()}')
        return pathlib.Path(folder, 'code.zpaq').read_bytes()


def make_text(root, names, features, left_out=()):
    joined = counted_text.join_sources(root, names, features, left_out)
    return counted_text.shorten_names(counted_text.strip_cpp(joined))


def make_bundle(root, list_path, features):
    """The files of a set, and the bytes of its bundle."""
    names = list_set(root, list_path, features)
    return names, compress(make_text(root, names, features))


def pack(root, list_path, folder, cpp_path):
    root = pathlib.Path(root)
    arrays, rows = [], []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        bundles = list(pool.map(make_bundle, itertools.repeat(root), itertools.repeat(list_path), SETS.values()))
    for (name, features), (sources, bundle) in zip(SETS.items(), bundles):
        (pathlib.Path(folder) / f'code_bundle_{name}.zpaq').write_bytes(bundle)
        lines = [', '.join(str(b) for b in bundle[i:i + 24]) for i in range(0, len(bundle), 24)]
        array = 'k' + ''.join(word.capitalize() for word in name.split('_'))
        arrays.append(f'constexpr uint8_t {array}[] = {{\n    ' + ',\n    '.join(lines) + '};\n')
        flags = ', '.join([*(str(f in features).lower() for f in FEATURES), f'Coder::k{features[-1].capitalize()}'])
        rows.append(f'    {{{{{flags}}}, {array}, {len(sources)}}},\n')
        print(f'code bundle, {name}: {len(sources)} files, {len(bundle)} bytes counted')
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


def print_sizes(root, list_path, set_name, in_folder=None):
    """Bytes that each folder, or each file of one, adds to the bundle; what several share counts for none of them."""
    if set_name not in SETS:
        raise SystemExit(f'unknown set of features: "{set_name}"; known are {", ".join(SETS)}')
    root = pathlib.Path(root)
    features = SETS[set_name]
    names = list_set(root, list_path, features)
    parts = {}
    for name in names:
        folder = name.rpartition('/')[0]
        if in_folder is None or folder == in_folder:
            parts.setdefault(folder if in_folder is None else name, []).append(name)
    if not parts:
        raise SystemExit(f'no counted sources in "{in_folder}"; without a folder all are shown')
    total = len(compress(make_text(root, names, features)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        rests = pool.map(lambda part: len(compress(make_text(root, names, features, part))), parts.values())
        for name, rest in zip(parts, rests):
            print(f'{total - rest:>7,}  {name}', flush=True)
    print(f'{total:>7,}  all of "{set_name}"')


def verify(bundle_path, scorer_path, compiler, arguments):
    """arguments: compiler flags, then "--", then what to link with."""
    flags, libraries = arguments, []
    if '--' in arguments:
        at = arguments.index('--')
        flags, libraries = arguments[:at], arguments[at + 1:]
    with tempfile.TemporaryDirectory() as folder:
        bundle = pathlib.Path(bundle_path).resolve()
        subprocess.run(['zpaq', 'x', bundle], cwd=folder, check=True, capture_output=True)
        built = subprocess.run([compiler, '-O0', *flags, 'score_artifact.cpp', '-o', 'score_artifact', *libraries],
                               cwd=folder)
        if built.returncode != 0:
            raise SystemExit('the counted sources do not build the scorer: where a name is defined twice, two sources give it; '
                             'where one is not declared, add it to quant/artifact_sources.txt or, if a library has it, to '
                             'KEPT_NAMES of scripts/counted_text.py')
        usage = subprocess.run(['./score_artifact'], cwd=folder, capture_output=True, text=True)
        if usage.returncode != 2 or not usage.stderr.startswith('usage:'):
            raise SystemExit(f'the scorer built from the bundle does not run: "{usage.stderr}"')
        shutil.copy(pathlib.Path(folder) / 'score_artifact', scorer_path)
        print(f'code bundle: {bundle.name} builds the scorer')


def main(arguments):
    if len(arguments) == 5 and arguments[0] == 'pack':
        pack(*arguments[1:])
    elif 3 <= len(arguments) <= 5 and arguments[0] == 'sizes':
        print_sizes(*arguments[1:3], *(arguments[3:] or ['learns_mixes']))
    elif len(arguments) >= 4 and arguments[0] == 'verify':
        verify(*arguments[1:4], arguments[4:])
    else:
        raise SystemExit(__doc__)


if __name__ == '__main__':
    main(sys.argv[1:])
