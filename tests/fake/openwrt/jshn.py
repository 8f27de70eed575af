#!/usr/bin/env python3
"""The half of the double of jshn that is not shell.

jshn.py dump                    the steps on standard input, as JSON in the layout of json-c
jshn.py check TEXT              is it a JSON object?
jshn.py get TEXT PATH NAME      one value, and a dot behind it, so that a shell keeps its line breaks
jshn.py type TEXT PATH NAME
jshn.py keys TEXT PATH          as jshn names them: what is no letter or digit is _
"""
import json
import re
import sys

STEP, PART = '\036', '\037'


def text(s):
    return json.dumps(s, ensure_ascii=False).replace('/', '\\/')


def show(v):
    if isinstance(v, dict):
        return '{ ' + ', '.join(text(k) + ': ' + show(x) for k, x in v.items()) + ' }' if v else '{ }'
    if isinstance(v, list):
        return '[ ' + ', '.join(show(x) for x in v) + ' ]' if v else '[ ]'
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, float):
        return '%.17g' % v
    return text(v) if isinstance(v, str) else str(v)


def dump():
    root = {}
    open_ones = [root]
    for step in sys.stdin.read().split(STEP)[:-1]:
        kind, name, value = step.split(PART)
        if kind == 'close':
            open_ones.pop()
            continue
        made = {'object': dict, 'array': list, 'string': lambda: value, 'int': lambda: int(value),
                'boolean': lambda: value == '1', 'double': lambda: float(value)}[kind]()
        if isinstance(open_ones[-1], list):
            open_ones[-1].append(made)
        else:
            open_ones[-1][name] = made
        if kind in ('object', 'array'):
            open_ones.append(made)
    if len(open_ones) != 1:
        sys.exit('jshn.py: %d not closed' % (len(open_ones) - 1))
    print(show(root))


def shell_name(key):
    return re.sub('[^A-Za-z0-9]', '_', key)


def at(doc, path):
    for part in path.split(PART)[1:]:
        doc = {shell_name(k): v for k, v in doc.items()}[part]
    return {shell_name(k): v for k, v in doc.items()}


def main(verb, *args):
    if verb == 'dump':
        return dump()
    try:
        doc = json.loads(args[0])
    except ValueError:
        sys.exit('Failed to parse message data')
    if not isinstance(doc, dict):
        sys.exit('Failed to parse message data')
    if verb == 'check':
        return None
    here = at(doc, args[1])
    if verb == 'keys':
        print(' '.join(here))
        return None
    if args[2] not in here:
        sys.exit(1)
    value = here[args[2]]
    if verb == 'type':
        print({dict: 'object', list: 'array', str: 'string', bool: 'boolean', int: 'int', float: 'double'}.get(type(value), 'null'))
    else:
        print(int(value) if isinstance(value, bool) else '%f' % value if isinstance(value, float) else value, end='.')
    return None


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
