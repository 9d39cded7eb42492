#!/usr/bin/env python3
"""A report is one HTML page that needs nothing else, whatever the strings in its records are.

  report_test.py PROGRAM ROOT

Each page is parsed as HTML: tags close in order, no element that loads or runs anything, no address outside the page. Its
figures are parsed as XML. Where Chromium is installed it shows the page as well; where it is not, the test says so.
"""
import html.parser
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

VOID = {'meta', 'circle', 'line', 'path', 'rect'}
ALLOWED = VOID | {'html', 'head', 'title', 'style', 'body', 'h1', 'h2', 'h3', 'p', 'pre', 'table', 'tr', 'td', 'th', 'svg', 'text'}
HOSTILE = '</title><script>alert(1)</script><img src=x onerror=alert(2)> "\'&amp; \x1b[2J `${x}` \u202e'


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.text = [], [], []
        self.feed(text)
        self.close()
        self.faults += [f'not closed: {tag}' for tag in self.open]

    def handle_starttag(self, tag, attributes):
        if tag not in ALLOWED:
            self.faults.append(f'element {tag}')
        for key, value in attributes:
            if key.startswith('on') or key in ('src', 'href', 'style', 'srcset', 'action', 'data') or 'url(' in (value or ''):
                self.faults.append(f'attribute {key}="{value}" of {tag}')
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f'closed out of order: {tag}')

    def handle_data(self, data):
        self.text.append(data)


def make_hostile_record(folder):
    folder.mkdir()
    result = {'val_bpb': 1.5, 'val_loss': 2.5, 'steps': 2, 'artifact_bytes': 9}
    (folder / 'submission.json').write_text(json.dumps(
        {'name': HOSTILE, 'blurb': HOSTILE, 'hardware': HOSTILE, 'date': HOSTILE, 'seed_results': {HOSTILE: result},
         'bytes_model': 5, 'bytes_code': 4, 'bytes_cap': -1e300, 'total_time_s': 1e308}))
    events = [{'event': 'start'}, {'event': 'step', 'step': 1, 'loss_nats': 3, 'train_s': 1, 'tokens_per_s': 1e308},
              {'event': 'step', 'step': 2, 'loss_nats': 1e300, 'train_s': -2, 'lr_multiplier': 1},
              {'event': 'validation', 'step': -7, 'val_loss_nats': 'x'},
              {'event': 'quantized', 'tensor': HOSTILE, 'bytes': 5, 'weights': 4},
              {'event': 'score', 'stage': HOSTILE, 'bits_per_byte': 1.5}]
    (folder / 'run.jsonl').write_text('\n'.join(map(json.dumps, events)) + '\n{"event":"step","st')
    (folder / 'recipe.toml').write_text('[record]\nname = ' + json.dumps(HOSTILE) + '\n')
    (folder / 'tape.jsonl').symlink_to('/etc/passwd')


def check(condition, message):
    if not condition:
        raise SystemExit(f'report_test: {message}')


def check_page(path, wanted):
    text = path.read_text(encoding='utf-8')
    page = Page(text)
    check(not page.faults, f'{path.name}: {page.faults[:5]}')
    for part in text.split('<svg')[1:]:
        xml.etree.ElementTree.fromstring('<svg' + part[:part.index('</svg>')] + '</svg>')
    check(text.count('<svg') >= 3, f'{path.name} has {text.count("<svg")} figures')
    shown = ''.join(page.text)
    for word in wanted:
        check(word in shown, f'{path.name} does not show "{word}"')
    check('\x1b' not in text, f'{path.name} has a control character')
    check('http' not in text.replace('http-equiv', ''), f'{path.name} names an address')
    return text


def show_in_chromium(path, wanted):
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    if chromium is None:
        print('report_test: no Chromium here, the page was not shown in it')
        return
    done = subprocess.run([chromium, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', path.resolve().as_uri()],
                          capture_output=True, text=True, timeout=60, check=False)
    for word in wanted:
        check(word in done.stdout, f'Chromium does not show "{word}" of {path.name}: {done.stderr[-300:]}')


def main(program, root):
    def run(*words):
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)

    records = sorted((pathlib.Path(root) / 'records').glob('cpu_10min_1mb/*/web_seed42'))
    check(len(records) >= 2, 'no committed records')
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = run('report', *records, '--out', folder / 'two.html')
        check(done.returncode == 0, done.stderr)
        wanted = ['1.447518', '1.477298', 'Loss against time', 'Exact gains', 'ttt.lr', '0.002', 'counted code']
        check_page(folder / 'two.html', wanted)
        show_in_chromium(folder / 'two.html', wanted)
        first = (folder / 'two.html').read_bytes()
        run('report', *records, '--out', folder / 'two.html')
        check((folder / 'two.html').read_bytes() == first, 'the same records give another page')

        make_hostile_record(folder / 'hostile')
        done = run('report', folder / 'hostile', records[0], '--out', folder / 'hostile.html')
        check(done.returncode == 0, done.stderr)
        check_page(folder / 'hostile.html', ['<script>alert(1)</script>', 'onerror=alert(2)'])

        (folder / 'empty').mkdir()
        done = run('report', folder / 'empty', '--out', folder / 'none.html')
        check(done.returncode == 1 and 'nothing of a run' in done.stderr and not (folder / 'none.html').exists(), done.stderr)
    print('report_test: pages need nothing beside themselves')


if __name__ == '__main__':
    main(*sys.argv[1:])
