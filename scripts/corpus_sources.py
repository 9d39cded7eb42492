"""English prose out of the files of some Debian packages: one source a package.

A source lists the parts of the folder a package was unpacked in (mostly its files), and reads one
part into (key, paragraphs); the key names the page, chapter or block. Parts are independent, so that
they can be read on all cores. Manuals are full of code, tables, options and names, which a small model
would spend its capacity on, so is_prose is strict: it keeps whole sentences only, and of them those
made of words.
"""
import bz2
import collections
import functools
import glob
import gzip
import html.parser
import lzma
import os
import re
import struct
import zlib


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


def read_text(path):
    opener = gzip.open if path.endswith((".gz", ".dz")) else open
    with opener(path, "rb") as file:
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# Marks of addresses, tags, code and broken encodings; letters beyond Latin, Greek and punctuation.
UNWANTED = re.compile(r"https?:|ftp[.:]|\w@\w|</?\w+>|[{}\u00c2\u00c3\ufffd]"
                      r"|[\u0400-\u1fff\u2e00-\uffff]")
CODE_WORD = re.compile(r"[_=<>\\|$@%*^~`#/+]|\w\(|::|->|\w\.\w")


def is_prose(text):
    """8 words or more that begin and end like sentences: mostly letters, little code, few names."""
    words = text.split()
    if len(words) < 8 or text[0].islower() or not re.search(r"[.!?][\"'\u2019\u201d)\]]*$", text):
        return False
    if UNWANTED.search(text) or sum(c.isalpha() or c == " " for c in text) < 0.85 * len(text):
        return False
    code_words = sum(bool(CODE_WORD.search(word)) for word in words)
    names = sum(word[0].isupper() for word in words)
    return code_words <= 0.15 * len(words) and names <= 0.4 * len(words)


