#ifndef NEFIA_SYS_RELRO_H
#define NEFIA_SYS_RELRO_H

/** Make the program's relocated constants (pointer tables, the GOT) read-only. A dynamic loader
 * does that for the PT_GNU_RELRO segment of elf(5); musl's static-pie start code only relocates.
 * Call once, before any hostile input is read. No-op for a program without that segment. */
void relro_protect(void);

#endif
