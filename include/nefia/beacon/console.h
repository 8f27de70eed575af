#ifndef NEFIA_BEACON_CONSOLE_H
#define NEFIA_BEACON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/beacon.h"
#include "nefia/beacon/console_edit.h"
#include "nefia/sys/cli.h"

/** The console for a person with a cable: a process of its own, a client of the daemon's control socket, which never waits for a
 * terminal. Each command runs in a process forked for it, so that it finds the program as after its start, and can be ended with ^C. */

/* ---- The console ---- */

/** The verb `console [TTY]`. program: with its verbs, which are commands, too. Blocks. Return: an exit status. */
int console_run(struct beacon *b, const struct cli_args *a, const struct cli_program *program);


/** Ask the daemon with the loaded settings and print its answer, or why there is none. */
void console_ask(const struct beacon *b, const struct show_section *sections, const char *request);
/** Of `status`: the connection to the hub (console_net.c). */
extern const struct show_section console_link_sections[];
/** What a packet to the hub needs, and each step on its way there. */
void console_net(struct beacon *b);

/* ---- The bare line (console_tty.c) ---- */

/** Open a terminal: 115200 8N1, no modem control, ours alone, and our controlling terminal. Return: 0: it is standard input and
 * output; CLI_NO after a report. */
int console_tty_open(const char *path);
/** Take characters as they come; signals: ^C is SIGINT. No-op where standard input is no terminal. */
void console_tty_raw(bool signals);
/** Its modes, and back. Return: is it a terminal? */
struct termios;
bool console_tty_save(struct termios *t);
void console_tty_restore(struct termios *t);
/** Forget what has come and was not read. */
void console_tty_drop_input(void);
/** Is standard input that device, also by another name (/dev/console, /dev/tty)? */
bool console_tty_is(const char *path);

#endif