class ParagraphParser(html.parser.HTMLParser):
    """Text of <p> elements outside tables, code and navigation."""

    SKIPPED = {"script", "style", "head", "pre", "table", "nav", "dt", "form"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs = []
        self.skip_depth = 0
        self.current = None

    def handle_starttag(self, tag, attrs):
        if tag in self.SKIPPED:
            self.skip_depth += 1
        if tag == "p":
            self.finish_paragraph()
            self.current = []

    def handle_endtag(self, tag):
        if tag in self.SKIPPED:
            self.skip_depth = max(0, self.skip_depth - 1)
        if tag in ("p", "div", "li", "dd"):
            self.finish_paragraph()

    def handle_data(self, data):
        if self.current is not None and self.skip_depth == 0:
            self.current.append(data)

    def finish_paragraph(self):
        if self.current:
            self.paragraphs.append(squeeze("".join(self.current)).replace("\u00b6", ""))
        self.current = None


CHANGE_NOTE = re.compile(r"(Changed|New|Added|Deprecated) (in|since) version")


# list_parts(root) -> parts in a fixed order; read_part(root, part) yields (key, paragraphs).
Source = collections.namedtuple("Source", "list_parts read_part")


def list_files(root, pattern):
    return sorted(glob.glob(os.path.join(root, pattern), recursive=True))


def make_html_source(pattern, skipped_page, source):
    return Source(functools.partial(list_files, pattern=pattern),
                  functools.partial(read_html, skipped_page=skipped_page, source=source))


def read_html(root, path, skipped_page, source):
    page = path[len(root):].split("/html/", 1)[-1]
    if re.search(skipped_page, page):
        return
    parser = ParagraphParser()
    parser.feed(read_text(path))
    parser.close()
    paragraphs = [p for p in parser.paragraphs if is_prose(p) and not CHANGE_NOTE.match(p)]
    yield f"{source}/{page}", paragraphs


# Release notes are lists of changes, and the copyright page stands on every site.
POSTGRESQL = make_html_source(
    "usr/share/doc/postgresql-doc-*/html/*.html",
    r"^(bookindex|index|release|legalnotice|biblio|contrib-prog|features|sql-keyw|acro)",
    "postgresql")

PYTHON = make_html_source(
    "usr/share/doc/python3*/html/**/*.html",
    r"^(genindex|contents|search|py-modindex|license|copyright|about|bugs|download|index|_)"
    r"|changelog",
    "python")


class RDataReader:
    """Just enough of R's serialize() format (big-endian XDR) for vectors, lists and attributes."""

    def __init__(self, data):
        self.data, self.at, self.symbols = data, 0, []
        if self.take(2) != b"X\n":
            raise SystemExit("r-cran-janeaustenr has an unknown data format; "
                             "report the version of the package")
        version = self.read_int()
        self.at += 8  # versions of R
        if version == 3:
            self.take(self.read_int())  # native encoding

    def read_int(self):
        self.at += 4
        return struct.unpack_from(">i", self.data, self.at - 4)[0]

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def read_item(self):
        flags = self.read_int()
        kind = flags & 255
        if kind == 254:  # NULL
            return None
        if kind == 255:  # reference to an earlier symbol
            return self.symbols[(flags >> 8 or self.read_int()) - 1]
        if kind == 1:  # symbol
            self.symbols.append(self.read_item())
            return self.symbols[-1]
        if kind == 9:  # character string
            count = self.read_int()
            return None if count == -1 else self.take(count).decode("utf-8", "replace")
        if kind in (10, 13, 16, 19):
            return self.read_vector(kind, has_attributes=bool(flags & 0x200))
        if kind == 2:
            return self.read_pairs(flags)
        raise SystemExit(f"r-cran-janeaustenr holds an unknown R type: {kind}; "
                         "report the version of the package")

    def read_vector(self, kind, has_attributes):
        count = self.read_int()
        if kind in (10, 13):  # logical, integer
            values = struct.unpack(f">{count}i", self.take(4 * count))
        else:  # strings, list
            values = [self.read_item() for _ in range(count)]
        attributes = self.read_item() if has_attributes else None
        return (values, attributes) if kind == 19 else values

    def read_pairs(self, flags):
        pairs = {}
        while flags & 255 == 2:
            if flags & 0x200:
                self.read_item()
            key = self.read_item() if flags & 0x400 else None
            pairs[key] = self.read_item()
            flags = self.read_int()
        return pairs


def unpack_r_block(block):
    """A compressed object of an .rdb file: 4 bytes of size, then perhaps a letter of the method."""
    if block[4:5] == b"Z":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
        return lzma.decompress(block[5:], format=lzma.FORMAT_RAW, filters=filters)
    if block[4:5] == b"2":
        return bz2.decompress(block[5:])
    return zlib.decompress(block[4:])


AUSTEN_STEM = "usr/lib/R/site-library/janeaustenr/data/Rdata"


def list_books(root):
    with open(os.path.join(root, AUSTEN_STEM + ".rdx"), "rb") as file:
        index, attributes = RDataReader(zlib.decompress(file.read(), 47)).read_item()
    where, names = index[attributes["names"].index("variables")]
    return sorted(zip(names["names"], where))


def read_book(root, part):
    name, (offset, size) = part
    with open(os.path.join(root, AUSTEN_STEM + ".rdb"), "rb") as file:
        file.seek(offset)
        book = RDataReader(unpack_r_block(file.read(size))).read_item()
    if not isinstance(book, list):
        return
    chapters = re.split(r"\n(?=(?:CHAPTER|Chapter|VOLUME)\b)", "\n".join(book))
    for number, chapter in enumerate(chapters):
        text = chapter.replace("_", "")  # marks of italics
        paragraphs = [squeeze(p) for p in re.split(r"\n\s*\n", text) if p.strip()]
        yield f"austen/{name}/{number}", paragraphs


AUSTEN = Source(list_books, read_book)

# Left out: pictures, chats, nonsense, verse, and jokes at the expense of people.
SKIPPED_FORTUNES = {"ascii-art", "debian", "drugs", "ethnic", "knghtbrd", "love", "men-women",
                    "politics", "songs-poems", "translate-me", "zippy"}
FORTUNES_PER_DOCUMENT = 12


def is_saying(text):
    """Shorter than prose, and often without a full stop: the author follows after a dash."""
    letters = sum(c.isalpha() or c == " " for c in text)
    has_marks = UNWANTED.search(text) or re.search(r"[|\\_*=<>~#$\x00-\x1f]", text)
    return len(text) >= 40 and letters >= 0.88 * len(text) and not has_marks


def read_fortunes(root, path):
    name = os.path.basename(path)
    if "." in name or os.path.islink(path) or name in SKIPPED_FORTUNES:
        return
    text = re.sub(r".\x08", "", read_text(path))  # overstriking
    sayings = [s for s in map(squeeze, text.split("\n%\n")) if is_saying(s)]
    for first in range(0, len(sayings), FORTUNES_PER_DOCUMENT):
        yield f"fortunes/{name}/{first}", sayings[first:first + FORTUNES_PER_DOCUMENT]


FORTUNES = Source(functools.partial(list_files, pattern="usr/share/games/fortunes/*"),
                  read_fortunes)

POD_ESCAPES = {"lt": "<", "gt": ">", "sol": "/", "verbar": "|", "eacute": "\u00e9"}


def strip_pod(text):
    """Perl's markup: X<...>, also nested, also with longer brackets such as C<< ... >>."""
    text = re.sub(r"[A-Z]<<+\s(.*?)\s>>+", r"\1", text, flags=re.S)
    text = re.sub(r"E<(\w+)>", lambda m: POD_ESCAPES.get(m[1], ""), text)
    for _ in range(3):
        text = re.sub(r"[XZ]<[^<>]*>", "", text)
        text = re.sub(r"L<([^<>|]*)\|[^<>]*>", r"\1", text)
        text = re.sub(r"[A-Z]<([^<>]*)>", r"\1", text)
    return squeeze(text)


def read_pod(root, path):
    name = os.path.basename(path)
    if name == "perltoc.pod":  # a table of contents
        return
    blocks = re.split(r"\n\s*\n", read_text(path))
    # Code is indented, commands start with "=".
    paragraphs = [strip_pod(b) for b in blocks if b and b[0] not in " \t="]
    kept = [p for p in paragraphs if is_prose(p) and "upgraded from version" not in p]
    yield f"perl/{name}", kept


PERL = Source(functools.partial(list_files, pattern="usr/share/perl/**/*.pod"), read_pod)

ENTRIES_PER_DOCUMENT = 12


def strip_entry(block):
    """A paragraph without {link} braces, number, <field>, /pronunciation/ and closing (date)."""
    text = squeeze(re.sub(r"\{([^{}]*)\}", r"\1", squeeze(block)))
    text = re.sub(r"^(\d+\. )?(/[^/]+/ )?(<[^<>]*> )?(/[^/]+/ )?(\([^()]{1,12}\) )?", "", text)
    return re.sub(r" ?\(\d{4}-\d\d-\d\d\)$", "", text)


def read_dictionary(root, path):
    """FOLDOC: a headword at the margin, then indented paragraphs."""
    text = read_text(path)
    entries, headword = [], ""
    for block in re.split(r"\n\s*\n", text):
        if block.strip() and not block[0].isspace():
            headword = squeeze(block.split("\n")[0].split("%%%")[0])
            entries.append([])
        elif block.strip() and entries:
            paragraph = strip_entry(block)
            if is_prose(paragraph):
                entries[-1].append(paragraph if entries[-1] else f"{headword}: {paragraph}")
    entries = [e for e in entries if e][1:]  # the first describes the dictionary itself
    for first in range(0, len(entries), ENTRIES_PER_DOCUMENT):
        yield f"foldoc/{first}", [p for e in entries[first:first + ENTRIES_PER_DOCUMENT] for p in e]


DICTIONARY = Source(functools.partial(list_files, pattern="usr/share/dictd/foldoc.dict.dz"),
                    read_dictionary)
