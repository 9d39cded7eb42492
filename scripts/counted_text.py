"""The counted sources as one C++ text, and that text without what only people need."""

import itertools
import re

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
INCLUDE = re.compile(r'^[ \t]*#\s*include\s*"([^"]+)".*\n', re.MULTILINE)
SYSTEM_INCLUDE = re.compile(r'^[ \t]*#\s*include\s*<[^>]+>.*\n', re.MULTILINE)
PRAGMA_ONCE = re.compile(r'^#pragma once\n', re.MULTILINE)
# Of a row in a table of keys: what is shown to people, which a scorer never does.
HELP = re.compile(r',?\s*\.(?:help|env|unit) = (?:"(?:\\.|[^"\\\n])*"\s*)+')
CHECK = re.compile(r'\bPG_D?CHECK\((?!condition)')
MESSAGE = re.compile(r'(?:\s*"(?:\\.|[^"\\\n])*")+\s*')
# What carries an error's words, and a literal with words in it.
ERROR = re.compile(r'\b(?:Error|Failure|describe_damage)\s*[({]')
WORDS = re.compile(r'"[^"\\\n]* (?:\\.|[^"\\\n])*"')
# What changes no program that compiles.
KEYWORDS = re.compile(r'\[\[nodiscard\]\]|\b(?:override|final)\b(?=\s*[;{:=])|^ (?:private|protected):\n', re.MULTILINE)
UNNAMED = re.compile(r'^namespace {\n|^}  // namespace\n', re.MULTILINE)
CLOSING = re.compile(r'^}  // namespace pg\n', re.MULTILINE)
CLOSED = '\x01'  # stands for it until the namespaces that follow each other are one
MAIN = 'eval/scorer/score_artifact.cpp'
# Lines of a source that only a set with the feature holds stand between "// <parts>" and "// </parts>"; what only train_gpt
# needs, which no set holds, between "// <train_gpt>" and "// </train_gpt>".
FEATURES = ('learns', 'mixes', 'parts')
MARKED = (*FEATURES, 'train_gpt')
MARK = re.compile(r'^[ \t]*// <(/?)(\w+)>\n', re.MULTILINE)
OPERATOR = frozenset('+-*/%&|^!<>=:.#')

# Names as STYLE has them: members_, kConstants, PG_MACROS, Types, and functions and variables of several_words.
OWN_NAME = re.compile(r'[a-zA-Z]\w*_|k[A-Z]\w*|PG_\w+|[A-Z][a-z0-9]\w*|[a-z][a-z0-9]*_\w*')
# Names of that look that libraries and the language gave: behind std:: or fmt::, of a family, and the others.
STANDARD_NAME = re.compile(r'\b(?:std|fmt|sentencepiece)(?:::\w+)*::(\w+)')
LIBRARY_NAME = re.compile(r'(?:lzma|ZSTD)_\w+')
KEPT_NAMES = frozenset('''
    do if or jn tm yn
    const_cast reinterpret_cast static_assert static_cast thread_local always_inline this_thread vector_size
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t ssize_t
    c_str chars_format emplace_back ends_with find_first_not_of has_value is_integral is_same out_of_range pop_back push_back
    quiet_NaN remove_prefix size_bytes starts_with try_emplace value_or compare_exchange_weak fetch_add notify_all owns_lock
    st_mode st_size strerror_r dict_size
    EncodeAsPieces GetPieceSize IdToPiece IsByte IsControl IsUnknown IsUnused LoadFromSerializedProto bos_id unk_id
'''.split())
LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'


def keep_features(text, features, name):
    """The text without the marked lines of other features. Marks do not stand within each other."""
    out = []
    at = 0
    opened = None  # the feature
    for mark in MARK.finditer(text):
        closes, feature = mark.groups()
        if feature not in MARKED:
            raise SystemExit(f'"{name}": "{mark.group().strip()}" names no feature; known are {", ".join(MARKED)}')
        if bool(closes) != (opened is not None) or (closes and feature != opened):
            raise SystemExit(f'"{name}": "{mark.group().strip()}" has no mark that it belongs to; marked lines stand between '
                             f'"// <{feature}>" and "// </{feature}>"')
        if not closes or feature in features:
            out.append(text[at:mark.start()])
        at = mark.end()
        opened = None if closes else feature
    if opened is not None:
        raise SystemExit(f'"{name}": "// <{opened}>" is not closed; add "// </{opened}>"')
    return ''.join(out) + text[at:]


