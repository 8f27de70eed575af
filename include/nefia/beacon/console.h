#ifndef NEFIA_BEACON_CONSOLE_H
#define NEFIA_BEACON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/beacon.h"
#include "nefia/beacon/console_edit.h"
#include "nefia/crypto/mac.h"
#include "nefia/sys/cli.h"

/** The console for a person with a cable: a process of its own, a client of the daemon's control socket, which never waits for a
 * terminal. Each command runs in a process forked for it, so that it finds the program as after its start, and can be ended with ^C. */

/* ---- The console ---- */

/** The verb `console [TTY]`. program: with its verbs, which are commands, too. Blocks. Return: an exit status. */
int console_run(struct beacon *b, const struct cli_args *a, const struct cli_program *program);
extern const struct cli_option console_options[];

/** What a command has: it runs in a process of its own, and ends that with its result. */
struct console_command_args {
    struct beacon *beacon;
    const struct cli_program *program;
    const char *config;          /* the file */
    const char *socket;          /* the daemon's control socket; "": none */
    uint64_t idle_ms;            /* longest wait for a key */
    const char *const *operands; /* what follows the command's name */
    unsigned operand_count;
};
/** Each step on the way to the hub (console_net.c). Return: an exit status. */
int console_net(const struct console_command_args *a);

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

#define CONSOLE_NONCE_HEX 32
/** The answer to a challenge: HMAC-SHA256(K, "nefia console" 00 nonce) of the 32 hex digits, in hex. */
void console_answer(const struct mac_key *k, const char nonce[CONSOLE_NONCE_HEX], char hex[MAC_HEX]);
/** How long to wait after so many wrong answers in a row. */
uint32_t console_delay_ms(unsigned wrong);

#endif
