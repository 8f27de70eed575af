#!/usr/bin/env python3
"""A double of procd for one instance of a service. Its state is $OPENWRT_ROOT/procd/SERVICE.

procd.py set SERVICE            the service with its instances on standard input: one that runs and has changed (its members, or the content of
                                its files) gets its reload_signal, or is restarted where it has none; none: it is stopped
procd.py signal SERVICE NAME    send it
procd.py delete SERVICE         stop it
"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.environ['OPENWRT_ROOT']


def state_file(service):
    return '%s/procd/%s' % (ROOT, service)


def load(service):
    try:
        with open(state_file(service), encoding='utf-8') as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def runs(pid):
    try:
        with open('/proc/%d/stat' % pid, encoding='utf-8') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def stop(service):
    state = load(service)
    if state and runs(state['pid']):
        os.kill(state['pid'], signal.SIGTERM)
        while runs(state['pid']):
            time.sleep(0.02)
    if state:
        os.unlink(state_file(service))


def start(service, instance, key):
    log = os.open('%s/../%s.log' % (ROOT, service), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    command = instance['command']
    if instance.get('no_new_privs') == '1':
        command = ['setpriv', '--no-new-privs'] + command
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    with open(state_file(service), 'w', encoding='utf-8') as f:
        json.dump({'pid': child.pid, 'key': key}, f)


def content(path):
    try:
        with open(path, 'rb') as f:
            return hashlib.sha256(f.read()).hexdigest()
    except FileNotFoundError:
        return None


def update(service):
    instances = json.load(sys.stdin)['instances']
    state = load(service)
    if not instances:
        stop(service)
        return
    (instance,) = instances.values()
    key = json.dumps([instance, [content(p) for p in instance.get('file', [])]])
    if not state or not runs(state['pid']):
        start(service, instance, key)
    elif state['key'] != key and instance.get('reload_signal'):
        os.kill(state['pid'], getattr(signal, 'SIG' + instance['reload_signal']))
        with open(state_file(service), 'w', encoding='utf-8') as f:
            json.dump({'pid': state['pid'], 'key': key}, f)
    elif state['key'] != key:
        stop(service)
        start(service, instance, key)


def main(verb, service, *args):
    if verb == 'delete':
        stop(service)
    elif verb == 'signal':
        state = load(service)
        if state and runs(state['pid']):
            os.kill(state['pid'], getattr(signal, 'SIG' + args[0]))
    else:
        update(service)


main(*sys.argv[1:])
