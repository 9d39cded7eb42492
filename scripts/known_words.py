#!/usr/bin/env python3
"""Which share of a text's words occur in a corpus: whether a model writes words or only letters.

  known_words.py CORPUS.jsonl [TEXT]     TEXT: a file; without it, stdin

Words are runs of letters and apostrophes, in lower case. Prints the share and the words that the
corpus does not know.
"""
import json
import re
import sys

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def list_words(text):
    return WORD.findall(text.lower())


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    if len(arguments) == 2:
        with open(arguments[1], encoding="utf-8") as file:
            words = list_words(file.read())
    else:
        words = list_words(sys.stdin.buffer.read().decode("utf-8", "replace"))
    if not words:
        sys.exit("no words in the text; give a text with words")
    known = set()
    with open(arguments[0], encoding="utf-8") as corpus:
        for line in corpus:
            known.update(list_words(json.loads(line)["text"]))
    unknown = [word for word in words if word not in known]
    share = 100 * (len(words) - len(unknown)) / len(words)
    print(f"{share:.0f} % of its {len(words)} words occur in the training text"
          + (f"; not {', '.join(sorted(set(unknown)))}" if unknown else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