def join_sources(root, names, features, left_out=()):
    """One text: each source in order, each header of the list where it is read first, system headers at the top; without
    what is marked as another feature's. One file has no names of its own, so its unnamed namespaces go; two of one name do
    not compile. `left_out`: sources whose own lines do not enter, to see what they weigh."""
    system_lines = set()
    seen = set()
    errors = itertools.count(1)

    def emit(name):
        text = keep_features(PRAGMA_ONCE.sub('', (root / name).read_text()), features, name)
        if name != MAIN:
            text = CLOSING.sub(CLOSED, UNNAMED.sub('', text))
        text = number_errors(text, errors, also_sentences=name != MAIN)
        depth = 0
        lines = []
        for line in text.splitlines(keepends=True):
            depth += bool(re.match(r'\s*#\s*if', line)) - bool(re.match(r'\s*#\s*endif', line))
            header = INCLUDE.match(line)
            if header:
                path = header.group(1)
                if path not in names:
                    raise SystemExit(f'"{name}" includes "{path}", which is not in the bundle; add it to '
                                     'quant/artifact_sources.txt')
                # What ends in .inc is read with other macros each time.
                if path not in seen or path.endswith('.inc'):
                    seen.add(path)
                    lines.append(emit(path))
            elif SYSTEM_INCLUDE.match(line) and depth == 0 and name not in left_out:
                system_lines.add(line.strip())
            elif name not in left_out:
                lines.append(line)
        return ''.join(lines)

    text = '\n'.join(emit(name) for name in names if name.endswith('.cpp'))
    return '\n'.join(sorted(system_lines)) + '\n' + text


def closing(text, start):
    """Where the bracket closes that stands open at `start`, and the commas between, outside of inner brackets."""
    depth, commas, end = 1, [], start
    while depth > 0:
        token = TOKEN.match(text, end)
        depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(token.group(), 0)
        if token.group() == ',' and depth == 1:
            commas.append(end)
        end = token.end()
    return end - 1, commas


def strip_checks(text):
    """Checks without their messages, where those are literals: for programmers, who have the whole source."""
    out = []
    at = 0
    for match in CHECK.finditer(text):
        end, commas = closing(text, match.end())
        if commas and MESSAGE.fullmatch(text, commas[-1] + 1, end):
            out += [text[at:commas[-1] + 1], '""']
            at = end
    return ''.join(out) + text[at:]


def number_errors(text, numbers, also_sentences):
    """Errors without their words: each has a number, in the order of the text."""
    out = []
    at = 0
    for match in ERROR.finditer(text):
        if match.start() < at:
            continue
        end, _ = closing(text, match.end())
        if WORDS.search(text, match.end(), end):
            out += [text[at:match.end()], f'"{next(numbers)}"']
            at = end
    text = ''.join(out) + text[at:]
    if not also_sentences:
        return text
    tokens = TOKEN.finditer(text)
    return ''.join(f'"{next(numbers)}"' if is_sentence(match) else match.group() for match in tokens)


def is_sentence(token):
    """Words for people, and no pattern that others fill in."""
    return token.lastgroup == 'string' and token.group().count(' ') > 1 and '{' not in token.group()


def needs_gap(before, after):
    """Whether two tokens would be read as others if nothing stood between them."""
    if before in OPERATOR:
        return after in OPERATOR
    return (before.isalnum() or before in '_"') and (after.isalnum() or after in '_"')


def strip_cpp(text):
    """The same tokens; white space between them only where it means something."""
    out = []
    gap = ''
    in_directive = goes_on = False
    text = KEYWORDS.sub('', strip_checks(re.sub(r'{,\s*', '{', HELP.sub('', text))))
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
    return ''.join(out).replace(CLOSED + 'namespace pg{', '').replace(CLOSED, '}') + '\n'


def is_own(name):
    return OWN_NAME.fullmatch(name) and not LIBRARY_NAME.fullmatch(name)


def shorten_names(text):
    """Names that only the project can have given, by its style, become short ones, in the order in which they are read."""
    tokens = [(match.lastgroup, match.group()) for match in TOKEN.finditer(text)]
    words = {token for group, token in tokens if group == 'word'}
    kept = KEPT_NAMES | set(STANDARD_NAME.findall(text)) | set(re.findall(r'\w+', ''.join(SYSTEM_INCLUDE.findall(text))))
    short = (''.join(letters) for letters in itertools.product(LETTERS, repeat=2))
    short = (name for name in short if name not in words and name not in KEPT_NAMES)
    names = {}
    for group, token in tokens:
        if group == 'word' and token not in names and token not in kept and is_own(token):
            names[token] = next(short)
    return ''.join(names.get(token, token) for _, token in tokens)
